"""Settings and results of the CAM engines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from kvis_cli.engines.cam.layers import CamLayer
from kvis_cli.engines.cam.objective import Objective
from kvis_cli.lazy import tf

if TYPE_CHECKING:
    import numpy as np

    from kvis_cli.models.live.reader import ModelReader


CONTRASTS = (0.9, 1.0, 1.1)
"""The contrasts of the inputs that `--aug-smooth` averages over."""


@dataclass(frozen=True)
class CamSettings:
    """Parameters of all methods; each reads its own.

    Attributes
    ----------
    objective
        What is explained.
    direction
        ``increase``: what raises the score. ``decrease``: what lowers it; the sign of every
        gradient and weight is turned. ``maintain``: channels that the score hardly reacts to; each
        weighs the inverse of its mean gradient's magnitude (`small_values`).
    gradient_modifier
        Applied to the gradient of each target ``(B, *space, K)`` before anything else.
    backprop
        Backward rule of the rectifiers between the layers and the score: a name of
        `kvis_cli.engines.backprop_modifiers` or a rule of one's own.
    eigen_smooth
        Reduce weighted feature maps to their first principal component instead of their sum.
    noise_samples
        Average gradients over that many noisy copies of each input; 0 for none.
    noise
        Standard deviation of that noise as a share of each input's range.
    max_channels
        Score-CAM, Ablation-CAM: only the channels that vary most over the image; None for all.
    channel_axis
        The input's channel axis, -1 or 1.
    batch_size
        Inputs computed at once; what bounds the memory.
    seed
        Of the noise.

    Examples
    --------
    >>> float(CamSettings(direction="decrease").directed(np.ones((1, 1, 2, 2, 3))).max())
    -1.0
    """

    objective: Objective = field(default_factory=Objective)
    direction: Direction = "increase"
    gradient_modifier: Callable[[Any], Any] | None = None
    backprop: Any = None
    eigen_smooth: bool = False
    noise_samples: int = 0
    noise: float = 0.15
    max_channels: int | None = None
    channel_axis: int = -1
    batch_size: int = 16
    seed: int = 0

    def directed(self, gradient: Any) -> Any:
        """Gradients ``(B, T, *space, K)`` or channel weights ``(B, T, K)``, turned."""
        if self.direction == "increase":
            return gradient
        if self.direction == "decrease":
            return -gradient
        from kvis_cli.engines.gradient_modifiers import small_values

        space = list(range(2, gradient.shape.rank - 1))
        weights = tf.reduce_mean(gradient, axis=space, keepdims=True)
        # One row per sample and target: each has a floor of its own.
        flat = tf.reshape(weights, [-1, weights.shape[-1]])
        return tf.reshape(small_values(flat), tf.shape(weights)) * tf.ones_like(gradient)


Direction = Literal["increase", "decrease", "maintain"]
Key = tuple[str, str]
"""Layer address (empty where a method reads none in particular) and method."""


@dataclass(frozen=True)
class CamBatch:
    """Raw maps of a batch.

    Attributes
    ----------
    maps
        Per layer and method: float32 ``(B, T, *space)``, the map's own grid, unscaled.
    scores
        float32 ``(B, T)``.
    weights
        float32 ``(B, T, units)``: the units of each score, ranks resolved.
    outputs
        float32 ``(B, units)``: the model's output.
    extras
        Per layer and method: numbers ``(B, T)`` by name.
    """

    maps: dict[Key, np.ndarray]
    scores: np.ndarray
    weights: np.ndarray
    outputs: np.ndarray
    extras: dict[Key, dict[str, np.ndarray]] = field(default_factory=dict)


class CamEngineLike(Protocol):
    """Anything that makes maps of batches.

    Attributes
    ----------
    notes
        What the user should know, once a batch was explained.
    """

    @property
    def notes(self) -> list[str]:
        """What the user should know, once a batch was explained."""
        ...

    @property
    def traces(self) -> int:
        """How often it was compiled."""
        ...

    def __call__(self, inputs: np.ndarray, weights: np.ndarray, ranks: np.ndarray) -> CamBatch:
        """Explain a batch; arguments as for `kvis_cli.engines.cam.engine.CamEngine`."""
        ...


MakeEngine = Callable[["ModelReader", Sequence[CamLayer], CamSettings], CamEngineLike]
