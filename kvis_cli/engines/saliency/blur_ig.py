"""Gradients along the way from a blurred input to the sharp one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kvis_cli.engines.saliency.batch import Attribution, Batch, chunks
from kvis_cli.engines.saliency.gaussian import blur_matrices, blurred
from kvis_cli.engines.saliency.integrated_gradients import completeness_gap
from kvis_cli.engines.saliency.registry import Explain, register
from kvis_cli.engines.saliency.settings import SaliencySettings
from kvis_cli.lazy import np, tf

if TYPE_CHECKING:
    from kvis_cli.engines.saliency.score import ScoreFunction

MAX_SIGMA = 0.2
"""Of the strongest blur, as a share of each side."""


class BlurIntegratedGradients:
    """``Σ (x_i - x_{i+1}) · ∂score/∂x`` half-way between ``x_i`` and the more blurred ``x_{i+1}``.

    Blurs grow as the square of the step's number, so that steps are short where details vanish.
    """

    def __init__(self, score: ScoreFunction, settings: SaliencySettings) -> None:
        self.score = score
        self.settings = settings
        self._run = score.compile(self._piece)
        self._blur = score.compile(self._blurred)

    def __call__(self, batch: Batch) -> Attribution:
        """Explain a batch."""
        steps = self.settings.steps
        shares = MAX_SIGMA * (np.arange(steps + 1) / steps) ** 2
        total: Any = 0.0
        for index, counts in chunks(steps, len(batch.inputs), self.settings.batch_size):
            total += self._run(
                batch.inputs,
                batch.weights,
                self._matrices(batch, shares[index]),
                self._matrices(batch, shares[index + 1]),
                tf.constant(counts),
            )
        base = self._blur(batch.inputs, self._matrices(batch, shares[-1:]))[:, 0]
        base_scores = self.score.run_scores(base, batch.weights).numpy()
        gap = completeness_gap(total, batch.scores.numpy() - base_scores)
        return Attribution(total, {"completeness_gap": gap, "baseline_score": base_scores})

    def _matrices(self, batch: Batch, shares: np.ndarray) -> list[Any]:
        return blur_matrices(batch.inputs.shape, shares, self.settings.channel_axis)

    def _blurred(self, inputs: Any, matrices: list[Any]) -> Any:
        return blurred(inputs, matrices, self.settings.channel_axis)

    def _piece(self, inputs: Any, weights: Any, sharp: Any, blurred: Any, counts: Any) -> Any:
        near, far = self._blurred(inputs, sharp), self._blurred(inputs, blurred)
        gradients = self.score.gradients_of_each((near + far) / 2, weights)
        way = (near - far) * tf.reshape(counts, [1, -1, *[1] * (len(inputs.shape) - 1)])
        return tf.reduce_sum(gradients * way[:, :, tf.newaxis], axis=1)


@register(
    "blur_ig",
    "Xu et al. 2020, arXiv:2004.03383",
    "64 forward, 64 backward (--steps)",
    "Gradients along the way from a blurred input to the sharp one.",
    options=("steps",),
)
def blur_ig(score: ScoreFunction, settings: SaliencySettings) -> Explain:
    """`BlurIntegratedGradients`; its values add up to score(x) - score(blurred x)."""
    return BlurIntegratedGradients(score, settings)
