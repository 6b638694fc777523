"""Maps of different grids brought onto one."""

from __future__ import annotations

import numpy as np

Grid = tuple[int, int]
"""Rows and columns."""

# Of the largest magnitude of a map.
_NOTHING = 1e-14


def area_average(raw: np.ndarray, grid: Grid) -> np.ndarray:
    """Return a map on another grid over the same area, each new cell the mean of what it covers.

    Parts of old cells count by their area, so the mean of the map stays as it is, and 12×12 cells
    become 5×7 without one being skipped or counted twice. Where the new grid is finer, old cells
    are repeated in parts.

    Parameters
    ----------
    raw
        ``(H, W)``, any real values.
    grid
        Rows and columns wanted, both at least 1.

    Returns
    -------
    numpy.ndarray
        float64, shape `grid`.

    Examples
    --------
    >>> area_average(np.array([[1.0, 2.0, 6.0]]), (1, 2))
    array([[1.33333333, 4.66666667]])
    """
    values = np.asarray(raw, np.float64)
    if values.ndim != 2:
        raise ValueError(f"A map has two dimensions, this one has the shape {values.shape}.")
    if values.shape == tuple(grid):
        return values
    rows, columns = (_shares(n, m) for n, m in zip(values.shape, grid, strict=True))
    averaged = np.asarray(rows @ values @ columns.T)
    # Opposite values that cancel leave nothing, not what rounding leaves of them.
    averaged[np.abs(averaged) <= _NOTHING * np.abs(values).max()] = 0
    return averaged


def _shares(cells: int, wanted: int) -> np.ndarray:
    """Which share ``(wanted, cells)`` of each new cell lies in each old one; rows sum to 1."""
    # In units in which both kinds of cells have whole edges.
    old, new = np.arange(cells + 1) * wanted, np.arange(wanted + 1) * cells
    low = np.maximum(old[:-1], new[:-1, np.newaxis])
    high = np.minimum(old[1:], new[1:, np.newaxis])
    return np.asarray(np.maximum(high - low, 0) / cells)


def common_grid(first: Grid, second: Grid) -> Grid:
    """Return the grid on which two maps are compared: per axis the smaller number of cells.

    Nothing is invented there: the coarser map keeps its cells, the finer one is averaged.
    """
    return min(first[0], second[0]), min(first[1], second[1])


def meet(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return two maps over the same area on their `common_grid`.

    Parameters
    ----------
    first
        ``(H, W)`` each, of any sizes.
    second
        ``(H, W)`` each, of any sizes.

    Returns
    -------
    first, second
        float64, of one shape.
    """
    shapes = [np.asarray(raw).shape for raw in (first, second)]
    if any(len(shape) != 2 for shape in shapes):
        raise ValueError(f"Maps have two dimensions, these have the shapes {shapes}.")
    grid = common_grid(shapes[0], shapes[1])
    return area_average(first, grid), area_average(second, grid)
