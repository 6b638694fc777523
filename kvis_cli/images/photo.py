"""Decoding pictures: every Pillow format, grey, RGBA, palette, 16-bit, EXIF-turned."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from kvis_cli.errors import InputError
from kvis_cli.images.arrays import load_array
from kvis_cli.render.arrays import picture_of
from kvis_cli.shown import said

MAX_PIXELS = 200_000_000
# Blank pictures apart, no format packs more pixels into a byte: larger ones that do are bombs.
FREE_PIXELS = 50_000_000
PIXELS_PER_BYTE = 2000


@dataclass(frozen=True)
class Photo:
    """A decoded picture.

    Attributes
    ----------
    path
        Its file.
    pixels
        uint8 ``(H, W, 3)`` RGB, upright.
    """

    path: Path
    pixels: np.ndarray


def read_photo(path: Path) -> Photo:
    """Decode a picture, turned upright by its EXIF orientation, transparency over white.

    An ``.npy`` array is drawn: a signal as curves, a volume as its slices.

    Parameters
    ----------
    path
        A picture file, or an ``.npy`` array.

    Returns
    -------
    Photo
        With its pixels as uint8 ``(H, W, 3)``.

    Raises
    ------
    InputError
        For a file that is empty, truncated, no picture, or larger than 200 million pixels,
        and one of more than 50 million that has 2000 pixels in every byte.
    """
    if path.suffix.lower() == ".npy":
        return Photo(path, picture_of(load_array(path)))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                pixels = image.width * image.height
                dense = pixels > FREE_PIXELS and pixels > PIXELS_PER_BYTE * path.stat().st_size
                if pixels > MAX_PIXELS or dense:
                    raise _bomb(path, image.width, image.height, pixels <= MAX_PIXELS)
                image.load()
                upright = ImageOps.exif_transpose(image)
                return Photo(path, np.asarray(_to_rgb(upright)))
    except Image.DecompressionBombError:
        raise _bomb(path, 0, 0) from None
    except UnidentifiedImageError:
        empty = path.stat().st_size == 0
        raise InputError(
            f"'{path}' is not a picture that can be read.",
            "The file is empty." if empty else "Its content is of no known picture format.",
        ) from None
    except IsADirectoryError:
        raise InputError(f"'{path}' is a folder.", "", "Give the pictures in it.") from None
    except PermissionError:
        raise InputError(f"'{path}' may not be read.", "Permission denied.") from None
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, TypeError) as error:
        raise InputError(
            f"'{path}' cannot be decoded.",
            f"The file is damaged or cut short: {said(error, 200)}.",
        ) from None
    except MemoryError:
        raise InputError(f"'{path}' does not fit into memory.") from None


def _bomb(path: Path, width: int, height: int, dense: bool = False) -> InputError:
    if dense:
        return InputError(
            f"'{path}' is refused as unsafe.",
            f"It says it is {height}×{width} pixels, which its few bytes cannot hold.",
            "Make it smaller first.",
        )
    size = f"It says it is {height}×{width} pixels" if width else "Its header asks for far"
    return InputError(
        f"'{path}' is too large to be decoded.",
        f"{size}{'; that is' if width else ''} more than {MAX_PIXELS // 1_000_000} million pixels.",
        "Make it smaller first.",
    )


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I;16", "I;16B", "I;16L", "I", "F"):
        values = np.asarray(image, np.float32)
        top = 255.0 if image.mode == "F" else 65535.0
        peak = float(np.nanmax(values)) if values.size else 0.0
        if image.mode == "F" and peak <= 1.0:
            top = 1.0
        elif image.mode == "I" and peak <= 255:
            top = 255.0
        scaled = np.clip(np.nan_to_num(values) * (255.0 / top) + 0.5, 0, 255)
        return Image.fromarray(scaled.astype(np.uint8)).convert("RGB")
    if image.mode == "RGB":
        return image
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        if rgba.getchannel("A").getextrema() == (255, 255):
            return rgba.convert("RGB")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")
