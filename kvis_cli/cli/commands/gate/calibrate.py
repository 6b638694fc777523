"""``kvis calibrate``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kvis_cli.cli.commands.gate.check import CheckConsole
from kvis_cli.cli.options import with_options
from kvis_cli.cli.output import Column, Table, print_json, print_line, print_path, print_table
from kvis_cli.cli.shared import Json, Quiet, Traceback, exit_codes
from kvis_cli.spec.run import RunSpec

if TYPE_CHECKING:
    from kvis_cli.gate.calibration.found import Calibration, Level

CALIBRATE = "Calibrate"


class Separates(StrEnum):
    """What separates the good models."""

    retrain = "retrain"
    finetune = "finetune"


@with_options(RunSpec, job=True)
def calibrate(
    job: Annotated[Path, typer.Argument(help="Job file with a baseline.", metavar="JOB.yaml")],
    *,
    given: dict[type, dict[str, Any]],
    good: Annotated[
        list[str],
        typer.Option(
            "--good",
            help="Models known to be good: other seeds, neighbouring epochs. Files and globs; "
            "repeatable.",
            metavar="FILES",
            rich_help_panel=CALIBRATE,
        ),
    ],
    bad: Annotated[
        list[str] | None,
        typer.Option(
            "--bad",
            help="Models known to be bad, to see which of them are found.",
            metavar="FILES",
            rich_help_panel=CALIBRATE,
        ),
    ] = None,
    of: Annotated[
        Separates,
        typer.Option(
            "--of",
            help="What separates the good models: retrain (other seeds) or finetune (epochs).",
            metavar="retrain|finetune",
            rich_help_panel=CALIBRATE,
        ),
    ] = Separates.retrain,
    alpha: Annotated[
        float,
        typer.Option(
            "--alpha",
            help="Chance that a run of the checks fails a good model. (default: 0.05)",
            min=1e-9,
            max=0.5,
            show_default=False,
            rich_help_panel=CALIBRATE,
        ),
    ] = 0.05,
    json: Json = False,
    quiet: Quiet = False,
    traceback: Traceback = False,
) -> None:
    """What difference is harmless? Measures thresholds for kvis check with models known to be good.

    Explains the job's photos by the job's model, by the good ones, by the model with its top layers
    re-initialised, and by the model once more on photos that are shifted by a pixel, re-encoded as
    JPEG and brightened by 2 %. Writes thresholds.json into the baseline folder, which `min:
    calibrated` of kvis check reads.

    Examples:

      kvis calibrate job.yaml --good 'twins/*.keras'

      kvis calibrate job.yaml --good 'twins/*.keras' --bad shortcut.keras

      kvis calibrate job.yaml --good 'epochs/*.keras' --of finetune
    """
    with exit_codes(traceback):
        from kvis_cli.gate.calibration.calibrate import Calibrating, calibrate_job
        from kvis_cli.spec.file import read_job

        spec = read_job(job, given[RunSpec])
        asking = Calibrating(good, bad or [], of.value, alpha)
        listener = CheckConsole(quiet=quiet, folder=Path(spec.output))
        try:
            found = calibrate_job(spec, listener, asking, file=str(job))
        finally:
            listener.close()
        if json:
            print_json(found.to_json())
            return
        _show(found)
        if found.written is not None:
            print_path(found.written)


def _show(found: Calibration) -> None:
    table = Table(
        [Column("measure"), Column("method"), Column("class", folds=True)]
        + [Column(name, "right") for name in ("threshold", "noise", "good models", "spread")]
        + [Column("control", "right"), Column("bad", "right")]
    )
    for level in found.levels:
        bound = level.bound
        table.rows.append(
            [
                level.metric,
                level.method,
                level.label or "all",
                "none" if bound is None else f"{bound.limit:.3f}",
                _number(level.worst_noise),
                _range(level),
                "" if bound is None else f"{bound.spread:.3f}",
                *(_power(found, level, kind) for kind in ("control", "bad")),
            ]
        )
    print_table(table)
    for sentence in found.sentences():
        print_line(sentence)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _range(level: Level) -> str:
    known = [value for value in level.values if value is not None]
    return f"{min(known):.3f} … {max(known):.3f}" if known else ""


def _power(found: Calibration, level: Level, kind: str) -> str:
    """``4 of 5``: how many models fail in this class."""
    for power in found.powers:
        if (power.metric, power.method, power.kind) == (level.metric, level.method, kind):
            classes = power.failing.values()
            caught = sum(level.label in c if level.asked is not None else bool(c) for c in classes)
            return f"{caught} of {len(power.failing)}"
    return ""
