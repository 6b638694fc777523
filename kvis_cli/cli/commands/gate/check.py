"""``kvis check``."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kvis_cli.cli.job_console import JobConsole
from kvis_cli.cli.options import with_options
from kvis_cli.cli.output import Column, Table, print_json, print_line, print_path, print_table
from kvis_cli.cli.shared import Json, Quiet, Traceback, exit_codes
from kvis_cli.spec.run import RunSpec

if TYPE_CHECKING:
    from kvis_cli.gate.verdicts import Judgement

GATE = "Check"
# With more checks than this, those that passed are only counted.
MAX_ROWS = 40
_STYLES = {"passed": "green", "failed": "bold red", "not evaluated": "bold yellow"}


class Format(StrEnum):
    """How verdicts are printed."""

    text = "text"
    github = "github"


class CheckConsole(JobConsole):
    """Shows the run; stdout is for the verdicts."""

    def __init__(self, *, quiet: bool, folder: Path) -> None:
        super().__init__(quiet=quiet, as_json=False, folder=folder)

    def wrote(self, path: Path) -> None:
        """Leave out the pictures: the manifest lists them."""


@with_options(RunSpec, job=True)
def check(
    job: Annotated[Path, typer.Argument(help="Job file with checks (YAML).", metavar="JOB.yaml")],
    *,
    given: dict[type, dict[str, Any]],
    update_baseline: Annotated[
        bool,
        typer.Option(
            "--update-baseline",
            help="Accept the maps of this run: write them into the baseline folder.",
            rich_help_panel=GATE,
        ),
    ] = False,
    only: Annotated[
        str,
        typer.Option(
            "--only",
            help="What --update-baseline accepts: failing, model=NAME or image=NAME (globs). "
            "(default: all)",
            metavar="WHAT",
            rich_help_panel=GATE,
        ),
    ] = "",
    add_variant: Annotated[
        bool,
        typer.Option(
            "--add-variant",
            help="Accept them beside the maps that were accepted before, up to three a question.",
            rich_help_panel=GATE,
        ),
    ] = False,
    alpha: Annotated[
        float,
        typer.Option(
            "--alpha",
            help="Chance that a run fails a good model, over all checks, classes and models. "
            "(default: 0.05)",
            min=1e-9,
            max=0.5,
            show_default=False,
            rich_help_panel=GATE,
        ),
    ] = 0.05,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Leave with exit code 3 when there are too few images to show what is wanted.",
            rich_help_panel=GATE,
        ),
    ] = False,
    clean_stale: Annotated[
        bool,
        typer.Option(
            "--clean-stale",
            help="Remove pictures in the folder that the job does not ask for.",
            rich_help_panel=GATE,
        ),
    ] = False,
    format: Annotated[
        Format,
        typer.Option(
            "--format",
            help="text, or github: annotations, and the summary of the step.",
            metavar="text|github",
            rich_help_panel=GATE,
        ),
    ] = Format.text,
    json: Json = False,
    quiet: Quiet = False,
    traceback: Traceback = False,
) -> None:
    """Does the model still look where it should? Runs a job and judges its maps by its checks.

    What is done already is not done again. Exit codes: 0 every check passed, 1 a check failed, 2
    the request is wrong, 3 something could not be evaluated: a baseline of other images or
    settings, a missing threshold.

    Examples:

      kvis check job.yaml

      kvis check job.yaml --update-baseline

      kvis check job.yaml --update-baseline --only failing

      kvis check job.yaml --format github --strict
    """
    with exit_codes(traceback):
        from kvis_cli.errors import UsageError
        from kvis_cli.gate.check import Asking, check_job
        from kvis_cli.report import finish_reports
        from kvis_cli.report.checks import MARKDOWN, write_check_reports
        from kvis_cli.report.checks.github import github_annotations
        from kvis_cli.spec.file import read_job

        if json and format is not Format.text:
            raise UsageError("--json and --format github both say what stdout gets.")
        asking = Asking(
            alpha=alpha,
            strict=strict,
            update=update_baseline,
            beside=add_variant,
            only=only,
            clean=clean_stale,
        )
        spec = read_job(job, given[RunSpec])
        listener = CheckConsole(quiet=quiet, folder=Path(spec.output))
        try:
            checked = check_job(spec, listener, asking, file=str(job))
            folder = checked.outcome.folder
            finish_reports(folder, spec.report, spec.gif, checked.outcome.changed, listener)
            written = write_check_reports(checked, folder, str(job))
        finally:
            listener.close()
        judgement = checked.judgement
        if json:
            files = [str(path) for path in written]
            print_json({**judgement.to_json(), "files": files, "baseline": _said(checked.written)})
        elif format is Format.github:
            for line in github_annotations(judgement, str(job)):
                print_line(line)
            summary = os.environ.get("GITHUB_STEP_SUMMARY")
            if summary:
                text = (folder / MARKDOWN).read_text("utf-8")
                with Path(summary).open("a", encoding="utf-8") as stream:
                    stream.write(text + "\n")
        else:
            _show(judgement)
            for path in [*written, *([checked.written] if checked.written else [])]:
                print_path(path)
        if judgement.exit_code:
            raise typer.Exit(judgement.exit_code)


def _said(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _show(judgement: Judgement) -> None:
    columns = [Column(""), Column("check"), Column("model", folds=True), Column("method")]
    table = Table([*columns, Column("class", folds=True), Column("", folds=True)])
    shown = judgement.cases
    if len(shown) > MAX_ROWS:
        shown = [case for case in shown if case.verdict.value != "passed"]
    for case in shown:
        word = case.verdict.value
        table.rows.append(
            [
                (word, _STYLES.get(word, "yellow")),
                f"{case.check} {case.limit}",
                case.model,
                case.method,
                case.label,
                case.text,
            ]
        )
    if table.rows:
        print_table(table)
    if len(shown) < len(judgement.cases):
        print_line(f"{len(judgement.cases) - len(shown)} passed; all of them are in check.md")
    for problem in judgement.problems:
        print_line(f"not evaluated: {problem}")
    for note in judgement.notes:
        print_line(note)
    print_line(judgement.headline)
