"""Fitting a photo to the model's input size, and placing a map back on the photo."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from kvis_cli.errors import InputError
from kvis_cli.explanation import MapGrid
from kvis_cli.render.arrays import map_over
from kvis_cli.render.resize import resize_map

Fit = Literal["resize", "crop", "pad"]
PAD_GREY = 127


@dataclass(frozen=True)
class Placement:
    """Where the model's input lies on the photo.

    Attributes
    ----------
    left, top, right, bottom
        The input's edges in photo pixels; outside the photo where it was padded.
    """

    left: int
    top: int
    right: int
    bottom: int

    def to_photo(
        self, raw: np.ndarray, height: int, width: int, grid: MapGrid | None = None
    ) -> np.ndarray:
        """Return a map over the input ``(h, w)`` as a map over the photo ``(height, width)``.

        Where the model saw nothing of the photo (``crop``) the map is 0. With a `grid` that is to
        be applied, cells lie where it says; else the map is stretched over the input.
        """
        box = (self.bottom - self.top, self.right - self.left)
        placed = grid is not None and grid.applied and not all(a.is_even for a in grid.axes)
        if (self.left, self.top, *box) == (0, 0, height, width) and not placed:
            return raw
        inside = placed_map(raw, box, grid) if placed and grid else resize_map(raw, box)
        result = np.zeros((height, width), np.float32)
        top, left = max(self.top, 0), max(self.left, 0)
        bottom, right = min(self.bottom, height), min(self.right, width)
        result[top:bottom, left:right] = inside[
            top - self.top : bottom - self.top, left - self.left : right - self.left
        ]
        return result

    def unseen(self, height: int, width: int) -> np.ndarray | None:
        """Which pixels of the photo ``(height, width)`` the model was not given; None for none."""
        if self.left <= 0 and self.top <= 0 and self.right >= width and self.bottom >= height:
            return None
        result = np.ones((height, width), bool)
        result[max(self.top, 0) : self.bottom, max(self.left, 0) : self.right] = False
        return result

    def share_on_padding(self, raw: np.ndarray, height: int, width: int) -> float:
        """Return the share of a map's magnitude, 0 to 1, that lies on the padding of the photo."""
        strength = np.abs(np.asarray(raw, np.float64))
        total = strength.sum()
        if strength.ndim != 2 or not np.isfinite(total) or total <= 0:
            return 0.0
        rows = _covered(strength.shape[0], -self.top, height - self.top, self.bottom - self.top)
        columns = _covered(strength.shape[1], -self.left, width - self.left, self.right - self.left)
        return float(max(0.0, 1 - rows @ strength @ columns / total))


def _covered(cells: int, begin: float, end: float, length: float) -> np.ndarray:
    """Return the part, 0 to 1.

    Of each of `cells` over a `length` that lies between two positions.
    """
    edges = np.arange(cells + 1) * length / cells
    overlap = np.minimum(edges[1:], end) - np.maximum(edges[:-1], begin)
    return np.clip(overlap * cells / length, 0, 1)


def placed_map(raw: np.ndarray, size: tuple[int, int], grid: MapGrid) -> np.ndarray:
    """Return a map ``(h, w)`` at the `size` of the shown input, its cells where `grid` has them.

    Bilinear between the centres of cells; beyond the outermost their values go on.
    """
    pads, box = [], []
    for axis, cells in zip(grid.axes, raw.shape, strict=True):
        # The input's edges in units of cells, 0 at the edge of the first.
        low = 0.5 - axis.first / axis.step
        high = low + axis.size / axis.step
        before, after = max(0, math.ceil(-low)), max(0, math.ceil(high - cells))
        pads.append((before, after))
        box.append((low + before, high + before))
    field = np.pad(np.asarray(raw, np.float32), pads, mode="edge")
    (top, bottom), (left, right) = box
    image = Image.fromarray(np.ascontiguousarray(field))
    return np.asarray(
        image.resize((size[1], size[0]), Image.Resampling.BILINEAR, box=(left, top, right, bottom))
    )


def fit_photo(
    pixels: np.ndarray, height: int, width: int, channels: int, fit: Fit = "resize"
) -> tuple[np.ndarray, Placement]:
    """Return a photo at the model's input size.

    Parameters
    ----------
    pixels
        uint8 ``(H, W, 3)``.
    height
        Rows of the input.
    width
        Columns of the input.
    channels
        1 is luminance, 3 is RGB, 4 has an opaque alpha.
    fit
        ``resize`` stretches, ``crop`` takes the largest centred part of the input's proportions,
        ``pad`` keeps all of the photo and fills with grey.

    Returns
    -------
    input, placement
        uint8 ``(height, width, channels)`` and where it lies on the photo.

    Raises
    ------
    InputError
        For a number of channels that a picture cannot have.

    Examples
    --------
    >>> photo = np.zeros((100, 200, 3), np.uint8)
    >>> made, placement = fit_photo(photo, 50, 50, 3, "crop")
    >>> made.shape, (placement.left, placement.right)
    ((50, 50, 3), (50, 150))
    """
    if channels not in (1, 3, 4):
        raise InputError(
            f"The model takes {channels} channels.",
            "A picture has 1 (grey), 3 (RGB) or 4 (RGBA).",
            "Give such inputs as .npy arrays.",
        )
    image = Image.fromarray(pixels)
    if channels != 3:
        image = image.convert("L" if channels == 1 else "RGBA")
    placement = _placement(image.height, image.width, height, width, fit)
    if fit == "pad":
        inner = (image.width, image.height)
        scale = width / (placement.right - placement.left)
        size = tuple(max(1, round(v * scale)) for v in inner)
        canvas = Image.new(image.mode, (width, height), _grey(channels))
        at = (round(-placement.left * scale), round(-placement.top * scale))
        canvas.paste(image.resize((size[0], size[1]), Image.Resampling.BILINEAR), at)
        image = canvas
    else:
        box = (placement.left, placement.top, placement.right, placement.bottom)
        image = image.resize((width, height), Image.Resampling.BILINEAR, box=box)
    array = np.asarray(image)
    return (array[..., np.newaxis] if array.ndim == 2 else array), placement


def _grey(channels: int) -> int | tuple[int, ...]:
    return PAD_GREY if channels == 1 else (PAD_GREY, PAD_GREY, PAD_GREY, 255)[:channels]


def _placement(photo_h: int, photo_w: int, height: int, width: int, fit: Fit) -> Placement:
    if fit == "resize":
        return Placement(0, 0, photo_w, photo_h)
    choose = min if fit == "crop" else max
    scale = choose(photo_w / width, photo_h / height)
    box_w, box_h = max(1, round(width * scale)), max(1, round(height * scale))
    left, top = (photo_w - box_w) // 2, (photo_h - box_h) // 2
    return Placement(left, top, left + box_w, top + box_h)


@dataclass(frozen=True)
class ArrayPlacement(Placement):
    """Where an array lies in its own picture: everywhere.

    Attributes
    ----------
    shape
        Of the array, without the batch.
    """

    shape: tuple[int, ...] = ()

    def to_photo(
        self, raw: np.ndarray, height: int, width: int, grid: MapGrid | None = None
    ) -> np.ndarray:
        """Return a map over the array at the size of its picture."""
        del grid
        return map_over(raw, self.shape, height, width)
