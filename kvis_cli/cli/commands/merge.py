"""``kvis merge``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kvis_cli.cli.output import print_path
from kvis_cli.cli.shared import Traceback, exit_codes
from kvis_cli.spec.formats import REPORTS


def merge(
    out: Annotated[Path, typer.Argument(help="Folder of the joined results.", metavar="DIR")],
    shards: Annotated[
        list[Path] | None,
        typer.Argument(help="Folders of the shards. (default: DIR/shard-*)", metavar="SHARD…"),
    ] = None,
    *,
    partial: Annotated[
        bool, typer.Option("--partial", help="Join what is there, though shards are missing.")
    ] = False,
    move: Annotated[
        bool, typer.Option("--move", help="Move the pictures instead of copying them.")
    ] = False,
    report: Annotated[
        list[str] | None,
        typer.Option("--report", help=f"Reports to write: {', '.join(REPORTS)}.", metavar="FORMAT"),
    ] = None,
    traceback: Traceback = False,
) -> None:
    """Join the shards of a job into one result folder.

    Reports that the job asks for are written, and those of --report.

    Examples:

      kvis merge kvis-out

      kvis merge joined shard-0/ shard-1/ shard-2/ --report html
    """
    with exit_codes(traceback):
        import json

        from kvis_cli.errors import UnknownNameError
        from kvis_cli.jobs.results.merge import merge_shards
        from kvis_cli.jobs.results.store import RUN
        from kvis_cli.options.fields import as_list
        from kvis_cli.report.animations import write_animations
        from kvis_cli.report.write import write_report

        asked = as_list(report or [])
        for name in asked:
            if name not in REPORTS:
                raise UnknownNameError.of("report", name, REPORTS)
        for path in merge_shards(out, shards or (), partial=partial, move=move):
            print_path(path)
        run = json.loads((out / RUN).read_text("utf-8"))
        for name in dict.fromkeys([*run["spec"].get("report", []), *asked]):
            print_path(write_report(out, name))
        if run["spec"].get("gif"):
            for path in write_animations(out):
                print_path(path)
        if run["failures"] or run["distrusted"]:
            raise typer.Exit(1)
