"""The result folder: file names, pictures, raw maps and the manifest."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kvis_cli.errors import InputError, OutputError
from kvis_cli.explanation import Explanation
from kvis_cli.jobs.results.row import SCHEMA, ResultRow
from kvis_cli.jobs.results.sound import parse, sound_row
from kvis_cli.lazy import np
from kvis_cli.paths import safe_name, write_bytes_atomic
from kvis_cli.render.png import encode_png, provenance, with_metadata
from kvis_cli.shown import json_text

MANIFEST = "manifest.jsonl"
RUN = "run.json"
# What animations are made of, in a folder of their own.
FRAMES = "animations/frames"


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
        When the folder cannot be written to; reported before anything is computed.
    """

    def __init__(
        self, folder: Path, origin: dict[str, Any] | None = None, *, metadata: bool = True
    ) -> None:
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
        """Return the path of a result: its parts joined by ``_``."""
        name = "_".join(safe_name(part) for part in parts if part)
        return (self.folder / folder if folder else self.folder) / (name + suffix)

    def name(self, path: Path) -> str:
        """Return the path of a result below the folder, as the manifest has it."""
        return path.relative_to(self.folder).as_posix()

    def write_picture(self, path: Path, picture: np.ndarray, about: Mapping[str, Any]) -> Path:
        """Encode and write a picture with its provenance."""
        return self.write_encoded(path, encode_png(picture), about)

    def write_encoded(self, path: Path, png: bytes, about: Mapping[str, Any]) -> Path:
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

    def write_manifest(self, rows: Iterable[ResultRow]) -> None:
        """Write all rows, in an order that does not depend on how they came about."""
        ordered = sorted(rows, key=lambda row: (row.file or "", row.task))
        lines = (json.dumps(row.to_json(), sort_keys=True, allow_nan=False) for row in ordered)
        text = "".join(line + "\n" for line in lines)
        write_bytes_atomic(self.folder / MANIFEST, text.encode())


def read_rows(path: Path) -> list[ResultRow]:
    """Return the rows of a manifest; none where there is no file.

    Left out are a line cut short, and rows that kvis does not write, such as those of files that
    are not in the folder: what they are about is done again.

    Parameters
    ----------
    path
        ``manifest.jsonl``, or a journal.

    Returns
    -------
    list of ResultRow
        In the order of the file.

    Raises
    ------
    InputError
        For rows of a schema that this version does not know.
    """
    return [ResultRow.from_json(entry) for entry in read_entries(path)]


def read_entries(path: Path) -> list[dict[str, Any]]:
    """Return the sound lines of a manifest or a journal as they are; see `read_rows`."""
    try:
        lines = path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
    entries = []
    for line in lines:
        try:
            entry = parse(line)
        except ValueError:
            continue
        if sound_row(entry):
            entries.append(entry)
    newest = max((e.get("schema") or 1 for e in entries), default=1)
    if newest > SCHEMA:
        raise InputError(
            f"'{path}' was written by a newer kvis.",
            f"Its rows are of schema {newest}; this version reads up to {SCHEMA}.",
            "Update kvis, or choose another folder.",
        )
    return entries
