"""``kvis init``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kvis_cli.cli.output import print_path
from kvis_cli.cli.shared import Traceback, exit_codes


def init(
    folder: Annotated[Path, typer.Argument(help="Where to look for models and images.")] = Path(),
    *,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The file to write. (default: FOLDER/job.yaml)"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file of that name.")] = False,
    traceback: Traceback = False,
) -> None:
    """Write a commented job file to start from, with the models and images that are there.

    Examples:

      kvis init

      kvis init experiments/ -o job.yaml
    """
    with exit_codes(traceback):
        from kvis_cli.cli.terminal import make_console, told
        from kvis_cli.errors import UsageError
        from kvis_cli.paths import write_bytes_atomic
        from kvis_cli.spec.starter import starter

        if not folder.is_dir():
            raise UsageError(f"There is no folder '{folder}'.")
        path = out or folder / "job.yaml"
        if path.exists() and not force:
            raise UsageError(f"'{path}' is there already.", "", "--force replaces it.")
        text = starter(folder, path.parent)
        write_bytes_atomic(path, text.encode())
        print_path(path)
        make_console(stderr=True).print(told(f"kvis run {path} --dry-run   says what it would do"))
