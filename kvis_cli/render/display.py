"""Arrays of any dtype and channel count to uint8 RGB, by a stated range and never by guessing."""

from __future__ import annotations

import numpy as np


def to_rgb(
    array: np.ndarray,
    value_range: tuple[float, float] | None = None,
    *,
    background: int = 255,
) -> np.ndarray:
    """Turn an image array into uint8 RGB.

    Parameters
    ----------
    array
        ``(H, W)`` or channels last with 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGBA) channels.
    value_range
        The values shown as black and as white; values outside are clipped. Integers default to
        the whole range of their type (8 bits: 0 to 255) and booleans to false, true. Float arrays
        have no natural range, so theirs must be given, e.g. ``(0, 1)`` or ``(0, 255)``.
    background
        The grey level, 0 to 255, that shows where the alpha channel is transparent.

    Returns
    -------
    numpy.ndarray
        uint8, ``(H, W, 3)``. A uint8 RGB array is returned as it is, not copied.

    Raises
    ------
    ValueError
        A float array without a range, an empty range, values that are not finite, or a shape that
        is not an image.

    Examples
    --------
    >>> to_rgb(np.array([[0.0, 1.0]]), (0, 1)).tolist()
    [[[0, 0, 0], [255, 255, 255]]]
    >>> to_rgb(np.array([[7]], np.uint8)).shape
    (1, 1, 3)
    """
    array = np.asarray(array)
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in (1, 2, 3, 4) or array.size == 0:
        raise ValueError(f"An array of shape {array.shape} is not an image (H, W[, 1 to 4]).")
    pixels = _to_uint8(array, value_range)
    channels = pixels.shape[2]
    if channels in (2, 4):
        colour, alpha = pixels[:, :, :-1].astype(np.uint32), pixels[:, :, -1:].astype(np.uint32)
        pixels = ((colour * alpha + background * (255 - alpha) + 127) // 255).astype(np.uint8)
    if pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    return pixels


def _to_uint8(array: np.ndarray, value_range: tuple[float, float] | None) -> np.ndarray:
    if value_range is None:
        if array.dtype == np.uint8:
            return array
        value_range = _natural_range(array.dtype)
    low, high = map(float, value_range)
    if not low < high:
        raise ValueError(f"The value range {low} to {high} is empty.")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError("The image has values that are not finite.")
    wide: np.ndarray = array.astype(np.float64 if array.dtype.itemsize > 2 else np.float32)
    return np.rint((wide - low) * (255 / (high - low))).clip(0, 255).astype(np.uint8)


def _natural_range(dtype: np.dtype) -> tuple[float, float]:
    if dtype.kind == "b":
        return 0, 1
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        return info.min, info.max
    raise ValueError(f"An image of {dtype} needs a value range, e.g. (0, 1) or (0, 255).")
