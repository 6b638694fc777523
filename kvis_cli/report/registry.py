"""The writers of the report formats, by name."""

from __future__ import annotations

from collections.abc import Callable

from kvis_cli.report.data import FinishedRun
from kvis_cli.spec.formats import REPORTS

Write = Callable[[FinishedRun], str]

WRITERS: dict[str, Write] = {}
"""Format -> the text of a report. Filled by importing `kvis_cli.report.write`."""


def report_format(name: str) -> Callable[[Write], Write]:
    """Enter a function that writes one of `kvis_cli.spec.formats.REPORTS`."""
    assert name in REPORTS, name

    def enter(write: Write) -> Write:
        WRITERS[name] = write
        return write

    return enter
