"""Resizing of maps (float) and photos (uint8)."""

from __future__ import annotations

import numpy as np
from PIL import Image

Size = tuple[int, int]
"""Height and width in pixels, in the order of an array's shape."""


def resize_map(values: np.ndarray, size: Size) -> np.ndarray:
    """Bilinear resizing with half-pixel centres.

    Parameters
    ----------
    values
        Shape ``(h, w)``, any real dtype.
    size
        ``(height, width)`` wanted. Enlarging interpolates between the cell centres and repeats
        the border; shrinking averages over the covered cells, so that no cell is skipped.

    Returns
    -------
    numpy.ndarray
        float32, shape `size`.

    Examples
    --------
    >>> resize_map(np.array([[0.0, 4.0]]), (1, 4)).tolist()
    [[0.0, 1.0, 3.0, 4.0]]
    """
    height, width = size
    values = np.ascontiguousarray(values, dtype=np.float32)
    if values.ndim != 2:
        raise ValueError(f"A map has two dimensions, this one has the shape {values.shape}.")
    if values.shape == (height, width):
        return values
    return np.asarray(Image.fromarray(values).resize((width, height), Image.Resampling.BILINEAR))


def resize_photo(photo: np.ndarray, size: Size, *, smooth: bool = True) -> np.ndarray:
    """Resize a uint8 picture ``(H, W)``, ``(H, W, 3)`` or ``(H, W, 4)`` to ``(height, width)``.

    `smooth` uses Lanczos; without it pixels stay squares, as small pictures are best shown.

    Parameters
    ----------
    photo
        uint8 ``(H, W)``, ``(H, W, 3)`` or ``(H, W, 4)``.
    size
        ``(height, width)`` wanted.
    smooth
        Whether to interpolate.

    Returns
    -------
    numpy.ndarray
        uint8 of `size` with the channels of `photo`.

    Examples
    --------
    >>> resize_photo(np.array([[0, 255]], np.uint8), (1, 4), smooth=False).tolist()
    [[0, 0, 255, 255]]
    """
    height, width = size
    if photo.shape[:2] == (height, width):
        return photo
    method = Image.Resampling.LANCZOS if smooth else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(np.ascontiguousarray(photo)).resize((width, height), method))


def fit_size(size: Size, box: Size) -> Size:
    """Return the largest size with the aspect ratio of `size` that fits `box`, at least 1×1.

    Parameters
    ----------
    size
        ``(height, width)`` of the picture.
    box
        ``(height, width)`` that there is.

    Returns
    -------
    Size
        ``(height, width)``; larger than `size` where the box is.

    Examples
    --------
    >>> fit_size((300, 400), (150, 1000))
    (150, 200)
    """
    factor = min(box[0] / size[0], box[1] / size[1])
    return (
        min(box[0], max(1, round(size[0] * factor))),
        min(box[1], max(1, round(size[1] * factor))),
    )
