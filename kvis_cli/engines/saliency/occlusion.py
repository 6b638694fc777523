"""Occlusion: the drop of the score where a patch hides the input."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

from kvis_cli.engines.saliency.baselines import baselines
from kvis_cli.engines.saliency.batch import Attribution, Batch, chunks
from kvis_cli.engines.saliency.gaussian import spatial_shape
from kvis_cli.engines.saliency.registry import Explain, register
from kvis_cli.engines.saliency.settings import SaliencySettings
from kvis_cli.errors import UsageError
from kvis_cli.lazy import np, tf

if TYPE_CHECKING:
    from kvis_cli.engines.saliency.score import ScoreFunction


class Occlusion:
    """For each cell, the mean drop of the score over all patches that cover it."""

    def __init__(self, score: ScoreFunction, settings: SaliencySettings) -> None:
        self.score = score
        self.settings = settings
        self._run = score.compile(self._piece)

    def __call__(self, batch: Batch) -> Attribution:
        """Explain a batch."""
        settings = self.settings
        size = spatial_shape(batch.inputs.shape, settings.channel_axis)
        patch = settings.patch or max(1, min(size) // 8)
        stride = settings.stride or max(1, patch // 2)
        _check(size, patch, stride)
        corners = patch_corners(size, patch, stride)
        fill = baselines(batch.inputs, settings, "grey")[:, 0]
        total: Any = 0.0
        cover = np.zeros(size, np.float32)
        for index, counts in chunks(len(corners), len(batch.inputs), settings.batch_size):
            hidden = np.stack([patch_mask(size, corners[i], patch) for i in index])
            cover += np.tensordot(counts, hidden, 1)
            total += self._run(
                batch.inputs,
                fill,
                batch.weights,
                batch.scores,
                tf.constant(hidden),
                tf.constant(counts),
            )
        return Attribution(total / cover)

    def _piece(
        self, inputs: Any, fill: Any, weights: Any, scores: Any, hidden: Any, counts: Any
    ) -> Any:
        """``(B, T, …)``: the drops of one piece of the patches, added up where they lie."""
        batch, count = inputs.shape[0], hidden.shape[0]
        points = tf.where(
            self._with_channels(hidden > 0), fill[:, tf.newaxis], inputs[:, tf.newaxis]
        )
        points = tf.reshape(points, [batch * count, *inputs.shape[1:]])
        found = self.score.scores(points, tf.repeat(weights, count, axis=0))
        drops = scores[:, tf.newaxis] - tf.reshape(found, [batch, count, scores.shape[1]])
        drops *= counts[:, tf.newaxis]
        return tf.tensordot(drops, hidden, [[1], [0]])

    def _with_channels(self, masks: Any) -> Any:
        axis = self.settings.channel_axis
        return masks if axis is None else tf.expand_dims(masks, axis)


def patch_corners(size: tuple[int, ...], patch: int, stride: int) -> list[tuple[int, ...]]:
    """First corners of patches, `stride` apart; the last ones end at the border.

    Parameters
    ----------
    size
        The spatial shape.
    patch
        Side of a patch.
    stride
        From one corner to the next.

    Returns
    -------
    list of tuple
        One corner per patch, a number per axis.

    Examples
    --------
    >>> patch_corners((5,), patch=2, stride=2)
    [(0,), (2,), (3,)]
    """
    axes = []
    for length in size:
        last = max(0, length - patch)
        axes.append(sorted({*range(0, last, stride), last}))
    return list(product(*axes))


def patch_mask(size: tuple[int, ...], corner: tuple[int, ...], patch: int) -> np.ndarray:
    """float32 of shape `size`: 1 inside the patch, else 0.

    Parameters
    ----------
    size
        The spatial shape.
    corner
        The first corner, a number per axis.
    patch
        Side of the patch.

    Returns
    -------
    numpy.ndarray
        float32 of `size`: 1 inside the patch, else 0.

    Examples
    --------
    >>> patch_mask((4,), (1,), patch=2).tolist()
    [0.0, 1.0, 1.0, 0.0]
    """
    mask = np.zeros(size, np.float32)
    mask[tuple(slice(at, at + patch) for at in corner)] = 1
    return mask


def _check(size: tuple[int, ...], patch: int, stride: int) -> None:
    if stride > patch:
        raise UsageError(
            f"--stride {stride} is larger than the patch of {patch} pixels.",
            "What lies between the patches would never be hidden.",
            f"Use at most --stride {patch}, or a larger --patch.",
        )
    if patch >= max(size) > 1:
        raise UsageError(
            f"--patch {patch} hides the whole input of {'×'.join(map(str, size))} pixels.",
            "The map would be the same everywhere.",
            f"Use less than --patch {max(size)}.",
        )


@register(
    "occlusion",
    "Zeiler & Fergus 2013, arXiv:1311.2901",
    "225 forward (--patch, --stride)",
    "What the score loses where a patch hides the input.",
    modifier="none",
    gradient=False,
    options=("patch", "stride", "baseline"),
)
def occlusion(score: ScoreFunction, settings: SaliencySettings) -> Explain:
    """`Occlusion`: positive where hiding lowers the score."""
    return Occlusion(score, settings)
