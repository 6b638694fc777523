"""``kvis init-code``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kvis_cli.cli.console import ConsoleListener
from kvis_cli.cli.shared import Quiet, Traceback, exit_codes


def init_code(
    model: Annotated[str, typer.Argument(help="File of weights alone, or with custom classes.")],
    *,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="File to write: <model>_code.py in this folder."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    quiet: Quiet = False,
    traceback: Traceback = False,
) -> None:
    """Write the Python module that a model needs beside its file: architecture or classes.

    For a file of weights alone it is a function that builds the model, as far as the names and
    shapes of the weights decide it, for --arch. For a file with classes that are not Keras' own it
    is these classes with the settings and weights that the file has of them, for --custom-objects.
    What the file does not say is marked, for you to write.

    Examples:

      kvis init-code best.weights.h5

      kvis init-code transformer.keras --out my_layers.py
    """
    with exit_codes(traceback):
        from kvis_cli.models.code.writing import write_code

        written = write_code(model, out, force=force)
        listener = ConsoleListener(quiet=quiet)
        listener.note(f"complete it, then: {written.usage}")
        listener.wrote(written.path)
