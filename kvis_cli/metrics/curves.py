"""How the score changes while pixels go or come in the order of a map."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Score = Callable[[np.ndarray], np.ndarray]
"""Inputs ``(B, H, W, C)`` to scores ``(B,)``."""


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
