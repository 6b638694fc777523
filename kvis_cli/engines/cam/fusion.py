"""One map from those of several layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from kvis_cli.render.resize import resize_map

Fuse = Literal["mean", "max"]


def fuse(maps: Sequence[np.ndarray], how: Fuse = "mean") -> np.ndarray:
    """Fuse maps of several layers.

    Parameters
    ----------
    maps
        ``(h, w)`` each, of any sizes. Each is divided by its largest magnitude first, as layers
        differ by orders of magnitude; a map of zeros stays.
    how
        The mean or the maximum at each position.

    Returns
    -------
    numpy.ndarray
        float32 at the size of the finest map, within −1 to 1.
    """
    height = max(raw.shape[0] for raw in maps)
    width = max(raw.shape[1] for raw in maps)
    scaled = []
    for raw in maps:
        largest = float(np.abs(raw).max(initial=0.0))
        scaled.append(resize_map(raw / largest if largest > 0 else raw, (height, width)))
    fused = np.mean(scaled, axis=0) if how == "mean" else np.max(scaled, axis=0)
    return np.asarray(fused, np.float32)
