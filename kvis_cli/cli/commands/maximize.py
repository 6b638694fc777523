"""``kvis maximize``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from kvis_cli.cli.options import with_options
from kvis_cli.cli.shared import Json, Quiet, Traceback, run_task
from kvis_cli.models.request import ModelSpec
from kvis_cli.spec.maximize import MaximizeSpec
from kvis_cli.spec.run import RunSpec


@with_options(MaximizeSpec, ModelSpec, RunSpec, without=("size",))
def maximize(
    model: Annotated[str, typer.Argument(help="Model file, or keras.applications name.")],
    *,
    given: dict[type, dict[str, Any]],
    json: Json = False,
    quiet: Quiet = False,
    traceback: Traceback = False,
) -> None:
    """What does a class or a unit look like to the model? A picture that it is sure of.

    Examples:

      kvis maximize model.keras --class 20,281

      kvis maximize model.keras --class "goldfish" --runs 3 --grid

      kvis maximize model.keras --layer conv5 --unit 0-7 --size 128

      kvis maximize model.keras --class 20 --stages "tv=0,jitter=5%;tv=10" --gif ouzel.gif
    """
    run_task(MaximizeSpec, given, model, json=json, quiet=quiet, show_traceback=traceback)
