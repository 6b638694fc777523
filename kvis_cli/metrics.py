"""Metrics of maps: against a known region, and by perturbing the input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Score = Callable[[np.ndarray], np.ndarray]
"""Inputs ``(B, H, W, C)`` to scores ``(B,)``."""


def pointing_game(raw: np.ndarray, mask: np.ndarray) -> bool:
    """Whether the map's largest value lies in the mask; a map without positive values is a miss.

    Zhang et al. 2016, arXiv:1608.00507. Where several positions share the largest value, their
    first counts.

    Parameters
    ----------
    raw
        ``(H, W)``.
    mask
        bool ``(H, W)``.

    Returns
    -------
    bool
        True for a hit.

    Examples
    --------
    >>> raw = np.array([[0.1, 0.9], [0.2, 0.0]])
    >>> pointing_game(raw, np.array([[False, True], [False, False]]))
    True
    """
    return bool(raw.max() > 0 and mask.flat[int(raw.argmax())])


def energy_in_mask(raw: np.ndarray, mask: np.ndarray) -> float:
    """Return the share, 0 to 1, of the map's positive values that lies in the mask.

    0 for a blank map.

    Wang et al. 2019 (Score-CAM), arXiv:1910.01279, section 4.3.

    Parameters
    ----------
    raw
        ``(H, W)``.
    mask
        bool ``(H, W)``, or shares of pixels in 0..1.

    Returns
    -------
    float
        0..1.

    Examples
    --------
    >>> energy_in_mask(np.array([[1.0, 3.0], [-5.0, 0.0]]), np.array([[0, 1], [1, 0]]))
    0.75
    """
    positive = np.maximum(raw, 0).astype(np.float64)
    total = positive.sum()
    return float((positive * mask).sum() / total) if total > 0 else 0.0


def enrichment(raw: np.ndarray, mask: np.ndarray) -> float:
    """`energy_in_mask` over the mask's share of the area: 1 for a map that knows nothing.

    Parameters
    ----------
    raw
        ``(H, W)``.
    mask
        As for `energy_in_mask`, not all zero.

    Returns
    -------
    float
        At least 0; above 1 where the map prefers the mask.

    Examples
    --------
    >>> enrichment(np.array([[1.0, 3.0], [-5.0, 0.0]]), np.array([[0, 1], [1, 0]]))
    1.5
    """
    return energy_in_mask(raw, mask) / float(mask.mean())


@dataclass(frozen=True)
class Curve:
    """Scores while pixels go or come in the order of a map.

    Attributes
    ----------
    shares
        How many of the pixels were changed, 0 to 1.
    scores
        The score at each.
    """

    shares: np.ndarray
    scores: np.ndarray

    @property
    def area(self) -> float:
        """The area under the curve, by trapezoids."""
        return float(np.sum(np.diff(self.shares) * (self.scores[1:] + self.scores[:-1]) / 2))


def deletion(
    image: np.ndarray, raw: np.ndarray, blank: np.ndarray, score: Score, steps: int = 32
) -> Curve:
    """Pixels are replaced by `blank`, the hottest first; a good map lets the score fall early.

    Petsiuk et al. 2018 (RISE), arXiv:1806.07421.

    Parameters
    ----------
    image
        ``(H, W, C)``, as the model takes it.
    raw
        ``(H, W)``; equal values go in reading order.
    blank
        ``(H, W, C)``, what pixels are replaced by; RISE deletes to black.
    score
        See `Score`.
    steps
        Into how many equal parts the pixels are divided.

    Returns
    -------
    Curve
        The score at every step, from the whole image to `blank`, and the area under it.

    Examples
    --------
    >>> image, black = np.ones((2, 2, 1)), np.zeros((2, 2, 1))
    >>> raw = np.array([[4.0, 3.0], [2.0, 1.0]])
    >>> curve = deletion(image, raw, black, lambda batch: batch[:, 0, 0, 0], steps=2)
    >>> curve.shares.tolist(), curve.scores.tolist(), curve.area
    ([0.0, 0.5, 1.0], [1.0, 0.0, 0.0], 0.25)
    """
    return _curve(image, blank, raw, score, steps)


def insertion(
    image: np.ndarray, raw: np.ndarray, blank: np.ndarray, score: Score, steps: int = 32
) -> Curve:
    """Pixels of `image` appear on `blank`, the hottest first; a good map lets the score rise early.

    Petsiuk et al. 2018 (RISE), arXiv:1806.07421; RISE begins with a blurred image. Parameters as
    for `deletion`.

    Parameters
    ----------
    image
        ``(H, W, C)``, as the model takes it.
    raw
        ``(H, W)``; equal values go in reading order.
    blank
        ``(H, W, C)``, what the curve begins with.
    score
        See `Score`.
    steps
        Into how many equal parts the pixels are divided.

    Returns
    -------
    Curve
        The score at every step, from `blank` to the whole image, and the area under it.

    Examples
    --------
    >>> image, black = np.ones((2, 2, 1)), np.zeros((2, 2, 1))
    >>> raw = np.array([[4.0, 3.0], [2.0, 1.0]])
    >>> insertion(image, raw, black, lambda batch: batch[:, 0, 0, 0], steps=2).scores.tolist()
    [0.0, 1.0, 1.0]
    """
    return _curve(blank, image, raw, score, steps)


def _curve(start: np.ndarray, end: np.ndarray, raw: np.ndarray, score: Score, steps: int) -> Curve:
    order = np.argsort(-raw.ravel(), kind="stable")
    ranks = np.empty(order.size, np.int64)
    ranks[order] = np.arange(order.size)
    place = ranks.reshape(raw.shape)
    counts = np.rint(np.linspace(0, order.size, steps + 1)).astype(int)
    frames = [np.where((place < count)[..., np.newaxis], end, start) for count in counts]
    return Curve(counts / order.size, np.asarray(score(np.stack(frames)), np.float64))


def entropy(raw: np.ndarray) -> float | None:
    """Spread of a map: 0 when all of it is in one cell, 1 when it is everywhere the same.

    Shannon entropy of ``|raw| / Σ|raw|`` over the logarithm of the number of cells; None for a
    blank map or one of a single cell.

    Parameters
    ----------
    raw
        Any shape; magnitudes count.

    Returns
    -------
    float or None
        0..1.

    Examples
    --------
    >>> entropy(np.array([[1.0, 1.0], [0.0, 0.0]])), entropy(np.ones((2, 2)))
    (0.5, 1.0)
    >>> entropy(np.zeros((2, 2))) is None
    True
    """
    values = np.abs(raw.astype(np.float64)).ravel()
    total = values.sum()
    if values.size < 2 or not np.isfinite(total) or total <= 0:
        return None
    share = values[values > 0] / total
    return float(-(share * np.log(share)).sum() / np.log(values.size))
