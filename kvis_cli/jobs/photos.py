"""Finding and decoding pictures: every Pillow format, grey, RGBA, palette, 16-bit, EXIF-turned."""

from __future__ import annotations

import glob
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from kvis_cli.errors import InputError, UsageError, close_matches
from kvis_cli.models.arrays import load_array
from kvis_cli.render.arrays import picture_of

SUFFIXES = frozenset(
    {".avif", ".bmp", ".dib", ".gif", ".ico", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg"}
    | {".pbm", ".pcx", ".pgm", ".png", ".pnm", ".ppm", ".qoi", ".sgi", ".tga", ".tif", ".tiff"}
    | {".webp", ".xbm", ".xpm"}
)
MAX_PIXELS = 200_000_000


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


def find_images(references: Sequence[str]) -> list[Path]:
    """Files, folders and globs as a list of files, each once, in natural order per reference.

    A folder gives the pictures directly inside it and below it. A file that is named outright is
    taken as it is, whatever its suffix; whether it is a picture shows when it is read.

    Raises
    ------
    UsageError
        For a reference that matches nothing.
    """
    found: dict[Path, None] = {}
    for reference in references:
        path = Path(reference).expanduser()
        if path.is_dir():
            files = [f for f in path.rglob("*") if f.suffix.lower() in SUFFIXES and f.is_file()]
            if not files:
                raise UsageError(
                    f"The folder '{reference}' holds no pictures.",
                    "Looked for " + ", ".join(sorted(SUFFIXES)[:8]) + " …",
                )
        elif path.exists():
            files = [path]
        elif glob.has_magic(reference):
            files = [f for f in expand_glob(reference) if f.is_file()]
            if not files:
                raise UsageError(f"No file matches '{reference}'.")
        else:
            raise _missing(path, reference)
        found.update(dict.fromkeys(sorted(files, key=natural_key)))
    return list(found)


def expand_glob(pattern: str) -> list[Path]:
    """The paths that match `pattern` (``~`` and ``**`` included), in natural order."""
    # pathlib's glob is relative to a folder and refuses absolute patterns.
    found = glob.glob(str(Path(pattern).expanduser()), recursive=True)  # noqa: PTH207
    return sorted((Path(f) for f in found), key=natural_key)


def natural_key(path: Path) -> list[tuple[int, int, str]]:
    """Sort key that puts ``epoch-9`` before ``epoch-10``."""
    parts = re.split(r"(\d+)", str(path))
    return [(0, int(p), "") if p.isdigit() else (1, 0, p.lower()) for p in parts]


def _missing(path: Path, reference: str) -> UsageError:
    parent = path.parent
    near = close_matches(path.name, [p.name for p in parent.iterdir()]) if parent.is_dir() else []
    why = (
        "Did you mean " + " or ".join(f"'{parent / n}'" for n in near) + "?"
        if near
        else ("" if parent.is_dir() else f"There is no folder '{parent}'.")
    )
    return UsageError(f"There is no image '{reference}'.", why, "Give a file, a folder or a glob.")


def read_photo(path: Path) -> Photo:
    """Decode a picture, turned upright by its EXIF orientation, transparency over white.

    An ``.npy`` array is drawn: a signal as curves, a volume as its slices.

    Raises
    ------
    InputError
        For a file that is empty, truncated, no picture, or larger than 200 million pixels.
    """
    if path.suffix.lower() == ".npy":
        return Photo(path, picture_of(load_array(path)))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise _bomb(path, image.width, image.height)
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
            f"The file is damaged or cut short: {' '.join(str(error).split())[:200]}.",
        ) from None
    except MemoryError:
        raise InputError(f"'{path}' does not fit into memory.") from None


def _bomb(path: Path, width: int, height: int) -> InputError:
    size = f"It says it is {width}×{height} pixels" if width else "Its header asks for far"
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
