"""PNG encoding with provenance, and writing files whole or not at all."""

from __future__ import annotations

import errno
import io
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

from kvis_cli.errors import InputError, OutputError

PROVENANCE_KEY = "kvis"
"""Text chunk that holds the JSON of the spec that made a picture."""

DEFAULT_COMPRESS_LEVEL = 1


def encode_png(
    array: np.ndarray,
    metadata: Mapping[str, str] | None = None,
    compress_level: int = DEFAULT_COMPRESS_LEVEL,
) -> bytes:
    """Encode a picture; the same arguments give the same bytes.

    Parameters
    ----------
    array
        uint8, ``(H, W)``, ``(H, W, 3)`` or ``(H, W, 4)``.
    metadata
        Text chunks, sorted by key: tEXt where the value is Latin-1, iTXt otherwise. Keys have 1
        to 79 Latin-1 characters.
    compress_level
        zlib level 0 (none) to 9 (smallest).
    """
    if array.dtype != np.uint8:
        raise ValueError(f"A PNG is made from uint8 pixels, not from {array.dtype}.")
    info = PngImagePlugin.PngInfo()
    for key, value in sorted((metadata or {}).items()):
        if not 1 <= len(key) <= 79:
            raise ValueError(f"A PNG text key has 1 to 79 characters: {key!r}.")
        # Long texts are compressed: a spec is small beside its picture only when it is.
        info.add_text(key, value, zip=len(value) > 1024)
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(array)).save(
        buffer, "PNG", compress_level=compress_level, pnginfo=info
    )
    return buffer.getvalue()


def provenance(spec: Mapping[str, Any]) -> dict[str, str]:
    """`spec` as the metadata of a picture: one compact JSON text with sorted keys."""
    text = json.dumps(spec, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return {PROVENANCE_KEY: text}


def read_metadata(path: str | Path) -> dict[str, str]:
    """All text chunks of a PNG file, wherever they stand in it."""
    try:
        with Image.open(path, formats=["PNG"]) as image:
            image.load()
            return {str(key): str(value) for key, value in getattr(image, "text", {}).items()}
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(
            f"Cannot read '{path}' as a PNG file.", _first_line(error), "Check the path."
        ) from error


def write_png(
    path: str | Path,
    array: np.ndarray,
    metadata: Mapping[str, str] | None = None,
    compress_level: int = DEFAULT_COMPRESS_LEVEL,
) -> Path:
    """Encode `array` and write it to `path` whole or not at all. See `encode_png`."""
    return write_bytes_atomic(path, encode_png(array, metadata, compress_level))


def write_bytes_atomic(path: str | Path, data: bytes) -> Path:
    """Write a file under a temporary name beside `path`, then rename it.

    A reader sees the old file or the new one, never a part; a failure leaves nothing behind. The
    folder is made where it is missing.

    Raises
    ------
    OutputError
        Read-only folder, full disk, a folder of that name, a name that is too long ...
    """
    path = Path(path)
    temporary = path.parent / f".kvis-{os.getpid()}-{secrets.token_hex(6)}.tmp"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(data)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise OutputError(f"Cannot write '{path}'.", *_advice(error, path)) from error
    return path


def _advice(error: OSError, path: Path) -> tuple[str, str]:
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return "The disk is full.", "Free some space or choose another folder."
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return f"The folder '{path.parent}' is not writable.", "Choose another folder."
        case errno.EISDIR:
            return "A folder of that name exists.", "Remove it or choose another name."
        case errno.ENAMETOOLONG:
            return "The name is too long for the file system.", "Choose a shorter name."
        case errno.ENOTDIR | errno.EEXIST:
            return f"A part of '{path.parent}' is a file, not a folder.", "Choose another folder."
    return f"{error.strerror or _first_line(error)}.", "Choose another folder."


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
