"""The result folder: file names, pictures, raw maps and the manifest."""

from __future__ import annotations

import errno
import io
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kvis_cli.errors import OutputError
from kvis_cli.explanation import Explanation
from kvis_cli.jobs.results.sound import parse, sound_row
from kvis_cli.lazy import np
from kvis_cli.paths import safe_name, write_bytes_atomic
from kvis_cli.render.png import encode_png, provenance, with_metadata
from kvis_cli.shown import json_text

MANIFEST = "manifest.jsonl"
JOURNAL = "journal.jsonl"
RUN = "run.json"
# What animations are made of, in a folder of their own.
FRAMES = "animations/frames"

Row = dict[str, Any]


class ResultStore:
    """The folder of one run. Everything in it is written whole or not at all.

    Parameters
    ----------
    folder
        Created when missing.
    origin
        What made the results: versions, device. Goes into every picture, unless `metadata` is off.
    metadata
        Whether pictures carry their provenance.

    Raises
    ------
    OutputError
        When the folder cannot be written to; said before anything is computed.
    """

    def __init__(self, folder: Path, origin: Row | None = None, *, metadata: bool = True) -> None:
        self.folder = folder
        self.origin = {} if origin is None else origin
        self.metadata = metadata
        try:
            folder.mkdir(parents=True, exist_ok=True)
            probe = folder / f".kvis-{os.getpid()}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise OutputError(
                f"Cannot write to the folder '{folder}'.",
                f"{error.strerror or error}.",
                "Choose another with --out.",
            ) from None

    def path(self, *parts: str, suffix: str = ".png", folder: str = "") -> Path:
        """The path of a result: its parts joined by ``_``."""
        name = "_".join(safe_name(part) for part in parts if part)
        return (self.folder / folder if folder else self.folder) / (name + suffix)

    def name(self, path: Path) -> str:
        """The path of a result below the folder, as the manifest has it."""
        return path.relative_to(self.folder).as_posix()

    def write_picture(self, path: Path, picture: np.ndarray, about: Row) -> Path:
        """Encode and write a picture with its provenance."""
        return self.write_encoded(path, encode_png(picture), about)

    def write_encoded(self, path: Path, png: bytes, about: Row) -> Path:
        """Write a picture of `encode_png`, which may have been looked at, with its provenance."""
        metadata = provenance({**self.origin, **about}) if self.metadata else {}
        return write_bytes_atomic(path, with_metadata(png, metadata))

    def write_raw(self, path: Path, explanation: Explanation) -> Path:
        """Write a raw map: ``np.load(path)["map"]`` is float32, unscaled."""
        return self.write_arrays(
            path,
            map=explanation.map.astype(np.float32),
            score=np.float32(explanation.score),
            method=np.str_(explanation.method),
            layer=np.str_(explanation.layer),
            target=np.str_(explanation.target.label),
        )

    def write_arrays(self, path: Path, **arrays: Any) -> Path:
        """Write an ``.npz`` file of named arrays."""
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)
        return write_bytes_atomic(path, buffer.getvalue())

    def write_json(self, name: str, value: Any) -> Path:
        """Write a JSON document of the folder."""
        text = json_text(value, indent=2, sort_keys=True)
        return write_bytes_atomic(self.folder / name, (text + "\n").encode())

    def write_manifest(self, rows: Iterable[Row]) -> None:
        """Write all rows, in an order that does not depend on how they came about."""
        ordered = sorted(rows, key=lambda row: (str(row.get("file") or ""), str(row.get("task"))))
        text = "".join(json.dumps(row, sort_keys=True, allow_nan=False) + "\n" for row in ordered)
        write_bytes_atomic(self.folder / MANIFEST, text.encode())


def read_rows(path: Path) -> list[Row]:
    """The rows of a manifest; none where there is no file.

    Left out are a line cut short, and rows that kvis does not write, such as those of files that
    are not in the folder: what they are about is done again.
    """
    try:
        lines = path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
    rows = []
    for line in lines:
        try:
            row = parse(line)
        except ValueError:
            continue
        if sound_row(row):
            rows.append(row)
    return rows


class Journal:
    """What is finished while a run goes on: a line per task, appended as soon as it is done.

    A process that is killed leaves at worst one half line, which reading leaves out. At the end of
    the run the journal is folded into the manifest and removed.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / JOURNAL
        self._stream: io.FileIO | None = None
        self._whole = True

    def read(self) -> tuple[dict[str, list[Row]], tuple[str, ...]]:
        """What a run that did not come to its end has left.

        Returns
        -------
        tasks, begun
            Task id -> its rows, for what was finished; how the names of all pictures begin that
            may have been replaced.
        """
        tasks: dict[str, list[Row]] = {}
        begun: dict[str, None] = {}
        for entry in read_rows(self.path):
            if entry.get("rows") is not None:
                tasks[str(entry.get("task"))] = entry["rows"]
            begun.update(dict.fromkeys(entry.get("begins") or ()))
        return tasks, tuple(begun)

    def begin(self, prefixes: Iterable[str]) -> None:
        """Say which pictures are about to be replaced. Raises as `add` does."""
        self._append({"begins": sorted(prefixes)})

    def add(self, task: str, rows: list[Row]) -> None:
        """Record a finished task.

        Raises
        ------
        OutputError
            When it cannot be written: the disk is full, the folder has become read-only.
        """
        self._append({"task": task, "rows": rows})

    def _append(self, entry: Row) -> None:
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
