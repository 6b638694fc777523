"""From an explanation and its photo to files, on threads beside the computing."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from kvis_cli.explanation import Explanation
from kvis_cli.images.drawing import Look, draw
from kvis_cli.images.fitting import Placement
from kvis_cli.images.photo import Photo, read_photo
from kvis_cli.jobs.results.row import ResultRow
from kvis_cli.jobs.results.store import ResultStore
from kvis_cli.render.scale import shared_limit
from kvis_cli.spec.pictures import ExplainSpec

# Pictures waiting to be encoded; more would only fill memory while the computing runs ahead.
MAX_PENDING = 32


@dataclass(frozen=True)
class Item:
    """One explanation of one photo, ready to be drawn.

    Attributes
    ----------
    name
        The photo's part of the file name.
    folder
        Subfolder of the results, empty for none.
    show_layer
        Whether the layer belongs into the file name.
    """

    explanation: Explanation
    photo: Path
    placement: Placement
    name: str
    folder: str = ""
    show_layer: bool = False
    row: ResultRow = field(default_factory=ResultRow)

    def path(self, store: ResultStore, suffix: str = ".png") -> Path:
        """Return where the picture goes."""
        e = self.explanation
        layer = e.layer.replace("/", ".") if self.show_layer else ""
        return store.path(
            self.name, e.method, e.variant, e.target.name, layer, suffix=suffix, folder=self.folder
        )


def look_of(spec: ExplainSpec) -> Look:
    """Return the look that a task gives to its maps."""
    return Look(
        view=spec.drawn_as,
        alpha=spec.overlay,
        colormap=spec.colormap,
        level=spec.level,
        percentile=spec.palette_end,
        box=spec.box,
        colorbar=spec.colorbar,
    )


Done = Callable[[Item, Path, float | None], None]
"""Takes an item, its file, and the end of its palette where a sheet will need that."""


class PictureWriter:
    """Draws, encodes and writes pictures on threads.

    Parameters
    ----------
    store
        Where they go.
    spec
        How they look.
    done
        Called in the caller's thread, in order, for each finished picture.
    threads
        How many pictures are drawn at once.
    """

    def __init__(self, store: ResultStore, spec: ExplainSpec, done: Done, threads: int = 1) -> None:
        self.store = store
        self.spec = spec
        self.look = look_of(spec)
        self.done = done
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="kvis-picture")
        self._pending: deque[Future[tuple[Item, Path, float | None]]] = deque()
        self._held: list[Item] = []

    def add(self, item: Item, pixels: np.ndarray) -> None:
        """Take an explanation. With a shared scale it waits for the others."""
        if self.spec.shares_scale:
            self._held.append(item)
            return
        self._submit(item, pixels, None)

    def flush(self) -> None:
        """Draw what waits for the shared scale, and wait until everything is on disk."""
        limits: dict[str, float] = {}
        # Methods measure in different units: they share a scale only among themselves.
        for method in {item.explanation.method for item in self._held}:
            same = [i.explanation for i in self._held if i.explanation.method == method]
            if same[0].kind != "image":
                percentile = self._percentile(same[0])
                limits[method] = shared_limit([e.map for e in same], same[0].kind, percentile)
        photo: Photo | None = None
        for item in self._held:
            if photo is None or photo.path != item.photo:
                photo = read_photo(item.photo)
            self._submit(item, photo.pixels, limits.get(item.explanation.method))
        self._held = []
        while self._pending:
            self._collect()

    def close(self) -> None:
        """Drop what has not begun and end the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _submit(self, item: Item, pixels: np.ndarray, limit: float | None) -> None:
        self._pending.append(self._pool.submit(self._draw, item, pixels, limit))
        while len(self._pending) > MAX_PENDING or (self._pending and self._pending[0].done()):
            self._collect()

    def _collect(self) -> None:
        self.done(*self._pending.popleft().result())

    def _draw(
        self, item: Item, pixels: np.ndarray, limit: float | None
    ) -> tuple[Item, Path, float | None]:
        explanation = item.explanation
        drawn = draw(explanation, pixels, item.placement, replace(self.look, limit=limit))
        if self.look.box:
            more = {**item.row.more, "box": drawn.box and list(drawn.box)}
            item = replace(item, row=replace(item.row, more=more))
        path = self.store.write_picture(item.path(self.store), drawn.pixels, item.row.provenance())
        if self.spec.raw:
            self.store.write_raw(item.path(self.store, ".npz"), explanation)
        if not self.spec.grid:
            return item, path, None
        return item, path, drawn.style.scaled(explanation.map).limit

    def _percentile(self, explanation: Explanation) -> float | None:
        end = self.spec.palette_end
        return explanation.percentile if end is None else end
