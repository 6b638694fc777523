"""The captioned sheets of a run: a row per photo, a column per picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from kvis_cli.jobs.pictures import GRID_CELL, Cell
from kvis_cli.jobs.store import ResultStore
from kvis_cli.render.colorbar import ColorBar
from kvis_cli.render.grid import Sheet, render_sheet
from kvis_cli.render.overlay import Style
from kvis_cli.render.resize import fit_size, resize_photo

# A sheet longer than this is split: nobody scrolls it, and memory stays bounded.
MAX_ROWS = 40


class SheetMaker:
    """Collects small pictures row by row and writes a sheet whenever one is full.

    Parameters
    ----------
    store
        Where sheets go.
    columns
        Column headings, the photo's own column not counted.
    title
        Above each sheet.
    shared
        Whether all pictures share one scale, which the colour bar then shows.
    """

    def __init__(
        self,
        store: ResultStore,
        columns: list[str],
        title: str,
        style: Style,
        *,
        shared: bool,
        folder: str = "",
    ) -> None:
        self.store = store
        self.columns = columns
        self.title = title
        self.style = style
        self.shared = shared
        self.folder = folder
        self.written: list[Path] = []
        self._rows: dict[str, list[Cell]] = {}

    def add_photo(self, name: str, pixels: np.ndarray, caption: str) -> None:
        """Begin the row of a photo."""
        if len(self._rows) >= MAX_ROWS and name not in self._rows:
            self.write()
        size = fit_size(pixels.shape[:2], (GRID_CELL, GRID_CELL))
        small = resize_photo(pixels, size) if size < pixels.shape[:2] else pixels
        self._rows[name] = [Cell(small, caption)]

    def add(self, name: str, cell: Cell) -> None:
        """Add a picture to the row of its photo."""
        self._rows.setdefault(name, []).append(cell)

    def write(self, about: dict[str, Any] | None = None) -> None:
        """Write the rows collected so far as one sheet."""
        if not self._rows:
            return
        limit = None
        if self.shared:
            limit = max(cell.limit for row in self._rows.values() for cell in row)
        rows, blocks = side_by_side(list(self._rows.values()), 1 + len(self.columns))
        sheet = Sheet(
            rows=[[cell.picture for cell in row] for row in rows],
            captions=[[cell.caption for cell in row] for row in rows],
            column_labels=["photo", *self.columns] * blocks,
            title=self.title,
            bar=ColorBar(self.style, limit),
        )
        number = len(self.written) + 1
        path = self.store.path("grid" if number == 1 else f"grid-{number}", folder=self.folder)
        self.store.write_picture(path, render_sheet(sheet), about or {})
        self.written.append(path)
        self._rows = {}


def side_by_side(rows: list[list[Cell]], columns: int) -> tuple[list[list[Cell]], int]:
    """Rows of few pictures beside each other, so that a sheet is no narrow strip.

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
