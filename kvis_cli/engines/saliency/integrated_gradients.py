"""Gradients along the straight path from a baseline to the input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kvis_cli.engines.saliency.baselines import baselines
from kvis_cli.engines.saliency.batch import Attribution, Batch, chunks
from kvis_cli.engines.saliency.registry import Explain, register
from kvis_cli.engines.saliency.settings import SaliencySettings
from kvis_cli.lazy import np, tf

if TYPE_CHECKING:
    from kvis_cli.engines.saliency.score import ScoreFunction


class IntegratedGradients:
    """``(x - b) · mean of ∂score/∂x over b + α(x - b)``, by the midpoint rule.

    With several baselines the steps are shared out among them, and the result is their mean.
    """

    def __init__(self, score: ScoreFunction, settings: SaliencySettings) -> None:
        self.score = score
        self.settings = settings
        self._run = score.compile(self._piece)

    def __call__(self, batch: Batch) -> Attribution:
        """Explain a batch."""
        settings = self.settings
        bases = baselines(batch.inputs, settings, "black")
        steps = max(1, round(settings.steps / bases.shape[1]))
        which = np.repeat(np.arange(bases.shape[1]), steps).astype(np.int32)
        alphas = np.tile((np.arange(steps, dtype=np.float32) + 0.5) / steps, bases.shape[1])
        total: Any = 0.0
        for index, counts in chunks(len(alphas), len(batch.inputs), settings.batch_size):
            total += self._run(
                batch.inputs,
                bases,
                batch.weights,
                tf.constant(which[index]),
                tf.constant(alphas[index]),
                tf.constant(counts / len(alphas)),
            )
        base_scores = self._base_scores(batch, bases)
        gap = completeness_gap(total, batch.scores.numpy() - base_scores)
        return Attribution(total, {"completeness_gap": gap, "baseline_score": base_scores})

    def _base_scores(self, batch: Batch, bases: Any) -> np.ndarray:
        """``(B, T)`` scores of the baselines, averaged over them."""
        total: Any = 0.0
        for k in range(bases.shape[1]):
            base = tf.broadcast_to(bases[:, k], batch.inputs.shape)
            total += self.score.run_scores(base, batch.weights).numpy()
        return np.asarray(total / bases.shape[1], np.float32)

    def _piece(
        self, inputs: Any, bases: Any, weights: Any, which: Any, alphas: Any, shares: Any
    ) -> Any:
        chosen = tf.gather(bases, which, axis=1)
        way = inputs[:, tf.newaxis] - chosen
        ones = [1] * (len(inputs.shape) - 1)
        points = chosen + way * tf.reshape(alphas, [1, -1, *ones])
        gradients = self.score.gradients_of_each(points, weights)
        shares = tf.reshape(shares, [1, -1, 1, *ones])
        return tf.reduce_sum(gradients * way[:, :, tf.newaxis] * shares, axis=1)


def completeness_gap(values: Any, change: np.ndarray) -> np.ndarray:
    """By what share of the score's `change` the sum of `values` misses it, ``(B, T)``."""
    found = tf.reduce_sum(values, axis=list(range(2, values.shape.rank))).numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.abs(found - change) / np.abs(change))


@register(
    "integrated_gradients",
    "Sundararajan et al. 2017, arXiv:1703.01365",
    "64 forward, 64 backward (--steps)",
    "Gradients along the way from a baseline; adds up to the score's change on it.",
    options=("steps", "baseline"),
)
def integrated_gradients(score: ScoreFunction, settings: SaliencySettings) -> Explain:
    """`IntegratedGradients`; its values add up to score(x) - score(baseline)."""
    return IntegratedGradients(score, settings)
