"""Signals, volumes and other arrays as pictures, and maps over them in the same places."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from kvis_cli.render.resize import resize_map

# A curve's picture, height × width in pixels.
CURVE = (240, 640)
# The least size of a slice in a montage, and of a picture made from an array.
SLICE = 96
# Black lines between slices and channels of a picture that was optimised.
GAP = 1
INKS = ((31, 119, 180), (214, 39, 40), (44, 160, 44), (148, 103, 189), (140, 86, 75))
PIXEL_INKS = ((31, 119, 180), (214, 39, 40), (44, 160, 44), (148, 103, 189), (255, 127, 14))
# More columns than this are no channels of a signal but the width of a grey picture.
MAX_CHANNELS = 16


def picture_of(array: np.ndarray) -> np.ndarray:
    """Return an array as something to look at, uint8 RGB.

    Parameters
    ----------
    array
        ``(T,)`` or ``(T, C)``: curves, one for each channel, first step at the left.
        ``(H, W)``, ``(H, W, C)`` or ``(C, H, W)``: a picture, its values stretched to 0..255.
        ``(D, H, W, C)``: its slices side by side, read like text.

    Returns
    -------
    numpy.ndarray
        uint8 ``(H, W, 3)``.

    Examples
    --------
    >>> picture_of(np.sin(np.arange(50))).dtype
    dtype('uint8')
    """
    array = np.asarray(array, np.float32)
    while array.ndim > 1 and array.shape[0] == 1:
        array = array[0]
    if array.ndim == 1 or (array.ndim == 2 and array.shape[1] <= MAX_CHANNELS):
        return _curves(array.reshape(len(array), -1))
    if array.ndim == 2:
        array = array[..., np.newaxis]
    if array.ndim == 3 and array.shape[0] in (1, 3, 4) and array.shape[-1] not in (1, 3, 4):
        array = np.moveaxis(array, 0, -1)
    grey = _stretched(array)
    if array.ndim == 3:
        return _larger(grey)
    return _montage(np.stack([_larger(part) for part in grey]))


def map_over(raw: np.ndarray, shape: tuple[int, ...], height: int, width: int) -> np.ndarray:
    """Return a map over an array of `shape` where `picture_of` draws what it lies on.

    Parameters
    ----------
    raw
        ``(t,)``, ``(h, w)`` or ``(d, h, w)``.
    shape
        Of the array, without the batch.
    height
        Of the picture, in pixels.
    width
        Of the picture, in pixels.

    Returns
    -------
    numpy.ndarray
        ``(height, width)``, unscaled.

    Examples
    --------
    >>> map_over(np.array([0.0, 1.0]), (50, 1), height=100, width=200).shape
    (100, 200)
    """
    if raw.ndim == 1:
        return resize_map(np.repeat(raw[np.newaxis], 2, 0), (height, width))
    if raw.ndim == 2:
        return resize_map(raw, (height, width))
    depth = shape[0]
    columns = _columns(depth)
    cell = (height // -(-depth // columns), width // columns)
    # Each slice of the array gets the nearest slices of the map, blended.
    flat = raw.reshape(raw.shape[0], -1)
    slices = resize_map(flat, (depth, flat.shape[1])).reshape(depth, *raw.shape[1:])
    return _montage(np.stack([resize_map(part, cell) for part in slices]))


def _columns(count: int) -> int:
    return int(np.ceil(np.sqrt(count)))


def _montage(parts: np.ndarray, gap: int = 0) -> np.ndarray:
    """Pictures of one size in a nearly square sheet, black lines of `gap` pixels between them."""
    columns = _columns(len(parts))
    rows = -(-len(parts) // columns)
    height, width = parts.shape[1:3]
    shape = (rows * (height + gap) - gap, columns * (width + gap) - gap, *parts.shape[3:])
    sheet = np.zeros(shape, parts.dtype)
    for number, part in enumerate(parts):
        top, left = number // columns * (height + gap), number % columns * (width + gap)
        sheet[top : top + height, left : left + width] = part
    return sheet


def _stretched(array: np.ndarray) -> np.ndarray:
    low, high = float(array.min()), float(array.max())
    unit = (array - low) / (high - low) if high > low else np.zeros_like(array)
    pixels = np.round(255 * unit).astype(np.uint8)
    if pixels.shape[-1] != 3:
        pixels = np.repeat(pixels[..., :1], 3, axis=-1)
    return pixels


def _larger(pixels: np.ndarray) -> np.ndarray:
    factor = -(-SLICE // min(pixels.shape[:2]))
    return np.repeat(np.repeat(pixels, factor, 0), factor, 1)


def _curves(values: np.ndarray) -> np.ndarray:
    height, width = CURVE
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    low, high = float(values.min()), float(values.max())
    span = (high - low) or 1.0
    margin = 12
    x = (np.arange(len(values)) + 0.5) * width / len(values)
    y = height - margin - (values - low) / span * (height - 2 * margin)
    for channel in range(values.shape[1] - 1, -1, -1):
        points = list(zip(x.tolist(), y[:, channel].tolist(), strict=True))
        draw.line(points, fill=INKS[channel % len(INKS)], width=2)
    return np.asarray(image)


def is_plain(shape: tuple[int, ...]) -> bool:
    """Whether an input of `shape` is a picture as it is: grey, RGB or RGBA."""
    return len(shape) == 3 and shape[-1] in (1, 3, 4)


def as_picture(values: np.ndarray) -> np.ndarray:
    """Return an input as a uint8 picture.

    Parameters
    ----------
    values
        uint8 ``(…, C)``. Two axes with 1, 3 or 4 channels are a picture already; other numbers of
        channels become grey tiles; three axes become a sheet of slices; one axis becomes curves,
        a colour per channel.

    Returns
    -------
    numpy.ndarray
        uint8 ``(H, W)`` or ``(H, W, C)`` with 3 or 4 channels.

    Examples
    --------
    >>> as_picture(np.zeros((4, 5, 3), np.uint8)).shape
    (4, 5, 3)
    """
    if is_plain(values.shape):
        return values[..., 0] if values.shape[-1] == 1 else values
    if values.ndim <= 2:
        return _curves_of_pixels(_as_columns(values))
    if values.ndim == 3:
        return _montage(np.moveaxis(values, -1, 0), GAP)
    return _montage(np.stack([as_picture(slice_) for slice_ in values]), GAP)


def atlas_cells(pictures: np.ndarray, size: int) -> tuple[list[np.ndarray], int]:
    """Draw inputs as the cells of an atlas.

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
        return [_curves_of_pixels(_as_columns(p), size, size) for p in pictures], size
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


def _curves_of_pixels(values: np.ndarray, width: int = 512, height: int = 192) -> np.ndarray:
    """``(L, C)`` as curves over L, black of the input below and white above."""
    image = Image.new("RGB", (width, height), (255, 255, 255))
    draw = ImageDraw.Draw(image)
    draw.line((0, height // 2, width, height // 2), fill=(220, 220, 220))
    x = np.linspace(2, width - 3, len(values))
    thick = 2 if width >= 256 else 1
    for channel in range(values.shape[1]):
        y = (height - 5) * (1 - values[:, channel] / 255.0) + 2
        points = [(float(a), float(b)) for a, b in zip(x, y, strict=True)]
        colour = PIXEL_INKS[channel % len(PIXEL_INKS)]
        draw.line(points if len(points) > 1 else points * 2, fill=colour, width=thick)
    return np.asarray(image)
