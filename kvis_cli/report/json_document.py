"""A run as one JSON document."""

from __future__ import annotations

from kvis_cli.report.data import FinishedRun
from kvis_cli.report.registry import report_format
from kvis_cli.report.summary import summarise
from kvis_cli.shown import json_text


@report_format("json")
def to_json(run: FinishedRun) -> str:
    """Return the summary and every row, as one document."""
    document = {
        "summary": summarise(run),
        "run": run.about,
        "results": [row.to_json() for row in run.rows],
        "failures": [row.to_json() for row in run.failures],
    }
    return json_text(document, indent=2, sort_keys=True) + "\n"
