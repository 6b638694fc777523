"""The formats of reports."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from kvis_cli.paths import write_bytes_atomic
from kvis_cli.report.data import FinishedRun, load_run
from kvis_cli.report.html import to_html
from kvis_cli.report.junit import to_junit
from kvis_cli.report.markdown import to_markdown
from kvis_cli.report.summary import summarise
from kvis_cli.shown import json_text

FILES = {
    "html": "report.html",
    "json": "report.json",
    "junit": "junit.xml",
    "markdown": "report.md",
}
"""Format -> file in the result folder."""


def to_json(run: FinishedRun) -> str:
    """The summary and every row, as one document."""
    document = {
        "summary": summarise(run),
        "run": run.about,
        "results": [row.to_json() for row in run.rows],
        "failures": [row.to_json() for row in run.failures],
    }
    return json_text(document, indent=2, sort_keys=True) + "\n"


_WRITERS: dict[str, Callable[[FinishedRun], str]] = {
    "html": to_html,
    "json": to_json,
    "junit": to_junit,
    "markdown": to_markdown,
}


def write_report(folder: Path, name: str, out: Path | None = None) -> Path:
    """Write one report of a result folder.

    Parameters
    ----------
    folder
        The result folder.
    name
        ``html``, ``json``, ``junit`` or ``markdown``.
    out
        The file; by default the one that `FILES` says, in the folder.

    Raises
    ------
    InputError
        When the folder holds no results.
    OutputError
        When the file cannot be written.
    """
    text = _WRITERS[name](load_run(folder))
    return write_bytes_atomic(out or folder / FILES[name], text.encode())
