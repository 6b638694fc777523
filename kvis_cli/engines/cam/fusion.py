"""One map from those of several layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

Fuse = Literal["mean", "max"]


def fuse(maps: Sequence[np.ndarray], how: Fuse = "mean") -> np.ndarray:
    """Fuse maps of several layers.

    Parameters
    ----------
    maps
        ``(*space)`` each, of any sizes. Each is divided by its largest magnitude first, as layers
        differ by orders of magnitude; a map of zeros stays.
    how
        The mean or the maximum at each position.

    Returns
    -------
    numpy.ndarray
        float32 at the largest size of each axis, within −1 to 1.

    Examples
    --------
    >>> fuse([np.array([[1.0, 2.0]]), np.array([[0.0, 50.0]])]).tolist()
    [[0.25, 1.0]]
    """
    size = np.max([raw.shape for raw in maps], axis=0)
    scaled = []
    for raw in maps:
        largest = float(np.abs(raw).max(initial=0.0))
        large = raw / largest if largest > 0 else raw
        for axis, wanted in enumerate(size):
            large = _enlarged(large, axis, int(wanted))
        scaled.append(large)
    fused = np.mean(scaled, axis=0) if how == "mean" else np.max(scaled, axis=0)
    return np.asarray(fused, np.float32)


def _enlarged(values: np.ndarray, axis: int, wanted: int) -> np.ndarray:
    """Linear along one axis, half-pixel centres, borders repeated."""
    count = values.shape[axis]
    centres = np.clip((np.arange(wanted) + 0.5) * count / wanted - 0.5, 0, count - 1)
    matrix = np.maximum(1 - np.abs(centres[:, np.newaxis] - np.arange(count)), 0)
    return np.asarray(np.moveaxis(np.tensordot(matrix, values, (1, axis)), 0, axis))
