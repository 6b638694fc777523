"""Parameters of the saliency methods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from kvis_cli.lazy import np


@dataclass(frozen=True)
class SaliencySettings:
    """Parameters of all methods; each reads its own.

    Attributes
    ----------
    low, high
        The inputs that black and white become, each a number or one per channel.
    channel_axis
        Where an input's channels are: -1, 1, or None for inputs without.
    samples
        Noisy copies or masks per input; None takes the method's default.
    noise
        Standard deviation of the noise as a share of the input's range.
    steps
        Points on the path of integrated gradients.
    baseline
        `auto` or a name of `kvis_cli.engines.saliency.baselines.BASELINES`, or an array that
        broadcasts against an input.
    patch, stride
        Side of the occluding patch and its step, in input pixels; None takes an eighth of the
        input's shorter side, and half of the patch.
    cells
        Cells per side of RISE's coarse masks.
    keep
        Share of a RISE mask that shows the input.
    seed
        Of everything random.
    batch_size
        Points computed at once: what bounds the memory.

    Examples
    --------
    >>> SaliencySettings(samples=20).noise
    0.15
    """

    low: float | np.ndarray = 0.0
    high: float | np.ndarray = 1.0
    channel_axis: int | None = -1
    samples: int | None = None
    noise: float = 0.15
    steps: int = 64
    baseline: Baseline = "auto"
    patch: int | None = None
    stride: int | None = None
    cells: int = 8
    keep: float = 0.5
    seed: int = 0
    batch_size: int = 16


Baseline: TypeAlias = "str | np.ndarray"
