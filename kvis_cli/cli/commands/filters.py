"""``kvis filters``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from kvis_cli.cli.options import with_options
from kvis_cli.cli.shared import Json, Quiet, Traceback, run_task
from kvis_cli.models.request import ModelSpec
from kvis_cli.spec.filters import FiltersSpec
from kvis_cli.spec.run import RunSpec


@with_options(FiltersSpec, ModelSpec, RunSpec, without=("fit", "labels", "output", "size"))
def filters(
    model: Annotated[str, typer.Argument(help="Model file, or keras.applications name.")] = "vgg16",
    *,
    given: dict[type, dict[str, Any]],
    json: Json = False,
    quiet: Quiet = False,
    traceback: Traceback = False,
) -> None:
    """What does each filter of a layer want to see? An atlas of pictures, one per filter.

    Examples:

      kvis filters --layer block3_conv1

      kvis filters vgg16 --layer block1_conv1,block2_conv1,block3_conv1 --preset chollet

      kvis filters model.keras --layer conv2 --filters random:16 --grid 4x4 --size 128 --captions

      kvis filters model.keras --layer conv1 --weights
    """
    run_task(FiltersSpec, given, model, json=json, quiet=quiet, show_traceback=traceback)
