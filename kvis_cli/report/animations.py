"""How attention forms: one animation over the models for every question asked of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kvis_cli.errors import InputError, KvisError
from kvis_cli.explanation import MapGrid
from kvis_cli.images.fitting import Placement
from kvis_cli.images.photo import MAX_PIXELS, read_photo
from kvis_cli.jobs.results.row import ResultRow
from kvis_cli.jobs.results.store import FRAMES, MANIFEST
from kvis_cli.paths import safe_name
from kvis_cli.render.animation import write_animation
from kvis_cli.render.caption import render_text
from kvis_cli.render.overlay import Style, in_view, render_view
from kvis_cli.render.resize import fit_size, resize_photo
from kvis_cli.render.scale import format_value, limit_of
from kvis_cli.report.data import FinishedRun, load_run, model_of

FOLDER = "animations"
LONGEST_SIDE = 640
FRAME_MS = 800
_LINE = 21
Frame = tuple[ResultRow, np.ndarray]
# What comes of a manifest that kvis did not write: its pictures are still there.
_NOT_OURS = (AttributeError, KeyError, TypeError, ValueError, ZeroDivisionError, OverflowError)


def write_animations(folder: Path) -> list[Path]:
    """Write ``animations/*.gif``: the maps of each image, method and class over the models.

    All frames are of one class, that of the last model, and share one scale; both are stated below
    the picture. Where a run has not explained that class with every model, nor kept its raw maps
    (`kvis_cli.jobs.running.animating` does both), the frames are its pictures of that class, and it
    is noted that each has a scale of its own.

    Parameters
    ----------
    folder
        The result folder.

    Returns
    -------
    list of pathlib.Path
        The files; none where the run has a single model.
    """
    asked = load_run(folder)
    own = folder / FRAMES / MANIFEST
    run = load_run(folder / FRAMES) if own.is_file() else asked
    written = []
    for (image, _, method, variant, _, place), by_model in run.groups.items():
        rows = [by_model[name] for name in run.models if name in by_model]
        rows = [row for row in rows if row.units == rows[-1].units]
        if len(rows) < 2:
            continue
        parts = (image, method, variant, str(place + 1) if _asked(run, image, method) > 1 else "")
        name = "_".join(safe_name(part) for part in parts if part)
        frames = _frames(run, rows, _top(asked, rows[-1]))
        if frames:
            path = folder / FOLDER / f"{name}.gif"
            durations = [FRAME_MS] * (len(frames) - 1) + [2 * FRAME_MS]
            written.append(write_animation(path, frames, durations))
    return written


def _asked(run: FinishedRun, image: str, method: str) -> int:
    return len({key[-1] for key in run.groups if (key[0], key[2]) == (image, method)})


def _top(asked: FinishedRun, row: ResultRow) -> str:
    """Why this class: where it was asked for by rank, it is that of the last model."""
    ranks = [c for task in _tasks(asked) for c in task.get("class", ["top1"]) if "top" in str(c)]
    return f"{ranks[0]} of {model_of(row)}" if ranks else ""


def _frames(run: FinishedRun, rows: list[ResultRow], why: str) -> list[np.ndarray]:
    redrawn = _drawn(run, rows)
    if redrawn is None:
        drawn, scale = _pictures(run, rows), "each frame has a scale of its own"
    else:
        drawn, limit = redrawn
        scale = f"one scale for all frames, up to {format_value(limit)}"
    frames = []
    size: tuple[int, int] | None = None
    for row, pixels in drawn:
        if size is None:
            shape = (pixels.shape[0], pixels.shape[1])
            size = min(fit_size(shape, (LONGEST_SIDE, LONGEST_SIDE)), shape)
        picture = resize_photo(pixels, size) if pixels.shape[:2] != size else pixels
        label = f"class {row.label}" + (f" ({why})" if why else "")
        frames.append(_captioned(picture, [f"{model_of(row)}: {row.caption}", label, scale]))
    return frames


def _pictures(run: FinishedRun, rows: list[ResultRow]) -> list[Frame]:
    found = []
    for row in rows:
        try:
            found.append((row, read_photo(run.folder / str(row.file)).pixels))
        except InputError:
            continue
    return found


def _drawn(
    run: FinishedRun, rows: list[ResultRow]
) -> tuple[list[tuple[ResultRow, np.ndarray]], float] | None:
    """Return the raw maps of `rows` over their photo at one scale, and its end.

    None without them.
    """
    try:
        return _over_the_photo(run, rows)
    except (KvisError, OSError, MemoryError, *_NOT_OURS):
        return None


def _over_the_photo(
    run: FinishedRun, rows: list[ResultRow]
) -> tuple[list[tuple[ResultRow, np.ndarray]], float]:
    photo = read_photo(Path(rows[0].image)).pixels
    maps = [np.load(run.folder / str(row.raw))["map"] for row in rows]
    places = [Placement(*(int(edge) for edge in row.placed or ())) for row in rows]
    if any((p.right - p.left) * (p.bottom - p.top) > MAX_PIXELS for p in places):
        raise ValueError("no picture is that large")
    height, width = photo.shape[:2]
    kind: Any = "signed" if rows[-1].map == "signed" else "heatmap"
    limit = max(
        limit_of(m, kind, r.more.get("percentile")) for m, r in zip(maps, rows, strict=True)
    )
    task = _task(run, rows[-1])
    view = str(task.get("view", "glow" if task.get("kind") == "saliency" else "overlay"))
    style = in_view(
        Style(
            alpha=task.get("overlay", 0.5),
            colormap=task.get("colormap"),
            kind=kind,
            limit=limit or None,
            level=task.get("level", 0.5),
        ),
        view,
    )
    found = []
    for row, raw, place in zip(rows, maps, places, strict=True):
        grid = MapGrid.from_json(row.grid, raw.shape) if row.grid else None
        placed = place.to_photo(raw, height, width, grid)
        found.append((row, render_view(view, photo, placed, style)))
    return found, limit


def _task(run: FinishedRun, row: ResultRow) -> Mapping[str, Any]:
    """Return the settings of the task that made a row; of several of a kind the first."""
    kind = row.kind or "cam"
    return next((task for task in _tasks(run) if task.get("kind", "cam") == kind), {})


def _tasks(run: FinishedRun) -> list[dict[str, Any]]:
    tasks = run.about.get("spec", {}).get("tasks", [])
    return [task for task in tasks if isinstance(task, dict)] if isinstance(tasks, list) else []


def _captioned(picture: np.ndarray, lines: list[str]) -> np.ndarray:
    """Return a band under the picture, of the same height in every frame."""
    width = picture.shape[1]
    band = np.full((2 + _LINE * len(lines), width, 3), 255, np.uint8)
    for number, part in enumerate(lines):
        block = render_text(part, 14, max_width=max(1, width - 12))
        height = min(block.shape[0], _LINE - 1)
        band[2 + _LINE * number :][:height, 6 : 6 + block.shape[1]] = block[:height, : width - 6]
    return np.concatenate([picture, band])
