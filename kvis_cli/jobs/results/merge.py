"""Joining the shards of a job."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from kvis_cli.errors import InputError, NotEvaluatedError, UsageError
from kvis_cli.jobs.planning.plan import make_plan
from kvis_cli.jobs.results.joint import write_joint
from kvis_cli.jobs.results.resume import WITHOUT_FILES, read_finished
from kvis_cli.jobs.results.row import ResultRow
from kvis_cli.jobs.results.sound import parse, whole_run
from kvis_cli.jobs.results.store import MANIFEST, RUN, ResultStore, read_rows
from kvis_cli.paths import natural_key, write_bytes_atomic
from kvis_cli.shown import said
from kvis_cli.spec.job import JobSpec


def merge_shards(
    out: Path, shards: Sequence[Path] = (), *, partial: bool = False, move: bool = False
) -> list[Path]:
    """Join shards into one result folder, as one run would have written it.

    Parameters
    ----------
    out
        The joined folder.
    shards
        Result folders of the shards; by default the ``shard-*`` folders in `out`.
    partial
        Whether missing shards are allowed.
    move
        Whether pictures are moved instead of copied.

    Returns
    -------
    The files that are new.

    Raises
    ------
    UsageError
        When there is nothing to join, or shards are of different jobs.
    NotEvaluatedError
        When shards are missing and `partial` is not set.
    """
    folders = list(shards) or sorted(out.glob("shard-*-of-*"), key=natural_key)
    if not folders:
        raise UsageError(f"There is no shard in '{out}'.", "", "Name the shards' folders after it.")
    runs = [_read_run(folder) for folder in folders]
    _check(folders, runs, partial)
    store = ResultStore(out, {"kvis": runs[0]["kvis"], "versions": runs[0].get("versions", {})})
    written: list[Path] = []
    rows: list[ResultRow] = []
    for folder in folders:
        for row in (row for found in read_finished(folder).rows.values() for row in found):
            for name in filter(None, (row.file, row.raw)):
                written.append(_transfer(folder / name, out / name, move))
            rows.append(row)
        rows += [r for r in read_rows(folder / MANIFEST) if r.status == "failed"]
    store.write_manifest(rows)
    store.write_json(RUN, _joined(runs))
    written += _sheets(runs[0], store, rows)
    return written


def _read_run(folder: Path) -> dict[str, Any]:
    try:
        run = parse((folder / RUN).read_bytes())
    except FileNotFoundError:
        raise InputError(
            f"The shard '{folder}' has not finished.", f"There is no {RUN} in it."
        ) from None
    except (OSError, ValueError) as error:
        raise InputError(f"'{folder / RUN}' cannot be read.", f"{error}.") from None
    if not whole_run(run):
        raise InputError(f"'{folder / RUN}' cannot be read.", "It is not what kvis writes.")
    if re.fullmatch(r"\d{1,6}/\d{1,6}", run.get("shard") or "") is None:
        raise UsageError(f"'{folder}' is not a shard.", "It was not made with --shard.")
    try:
        JobSpec.model_validate(run["spec"])
    except ValidationError as error:
        raise InputError(f"The job in '{folder / RUN}' is not valid.", f"{said(error)}.") from None
    return run


def _check(folders: Sequence[Path], runs: Sequence[dict[str, Any]], partial: bool) -> None:
    def question(run: dict[str, Any]) -> list[Any]:
        spec = run["spec"]
        return [spec.get("tasks"), run["models"], run["images"], spec.get("seed")]

    for folder, run in zip(folders, runs, strict=True):
        if question(run) != question(runs[0]):
            raise UsageError(
                f"'{folder}' and '{folders[0]}' are shards of different jobs.",
                "Their models, images or tasks differ.",
            )
    counts = {run["shard"].partition("/")[2] for run in runs}
    if len(counts) > 1:
        raise UsageError(f"The shards are of {' and '.join(sorted(counts))}.", "Join one set.")
    there = {int(run["shard"].partition("/")[0]) for run in runs}
    missing = sorted(set(range(int(counts.pop()))) - there)
    if missing and not partial:
        raise NotEvaluatedError(
            f"Shards are missing: {', '.join(map(str, missing))}.",
            "",
            "Run them, or join what is there with --partial.",
        )


def _transfer(source: Path, target: Path, move: bool) -> Path:
    if move:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(source, target)
        return target
    return write_bytes_atomic(target, source.read_bytes())


def _joined(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    joined = dict(runs[0])
    # A shard that had nothing to do has computed nowhere.
    joined["device"] = next((run["device"] for run in runs if run["device"]), "")
    joined["shard"] = None
    joined["shards"] = len(runs)
    joined["tasks"] = {
        key: sum(run["tasks"][key] for run in runs) for key in ("all", "done", "failed")
    }
    joined["distrusted"] = sum(run["distrusted"] for run in runs)
    joined["seconds"] = round(sum(run["seconds"] for run in runs), 3)
    times: dict[str, float] = {}
    for run in runs:
        for model, seconds in run["seconds_by_model"].items():
            times[model] = round(times.get(model, 0.0) + seconds, 3)
    joined["seconds_by_model"] = times
    joined["failures"] = [failure for run in runs for failure in run["failures"]]
    return joined


def _sheets(run: dict[str, Any], store: ResultStore, rows: Sequence[ResultRow]) -> list[Path]:
    """Return the sheets and tables of the whole job, which no shard could make alone."""
    job = JobSpec.model_validate(run["spec"])
    if not any(getattr(t, "grid", False) or t.kind in WITHOUT_FILES for t in job.tasks):
        return []
    plan = make_plan(job)
    by_task: dict[str, list[ResultRow]] = {}
    for row in rows:
        if row.status != "failed":
            by_task.setdefault(row.task, []).append(row)
    return list(write_joint(plan, store, by_task, set(by_task)))
