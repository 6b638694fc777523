"""Inputs of any number of axes and channels as pictures."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

_CURVES = ((31, 119, 180), (214, 39, 40), (44, 160, 44), (148, 103, 189), (255, 127, 14))


def is_plain(shape: tuple[int, ...]) -> bool:
    """Whether an input of `shape` is a picture as it is: grey, RGB or RGBA."""
    return len(shape) == 3 and shape[-1] in (1, 3, 4)


def as_picture(values: np.ndarray) -> np.ndarray:
    """An input as a uint8 picture.

    Parameters
    ----------
    values
        uint8 ``(…, C)``. Two axes with 1, 3 or 4 channels are a picture already; other numbers of
        channels become grey tiles; three axes become a sheet of slices; one axis becomes curves,
        a colour per channel.
    """
    if is_plain(values.shape):
        return values[..., 0] if values.shape[-1] == 1 else values
    if values.ndim <= 2:
        return _curves(_as_columns(values))
    if values.ndim == 3:
        return _tiles([values[..., c] for c in range(values.shape[-1])])
    slices = [as_picture(values[d]) for d in range(values.shape[0])]
    return _tiles(slices)


def atlas_cells(pictures: np.ndarray, size: int) -> tuple[list[np.ndarray], int]:
    """Inputs as the cells of an atlas.

    Parameters
    ----------
    pictures
        uint8 ``(N, …, C)``.
    size
        The side that cells should have, in pixels.

    Returns
    -------
    cells, side
        Pictures as they are; curves drawn for the cell; slices and channels pixel by pixel, for
        which the side is larger where they need more room.
    """
    if pictures.ndim <= 3:
        return [_curves(_as_columns(p), size, size) for p in pictures], size
    cells = [as_picture(p) for p in pictures]
    if is_plain(pictures.shape[1:]):
        return cells, size
    side = max(size, *cells[0].shape[:2])
    return [_centred(cell, side) for cell in cells], side


def _centred(picture: np.ndarray, side: int) -> np.ndarray:
    canvas = np.zeros((side, side, *picture.shape[2:]), np.uint8)
    top, left = ((side - n) // 2 for n in picture.shape[:2])
    canvas[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return canvas


def _as_columns(values: np.ndarray) -> np.ndarray:
    return values if values.ndim == 2 else values[:, np.newaxis]


def _tiles(pictures: list[np.ndarray], gap: int = 1) -> np.ndarray:
    """Pictures of one size in a nearly square sheet, black lines between them."""
    columns = int(np.ceil(np.sqrt(len(pictures))))
    rows = -(-len(pictures) // columns)
    height, width = pictures[0].shape[:2]
    shape = (rows * (height + gap) - gap, columns * (width + gap) - gap, *pictures[0].shape[2:])
    sheet = np.zeros(shape, np.uint8)
    for number, picture in enumerate(pictures):
        y, x = number // columns * (height + gap), number % columns * (width + gap)
        sheet[y : y + height, x : x + width] = picture
    return sheet


def _curves(values: np.ndarray, width: int = 512, height: int = 192) -> np.ndarray:
    """``(L, C)`` as curves over L, black of the input below and white above."""
    image = Image.new("RGB", (width, height), (255, 255, 255))
    draw = ImageDraw.Draw(image)
    draw.line((0, height // 2, width, height // 2), fill=(220, 220, 220))
    x = np.linspace(2, width - 3, len(values))
    thick = 2 if width >= 256 else 1
    for channel in range(values.shape[1]):
        y = (height - 5) * (1 - values[:, channel] / 255.0) + 2
        points = [(float(a), float(b)) for a, b in zip(x, y, strict=True)]
        colour = _CURVES[channel % len(_CURVES)]
        draw.line(points if len(points) > 1 else points * 2, fill=colour, width=thick)
    return np.asarray(image)
