"""Writing an opened model as a ``.keras`` file of today, and proving that it is the same model."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kvis_cli.errors import ModelError, OutputError, ResultError
from kvis_cli.models.description.info import ModelInfo, describe_model
from kvis_cli.models.live.open import open_model
from kvis_cli.models.live.structure import input_structure
from kvis_cli.models.request import ModelSpec
from kvis_cli.shown import said

EXAMPLES = 4
# An open size is tried at this many steps or pixels.
OPEN_SIZE = 64
TOLERANCE = 1e-5


def convert_model(info: ModelInfo, out: Path) -> float:
    """Open a model, write it to `out` and compare the predictions of both.

    Parameters
    ----------
    info
        The model.
    out
        Where the ``.keras`` file goes; one that is there is replaced.

    Returns
    -------
    float
        The largest difference between two outputs, relative to the largest output where that is
        above 1.

    Raises
    ------
    ModelError
        When the model cannot be opened, or has no form that Keras could save.
    OutputError
        When `out` cannot be written.
    ResultError
        When the new file predicts something else; it is not kept.
    """
    if info.file is not None and info.file.format == "savedmodel":
        raise ModelError(
            f"{info.reference} cannot be converted.",
            "A SavedModel holds compiled functions, not Keras layers.",
            "Convert the Keras model that it was exported from.",
        )
    opened = open_model(info)
    with tempfile.TemporaryDirectory(dir=_writable(out.parent), prefix=".kvis-") as folder:
        new = Path(folder) / "model.keras"
        try:
            opened.model.save(new)
        except OSError as error:
            raise OutputError(f"'{out}' cannot be written.", f"{error.strerror}.") from error
        except Exception as error:
            raise ModelError(f"Keras cannot save {info.reference}.", said(error)) from error
        spec = ModelSpec(
            path=str(new), custom_objects=info.spec.custom_objects, trust=info.spec.trust
        )
        again = open_model(describe_model(spec))
        inputs = _noise(*input_structure(info, opened.model))
        difference = _difference(opened.model, again.model, inputs)
        if not difference <= TOLERANCE:
            raise ResultError(
                f"The converted {info.reference} predicts something else.",
                f"Its outputs differ by up to {difference:.2g}.",
                "The file was not kept: please report which layers it has (`kvis layers`).",
            )
        os.replace(new, out)  # noqa: PTH105
    return difference


def _writable(folder: Path) -> Path:
    if not os.access(folder, os.W_OK):
        raise OutputError(f"The folder '{folder}' cannot be written to.", "Permission denied.")
    return folder


def _noise(specs: Any, names: Any) -> Any:
    """Seeded inputs: pixels-like for numbers, small tokens for integers."""
    del names
    rng = np.random.default_rng(0)

    def make(spec: Any) -> Any:
        shape = (EXAMPLES, *(OPEN_SIZE if n is None else n for n in spec.shape[1:]))
        if spec.dtype.is_integer:
            return rng.integers(0, 2, shape).astype(spec.dtype.as_numpy_dtype)
        return rng.uniform(-1, 1, shape).astype(np.float32)

    return keras.tree.map_structure(make, specs)


def _difference(a: keras.Model, b: keras.Model, inputs: Any) -> float:
    pairs = zip(
        keras.tree.flatten(a(inputs, training=False)),
        keras.tree.flatten(b(inputs, training=False)),
        strict=True,
    )
    worst = 0.0
    for one, other in pairs:
        x, y = np.asarray(one, np.float64), np.asarray(other, np.float64)
        if x.shape != y.shape:
            return float("inf")
        worst = max(worst, float(np.max(np.abs(x - y)) / max(1.0, float(np.max(np.abs(x))))))
    return worst
