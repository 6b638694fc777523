"""The table of what models said about images, from the rows of the manifest."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path

from kvis_cli.jobs.planning.plan import Plan
from kvis_cli.jobs.results.row import ResultRow
from kvis_cli.jobs.results.store import ResultStore
from kvis_cli.paths import write_bytes_atomic
from kvis_cli.spec.predict import PredictSpec


def write_predictions(
    plan: Plan, store: ResultStore, rows: Mapping[str, list[ResultRow]], changed: set[str]
) -> Iterator[Path]:
    """Write ``predictions.csv`` of every model that was asked and has changed.

    Parameters
    ----------
    plan
        The job.
    store
        Where its results are.
    rows
        Task id -> rows of the manifest, for everything that is done.
    changed
        The tasks that were done in this run.

    Yields
    ------
    pathlib.Path
        Each file that was written.
    """
    asking = [e for e, task in enumerate(plan.job.tasks) if isinstance(task, PredictSpec)]
    for m, model in enumerate(plan.models):
        for e in asking:
            tasks = [t for t in plan.tasks if (t.model, t.entry) == (m, e) and t.id in rows]
            if not any(task.id in changed for task in tasks):
                continue
            name = "predictions" if len(asking) == 1 else f"predictions-{plan.labels[e]}"
            folder = model.name if len(plan.models) > 1 else ""
            path = store.path(name, suffix=".csv", folder=folder)
            found = [row for task in tasks for row in rows[task.id]]
            yield write_bytes_atomic(path, table(found).encode())


def table(rows: list[ResultRow]) -> str:
    """Return predictions as CSV: the image, then label and output of its classes."""
    most = max((len(row.top or ()) for row in rows), default=0)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    ranks = [name for k in range(1, most + 1) for name in (f"label{k}", f"output{k}")]
    writer.writerow(["image", *ranks, "warnings"])
    for row in rows:
        cells = [cell for label, value in row.top or () for cell in (label, value)]
        cells += [""] * (2 * most - len(cells))
        writer.writerow([row.image, *cells, "; ".join(row.warnings)])
    return stream.getvalue()
