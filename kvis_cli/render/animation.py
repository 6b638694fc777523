"""Animated GIF, PNG and WebP files."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from kvis_cli.errors import UsageError
from kvis_cli.paths import write_bytes_atomic
from kvis_cli.render.display import to_rgb

SUFFIXES = (".gif", ".png", ".webp")
_PALETTE_PIXELS = 200_000


def write_animation(
    path: str | Path,
    frames: Sequence[np.ndarray],
    duration_ms: int | Sequence[int] = 100,
    loop: int = 0,
) -> Path:
    """Write frames as one animated file, whole or not at all.

    Parameters
    ----------
    path
        The suffix chooses the format: ``.gif`` (256 colours for all frames together, so that
        they do not flicker), ``.png`` or ``.webp`` (both lossless).
    frames
        uint8 pictures of one size, grey, RGB or RGBA.
    duration_ms
        How long each frame is shown, in milliseconds; a sequence gives each frame its own.
    loop
        How many times it plays; 0 is for ever.

    Returns
    -------
    pathlib.Path
        The file that was written.

    Raises
    ------
    UsageError
        Another suffix, no frames, frames of different sizes.
    OutputError
        The file cannot be written.

    Examples
    --------
    >>> frames = [np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 255, np.uint8)]
    >>> write_animation("blink.gif", frames, duration_ms=200).name
    'blink.gif'
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(
            f"Cannot write an animation as '{path.name}'.",
            f"The suffix '{path.suffix}' is none of {', '.join(SUFFIXES)}.",
        )
    if len({frame.shape[:2] for frame in frames}) != 1:
        raise UsageError("An animation needs at least one frame, and all frames of one size.")
    if not isinstance(duration_ms, int):
        duration_ms = list(duration_ms)
    options: dict[str, Any] = {"save_all": True, "duration": duration_ms}
    images = [Image.fromarray(to_rgb(frame)) for frame in frames]
    if suffix == ".gif":
        images = _one_palette(frames, images)
        # Pillow's GIF count is of repetitions after the first showing, and its absence is one.
        options |= {} if loop == 1 else {"loop": max(0, loop - 1)}
        options |= {"optimize": False, "disposal": 1}
    else:
        options["loop"] = loop
    if suffix == ".webp":
        options |= {"lossless": True, "quality": 50, "method": 2}
    buffer = io.BytesIO()
    images[0].save(buffer, suffix[1:].upper(), append_images=images[1:], **options)
    return write_bytes_atomic(path, buffer.getvalue())


def _one_palette(frames: Sequence[np.ndarray], images: list[Image.Image]) -> list[Image.Image]:
    """Frames with one palette and no dithering, so that what does not change does not flicker."""
    if all(frame.ndim == 2 or frame.shape[2] == 1 for frame in frames):
        return [image.convert("L") for image in images]
    picked = images[:: max(1, len(images) // 16)]
    width, height = images[0].size
    # Enough pixels to find the colours of all of them, in a tenth of the time.
    step = max(1, round((len(picked) * width * height / _PALETTE_PIXELS) ** 0.5))
    width, height = -(-width // step), -(-height // step)
    montage = Image.new("RGB", (width, height * len(picked)))
    for number, image in enumerate(picked):
        small = image.resize((width, height), Image.Resampling.NEAREST)
        montage.paste(small, (0, number * height))
    palette = montage.quantize(256, Image.Quantize.MEDIANCUT)
    return [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
