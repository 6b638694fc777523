"""``kvis run``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from kvis_cli.cli.console import ConsoleListener
from kvis_cli.cli.options import with_options
from kvis_cli.cli.output import Column, Table, print_json, print_line, print_table
from kvis_cli.cli.shared import Events, Quiet, Traceback, exit_codes
from kvis_cli.errors import ExitCode, UsageError
from kvis_cli.options.fields import RUN
from kvis_cli.spec.run import RunSpec


@with_options(RunSpec, job=True)
def run(
    job: Annotated[Path, typer.Argument(help="Job file (YAML).", metavar="JOB.yaml")],
    *,
    given: dict[type, dict[str, Any]],
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Only print what there is to do, and what is wrong.",
            rich_help_panel=RUN,
        ),
    ] = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="Do again what is done already.", rich_help_panel=RUN),
    ] = False,
    clean_stale: Annotated[
        bool,
        typer.Option(
            "--clean-stale",
            help="Remove pictures in the folder that the job does not ask for.",
            rich_help_panel=RUN,
        ),
    ] = False,
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard",
            help="Do only part I of N (0/3, 1/3, 2/3), into a folder of its own; `kvis merge` "
            "joins them.",
            metavar="I/N",
            rich_help_panel=RUN,
        ),
    ] = None,
    json: Events = False,
    quiet: Quiet = False,
    traceback: Traceback = False,
) -> None:
    """Do a whole job: models × images × methods, resumable, with a report.

    What is done already, with the same model, image and settings, is not done again.

    Examples:

      kvis run job.yaml

      kvis run job.yaml --dry-run

      kvis run job.yaml --workers 2 --report html,junit

      kvis run job.yaml --shard 0/3
    """
    with exit_codes(traceback):
        from kvis_cli.jobs.planning.plan import make_plan
        from kvis_cli.jobs.running.runner import Options, result_folder, run_job
        from kvis_cli.spec.file import read_job

        part = parse_shard(shard)
        spec = read_job(job, given[RunSpec])
        if dry_run:
            from kvis_cli.jobs.planning.checking import check_plan
            from kvis_cli.jobs.planning.digests import Digests

            folder = result_folder(spec, part)
            plan = make_plan(spec, shard=part, digests=Digests(folder))
            problems = check_plan(plan)
            show_plan(plan, folder, problems, as_json=json, force=force)
            if problems:
                codes = {problem.error.exit_code for problem in problems}
                raise typer.Exit(codes.pop() if len(codes) == 1 else ExitCode.FAILED)
            return
        from kvis_cli.cli.job_console import JobConsole

        listener = JobConsole(quiet=quiet, as_json=json, folder=result_folder(spec, part))
        options = Options(processes=True, resume=not force, clean_stale=clean_stale, shard=part)
        try:
            outcome = run_job(spec, listener, options)
            if part is None:
                from kvis_cli.jobs.running.animating import explain_frames
                from kvis_cli.report import finish_reports

                if outcome.changed:
                    explain_frames(spec, outcome.folder, listener, options)
                finish_reports(outcome.folder, spec.report, spec.gif, outcome.changed, listener)
        finally:
            listener.close()
        listener.ended(outcome)
        if outcome.exit_code:
            raise typer.Exit(outcome.exit_code)


def parse_shard(text: str | None) -> Any:
    """``"1/3"`` as a `Shard`; None for None.

    Parameters
    ----------
    text
        ``I/N``, counted from 0, or None.

    Returns
    -------
    Shard or None
        None for None.

    Raises
    ------
    UsageError
        For anything but I/N with 0 ≤ I < N.
    """
    from kvis_cli.jobs.planning.plan import Shard

    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    if not match or int(match[1]) >= int(match[2]):
        raise UsageError(
            f"--shard cannot be '{text}'.", "It is I/N, counted from 0.", "Three: 0/3, 1/3, 2/3."
        )
    return Shard(int(match[1]), int(match[2]))


def show_plan(
    plan: Any, folder: Path, problems: Sequence[Any], *, as_json: bool, force: bool
) -> None:
    """Print what there is to do, a line per model and entry of the tasks, and what is wrong."""
    from kvis_cli.jobs.results.resume import read_finished

    done = set() if force else set(read_finished(folder).rows)
    rows: dict[tuple[int, int], dict[str, Any]] = {}
    for task in plan.tasks:
        row = rows.setdefault(
            (task.model, task.entry),
            {
                "model": plan.models[task.model].spec.path,
                "task": plan.labels[task.entry],
                "images": set(),
                "methods": {},
                "tasks": 0,
                "done": 0,
            },
        )
        row["images"] |= {task.image} - {None}
        row["methods"] |= {task.method: None} if task.method else {}
        row["tasks"] += 1
        row["done"] += task.id in done
    lines = [
        row | {"images": len(row["images"]), "methods": list(row["methods"])}
        for row in rows.values()
    ]
    finished = sum(row["done"] for row in lines)
    if as_json:
        print_json(
            {
                "output": str(folder),
                "tasks": len(plan.tasks),
                "done": finished,
                "left": len(plan.tasks) - finished,
                "work": lines,
                "problems": [
                    {"what": p.what, "error": str(p.error), "kind": type(p.error).__name__}
                    for p in problems
                ],
            }
        )
        return
    table = Table(
        [Column(name, folds=True) for name in ("model", "task", "methods")]
        + [Column(name, "right") for name in ("images", "tasks", "done", "left")]
    )
    for row in lines:
        numbers = (row["images"], row["tasks"], row["done"], row["tasks"] - row["done"])
        texts = (row["model"], row["task"], ", ".join(row["methods"]))
        table.rows.append((*texts, *map(str, numbers)))
    print_table(table)
    print_line(
        f"{len(plan.models)} models, {len(plan.images)} images, {len(plan.tasks)} tasks: "
        f"{finished} done, {len(plan.tasks) - finished} left; into {folder}"
    )
    listener = ConsoleListener()
    for problem in problems:
        listener.failed(problem.what, problem.error)
