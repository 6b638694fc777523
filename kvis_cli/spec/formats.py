"""The formats of reports: what users name, and the file that each becomes."""

from __future__ import annotations

REPORTS = {
    "html": "report.html",
    "json": "report.json",
    "junit": "junit.xml",
    "markdown": "report.md",
}
"""Format -> file in the result folder; `kvis_cli.report.registry` has what writes it."""


def one_of_reports() -> str:
    """Return the formats as a choice in words."""
    *others, last = REPORTS
    return f"{', '.join(others)} or {last}"
