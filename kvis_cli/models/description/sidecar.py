"""``model.kvis.yaml`` beside a model: what its file does not say about itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from kvis_cli.errors import SpecError
from kvis_cli.models.request import Assignments
from kvis_cli.options.fields import Spec

MAX_SIDECAR = 1024 * 1024


class Sidecar(Spec):
    """The contents of a sidecar file. A relative label file is relative to the sidecar.

    Attributes
    ----------
    preprocess
        As in a job file: a preset name or ``{mean, std, color}``.
    labels
        A label file, a list of names, or ``imagenet``.
    layer
        The layer that ``--layer auto`` means.
    size
        Input size where the model leaves it open.
    replace_layer
        Layers to put in the place of others: name → ``rescaling:scale=…``.
    """

    preprocess: str | dict[str, Any] | None = None
    labels: str | list[str] | None = None
    layer: str | None = None
    size: str | int | None = None
    replace_layer: Assignments = Field(default_factory=list)


def sidecar_path(model: Path) -> Path:
    """Where the sidecar of `model` is looked for: ``cat.keras`` -> ``cat.kvis.yaml``."""
    return model.with_name(model.stem + ".kvis.yaml")


def read_sidecar(model: Path) -> tuple[Sidecar, Path] | None:
    """Return the sidecar of a model file, or None when there is none.

    Besides ``<stem>.kvis.yaml``, a ``model.kvis.yaml`` in the folder serves all models in it
    (the checkpoints of one run).

    Parameters
    ----------
    model
        The model's file.

    Returns
    -------
    Sidecar and pathlib.Path, or None
        The sidecar and its file.

    Raises
    ------
    SpecError
        For a sidecar that cannot be read or says something unknown.
    """
    for path in (sidecar_path(model), model.with_name("model.kvis.yaml")):
        if path.is_file():
            return _read(path), path
    return None


def _read(path: Path) -> Sidecar:
    # Imported only where there is a sidecar: most models have none.
    from kvis_cli.options.yaml import load_yaml

    data = load_yaml(path, limit=MAX_SIDECAR)
    if not isinstance(data, dict):
        raise SpecError(f"The sidecar {path} is not a mapping.", "", "Write 'preprocess: signed'.")
    try:
        return Sidecar.model_validate(data)
    except ValidationError as error:
        # What words the mistakes need, a valid sidecar need not wait for.
        from kvis_cli.options.mistakes import describe, keys_of, near_key

        def suggest(location: tuple[Any, ...]) -> str:
            return near_key(str(location[-1]), keys_of(Sidecar))

        raise SpecError(
            f"The sidecar {path} is not valid:",
            "; ".join(describe(e, False, suggest) for e in error.errors()) + ".",
            f"It has the keys {', '.join(Sidecar.model_fields)}.",
        ) from None
