"""From a description to a Keras model: as Keras opens it, or by way of the upgrade."""

from __future__ import annotations

import contextlib
import copy
import inspect
import sys
import tempfile
import warnings
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kvis_cli.errors import KvisError, ModelError, UntrustedError, UsageError, WeightsError
from kvis_cli.models.description import applications
from kvis_cli.models.description.info import ModelInfo
from kvis_cli.models.description.replacements import parse_replacement
from kvis_cli.models.description.trust import check_file
from kvis_cli.models.files.read import stored_weights
from kvis_cli.models.files.savedmodel import opened_folder
from kvis_cli.models.graph.editing import iterate_layers
from kvis_cli.models.legacy.tables import FUNCTIONAL
from kvis_cli.models.legacy.weights import legacy_arrays
from kvis_cli.models.live.legacy_objects import legacy_objects
from kvis_cli.shown import said

# What a file may lack of the weights that its layers declare (seeds, counters) and still be sound.
SPARE_WEIGHTS = 10_000


def build_model(info: ModelInfo) -> keras.Model:
    """Build the model of a file and give it its weights; the file is only read.

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
        return _from_saved_model(info)
    check_file(info)
    if info.file.format == "weights_h5":
        return _from_weights(info)
    _check_amounts(info)
    objects = {**legacy_objects(), **custom_objects(info.spec.custom_objects)}
    if info.spec.trust:
        objects = {**_named_in(info.config), **objects}
    try:
        with warnings.catch_warnings(), _explained(info), _trusting(info.spec.trust):
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


def custom_objects(references: list[str]) -> dict[str, Any]:
    """``package.module:Name`` references as the mapping that Keras takes.

    Raises
    ------
    UsageError
        For a reference that cannot be imported.
    """
    return {
        reference.partition(":")[2]: imported(reference, "custom object")
        for reference in references
    }


def _named_in(config: Any) -> dict[str, Any]:
    """Return the classes that a trusted file names by module and that can be imported."""
    found: dict[str, Any] = {}
    pending = [config]
    while pending:
        item = pending.pop()
        if isinstance(item, list):
            pending.extend(item)
        if not isinstance(item, dict):
            continue
        pending.extend(item.values())
        module, name = item.get("module"), item.get("class_name")
        if isinstance(module, str) and isinstance(name, str) and not module.startswith("keras"):
            with contextlib.suppress(UsageError):
                found[item.get("registered_name") or name] = imported(f"{module}:{name}", "class")
    return found


def imported(reference: str, kind: str) -> Any:
    """Return the object that ``package.module:Name`` names; modules of the current folder included.

    Raises
    ------
    UsageError
        When it cannot be imported.
    """
    module, _, name = reference.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        # A console script does not see the folder that it is started in.
        sys.path.append(here)
    try:
        return getattr(import_module(module), name)
    except Exception as error:
        # Whatever the user's own module raises on import is the reason.
        raise UsageError(
            f"The {kind} '{reference}' cannot be imported.",
            f"{type(error).__name__}: {said(error)}.",
            "Write package.module:Name, and run kvis where the package can be imported.",
        ) from None


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
    stored = _stored_numbers(info.file.path)
    if declared > stored + SPARE_WEIGHTS + stored // 10:
        raise WeightsError(
            f"{info.reference} does not hold the weights of its layers.",
            f"They need {declared:,} numbers and the file stores {stored:,}.",
            "It is incomplete or was altered: copy it again, or save it again.",
        )


def _stored_numbers(path: Path) -> int:
    return sum(int(np.prod(w.shape, dtype=object)) for w in stored_weights(path))


@contextlib.contextmanager
def _trusting(trust: bool) -> Iterator[None]:
    from keras.src.saving.serialization_lib import SafeModeScope

    with SafeModeScope(not trust):
        yield


@contextlib.contextmanager
def _explained(info: ModelInfo) -> Iterator[None]:
    """Keras' own errors in words that say what to do."""
    try:
        yield
    except (ModelError, UsageError, WeightsError):
        raise
    except Exception as error:
        raise _explanation(info, error) from error


def _explanation(info: ModelInfo, error: Exception) -> ModelError:
    text = said(error, 2000)
    # ("unsafe" alone is also what NumPy says of a cast.)
    if any(words in text for words in ("safe_mode", "unsafe_deserial", "arbitrary code")):
        return UntrustedError(
            f"{info.reference} holds code that would run on opening.",
            f"{text[:240]}.",
            "If you trust the file, add --trust.",
        )
    missing = ("Could not locate", "Unknown layer", "is not registered", "cannot be imported")
    if any(words in text for words in missing):
        return ModelError(
            f"{info.reference} needs a class that is not part of Keras.",
            text[:240],
            "Give it with --custom-objects package.module:Name.",
        )
    return ModelError(
        f"Keras cannot open {info.reference}.",
        f"{type(error).__name__}: {text[:400]}",
        "" if info.native else "`kvis layers` shows its layers and what would be upgraded.",
    )


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
    if info.file.format == "h5":
        _assign(info, model)
    else:
        _load_weights(info.file.path, model, ".keras")
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


def _assign(info: ModelInfo, model: keras.Model) -> None:
    """Load the weights of an HDF5 file, by layer name and order."""
    assert info.file is not None and info.upgraded is not None
    arrays = legacy_arrays(
        info.file.path,
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


def _load_weights(path: Path, model: keras.Model, suffix: str) -> None:
    """`load_weights`, which goes by the file's suffix, for a file of any name."""
    if str(path).endswith(suffix):
        model.load_weights(path)
        return
    with tempfile.TemporaryDirectory(prefix="kvis-") as folder:
        link = Path(folder) / f"model{suffix}"
        link.symlink_to(path.resolve())
        model.load_weights(link)


# --- weights alone, and SavedModels --------------------------------------------------------------


def _from_weights(info: ModelInfo) -> keras.Model:
    """Return a weights-only file with ``--arch module:function`` or ``app:name``."""
    assert info.file is not None
    reference = info.spec.arch or ""
    path = info.file.path
    if reference.startswith("app:"):
        name = reference.removeprefix("app:")
        known = applications.parse_reference(f"{name}:{path}")
        if known is None:
            raise applications.unknown(name)
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
        with _explained(info):
            model.build((None, *shape))
    new_style = any(
        mark in _top_names(path) for mark in ("layers", "_layer_checkpoint_dependencies")
    )
    try:
        _load_weights(path, model, ".weights.h5" if new_style else ".h5")
    except Exception as error:
        raise WeightsError(
            f"The weights in '{path}' are not those of {reference}.",
            said(error),
            "Name the function that made the model when the weights were saved.",
        ) from error
    taken = sum(int(np.prod(w.shape)) for w in model.weights)
    stored = _stored_numbers(path)
    if stored > taken:
        # Keras leaves out what it finds no layer for, without a word.
        raise WeightsError(
            f"The weights in '{path}' are not those of {reference}.",
            f"The file stores {stored:,} numbers and the model takes {taken:,}.",
            "Name the function that made the model when the weights were saved.",
        )
    return model


def _top_names(path: Path) -> list[str]:
    import h5py

    with h5py.File(path, "r") as h5:
        return list(h5)


def _from_saved_model(info: ModelInfo) -> keras.Model:
    """Return a SavedModel as one layer: its gradients flow, its layers are not to be seen."""
    assert info.file is not None
    import tensorflow as tf

    path = info.file.path
    with _explained(info), opened_folder(path, trust=info.spec.trust) as folder:
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
