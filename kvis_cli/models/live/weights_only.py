"""Files of weights alone, and SavedModels: what holds no layers that Keras could build."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from kvis_cli.errors import ModelError, UsageError, WeightsError
from kvis_cli.models.description import applications
from kvis_cli.models.description.info import ModelInfo
from kvis_cli.models.description.recognized import application_of_weights, recognize_file
from kvis_cli.models.files.read import stored_weights
from kvis_cli.models.files.savedmodel import opened_folder
from kvis_cli.models.legacy.groups import load_weights
from kvis_cli.models.live.imports import imported
from kvis_cli.models.live.keras_errors import explained
from kvis_cli.shown import said


def from_weights(info: ModelInfo) -> keras.Model:
    """Return a weights-only file with ``--arch module:function`` or ``app:name``."""
    assert info.file is not None
    reference = info.spec.arch or ""
    path = info.file.path
    if reference.startswith("app:"):
        name = reference.removeprefix("app:")
        known = applications.parse_reference(f"{name}:{path}")
        if known is None:
            raise applications.unknown(name)
        found = recognize_file(path)
        if found is not None and found.name == known.name and (found.top or not found.rest):
            # Its width and its classes, which the name does not say.
            known = application_of_weights(path)
        return applications.build(known)
    model = imported(reference, "architecture")
    if not isinstance(model, keras.Model):
        try:
            model = model()
        except Exception as error:
            raise UsageError(
                f"The architecture '{reference}' cannot be built.",
                f"{type(error).__name__}: {said(error)}.",
                "Name a function that takes nothing and returns the model.",
            ) from None
    if not isinstance(model, keras.Model):
        raise UsageError(
            f"'{reference}' gave no Keras model.", f"It gave a {type(model).__name__}."
        )
    if not model.built:
        shape = info.stated_shape()
        if shape is None:
            raise UsageError(
                f"The model of '{reference}' is not built.",
                "It does not know the shape of its input, and so has no weights yet.",
                "Give it: --input-shape 224,224,3.",
            )
        with explained(info):
            model.build((None, *shape))
    try:
        load_weights(model, path)
    except Exception as error:
        raise WeightsError(
            f"The weights in '{path}' are not those of {reference}.",
            said(error),
            "Name the function that made the model when the weights were saved.",
        ) from error
    taken = sum(int(np.prod(w.shape)) for w in model.weights)
    stored = stored_numbers(path)
    if stored > taken:
        # Keras leaves out what it finds no layer for, without a word.
        raise WeightsError(
            f"The weights in '{path}' are not those of {reference}.",
            f"The file stores {stored:,} numbers and the model takes {taken:,}.",
            "Name the function that made the model when the weights were saved.",
        )
    return model


def stored_numbers(path: Path) -> int:
    """Return how many numbers the weights of a file are."""
    return sum(int(np.prod(w.shape, dtype=object)) for w in stored_weights(path))


def from_saved_model(info: ModelInfo) -> keras.Model:
    """Return a SavedModel as one layer: its gradients flow, its layers are not to be seen."""
    assert info.file is not None
    import tensorflow as tf

    path = info.file.path
    with explained(info), opened_folder(path, trust=info.spec.trust) as folder:
        loaded = tf.saved_model.load(str(folder))
        endpoints = [name for name in ("serve", "serving_default") if hasattr(loaded, name)]
        endpoints += [name for name in loaded.signatures if name not in endpoints]
        if not endpoints:
            raise ModelError(
                f"{info.reference} has nothing to call.",
                "It is a SavedModel without signatures.",
                "Save it with `model.export('folder')`.",
            )
        endpoint = "serving_default" if "serving_default" in loaded.signatures else endpoints[0]
        layer = keras.layers.TFSMLayer(str(folder), call_endpoint=endpoint, name="saved_model")
        layer.filepath = str(path)
        entry = loaded.signatures[endpoint].structured_input_signature[1]
        inputs = {
            name: keras.Input(batch_shape=tuple(spec.shape), dtype=spec.dtype.name, name=name)
            for name, spec in entry.items()
        }
        outputs = layer(next(iter(inputs.values()))) if len(inputs) == 1 else layer(**inputs)
        if isinstance(outputs, dict) and len(outputs) == 1:
            outputs = next(iter(outputs.values()))
        single = next(iter(inputs.values())) if len(inputs) == 1 else inputs
        return keras.Model(single, outputs, name=info.name)
