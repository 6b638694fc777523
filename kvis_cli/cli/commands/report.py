"""``kvis report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kvis_cli.cli.output import print_path
from kvis_cli.cli.shared import Traceback, exit_codes
from kvis_cli.spec.formats import REPORTS, one_of_reports


def report(
    folder: Annotated[Path, typer.Argument(help="Result folder of a run.", metavar="DIR")],
    *,
    format: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            "-f",
            help=f"{one_of_reports()}; several are allowed. (default: html)",
            metavar="NAME",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The file to write, for a single format."),
    ] = None,
    gif: Annotated[
        bool,
        typer.Option("--gif", help="Also write an animation over the models for every image."),
    ] = False,
    traceback: Traceback = False,
) -> None:
    """Make reports of finished runs from their manifest alone.

    Examples:

      kvis report kvis-out

      kvis report kvis-out --format junit,markdown

      kvis report kvis-out --gif
    """
    with exit_codes(traceback):
        from kvis_cli.errors import UnknownNameError, UsageError
        from kvis_cli.options.fields import as_list
        from kvis_cli.report.animations import write_animations
        from kvis_cli.report.write import write_report

        names = list(dict.fromkeys(as_list(format or ["html"])))
        for name in names:
            if name not in REPORTS:
                raise UnknownNameError.of("format", name, REPORTS)
        if out is not None and len(names) > 1:
            raise UsageError("--out names one file.", f"There are {len(names)} formats.")
        for name in names:
            print_path(write_report(folder, name, out))
        if gif:
            for path in write_animations(folder):
                print_path(path)
