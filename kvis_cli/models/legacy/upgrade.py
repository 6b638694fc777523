"""The table of known changes that make an old model's config one of Keras 3.

Nothing is written and nothing is run: a config goes in, a config comes out, with a sentence for
each kind of change. Keras 1 is first said in Keras 2's terms (`upgrade_keras1`), TensorFlow
operations in layers (`upgrade_ops`), and the rest of the table is below. What comes out carries
Keras 3's own ``module`` entries, so `keras.saving.deserialize_keras_object` opens it.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

from kvis_cli.errors import ModelError
from kvis_cli.models.graph.config import Config, name_of
from kvis_cli.models.graph.editing import INNER_LAYERS, iterate_layers, lambda_layers
from kvis_cli.models.graph.wiring import nested_numbering
from kvis_cli.models.legacy import keras1
from kvis_cli.models.legacy.branches import as_graph, has_branches
from kvis_cli.models.legacy.changes import ChangeLog
from kvis_cli.models.legacy.fixes import (
    FIXES,
    RESIZED,
    flat_nodes,
    module_of,
    plain_value,
    registered_name,
    resize_in_use,
)
from kvis_cli.models.legacy.generation import generation_of
from kvis_cli.models.legacy.keras3 import upgrade_keras3
from kvis_cli.models.legacy.operations import is_op, operation_name, upgrade_op
from kvis_cli.models.legacy.precision import to_float32
from kvis_cli.models.legacy.tables import (
    CLASSES,
    DROPPED_KEYS,
    DROPPED_WHEN,
    FUNCTIONAL,
    HARD_SIGMOID_KEYS,
    KEPT_LAYERS,
    LEGACY_HARD_SIGMOID,
    OLD_DEFAULTS,
    RENAMED_KEYS,
    TRAINING_KEYS,
    TRAINING_ONLY,
)
from kvis_cli.shown import said

# What reading a config that no Keras wrote may raise.
_BROKEN = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


@dataclass
class Upgraded:
    """A config that Keras 3 understands, and what was changed.

    Attributes
    ----------
    config
        ``{"class_name": ..., "config": {...}}``; the very object that came in if nothing changed.
    changes
        One sentence for each kind of change.
    lambdas
        Names of the Lambda layers, which are left in place: they hold code.
    unsupported
        ``"name (class)"`` of layers that Keras 3 has nothing for, left in place.
    generation
        The major version of the Keras that the config was written by.
    """

    config: Config
    changes: list[str] = field(default_factory=list)
    lambdas: list[str] = field(default_factory=list)
    unsupported: list[str] = field(default_factory=list)
    generation: int = 3


def upgrade(config: Config, *, keras_version: str = "", float32: bool = True) -> Upgraded:
    """Apply the table to a model's config.

    Parameters
    ----------
    config
        As in the file; it is not modified.
    keras_version
        What the file says wrote it. Where it says nothing, the config's own look decides.
    float32
        Turn mixed and low precision into float32, so that maps are computed in float32.

    Returns
    -------
    Upgraded
        The config for Keras 3, what was changed in sentences, and what has no equal there.

    Raises
    ------
    ModelError
        The config is not that of a model, or its graph cannot be read.
    """
    log = ChangeLog()
    generation = 3
    try:
        for _, layer in iterate_layers(config):
            if not isinstance(layer.get("class_name"), str):
                raise ValueError("a layer without a class name")
        generation = generation_of(config, keras_version)
        if generation < 3:
            new = _Upgrade(generation, log).model(copy.deepcopy(config))
        else:
            new = upgrade_keras3(config, log, keras_version)
        if float32:
            new = to_float32(new, log, copied=new is not config)
    except ModelError:
        raise
    except _BROKEN as error:
        raise ModelError(
            "The model's architecture cannot be upgraded to Keras 3.",
            f"Its config is not one that Keras {generation} writes "
            f"({type(error).__name__}: {said(error)}).",
        ) from error
    return Upgraded(new, log.sentences(), lambda_layers(new), log.unsupported, generation)


class _Upgrade:
    """One pass over a config of Keras 1 or 2."""

    def __init__(self, generation: int, log: ChangeLog) -> None:
        self.generation, self.log = generation, log

    def model(self, model: Config) -> Config:
        if not isinstance(model.get("config"), (dict, list)):
            raise ValueError("it has no config")
        return self.layer(model)

    def layer(self, layer: Config) -> Config:
        """Return a serialised layer or nested model in Keras 3's form; `layer` may be modified."""
        if has_branches(layer):
            layer = as_graph(layer)
            self.log.add("Joined the branches of a Sequential to one graph", "")
        config = layer.get("config")
        if isinstance(config, list):
            self.log.add("Wrapped a bare list of layers as a Sequential", "")
            config = {"name": layer.get("name") or "sequential", "layers": config}
            layer = {**layer, "config": config}
        if not isinstance(config, dict):
            return layer
        if isinstance(config.get("layers"), list) and layer["class_name"] != "Merge":
            return self._model(layer, config)
        if isinstance(config.get("cells"), list):
            config["cells"] = [self.layer(cell) for cell in config["cells"]]
        for key in INNER_LAYERS:
            if isinstance(config.get(key), dict) and "class_name" in config[key]:
                config[key] = self.layer(config[key])
        return self._plain(layer, config)

    # --- models ---

    def _model(self, layer: Config, config: Config) -> Config:
        name = name_of(layer)
        functional = "input_layers" in config
        if functional:
            for inner in config["layers"]:
                if not is_op(inner) and flat_nodes(inner):
                    self.log.add("Read the inputs of layers as lists of one", name_of(inner))
            self._wiring(config, name)
        config["layers"] = [self._in_graph(inner) for inner in config["layers"]]
        build = layer.pop("build_config", None)
        if functional:
            layer.update(FUNCTIONAL)
        else:
            if isinstance(build, dict) and isinstance(build.get("input_shape"), list):
                config.setdefault("build_input_shape", build["input_shape"])
            self._input_layer(config, name)
            layer.update(module="keras", class_name="Sequential", registered_name=None)
        layer.pop("compile_config", None)
        layer.pop("keras_version", None)
        layer.pop("backend", None)
        config.setdefault("name", name)
        for key in list(config):
            if key not in _MODEL_KEYS:
                del config[key]
        if "trainable" in config and not functional:
            del config["trainable"]
        layer["config"] = config
        return layer

    def _in_graph(self, layer: Config) -> Config:
        if is_op(layer):
            new = upgrade_op(layer)
            if new is None:
                self.log.unsupported.append(f"{name_of(layer)} ({operation_name(layer)})")
                return layer
            self.log.add("Turned TensorFlow operations into layers", name_of(layer))
            return new
        return self.layer(layer)

    def _wiring(self, config: Config, name: str) -> None:
        """Count the calls of nested models from 0, and unwrap single inputs and outputs."""
        numbering = nested_numbering(config)
        functional = {
            name_of(layer)
            for layer in config["layers"]
            if isinstance(layer.get("config"), dict) and "input_layers" in layer["config"]
        }
        for inner, (shift_in, shift_out) in numbering.items():
            if shift_in:
                self.log.add("Renumbered the calls of a nested model", inner)
            for layer in config["layers"]:
                layer["inbound_nodes"] = _shifted(layer.get("inbound_nodes"), inner, -shift_in)
            base = 1 if inner in functional else 0
            outputs = _shifted(config["output_layers"], inner, base - shift_out)
            config["output_layers"] = outputs
        for key in ("input_layers", "output_layers"):
            value = config[key]
            if isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
                config[key] = value[0]
                self.log.add("Unwrapped a list of one input or output", name)

    def _input_layer(self, config: Config, name: str) -> None:
        """Give an InputLayer to a Sequential whose first layer carried the input shape."""
        layers = config["layers"]
        if not layers or layers[0]["class_name"] == "InputLayer":
            return
        shape = layers[0].pop("kvis_input_shape", None) or config.get("build_input_shape")
        dtype = layers[0].pop("kvis_input_dtype", None) or "float32"
        if not isinstance(shape, list) or not shape:
            return
        if isinstance(shape[0], list):
            return
        self.log.add("Added the input layer", name)
        entry = {"batch_shape": shape, "dtype": dtype, "name": f"{name_of(layers[0])}_input"}
        config["layers"] = [
            {
                "module": "keras.layers",
                "class_name": "InputLayer",
                "config": entry,
                "registered_name": None,
            },
            *layers,
        ]

    # --- layers ---

    def _plain(self, layer: Config, config: Config) -> Config:
        class_name, name = layer["class_name"], name_of(layer)
        shape = config.get("batch_input_shape", config.get("batch_shape"))
        input_dtype = config.get("input_dtype")
        if self.generation == 1:
            class_name, config = self._keras1(class_name, config, name)
        if shape is None and isinstance(config.get("input_dim"), int):
            # Written by hand, or left by Dense(input_dim=…).
            shape = [None, config["input_dim"]] if class_name == "Dense" else None
        config = {
            key: value if key in INNER_LAYERS else plain_value(value)
            for key, value in config.items()
        }
        if class_name in KEPT_LAYERS:
            self._kept(class_name, config, name)
        class_name = self._renamed(class_name, config, name)
        self._dtype(config)
        stated_dtype = config.get("dtype") if class_name == "Embedding" else None
        if isinstance(stated_dtype, str) and "int" in stated_dtype:
            # Keras 2.0 said of what numbers its input is.
            del config["dtype"]
            self.log.add(f"Took {class_name}'s 'dtype' for that of its input", name)
        else:
            stated_dtype = None
        if class_name == "InputLayer":
            dtype = config.get("dtype") or input_dtype or "float32"
            config = {"batch_shape": shape, "dtype": dtype, "name": config.get("name", name)}
        else:
            self._drop_keys(class_name, config, name)
        for fix in FIXES.get(class_name, ()):
            fix(config)
        self._activations(class_name, config, name)
        new = {
            "module": module_of(layer, class_name),
            "class_name": class_name,
            "config": config,
            "registered_name": registered_name(layer),
        }
        if class_name in KEPT_LAYERS:
            new.update(module=None, registered_name=f"kvis>{class_name}")
        new.update({key: layer[key] for key in ("name", "inbound_nodes") if key in layer})
        if shape is not None and class_name != "InputLayer":
            new["kvis_input_shape"] = shape
            input_dtype = input_dtype or stated_dtype
            if input_dtype:
                new["kvis_input_dtype"] = input_dtype
            elif class_name == "Embedding":
                new["kvis_input_dtype"] = "float32"
        return new

    def _keras1(self, class_name: str, config: Config, name: str) -> tuple[str, Config]:
        new_name, new = keras1.upgrade_layer(class_name, config)
        if new_name == "Merge":
            self.log.unsupported.append(f"{name} (Merge of Keras 1)")
        elif new_name != class_name:
            self.log.add(f"Renamed {class_name} to {new_name}", name)
        elif new.keys() != config.keys():
            self.log.add("Renamed the settings of Keras 1", name)
        if class_name == "BatchNormalization" and config.get("mode") in (1, 2):
            # Over each input alone, or over the batch even in use: neither is in Keras 2 and 3.
            mode = config["mode"]
            self.log.unsupported.append(f"{name} (BatchNormalization mode {mode} of Keras 1)")
        return new_name, new

    def _kept(self, class_name: str, config: Config, name: str) -> None:
        # The others keep their weights as one sparse or masked matrix.
        implementation = config.get("implementation", 1)
        if implementation != 1:
            text = f"{name} ({class_name}, implementation {implementation})"
            self.log.unsupported.append(text)
        else:
            self.log.add("Kept Keras 2's locally connected layers", name)
            for key in TRAINING_KEYS:
                config.pop(key, None)

    def _renamed(self, class_name: str, config: Config, name: str) -> str:
        if class_name in TRAINING_ONLY:
            self.log.add(f"Left out {class_name}, which acts in training only", name)
            for key in set(config) - {"name", "dtype"}:
                del config[key]
            return "Identity"
        if class_name == "RandomCrop":
            resize_in_use(config)
            self.log.add(RESIZED, name)
            return "Resizing"
        new = CLASSES.get(class_name, class_name)
        if class_name == "CuDNNGRU":
            config["reset_after"] = True
        if new != class_name:
            self.log.add(f"Renamed {class_name} to {new}", name)
        for old, key in RENAMED_KEYS.get(new, {}).items():
            if old in config:
                config[key] = config.pop(old)
                self.log.add(f"Renamed {new}'s '{old}' to '{key}'", name)
        for key, value in OLD_DEFAULTS.get(new, {}).items():
            config.setdefault(key, value)
        return new

    def _drop_keys(self, class_name: str, config: Config, name: str) -> None:
        everywhere = DROPPED_KEYS[""]
        for key in (*everywhere, *DROPPED_KEYS.get(class_name, ())):
            if key == "input_dim" and class_name == "Embedding":
                continue
            if key in config:
                del config[key]
                if key not in everywhere:
                    self.log.add(f"Dropped {class_name}'s '{key}'", name)
        for key, value in DROPPED_WHEN.items():
            if key in config and config[key] == value and type(config[key]) is type(value):
                del config[key]
        if "renorm" not in config:
            config.pop("renorm_momentum", None)
            config.pop("renorm_clipping", None)

    def _dtype(self, config: Config) -> None:
        dtype = config.get("dtype")
        if isinstance(dtype, dict):
            inner = dtype.get("config") or {}
            config["dtype"] = inner.get("name", "float32")

    def _activations(self, class_name: str, config: Config, name: str) -> None:
        for key in HARD_SIGMOID_KEYS:
            value = config.get(key)
            if isinstance(value, dict) and value.get("module") == "builtins":
                config[key] = value = value.get("config")
            if value == "hard_sigmoid":
                config[key] = {
                    "module": None,
                    "class_name": "function",
                    "config": LEGACY_HARD_SIGMOID,
                    "registered_name": LEGACY_HARD_SIGMOID,
                }
                self.log.add("Kept Keras 2's hard sigmoid (0.2·x + 0.5)", name)


_MODEL_KEYS = frozenset(
    {"build_input_shape", "input_layers", "layers", "name", "output_layers", "trainable"}
)


def _shifted(value: Any, name: str, by: int) -> Any:
    """Return references to `name` with their call number moved `by`."""
    if by == 0:
        return value
    if isinstance(value, dict):
        return {key: _shifted(item, name, by) for key, item in value.items()}
    if isinstance(value, list):
        if len(value) >= 3 and value[0] == name and type(value[1]) is int:
            return [name, value[1] + by, value[2], *(_shifted(v, name, by) for v in value[3:])]
        return [_shifted(item, name, by) for item in value]
    return value
