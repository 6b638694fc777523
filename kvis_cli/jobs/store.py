"""The result folder: file names, pictures, raw maps and the manifest."""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kvis_cli.errors import OutputError
from kvis_cli.explanation import Explanation
from kvis_cli.render.png import encode_png, provenance, write_bytes_atomic

MANIFEST = "manifest.jsonl"
RUN = "run.json"


def safe_name(text: str) -> str:
    """`text` as part of a file name: letters, digits and ``._+-`` only, not empty, not hidden."""
    name = re.sub(r"[^\w.+-]+", "-", text).strip("-.")
    return name[:80] or "unnamed"


def unique_names(paths: Sequence[Path]) -> dict[Path, str]:
    """A short file name for each path: its stem, with parent folders where stems repeat."""
    names: dict[Path, str] = {}
    pending, depth = list(paths), 1
    while pending:
        by_name: dict[str, list[Path]] = {}
        for path in pending:
            parts = [*path.resolve().parts[:-1][-(depth - 1) :], path.stem] if depth > 1 else []
            by_name.setdefault(safe_name("-".join(parts) or path.stem), []).append(path)
        pending = []
        for name, same in by_name.items():
            taken = name in names.values()
            if len(same) == 1 and not taken:
                names[same[0]] = name
            elif depth > 4:
                for number, path in enumerate(same, 1):
                    names[path] = f"{name}-{number}{path.suffix.replace('.', '-')}"
            else:
                pending.extend(same)
        depth += 1
    return names


class ResultStore:
    """Writes one run into one folder. Everything is written whole or not at all.

    Parameters
    ----------
    folder
        Created when missing.
    origin
        What made the results: the resolved spec, versions, device. Goes into ``run.json`` and,
        unless `metadata` is off, into every picture.
    metadata
        Whether pictures carry their provenance.

    Raises
    ------
    OutputError
        When the folder cannot be written to; said before anything is computed.
    """

    def __init__(self, folder: Path, origin: dict[str, Any], *, metadata: bool = True) -> None:
        self.folder = folder
        self.origin = origin
        self.metadata = metadata
        self._rows: list[dict[str, Any]] = []
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

    def write_picture(self, path: Path, picture: np.ndarray, about: dict[str, Any]) -> Path:
        """Encode and write a picture with its provenance."""
        metadata = provenance({**self.origin, **about}) if self.metadata else None
        return self._write(path, encode_png(picture, metadata))

    def write_raw(self, path: Path, explanation: Explanation) -> Path:
        """Write a raw map: ``np.load(path)["map"]`` is float32, unscaled."""
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer,
            map=explanation.map.astype(np.float32),
            score=np.float32(explanation.score),
            method=np.str_(explanation.method),
            layer=np.str_(explanation.layer),
            target=np.str_(explanation.target.label),
        )
        return self._write(path, buffer.getvalue())

    def add(self, row: dict[str, Any]) -> None:
        """Remember a row for the manifest."""
        self._rows.append(row)

    def finish(self, summary: dict[str, Any]) -> None:
        """Write the manifest and ``run.json``, last of all.

        Rows of earlier runs into the same folder stay, unless their file was written anew.
        """
        ours = {row.get("file") for row in self._rows}
        old = [row for row in self._old_rows() if row.get("file") not in ours]
        rows = sorted(old + self._rows, key=lambda row: str(row.get("file")))
        text = "".join(json.dumps(row, sort_keys=True, allow_nan=False) + "\n" for row in rows)
        self._write(self.folder / MANIFEST, text.encode())
        run = json.dumps({**self.origin, **summary}, indent=2, sort_keys=True)
        self._write(self.folder / RUN, (run + "\n").encode())

    def _old_rows(self) -> list[dict[str, Any]]:
        try:
            lines = (self.folder / MANIFEST).read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            return []
        rows = []
        for line in lines:
            try:
                row = json.loads(line)
            except ValueError:
                continue
            if isinstance(row, dict) and (self.folder / str(row.get("file"))).is_file():
                rows.append(row)
        return rows

    def _write(self, path: Path, data: bytes) -> Path:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"Cannot make the folder '{path.parent}'.", f"{error.strerror or error}."
            ) from None
        return write_bytes_atomic(path, data)
