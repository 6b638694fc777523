"""What is made of several results: sheets and tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from kvis_cli.jobs.planning.plan import Plan
from kvis_cli.jobs.results.predictions import write_predictions
from kvis_cli.jobs.results.row import ResultRow
from kvis_cli.jobs.results.sheets import write_sheets
from kvis_cli.jobs.results.store import ResultStore


def write_joint(
    plan: Plan, store: ResultStore, rows: Mapping[str, list[ResultRow]], changed: set[str]
) -> Iterator[Path]:
    """Write the sheets and tables of all entries that ask for one and have changed.

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
    Path
        Each file, once it is on disk.
    """
    yield from write_sheets(plan, store, rows, changed)
    yield from write_predictions(plan, store, rows, changed)
