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
    image, blank
        ``(H, W, C)``; RISE deletes to black.
    raw
        ``(H, W)``; equal values go in reading order.
    score
        See `Score`.
    steps
        Into how many equal parts the pixels are divided.
    """
    return _curve(image, blank, raw, score, steps)


def insertion(
    image: np.ndarray, raw: np.ndarray, blank: np.ndarray, score: Score, steps: int = 32
) -> Curve:
    """Pixels of `image` appear on `blank`, the hottest first; a good map lets the score rise early.

    Petsiuk et al. 2018 (RISE), arXiv:1806.07421; RISE begins with a blurred image. Parameters as
    for `deletion`.
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
