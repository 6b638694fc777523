"""What a class activation map explains: output units, a region of a segmentation, a filter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from kvis_cli.lazy import tf

if TYPE_CHECKING:
    from kvis_cli.engines.targets import ScoreKind
    from kvis_cli.models.head import Activation
    from kvis_cli.models.reading import Forward, Tap

Region = np.ndarray | Literal["predicted"] | None


@dataclass(frozen=True)
class Scored:
    """Tensors of one traced forward pass.

    Attributes
    ----------
    scores
        ``(B, T)``: the explained value of each target.
    weights
        ``(B, T, units)``: what each score is made of, ranks resolved.
    outputs
        ``(B, units)``: the model's own output.
    values
        ``(B, units)``: what the weights are applied to, positions averaged.
    activation
        What ended the model.
    """

    scores: Any
    weights: Any
    outputs: Any
    values: Any
    activation: Activation


@dataclass(frozen=True)
class Objective:
    """Where scores are read.

    Attributes
    ----------
    score
        ``logit``, ``probability`` or ``log-probability``.
    output
        Which of the model's outputs.
    region
        Of a segmentation: where the score is summed. A mask of weights at the output's size, or
        ``predicted``: where the model says that class; None for the mean over everything.
    filter_layer
        Score the channels of this layer's call instead of an output.
    channels_first
        Whether that layer's maps are ``(B, K, *space)``.
    """

    score: ScoreKind = "logit"
    output: int = 0
    region: Region = None
    filter_layer: Tap | None = None
    channels_first: bool = False

    @property
    def taps(self) -> list[Tap]:
        """What has to be read beside the output, as the last taps of a forward pass."""
        return [] if self.filter_layer is None else [self.filter_layer]

    def __call__(self, forward: Forward, weights: Any, ranks: Any) -> Scored:
        """Scores of a traced forward pass; `weights` and `ranks` as for ``score_targets``."""
        from kvis_cli.engines.targets import per_unit, score_targets, score_units
        from kvis_cli.models.head import pre_activation

        output = forward.outputs[self.output]
        if self.filter_layer is not None:
            maps = forward.taps[-1]
            if self.channels_first:
                maps = tf.transpose(maps, [0, *range(2, maps.shape.rank), 1])
            scores = score_units(maps, weights)
            return Scored(scores, weights, per_unit(output), per_unit(maps), "none")
        found = score_targets(output, weights, ranks, self.score)
        logits = pre_activation(output)[0]
        scores = found.scores
        if self.region is not None:
            scores = self._over_region(output, logits, found.weights)
        return Scored(scores, found.weights, found.outputs, per_unit(logits), found.activation)

    def _over_region(self, output: Any, logits: Any, weights: Any) -> Any:
        from kvis_cli.errors import UsageError

        if output.shape.rank < 3:
            raise UsageError(
                "A region needs a model whose output is a map.",
                f"This output has the shape {tuple(output.shape)}.",
                "Leave --region out.",
            )
        output = tf.cast(output, tf.float32)
        values = {"logit": tf.cast(logits, tf.float32), "probability": output}.get(self.score)
        if values is None:
            values = tf.math.log(tf.maximum(output, 1e-30))
        # (B, T, *positions), as is the mask.
        scores = tf.einsum("b...u,btu->bt...", values, weights)
        if isinstance(self.region, np.ndarray):
            mask = tf.constant(self.region, tf.float32)[tf.newaxis, tf.newaxis]
        elif output.shape[-1] == 1:
            sides = tf.einsum(
                "b...u,btu->bt...", tf.where(output > 0.5, 1.0, -1.0), tf.sign(weights)
            )
            mask = tf.cast(sides > 0, tf.float32)
        else:
            said = tf.one_hot(tf.argmax(output, axis=-1), output.shape[-1])
            mask = tf.einsum("b...u,btu->bt...", said, tf.cast(weights > 0, tf.float32))
        return tf.reduce_sum(scores * mask, axis=list(range(2, scores.shape.rank)))
