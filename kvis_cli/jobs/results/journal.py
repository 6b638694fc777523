"""The journal: what is finished of a run that has not ended."""

from __future__ import annotations

import errno
import io
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kvis_cli.errors import OutputError
from kvis_cli.jobs.results.row import ResultRow
from kvis_cli.jobs.results.store import read_entries

JOURNAL = "journal.jsonl"


class Journal:
    """What is finished while a run goes on: a line per task, appended as soon as it is done.

    A process that is killed leaves at worst one half line, which reading leaves out. At the end of
    the run the journal is folded into the manifest and removed.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / JOURNAL
        self._stream: io.FileIO | None = None
        self._whole = True

    def read(self) -> tuple[dict[str, list[ResultRow]], tuple[str, ...]]:
        """Return what a run that did not come to its end has left.

        Returns
        -------
        tasks, begun
            Task id -> its rows, for what was finished; how the names of all pictures begin that
            may have been replaced.
        """
        tasks: dict[str, list[ResultRow]] = {}
        begun: dict[str, None] = {}
        for entry in read_entries(self.path):
            if entry.get("rows") is not None:
                tasks[str(entry.get("task"))] = [ResultRow.from_json(r) for r in entry["rows"]]
            begun.update(dict.fromkeys(entry.get("begins") or ()))
        return tasks, tuple(begun)

    def begin(self, prefixes: Iterable[str]) -> None:
        """Say which pictures are about to be replaced. Raises as `add` does."""
        self._append({"begins": sorted(prefixes)})

    def add(self, task: str, rows: list[ResultRow]) -> None:
        """Record a finished task.

        Parameters
        ----------
        task
            Its id.
        rows
            What it gave; failures, too.

        Raises
        ------
        OutputError
            When it cannot be written: the disk is full, the folder has become read-only.
        """
        self._append({"task": task, "rows": [row.to_json() for row in rows]})

    def _append(self, entry: dict[str, Any]) -> None:
        line = json.dumps(entry, sort_keys=True, allow_nan=False) + "\n"
        try:
            if self._stream is None:
                self._stream = self.path.open("ab", buffering=0)
                self._whole = not self._stream.tell() or _ends_line(self.path)
            # A line that was cut short, by a crash or a full disk, must not swallow this one.
            data = (line if self._whole else "\n" + line).encode()
            self._whole = False
            self._whole = self._stream.write(data) == len(data)
            if not self._whole:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise OutputError(
                f"Cannot write '{self.path}'.", f"{error.strerror or error}."
            ) from None

    def remove(self) -> None:
        """Forget everything: it is in the manifest now."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        self.path.unlink(missing_ok=True)


def _ends_line(path: Path) -> bool:
    with path.open("rb") as stream:
        stream.seek(-1, os.SEEK_END)
        return stream.read(1) == b"\n"
