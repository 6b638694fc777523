"""How attention forms: one animation over the models for every question asked of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kvis_cli.errors import InputError
from kvis_cli.jobs.photos import read_photo
from kvis_cli.jobs.sheets import caption
from kvis_cli.jobs.store import Row, safe_name
from kvis_cli.render.animation import write_animation
from kvis_cli.render.caption import render_text
from kvis_cli.render.resize import fit_size, resize_photo
from kvis_cli.report.data import Run, load_run

FOLDER = "animations"
LONGEST_SIDE = 640
FRAME_MS = 800


def write_animations(folder: Path) -> list[Path]:
    """Write ``animations/*.gif``: the pictures of each image, method and class over the models.

    Returns
    -------
    The files; none where the run has a single model.
    """
    run = load_run(folder)
    written = []
    for (image, _, method, variant, _, place), by_model in run.groups.items():
        rows = [by_model[name] for name in run.models if name in by_model]
        if len(rows) < 2:
            continue
        parts = (image, method, variant, str(place + 1) if _asked(run, image, method) > 1 else "")
        name = "_".join(safe_name(part) for part in parts if part)
        frames = _frames(run, rows)
        if frames:
            path = folder / FOLDER / f"{name}.gif"
            durations = [FRAME_MS] * (len(frames) - 1) + [2 * FRAME_MS]
            written.append(write_animation(path, frames, durations))
    return written


def _asked(run: Run, image: str, method: str) -> int:
    return len({key[-1] for key in run.groups if (key[0], key[2]) == (image, method)})


def _frames(run: Run, rows: list[Row]) -> list[np.ndarray]:
    frames = []
    size: tuple[int, int] | None = None
    for row in rows:
        try:
            pixels = read_photo(run.folder / str(row["file"])).pixels
        except InputError:
            continue
        if size is None:
            shape = (pixels.shape[0], pixels.shape[1])
            size = min(fit_size(shape, (LONGEST_SIDE, LONGEST_SIDE)), shape)
        picture = resize_photo(pixels, size) if pixels.shape[:2] != size else pixels
        frames.append(_captioned(picture, f"{row.get('model_name', '')}\n{caption(row)}"))
    return frames


def _captioned(picture: np.ndarray, text: str) -> np.ndarray:
    """A band under the picture, of the same height in every frame."""
    width = picture.shape[1]
    band = np.full((44, width, 3), 255, np.uint8)
    for line, part in enumerate(text.split("\n")):
        if part:
            block = render_text(part, 14, max_width=max(1, width - 12))
            height = min(block.shape[0], 20)
            band[2 + 21 * line :][:height, 6 : 6 + block.shape[1]] = block[:height, : width - 6]
    return np.concatenate([picture, band])
