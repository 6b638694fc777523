"""What a result folder holds already."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from kvis_cli.jobs.results.journal import Journal
from kvis_cli.jobs.results.row import ResultRow
from kvis_cli.jobs.results.store import MANIFEST, read_rows

# Kinds of tasks whose results are rows of the manifest alone.
WITHOUT_FILES = ("predict",)


@dataclass
class Finished:
    """Tasks whose pictures are all there.

    Attributes
    ----------
    rows
        Task id -> its rows of the manifest.
    interrupted
        Whether the last run into the folder did not come to its end.
    """

    rows: dict[str, list[ResultRow]] = field(default_factory=dict)
    interrupted: bool = False

    def take(self, ids: Iterable[str]) -> dict[str, list[ResultRow]]:
        """Remove and return what is there of `ids`."""
        return {i: self.rows.pop(i) for i in ids if i in self.rows}


def read_finished(folder: Path) -> Finished:
    """Read the manifest and, after a run that was cut short, its journal."""
    journal = Journal(folder)
    tasks, begun = journal.read()
    fresh = {row.file for rows in tasks.values() for row in rows if row.file}
    found: dict[str, list[ResultRow]] = {}
    for row in read_rows(folder / MANIFEST):
        # A run that was cut short may have replaced pictures without a word in its journal.
        doubtful = bool(row.file and begun and row.file.startswith(begun))
        if row.status != "failed" and not doubtful and row.file not in fresh:
            found.setdefault(row.task, []).append(row)
    found |= tasks
    whole = {i: rows for i, rows in found.items() if _complete(folder, rows)}
    return Finished(whole, journal.path.exists())


def _complete(folder: Path, rows: list[ResultRow]) -> bool:
    if not rows or len(rows) != rows[0].of:
        return False
    if not all(row.file or row.kind in WITHOUT_FILES for row in rows):
        return False
    return all((folder / name).is_file() for row in rows for name in (row.file, row.raw) if name)
