"""From a description to a Keras model: as Keras opens it, or by way of the upgrade."""

from __future__ import annotations

import contextlib
import copy
import inspect
import warnings
from collections.abc import Iterator
from typing import Any

import keras

from kvis_cli.errors import KvisError, ModelError, UsageError, WeightsError
from kvis_cli.models.description.info import ModelInfo
from kvis_cli.models.description.replacements import parse_replacement
from kvis_cli.models.description.trust import check_file
from kvis_cli.models.files.json_models import read_document
from kvis_cli.models.files.read import stored_weights
from kvis_cli.models.files.tfjs import groups, read_arrays
from kvis_cli.models.files.weight_layers import weight_layers
from kvis_cli.models.graph.editing import iterate_layers
from kvis_cli.models.legacy.groups import load_weights
from kvis_cli.models.legacy.tables import FUNCTIONAL
from kvis_cli.models.legacy.weights import legacy_arrays
from kvis_cli.models.live.imports import custom_objects, named_in
from kvis_cli.models.live.keras_errors import explained
from kvis_cli.models.live.legacy_objects import legacy_objects
from kvis_cli.models.live.named_weights import assign_named
from kvis_cli.models.live.weights_only import from_saved_model, from_weights, stored_numbers
from kvis_cli.shown import said

# What a file may lack of the weights that its layers declare (seeds, counters) and still be sound.
SPARE_WEIGHTS = 10_000


def build_model(info: ModelInfo) -> keras.Model:
    """Build the model of a file and give it its weights; the file is only read.

    Parameters
    ----------
    info
        A model with a file.

    Returns
    -------
    keras.Model
        With its weights, on the TensorFlow backend.

    Raises
    ------
    ModelError
        When Keras cannot build it.
    UntrustedError
        When it holds code and ``--trust`` was not given.
    WeightsError
        When the stored weights are not those of its layers.
    """
    assert info.file is not None
    path = info.file.path
    if info.file.format == "savedmodel":
        # It judges the very bytes that TensorFlow opens.
        return from_saved_model(info)
    check_file(info)
    if info.file.format == "weights_h5":
        return from_weights(info)
    _check_amounts(info)
    objects = {**legacy_objects(), **custom_objects(info.spec.custom_objects)}
    if info.spec.trust:
        objects = {**named_in(info.config), **objects}
    try:
        with warnings.catch_warnings(), explained(info), _trusting(info.spec.trust):
            # What Keras thinks of how the model was written is of no use to who explains it.
            warnings.simplefilter("ignore")
            if info.native:
                return keras.saving.load_model(
                    path, custom_objects=objects, compile=False, safe_mode=not info.spec.trust
                )
            return _from_config(info, objects)
    except KvisError:
        raise
    except (ValueError, TypeError) as error:
        raise ModelError(f"Keras cannot open {info.reference}.", str(error)[:400]) from error


# --- refusing ----------------------------------------------------------------------------------


def _check_amounts(info: ModelInfo) -> None:
    """Refuse weights that are no real numbers, and layers that declare more than the file holds.

    Raises
    ------
    WeightsError
        Before any layer is made: with both numbers, or the name of the weights.
    """
    assert info.file is not None
    for weight in stored_weights(info.file.path):
        if weight.dtype.startswith("complex"):
            # Keras would leave their imaginary parts out.
            raise WeightsError(
                f"{info.reference} holds weights that are complex numbers: '{weight.path}'.",
                "No layer of Keras has such weights.",
                "The file was altered: copy it again, or save it again.",
            )
    declared, seen = 0, set()
    for call in info.architecture:
        if call.layer_path not in seen:
            seen.add(call.layer_path)
            declared += call.params or 0
    stored = stored_numbers(info.file.path)
    if declared > stored + SPARE_WEIGHTS + stored // 10:
        raise WeightsError(
            f"{info.reference} does not hold the weights of its layers.",
            f"They need {declared:,} numbers and the file stores {stored:,}.",
            "It is incomplete or was altered: copy it again, or save it again.",
        )


@contextlib.contextmanager
def _trusting(trust: bool) -> Iterator[None]:
    from keras.src.saving.serialization_lib import SafeModeScope

    with SafeModeScope(not trust):
        yield


# --- whole models ------------------------------------------------------------------------------


def _from_config(info: ModelInfo, objects: dict[str, Any]) -> keras.Model:
    assert info.file is not None and info.upgraded is not None
    _check_replacements(info)
    config = copy.deepcopy(info.config)
    config.pop("compile_config", None)
    # The config of an HDF5 file names no module for the model itself.
    if config["class_name"] in ("Functional", "Model"):
        config.update(FUNCTIONAL)
    elif config["class_name"] == "Sequential":
        config.setdefault("module", "keras")
    for _, layer in iterate_layers(config):
        if layer.get("class_name") in objects:
            # HDF5 files name no module: Keras then asks for the registered name alone.
            layer["registered_name"] = layer["class_name"]
    model = keras.saving.deserialize_keras_object(
        config, custom_objects=objects, safe_mode=not info.spec.trust
    )
    if info.file.format == "tfjs":
        document = read_document(info.file.path)
        arrays = read_arrays(groups(info.file.path, document))
        assign_named(model, arrays, info.reference)
    elif info.file.format == "h5" or (info.file.format == "json" and _fits_by_name(info, model)):
        _assign(info, model)
    else:
        try:
            load_weights(model, info.file.weights_path)
        except Exception as error:
            raise WeightsError(
                f"The weights in {info.reference} are not those of its layers.",
                f"{said(error, 300)}",
                "The file is incomplete or was altered: copy it again, or save it again.",
            ) from error
    return model


def _check_replacements(info: ModelInfo) -> None:
    for text in info.replacements:
        layer = parse_replacement(text.partition("=")[2])
        make = getattr(keras.layers, layer["class_name"])
        try:
            make.from_config({**layer["config"]})
        except Exception as error:
            takes = [p for p in inspect.signature(make).parameters if p not in ("self", "kwargs")]
            raise UsageError(
                f"The replacement '{text}' does not work.",
                f"{said(error, 200)}",
                f"{layer['class_name']} takes: {', '.join(takes)}." if takes else "",
            ) from None


def _fits_by_name(info: ModelInfo, model: keras.Model) -> bool:
    """Whether a file of weights, saved apart, has the layers of the architecture by their names."""
    assert info.file is not None
    layers, ordered = weight_layers(info.file.weights_path)
    own = {layer.name for layer in model.layers if layer.weights}
    return ordered and {layer.name.partition("/")[0] for layer in layers} == own


def _assign(info: ModelInfo, model: keras.Model) -> None:
    """Load the weights of an HDF5 file, by layer name and order."""
    assert info.file is not None and info.upgraded is not None
    arrays = legacy_arrays(
        info.file.weights_path,
        info.config,
        generation=info.upgraded.generation,
        backend=info.file.backend,
    )
    for layer in model.layers:
        variables = layer.trainable_weights + layer.non_trainable_weights
        found = arrays.pop(layer.name, [])
        if [v.shape for v in variables] != [a.shape for a in found]:
            raise WeightsError(
                f"The weights of layer '{layer.name}' in {info.reference} do not fit it.",
                f"It takes {_shapes(variables)}; the file has {_shapes(found)}.",
                "The file was altered, or a replaced layer has weights of its own.",
            )
        for variable, array in zip(variables, found, strict=True):
            variable.assign(array)
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()
    arrays.pop("top_level_model_weights", None)
    if arrays:
        raise WeightsError(
            f"{info.reference} holds weights that none of its layers takes.",
            f"They belong to {', '.join(repr(name) for name in list(arrays)[:5])}.",
            "A replaced layer must not have had weights.",
        )


def _shapes(arrays: list[Any]) -> str:
    return ", ".join(str(tuple(a.shape)) for a in arrays) or "none"
