"""Boxes and masks of photos as shares of a map's cells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from kvis_cli.explanation import MapGrid
from kvis_cli.images.fitting import Placement
from kvis_cli.images.photo import read_photo

_ORIENTATION = 274
_TURNED = (5, 6, 7, 8)
Box = tuple[float, float, float, float]


def cell_edges(
    shape: tuple[int, int], placement: Placement, grid: MapGrid | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return where the cells of a map lie on the photo.

    Parameters
    ----------
    shape
        Rows and columns of the map.
    placement
        Where the model's input lies on the photo.
    grid
        Where cells lie on the input, if not stretched over it.

    Returns
    -------
    rows, columns
        ``(cells, 2)`` each: first and last edge of every cell, in pixels of the photo.
    """
    found = []
    for axis, (cells, low, high) in enumerate(
        (
            (shape[0], placement.top, placement.bottom),
            (shape[1], placement.left, placement.right),
        )
    ):
        if grid is None:
            edges = low + np.arange(cells + 1) * (high - low) / cells
            found.append(np.stack([edges[:-1], edges[1:]], axis=1))
            continue
        place = grid.axes[axis]
        centres = place.first + np.arange(cells) * place.step
        pixels = (high - low) / place.size
        ends = np.stack([centres - place.step / 2, centres + place.step / 2], axis=1)
        found.append(low + ends * pixels)
    return found[0], found[1]


def box_share(rows: np.ndarray, columns: np.ndarray, box: Box) -> np.ndarray:
    """Return the share, 0 to 1, of each cell that a box covers.

    Parameters
    ----------
    rows
        From `cell_edges`.
    columns
        From `cell_edges`.
    box
        Left, top, right, bottom in pixels of the photo.

    Returns
    -------
    numpy.ndarray
        float64 ``(H, W)``.
    """
    left, top, right, bottom = box
    return np.outer(_covered(rows, top, bottom), _covered(columns, left, right))


def mask_share(
    rows: np.ndarray, columns: np.ndarray, mask: np.ndarray, photo: tuple[int, int]
) -> np.ndarray:
    """Return the share, 0 to 1, of each cell that a mask covers.

    Parameters
    ----------
    rows
        From `cell_edges`.
    columns
        From `cell_edges`.
    mask
        bool ``(H, W)``, over the whole photo, of any size.
    photo
        Height and width of the photo in pixels. Outside of it there is no mask.

    Returns
    -------
    numpy.ndarray
        float64, a value per cell.
    """
    parts = [
        _overlaps(ends * count / length, count)
        for ends, count, length in zip((rows, columns), mask.shape, photo, strict=True)
    ]
    return np.asarray(parts[0] @ mask.astype(np.float64) @ parts[1].T)


def read_mask(path: Path) -> np.ndarray:
    """Return the bright half of a picture: bool ``(H, W)``.

    Parameters
    ----------
    path
        The picture.

    Returns
    -------
    numpy.ndarray
        True where it is bright.

    Raises
    ------
    InputError
        For a picture that cannot be read.
    """
    bright = Image.fromarray(read_photo(path).pixels).convert("L")
    return np.asarray(bright) >= 128


def photo_size(path: Path, placement: Placement) -> tuple[int, int]:
    """Return height and width of the upright photo, by its header.

    What cannot be opened, as an array, is where the model's input lies.
    """
    try:
        with Image.open(path) as image:
            width, height = image.size
            turned = image.getexif().get(_ORIENTATION) in _TURNED
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return placement.bottom, placement.right
    return (width, height) if turned else (height, width)


def _covered(edges: np.ndarray, low: float, high: float) -> np.ndarray:
    """Which share of each cell lies between two positions."""
    overlap = np.minimum(edges[:, 1], high) - np.maximum(edges[:, 0], low)
    return np.asarray(np.clip(overlap / (edges[:, 1] - edges[:, 0]), 0, 1))


def _overlaps(edges: np.ndarray, count: int) -> np.ndarray:
    """Which share ``(cells, count)`` of each cell lies in each of `count` pixels."""
    pixels = np.arange(count)
    high = np.minimum(edges[:, 1:], pixels + 1)
    low = np.maximum(edges[:, :1], pixels)
    return np.asarray(np.maximum(high - low, 0) / (edges[:, 1:] - edges[:, :1]))
