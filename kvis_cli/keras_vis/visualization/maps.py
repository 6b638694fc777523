"""Raw maps as keras-vis returns them: one array in 0..1."""

from __future__ import annotations

import warnings

import numpy as np

from kvis_cli.explanation import MapGrid
from kvis_cli.images.fitting import placed_map
from kvis_cli.render.resize import resize_map
from kvis_cli.render.scale import MapKind, scale_map


def shown(maps: np.ndarray, kind: MapKind, single: bool) -> np.ndarray:
    """Scale each map of a batch to 0..1 by its own limit, as the commands do.

    Parameters
    ----------
    maps
        float32 ``(B, …)``, raw.
    kind
        ``heatmap``, where 0 stays 0, or ``signed``, where 0 becomes 0.5.
    single
        Whether to return the first map alone.

    Returns
    -------
    numpy.ndarray
        float32 in 0..1, the shape of `maps`, or without the batch axis.

    Warns
    -----
    UserWarning
        For a map with nothing in it.
    """
    scaled = [scale_map(raw, kind) for raw in maps]
    for i, one in enumerate(scaled):
        if one.blank:
            which = "" if single else f" of input {i}"
            warnings.warn(f"The map{which} is blank: {one.blank}.", stacklevel=4)
    values = np.stack([one.values for one in scaled])
    return np.asarray(values[0] if single else values)


def resized(raw: np.ndarray, size: tuple[int, ...], grid: MapGrid | None = None) -> np.ndarray:
    """Return a map of any number of axes at `size`, bilinear with half-pixel centres.

    With a `grid`, which only maps of two axes have a use for, cells lie where it says.
    """
    if raw.ndim == 2 and grid is not None and not all(axis.is_even for axis in grid.axes):
        return placed_map(raw, (size[0], size[1]), grid)
    if raw.ndim == 2:
        return resize_map(raw, (size[0], size[1]))
    for axis, length in enumerate(size):
        rows = np.moveaxis(raw, axis, 0)
        flat = resize_map(rows.reshape(rows.shape[0], -1), (length, rows[0].size))
        raw = np.moveaxis(flat.reshape(length, *rows.shape[1:]), 0, axis)
    return raw
