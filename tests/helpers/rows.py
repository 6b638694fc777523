"""Rows of manifests as the JSON that they are in the file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kvis_cli.jobs.results.row import ResultRow
from kvis_cli.jobs.results.store import ResultStore, read_rows


def json_rows(path: Path) -> list[dict[str, Any]]:
    """The sound rows of a manifest."""
    return [row.to_json() for row in read_rows(path)]


def write_rows(folder: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write a manifest of `rows`."""
    ResultStore(folder).write_manifest(ResultRow.from_json(row) for row in rows)


def result_rows(rows: Iterable[dict[str, Any]]) -> list[ResultRow]:
    """`rows` as the objects that the code hands about."""
    return [ResultRow.from_json(row) for row in rows]
