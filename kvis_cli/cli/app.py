"""The ``kvis`` command."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Annotated

import typer

from kvis_cli import __version__
from kvis_cli.cli.lazy import LazyGroup
from kvis_cli.runtime.memory import claim_process
from kvis_cli.shown import ShownStream

# Looking for plugins of pydantic, of which kvis uses none, reads the metadata of every package.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

# Command -> module below kvis_cli.cli that defines a function of that name, and what `kvis --help`
# says about it: the first sentence of the function's docstring (a test compares them).
COMMANDS: dict[str, tuple[str, str]] = {
    "cam": ("cam", "Where does the model look? Class activation maps over your photos."),
    "saliency": (
        "saliency",
        "Which pixels move the score? Gradients, and the methods built on them.",
    ),
    "filters": (
        "filters",
        "What does each filter of a layer want to see? An atlas of pictures, one per filter.",
    ),
    "maximize": (
        "maximize",
        "What does a class or a unit look like to the model? A picture that it is sure of.",
    ),
    "methods": (
        "methods",
        "What --method can name: what each method shows, its paper and its cost.",
    ),
    "compare": (
        "gate.compare",
        "Do two checkpoints look at the same? The same questions put to both, and their maps "
        "compared.",
    ),
    "run": (
        "run",
        "Do a whole job: models × images × methods, resumable, with a report.",
    ),
    "check": (
        "gate.check",
        "Does the model still look where it should? Runs a job and judges its maps by its checks.",
    ),
    "calibrate": (
        "gate.calibrate",
        "What difference is harmless? Measures thresholds for kvis check with models known to be "
        "good.",
    ),
    "baseline": (
        "gate.baseline",
        "What was accepted: show a baseline of kvis check, or what changed in it.",
    ),
    "watch": (
        "watch",
        "Explain checkpoints as a training run writes them: a job for every new file of a folder.",
    ),
    "init": (
        "init",
        "Write a commented job file to start from, with the models and images that are there.",
    ),
    "schema": (
        "schema",
        "The JSON Schema of job files, from which editors complete and check.",
    ),
    "report": ("report", "Make reports of finished runs from their manifest alone."),
    "merge": ("merge", "Join the shards of a job into one result folder."),
    "predict": (
        "predict",
        "What does the model say? Its first classes for your photos: see that it is fed right.",
    ),
    "layers": (
        "layers",
        "What is inside a model: its layers, shapes and parameters, without starting TensorFlow.",
    ),
    "convert": (
        "convert",
        "Write an old or odd model as a .keras file of Keras 3, checked by its predictions.",
    ),
    "init-sidecar": (
        "init_sidecar",
        "Write model.kvis.yaml beside a model: its preprocessing, labels and layer, to be edited.",
    ),
    "init-code": (
        "init_code",
        "Write the Python module that a model needs beside its file: architecture or classes.",
    ),
    "devices": ("devices", "What --device can name on this machine."),
    "doctor": (
        "doctor",
        "What is installed, what is wrong, and how to fix it. Exit code 3 when something is.",
    ),
}

LazyGroup.table = COMMANDS
app = typer.Typer(
    name="kvis",
    cls=LazyGroup,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help="See what a saved Keras model has learned and what it looks at.",
    epilog="Exit codes: 0 all done · 1 something failed, or a check did not pass · 2 wrong usage · "
    "3 could not be evaluated (device, weights, unreadable model) · 130 interrupted.",
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


def main() -> None:
    """Entry point of the console script."""
    claim_process()
    # Everything that is printed, warnings of libraries and tracebacks included.
    sys.stdout, sys.stderr = ShownStream(sys.stdout), ShownStream(sys.stderr)
    try:
        app()
    except SystemExit as leaving:
        if not isinstance(leaving.code, int):
            raise
        # All files are closed; taking the interpreter apart object by object costs a tenth of a
        # second, and with TensorFlow nearly a whole one.
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(leaving.code)
