"""What a class activation map explains: output units, a region of a segmentation, a filter."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from kvis_cli.lazy import tf

if TYPE_CHECKING:
    from kvis_cli.engines.scores import Region, ScoreKind, Scores
    from kvis_cli.models.live.reader import Forward, Tap


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
        Of a segmentation: where the score is summed, as for ``score_targets``.
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

    def __call__(self, forward: Forward, weights: Any, ranks: Any) -> Scores:
        """Scores of a traced forward pass; `weights` and `ranks` as for ``score_targets``."""
        from kvis_cli.engines.scores import per_unit, score_targets, score_units

        output = forward.outputs[self.output]
        if self.filter_layer is None:
            return score_targets(output, weights, ranks, self.score, self.region)
        maps = forward.taps[-1]
        if self.channels_first:
            maps = tf.transpose(maps, [0, *range(2, maps.shape.rank), 1])
        return replace(score_units(maps, weights), outputs=per_unit(output))
