"""``kvis cam``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from kvis_cli.cli.options import with_options
from kvis_cli.cli.shared import Json, Quiet, Traceback, run_task
from kvis_cli.models.request import ModelSpec
from kvis_cli.spec.cam import CamSpec
from kvis_cli.spec.run import RunSpec


@with_options(CamSpec, ModelSpec, RunSpec)
def cam(
    model: Annotated[str, typer.Argument(help="Model file, or keras.applications name.")],
    images: Annotated[list[str], typer.Argument(help="Pictures, folders and globs.")],
    *,
    given: dict[type, dict[str, Any]],
    json: Json = False,
    quiet: Quiet = False,
    traceback: Traceback = False,
) -> None:
    """Where does the model look? Class activation maps over your photos.

    Examples:

      kvis cam model.keras cat.jpg --class 281

      kvis cam mobilenet_v2 photos/ --class top3 --grid

      kvis cam model.h5 'photos/*.png' --class "tabby,bear" --layer base/conv5 --raw
    """
    run_task(CamSpec, given, model, images, json=json, quiet=quiet, show_traceback=traceback)
