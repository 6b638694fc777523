"""The box around the hottest region of a map."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from kvis_cli.render.resize import Size, resize_map

COARSE = 256
Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels; right and bottom exclusive."""


def hot_box(raw: np.ndarray, size: Size, level: float = 0.5) -> Box | None:
    """Return the smallest box around the connected region that holds the map's largest value.

    Parameters
    ----------
    raw
        ``(h, w)`` of any scale; only positive values count.
    size
        ``(height, width)`` of the picture.
    level
        The region is where the map reaches this share of its largest value.

    Returns
    -------
    tuple or None
        In pixels of the picture; None for a map without finite positive values.

    Examples
    --------
    >>> raw = np.zeros((4, 4))
    >>> raw[1, 2] = 1
    >>> hot_box(raw, (4, 4))
    (2, 1, 3, 2)
    """
    if not np.isfinite(raw).all() or not (raw > 0).any():
        return None
    values = resize_map(np.maximum(raw, 0) / raw.max(), size)
    hot = values >= level * values.max()
    # Flooding is slow on large pictures: the region is found on a coarse copy, its edges here.
    step = max(1, -(-max(size) // COARSE))
    peak = np.unravel_index(int(values.argmax()), values.shape)
    coarse = _connected(_coarse(hot, step), int(peak[0]) // step, int(peak[1]) // step)
    left, top, right, bottom = _extent(coarse)
    inside = hot[top * step : bottom * step, left * step : right * step]
    x0, y0, x1, y1 = _extent(inside)
    x, y = left * step, top * step
    return x + x0, y + y0, x + x1, y + y1


def _coarse(hot: np.ndarray, step: int) -> np.ndarray:
    """Blocks of ``step × step`` pixels of which any is hot."""
    height, width = (-(-n // step) for n in hot.shape)
    padded = np.zeros((height * step, width * step), bool)
    padded[: hot.shape[0], : hot.shape[1]] = hot
    return np.asarray(padded.reshape(height, step, width, step).any(axis=(1, 3)))


def _connected(hot: np.ndarray, row: int, column: int) -> np.ndarray:
    """Return the part of `hot` that is connected with a position along rows and columns."""
    canvas = Image.fromarray(hot.astype(np.uint8) * 255).copy()
    ImageDraw.floodfill(canvas, (column, row), 128)
    return np.asarray(canvas) == 128


def _extent(region: np.ndarray) -> Box:
    rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def draw_box(picture: np.ndarray, box: Box) -> np.ndarray:
    """Return a picture (uint8 RGB) with the outline of a box, light on dark.

    Parameters
    ----------
    picture
        uint8 ``(H, W, 3)``; not changed.
    box
        ``(left, top, right, bottom)`` in pixels, as from `hot_box`.

    Returns
    -------
    numpy.ndarray
        uint8, the picture's shape.

    Examples
    --------
    >>> picture = np.zeros((40, 40, 3), np.uint8)
    >>> bool(draw_box(picture, (10, 10, 30, 30)).any()), bool(picture.any())
    (True, False)
    """
    canvas = Image.fromarray(picture).copy()
    draw = ImageDraw.Draw(canvas)
    width = max(2, min(picture.shape[:2]) // 120)
    left, top, right, bottom = box
    draw.rectangle((left, top, right - 1, bottom - 1), outline=(0, 0, 0), width=width + 2)
    inner = (left + 1, top + 1, max(right - 2, left + 1), max(bottom - 2, top + 1))
    draw.rectangle(inner, outline=(255, 255, 255), width=width)
    return np.asarray(canvas)
