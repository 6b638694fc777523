"""The captioned sheets of a run: a row per photo, a column per picture, from what is on disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np

from kvis_cli.errors import KvisError
from kvis_cli.images.photo import read_photo
from kvis_cli.jobs.planning.plan import Plan, PlannedImage, Task
from kvis_cli.jobs.results.pictures import look_of
from kvis_cli.jobs.results.row import ResultRow
from kvis_cli.jobs.results.store import ResultStore
from kvis_cli.render.colorbar import ColorBar
from kvis_cli.render.grid import Sheet, render_sheet
from kvis_cli.render.resize import fit_size, resize_photo
from kvis_cli.render.scale import MapKind
from kvis_cli.spec.pictures import ExplainSpec

# A sheet longer than this is split: nobody scrolls it, and memory stays bounded.
MAX_ROWS = 40
CELL = 320
Cell = TypeVar("Cell")


def write_sheets(
    plan: Plan, store: ResultStore, rows: Mapping[str, list[ResultRow]], changed: set[str]
) -> Iterator[Path]:
    """Write the sheets of all entries that ask for one and have changed.

    Parameters
    ----------
    plan
        The job.
    store
        Where its pictures are.
    rows
        Task id -> rows of the manifest, for everything that is done.
    changed
        The tasks that were done in this run.

    Yields
    ------
    pathlib.Path
        Each file that was written.
    """
    asking = {
        e: task
        for e, task in enumerate(plan.job.tasks)
        if isinstance(task, ExplainSpec) and task.grid
    }
    for m, model in enumerate(plan.models):
        for e, spec in asking.items():
            tasks = [t for t in plan.tasks if (t.model, t.entry) == (m, e)]
            if not any(task.id in changed and task.id in rows for task in tasks):
                continue
            name = "grid" if len(asking) == 1 else f"grid-{plan.labels[e]}"
            pictures = _pictures(plan, tasks, rows)
            images = list(pictures)
            for number, at in enumerate(range(0, len(images), MAX_ROWS), 1):
                part = {image: pictures[image] for image in images[at : at + MAX_ROWS]}
                sheet = _sheet(plan, store, spec, model.name, part)
                file = name if number == 1 else f"{name}-{number}"
                folder = model.name if len(plan.models) > 1 else ""
                path = store.path(file, folder=folder)
                yield store.write_picture(path, render_sheet(sheet), {"model": model.spec.path})


def _pictures(
    plan: Plan, tasks: list[Task], rows: Mapping[str, list[ResultRow]]
) -> dict[int, list[ResultRow]]:
    """Per image its rows, in the order of layers, classes, methods."""
    found: dict[int, list[tuple[tuple[int, int], ResultRow]]] = {}
    for task in tasks:
        methods = plan.job.tasks[task.entry].methods()
        for row in rows.get(task.id, []):
            assert task.image is not None
            place = row.place, methods.index(task.method)
            found.setdefault(task.image, []).append((place, row))
    return {
        image: [row for _, row in sorted(pairs, key=lambda pair: pair[0])]
        for image, pairs in sorted(found.items())
    }


def _sheet(
    plan: Plan,
    store: ResultStore,
    spec: ExplainSpec,
    title: str,
    pictures: dict[int, list[ResultRow]],
) -> Sheet:
    def cells(image: int) -> list[np.ndarray]:
        first = _photo(plan.images[image])
        return [first, *(_small(store.folder / str(row.file)) for row in pictures[image])]

    with ThreadPoolExecutor(2) as pool:
        rows = list(pool.map(cells, pictures))
    files = [plan.images[image].source.path.name for image in pictures]
    captions = [
        [file, *(row.caption for row in found)]
        for file, found in zip(files, pictures.values(), strict=True)
    ]
    columns = ["photo", *_columns(next(iter(pictures.values())), spec)]
    rows, blocks = side_by_side(rows, len(columns))
    captions, _ = side_by_side(captions, len(columns))
    return Sheet(
        rows=rows,
        captions=captions,
        column_labels=columns * blocks,
        title=title,
        bars=color_bars(spec, [row for rows in pictures.values() for row in rows]),
    )


def color_bars(spec: ExplainSpec, rows: list[ResultRow]) -> list[ColorBar]:
    """Return a bar for heat maps and one for signed maps, if there are any, in their order.

    Views without colours have none.
    """
    view = spec.drawn_as
    if view in ("contour", "mask"):
        return []
    found: dict[MapKind, list[ResultRow]] = {}
    for row in rows:
        found.setdefault("signed" if row.map == "signed" else "heatmap", []).append(row)
    bars = []
    for kind, of_kind in found.items():
        limits = [row.limit for row in of_kind if row.limit is not None]
        # Methods measure in different units: the numbers of one cannot stand for several.
        shared = spec.shares_scale and len({row.method for row in of_kind}) == 1
        limit = max(limits) if shared and limits else None
        bars.append(ColorBar(look_of(spec).style(kind), limit, view=view))
    return bars


def _photo(image: PlannedImage) -> np.ndarray:
    try:
        return _fitted(read_photo(image.source.path).pixels)
    except KvisError:
        # The photo is gone since it was explained; its explanations are still worth a row.
        return np.full((CELL // 2, CELL // 2, 3), 128, np.uint8)


def _small(path: Path) -> np.ndarray:
    return _fitted(read_photo(path).pixels)


def _fitted(pixels: np.ndarray) -> np.ndarray:
    size = fit_size(pixels.shape[:2], (CELL, CELL))
    return resize_photo(pixels, size) if size < pixels.shape[:2] else pixels


def _columns(rows: list[ResultRow], spec: ExplainSpec) -> list[str]:
    """Return what tells the columns apart: the method, the layer, the class, whichever vary."""
    varies = {
        key: len({getattr(row, key) for row in rows}) > 1
        for key in ("method", "variant", "layer", "target")
    }
    # A method that reads no layer is no other layer.
    varies["layer"] = len({row.layer for row in rows} - {"", None}) > 1
    # The classes behind top3 are other ones in every row.
    if any(c.lower().startswith("top") for c in spec.class_):
        varies["target"] = False
    return [
        " · ".join(
            row.label if key == "target" else str(getattr(row, key))
            for key in varies
            if varies[key] and getattr(row, key)
        )
        or row.method
        for row in rows
    ]


def side_by_side(rows: list[list[Cell]], columns: int) -> tuple[list[list[Cell]], int]:
    """Rows of few pictures beside each other, so that a sheet is no narrow strip.

    Parameters
    ----------
    rows
        A list of cells per photo.
    columns
        Cells of a row.

    Returns
    -------
    rows, blocks
        The joined rows, filled block by block from top to bottom, and how many blocks there are.
    """
    blocks = 1
    while len(rows) / blocks > 1.5 * columns * blocks and blocks < len(rows):
        blocks += 1
    height = -(-len(rows) // blocks)
    joined = [
        [cell for block in range(blocks) for cell in _row(rows, block * height + y)]
        for y in range(height)
    ]
    return joined, -(-len(rows) // height)


def _row(rows: list[list[Cell]], index: int) -> list[Cell]:
    return rows[index] if index < len(rows) else []
