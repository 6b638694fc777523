"""Writing reports."""

from __future__ import annotations

from pathlib import Path

from kvis_cli.paths import write_bytes_atomic

# Importing a module enters its format.
from kvis_cli.report import html, json_document, junit, markdown  # noqa: F401
from kvis_cli.report.data import load_run
from kvis_cli.report.registry import WRITERS
from kvis_cli.spec.formats import REPORTS


def write_report(folder: Path, name: str, out: Path | None = None) -> Path:
    """Write one report of a result folder.

    Parameters
    ----------
    folder
        The result folder.
    name
        A key of `kvis_cli.spec.formats.REPORTS`.
    out
        The file; by default the one that the format has, in the folder.

    Returns
    -------
    pathlib.Path
        The file that was written.

    Raises
    ------
    InputError
        When the folder holds no results.
    OutputError
        When the file cannot be written.
    """
    text = WRITERS[name](load_run(folder))
    return write_bytes_atomic(out or folder / REPORTS[name], text.encode())
