"""Writing the module that a model needs, and saying how it is used."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from kvis_cli.errors import UsageError
from kvis_cli.models.code.architecture import architecture_code
from kvis_cli.models.code.classes import OwnClass, classes_code, own_classes
from kvis_cli.models.description.recognized import recognize_file
from kvis_cli.models.files.kinds import ModelFile
from kvis_cli.models.files.read import read_model_file
from kvis_cli.models.files.weight_layers import weight_layers
from kvis_cli.models.legacy.upgrade import upgrade
from kvis_cli.paths import user_path, write_bytes_atomic


@dataclass(frozen=True)
class Written:
    """A module that was written.

    Attributes
    ----------
    path
        The file.
    usage
        The options that name what is in it.
    """

    path: Path
    usage: str


def write_code(reference: str, out: Path | None = None, *, force: bool = False) -> Written:
    """Write the Python module that a model file needs beside it.

    Parameters
    ----------
    reference
        The model file, as the user typed it.
    out
        Where to; None for ``<model>_code.py`` in the current folder.
    force
        Replace a file that is there.

    Returns
    -------
    Written
        The file, and the option that uses it.

    Raises
    ------
    ModelError
        For a file that is damaged or no model, and for weights that decide no architecture.
    UsageError
        For a model that needs no code, and a file that is there.
    OutputError
        When it cannot be written.
    """
    path = user_path(reference)
    file = read_model_file(path, allow_weights_only=True)
    target = out or Path(f"{module_name(path)}.py")
    if target.suffix != ".py" or not target.stem.isidentifier():
        raise UsageError(
            f"'{target}' is no name of a Python module.", "", "Give a name such as model_code.py."
        )
    if file.format == "weights_h5":
        text = _architecture(path)
        usage = f"--arch {target.stem}:make_model"
    else:
        found = _own_classes(file)
        if not found:
            raise UsageError(
                f"{reference} needs no code beside its file.",
                "Its architecture is in it, and all of its classes are Keras' own.",
                f"`kvis layers {reference}` shows them.",
            )
        text = classes_code(found, path.name)
        usage = "--custom-objects " + ",".join(f"{target.stem}:{entry.name}" for entry in found)
    if target.exists() and not force:
        raise UsageError(f"'{target}' exists.", "", "Add --force to replace it.")
    write_bytes_atomic(target, text.encode())
    return Written(target, usage)


def _own_classes(file: ModelFile) -> list[OwnClass]:
    config = upgrade(file.config, keras_version=file.keras_version).config
    if file.format in ("savedmodel", "tfjs") or not config:
        return own_classes(config, (), ordered=True)
    layers, ordered = weight_layers(file.weights_path)
    return own_classes(config, layers, ordered=ordered)


def _architecture(path: Path) -> str:
    layers, ordered = weight_layers(path)
    recognized = recognize_file(path)
    if recognized is not None and (recognized.top or not recognized.rest):
        raise UsageError(
            f"'{path}' needs no code beside it.",
            f"It has the weights of {recognized.name}, which kvis builds by itself.",
            f"`kvis cam {path} photo.jpg` opens it.",
        )
    return architecture_code(layers, ordered=ordered, reference=path.name, recognized=recognized)


def module_name(path: Path) -> str:
    """Return the module for a model file: ``my-best.weights.h5`` → ``my_best_weights_code``."""
    stem = re.sub(r"\W+", "_", path.stem, flags=re.ASCII).strip("_") or "model"
    return f"model_{stem}_code" if stem[0].isdigit() else f"{stem}_code"
