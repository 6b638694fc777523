"""The numbers of a run, per model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from kvis_cli.jobs.results.row import ResultRow
from kvis_cli.report.data import FinishedRun, model_of


def summarise(run: FinishedRun) -> dict[str, Any]:
    """Return counts and means over everything, and over each model's pictures."""
    return {
        "tasks": len({row.task for row in (*run.rows, *run.failures)}),
        "done": len({row.task for row in run.rows}),
        "failed": len({row.task for row in run.failures}),
        "pictures": len(run.rows),
        "warnings": len(run.warned),
        "seconds": run.about.get("seconds"),
        "models": [_model(run, name) for name in run.models],
    }


def _model(run: FinishedRun, name: str) -> dict[str, Any]:
    rows = [row for row in run.rows if model_of(row) == name]
    failures = [row for row in run.failures if model_of(row) == name]
    return {
        "name": name,
        "done": len({row.task for row in rows}),
        "failed": len({row.task for row in failures}),
        "warnings": sum(bool(row.warnings) for row in rows),
        **{key: mean(getattr(row, key) for row in rows) for key in MEANS},
    }


MEANS = ("probability", "entropy", "in_region", "enrichment")


def mean(values: Iterable[Any]) -> float | None:
    """Return the mean of what is a number; None where nothing is."""
    numbers = [float(v) for v in values if isinstance(v, int | float)]
    return round(sum(numbers) / len(numbers), 6) if numbers else None


def reasons(failures: Iterable[ResultRow]) -> list[tuple[str, list[ResultRow]]]:
    """Failures by their messages, the most frequent first."""
    by_text: dict[str, list[ResultRow]] = {}
    for row in failures:
        by_text.setdefault(reason(row), []).append(row)
    count = Counter({text: len(rows) for text, rows in by_text.items()})
    return [(text, by_text[text]) for text, _ in count.most_common()]


def reason(row: ResultRow) -> str:
    """Why a task failed, in one line."""
    error = row.error or {}
    parts = (error.get("what"), error.get("why"))
    return " ".join(str(part) for part in parts if part) or "unknown"
