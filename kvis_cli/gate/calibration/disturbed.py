"""Photos with a change that nobody sees: what a map of the same model may not notice much."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from kvis_cli.images.photo import read_photo
from kvis_cli.paths import write_bytes_atomic

JPEG_QUALITY = 90
BRIGHTER = 1.02


def shifted(pixels: np.ndarray) -> np.ndarray:
    """Return pixels ``(H, W, 3)`` moved down and right by one; the first row and column repeat."""
    return np.pad(pixels, ((1, 0), (1, 0), (0, 0)), mode="edge")[:-1, :-1]


def brightened(pixels: np.ndarray) -> np.ndarray:
    """Return uint8 pixels ``(H, W, 3)`` brightened by 2 %, at most 255."""
    return np.minimum(np.rint(pixels * BRIGHTER), 255).astype(np.uint8)


def reencoded(pixels: np.ndarray) -> np.ndarray:
    """Return uint8 pixels ``(H, W, 3)`` after a JPEG file of quality 90."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=JPEG_QUALITY)
    return np.asarray(Image.open(stream))


DISTURBANCES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "shifted by a pixel": shifted,
    "re-encoded as JPEG": reencoded,
    "brightened by 2 %": brightened,
}


def write_disturbed(photo: Path, change: Callable[[np.ndarray], np.ndarray], out: Path) -> Path:
    """Write a changed photo as PNG.

    Parameters
    ----------
    photo
        Its file.
    change
        From and to uint8 ``(H, W, 3)``.
    out
        Where it is written.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    InputError
        For a photo that cannot be read.
    OutputError
        When `out` cannot be written.
    """
    stream = io.BytesIO()
    Image.fromarray(change(read_photo(photo).pixels)).save(stream, "PNG", compress_level=1)
    return write_bytes_atomic(out, stream.getvalue())
