"""``kvis convert``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kvis_cli.cli.console import ConsoleListener
from kvis_cli.cli.options import with_options
from kvis_cli.cli.output import print_json
from kvis_cli.cli.shared import Json, Quiet, Traceback, exit_codes
from kvis_cli.models.request import ModelSpec


@with_options(ModelSpec)
def convert(
    model: Annotated[str, typer.Argument(help="Model file, or keras.applications name.")],
    out: Annotated[Path, typer.Argument(help="File to write, ending in .keras.")],
    *,
    given: dict[type, dict[str, Any]],
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    json: Json = False,
    quiet: Quiet = False,
    traceback: Traceback = False,
) -> None:
    """Write an old or odd model as a .keras file of Keras 3, checked by its predictions.

    The new file is opened again, and both models have to predict the same on seeded noise.

    Examples:

      kvis convert keras_model.h5 model.keras

      kvis convert old.h5 new.keras --replace-layer lambda_1=rescaling:scale=1/127.5,offset=-1
    """
    with exit_codes(traceback):
        from kvis_cli.models.description.info import describe_model
        from kvis_cli.models.description.trust import check_file
        from kvis_cli.models.request import build_model_spec

        listener = ConsoleListener(quiet=quiet, as_json=json)
        info = describe_model(build_model_spec({"path": model, **given[ModelSpec]}))
        check_file(info)
        target = check_target(out, force)
        listener.starting()
        from kvis_cli.runtime.tensorflow import import_tensorflow

        import_tensorflow()
        from kvis_cli.models.live.convert import convert_model

        difference = convert_model(info, target)
        for change in info.changes:
            listener.note(f"upgraded: {change}")
        listener.note(f"largest difference between the predictions: {difference:.1e}")
        if json:
            print_json({"file": str(target), "difference": difference, "upgrades": info.changes})
        else:
            listener.wrote(target)


def check_target(out: Path, force: bool) -> Path:
    """Where to write.

    Parameters
    ----------
    out
        Where the user wants the model.
    force
        Whether a file that is there may be replaced.

    Returns
    -------
    pathlib.Path
        `out` as it was given.

    Raises
    ------
    UsageError
        For another suffix, or a file that is there and not to be replaced.
    """
    from kvis_cli.errors import UsageError

    if out.suffix != ".keras":
        raise UsageError(f"'{out}' does not end in .keras.", "", "Give a name such as model.keras.")
    if out.exists() and not force:
        raise UsageError(f"'{out}' exists.", "", "Add --force to replace it.")
    if not out.parent.is_dir():
        raise UsageError(f"There is no folder '{out.parent}'.")
    return out
