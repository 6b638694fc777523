"""The ``kvis`` command."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from kvis_cli import __version__
from kvis_cli.cli.cam import cam
from kvis_cli.cli.devices import devices
from kvis_cli.cli.doctor import doctor
from kvis_cli.cli.layers import layers

app = typer.Typer(
    name="kvis",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help="See what a saved Keras model has learned and what it looks at.",
    epilog="Exit codes: 0 all done · 1 something failed · 2 wrong usage · 3 could not be "
    "evaluated (device, weights, unreadable model) · 130 interrupted.",
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"kvis {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """See what a saved Keras model has learned and what it looks at."""


app.command()(cam)
app.command()(layers)
app.command()(devices)
app.command()(doctor)


def main() -> None:
    """Entry point of the console script."""
    sys.exit(app())
