"""``kvis saliency``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from kvis_cli.cli.options import with_options
from kvis_cli.cli.shared import Json, Quiet, Traceback, run_task
from kvis_cli.models.request import ModelSpec
from kvis_cli.spec.run import RunSpec
from kvis_cli.spec.saliency import SaliencySpec


@with_options(SaliencySpec, ModelSpec, RunSpec)
def saliency(
    model: Annotated[str, typer.Argument(help="Model file, or keras.applications name.")],
    images: Annotated[list[str], typer.Argument(help="Pictures, folders and globs.")],
    *,
    given: dict[type, dict[str, Any]],
    json: Json = False,
    quiet: Quiet = False,
    traceback: Traceback = False,
) -> None:
    """Which pixels move the score? Gradients, and the methods built on them.

    Examples:

      kvis saliency model.keras cat.jpg --class 281 --method smoothgrad

      kvis saliency model.keras photos/ -m gradient,guided_backprop,occlusion --grid

      kvis saliency steering.h5 road.png --direction decrease

      kvis saliency model.keras cat.jpg --layer conv3 --unit 12,40

      kvis saliency unet.keras photo.jpg --region predicted
    """
    run_task(SaliencySpec, given, model, images, json=json, quiet=quiet, show_traceback=traceback)
