"""RISE: the mean of random masks, weighted by the score under each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kvis_cli.engines.saliency.baselines import baselines
from kvis_cli.engines.saliency.batch import Attribution, Batch, chunks
from kvis_cli.engines.saliency.gaussian import spatial_shape
from kvis_cli.engines.saliency.registry import Explain, register
from kvis_cli.engines.saliency.settings import SaliencySettings
from kvis_cli.lazy import np, tf

if TYPE_CHECKING:
    from kvis_cli.engines.saliency.score import ScoreFunction

MASKS = 1000
_STREAM = 3


class Rise:
    """Mean score while a cell shows, minus the mean score: ``Σ M·s / Σ M - mean(s)``.

    The paper's ``Σ M·s / (N·E[M])`` differs by the constant mean(s), which says nothing about
    places, and by dividing by the expected instead of the actual share of masks that show a cell,
    which adds noise.
    """

    def __init__(self, score: ScoreFunction, settings: SaliencySettings) -> None:
        self.score = score
        self.settings = settings
        self.masks = settings.samples or MASKS
        self._run = score.compile(self._piece)

    def __call__(self, batch: Batch, masks: np.ndarray | None = None) -> Attribution:
        """Explain; `masks` ``(N, …)`` in [0, 1] replaces the random ones."""
        settings = self.settings
        size = spatial_shape(batch.inputs.shape, settings.channel_axis)
        fill = baselines(batch.inputs, settings, "grey")[:, 0]
        total = self.masks if masks is None else len(masks)
        weighted: Any = 0.0
        scored: Any = 0.0
        shown = np.zeros(size, np.float64)
        for index, counts in chunks(total, len(batch.inputs), settings.batch_size):
            drawn = self._draw(index, size) if masks is None else masks[index]
            shown += np.tensordot(counts, drawn, 1)
            sums, scores = self._run(
                batch.inputs,
                fill,
                batch.weights,
                batch.scores,
                tf.constant(drawn),
                tf.constant(counts),
            )
            weighted += sums
            scored += scores
        mean = scored / total
        relative = weighted / tf.constant(shown.astype(np.float32))
        values = relative - tf.reshape(mean, [*mean.shape, *[1] * len(size)])
        return Attribution(values, {"mean_score": (mean + batch.scores).numpy()})

    def _piece(
        self, inputs: Any, fill: Any, weights: Any, scores: Any, masks: Any, counts: Any
    ) -> tuple[Any, Any]:
        """``Σ M·(s - s(x))`` and ``Σ (s - s(x))``; relative to s(x), so that sums stay small."""
        batch, count = inputs.shape[0], masks.shape[0]
        axis = self.settings.channel_axis
        shown = masks if axis is None else tf.expand_dims(masks, axis)
        way = inputs - fill
        points = fill[:, tf.newaxis] + shown * way[:, tf.newaxis]
        points = tf.reshape(points, [batch * count, *inputs.shape[1:]])
        found = self.score.scores(points, tf.repeat(weights, count, axis=0))
        change = tf.reshape(found, [batch, count, scores.shape[1]]) - scores[:, tf.newaxis]
        change *= counts[:, tf.newaxis]
        return tf.tensordot(change, masks, [[1], [0]]), tf.reduce_sum(change, axis=1)

    def _draw(self, index: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
        settings = self.settings
        return np.stack(
            [
                random_mask(
                    np.random.default_rng([settings.seed, _STREAM, int(i)]),
                    size,
                    settings.cells,
                    settings.keep,
                )
                for i in index
            ]
        )


def random_mask(
    random: np.random.Generator, size: tuple[int, ...], cells: int, keep: float
) -> np.ndarray:
    """Return a coarse random grid, enlarged bilinearly and shifted by up to a cell.

    Parameters
    ----------
    random
        Draws the grid first, then a shift per axis.
    size
        The spatial shape of the input.
    cells
        Cells of the grid along each axis.
    keep
        The probability that a cell shows, 0..1.

    Returns
    -------
    numpy.ndarray
        float32 of shape `size`, in [0, 1]; on average a share `keep` shows.

    Examples
    --------
    >>> mask = random_mask(np.random.default_rng(0), (8, 8), cells=2, keep=0.5)
    >>> mask.shape, bool((0 <= mask).all() and (mask <= 1).all())
    ((8, 8), True)
    """
    mask = (random.random((cells + 1,) * len(size)) < keep).astype(np.float32)
    for axis, length in enumerate(size):
        at = (np.arange(length) + random.random() * length / cells) * cells / length
        before = np.minimum(at.astype(int), cells)
        after = np.minimum(before + 1, cells)
        part = (at - before).astype(np.float32)
        part = part.reshape([-1 if a == axis else 1 for a in range(len(size))])
        mask = mask.take(before, axis) * (1 - part) + mask.take(after, axis) * part
    return mask


@register(
    "rise",
    "Petsiuk et al. 2018, arXiv:1806.07421",
    "1000 forward (--samples)",
    "The mean score under random masks that show a pixel.",
    modifier="none",
    gradient=False,
    deterministic=False,
    options=("samples", "baseline"),
)
def rise(score: ScoreFunction, settings: SaliencySettings) -> Explain:
    """`Rise`: positive where showing raises the score."""
    return Rise(score, settings)
