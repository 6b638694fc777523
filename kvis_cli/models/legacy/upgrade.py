"""The table of known changes that make an old model's config one of Keras 3.

Nothing is written and nothing is run: a config goes in, a config comes out, with a sentence for
each kind of change. Keras 1 is first said in Keras 2's terms (`upgrade_keras1`), TensorFlow
operations in layers (`upgrade_ops`), and the rest of the table is below. What comes out carries
Keras 3's own ``module`` entries, so `keras.saving.deserialize_keras_object` opens it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from kvis_cli.errors import ModelError, UnknownNameError
from kvis_cli.models.graph.wiring import nested_numbering
from kvis_cli.models.legacy import keras1
from kvis_cli.models.legacy.branches import as_graph, has_branches
from kvis_cli.models.legacy.operations import is_op, operation_name, upgrade_op
from kvis_cli.shown import said

Config = dict[str, Any]

# --- the table ---------------------------------------------------------------------------------

# Classes that were renamed.
CLASSES = {
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "CuDNNGRU": "GRU",
    "CuDNNLSTM": "LSTM",
    "Convolution1D": "Conv1D",
    "Convolution2D": "Conv2D",
    "GRUV1": "GRU",
    "GRUV2": "GRU",
    "LSTMV1": "LSTM",
    "LSTMV2": "LSTM",
    "LayerNormalizationV1": "LayerNormalization",
    "LayerNormalizationV2": "LayerNormalization",
    "Model": "Functional",
    "SyncBatchNormalization": "BatchNormalization",
    "ThresholdedReLU": "ReLU",
}

# Layers that do something in training only, and that Keras 3 no longer has.
TRAINING_ONLY = frozenset({"RandomHeight", "RandomWidth"})

# Keys that Keras 3 does not take, by class; "" is every layer.
_CONV_KERNEL = ("kernel_constraint", "kernel_initializer", "kernel_regularizer")
DROPPED_KEYS: dict[str, tuple[str, ...]] = {
    "": (
        "autocast", "batch_input_shape", "batch_size", "dynamic", "experimental_autocast",
        "force_generator", "implementation", "input_dim", "input_dtype", "input_length",
        "input_shape", "rng_type", "type_spec", "weights",
    ),
    "Attention": ("causal",),
    "AdditiveAttention": ("causal",),
    "BatchNormalization": ("adjustment", "fused", "virtual_batch_size"),
    "Conv1DTranspose": ("groups",),
    "Conv2DTranspose": ("groups",),
    "Conv3DTranspose": ("groups",),
    "ConvLSTM1D": ("groups", "time_major"),
    "ConvLSTM2D": ("groups", "time_major"),
    "ConvLSTM3D": ("groups", "time_major"),
    "DepthwiseConv1D": ("filters", "groups", *_CONV_KERNEL),
    "DepthwiseConv2D": ("filters", "groups", *_CONV_KERNEL),
    "GRU": ("time_major",),
    "LSTM": ("time_major",),
    "MultiHeadAttention": ("key_shape", "query_shape", "value_shape"),
    "RNN": ("time_major",),
    "SeparableConv1D": ("groups", *_CONV_KERNEL),
    "SeparableConv2D": ("groups", *_CONV_KERNEL),
    "SimpleRNN": ("time_major",),
    "SpatialDropout1D": ("noise_shape", "trainable"),
    "SpatialDropout2D": ("noise_shape", "trainable"),
    "SpatialDropout3D": ("noise_shape", "trainable"),
}  # fmt: skip

# Keys that Keras 3 takes but that say nothing when they have this value.
DROPPED_WHEN = {"optional": False, "renorm": False, "renorm_clipping": None, "stateful": False}

# Keys that were renamed, by class.
RENAMED_KEYS = {
    "LeakyReLU": {"alpha": "negative_slope"},
    "ReLU": {"theta": "threshold"},
}

# Defaults that were other ones when the file was written.
OLD_DEFAULTS: dict[str, Config] = {"GRU": {"reset_after": False}}

# Keras' own classes that are not layers: the module that they are found in now.
MODULES = (
    "activations", "constraints", "initializers", "layers", "losses", "metrics", "optimizers",
    "regularizers",
)  # fmt: skip
_KERAS_ROOTS = ("keras", "tf_keras", "tensorflow.keras", "tensorflow.python.keras")
FUNCTIONAL = {
    "module": "keras.src.models.functional",
    "class_name": "Functional",
    "registered_name": "Functional",
}
# Keras 2's hard sigmoid is 0.2·x + 0.5, clipped; Keras 3's is x/6 + 0.5.
LEGACY_HARD_SIGMOID = "keras2_hard_sigmoid"
# Layers that Keras 3 no longer has and kvis brings along (`locally_connected`), and the settings
# of theirs that only training needs.
KEPT_LAYERS = frozenset({"LocallyConnected1D", "LocallyConnected2D"})
_TRAINING_KEYS = (
    *_CONV_KERNEL, "activity_regularizer", "bias_constraint", "bias_initializer",
    "bias_regularizer",
)  # fmt: skip
_HARD_SIGMOID_KEYS = ("activation", "recurrent_activation")
_INNER_LAYERS = ("backward_layer", "cell", "cells", "forward_layer", "layer")
_LOW_PRECISION = ("float16", "bfloat16")
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

    Raises
    ------
    ModelError
        The config is not that of a model, or its graph cannot be read.
    """
    log = _Log()
    generation = 3
    try:
        for _, layer in iterate_layers(config):
            if not isinstance(layer.get("class_name"), str):
                raise ValueError("a layer without a class name")
        generation = _generation(config, keras_version)
        if generation < 3:
            new = _Upgrade(generation, log).model(copy.deepcopy(config))
        else:
            new = config
        if float32:
            new = _to_float32(new, log, copied=new is not config)
    except ModelError:
        raise
    except _BROKEN as error:
        raise ModelError(
            "The model's architecture cannot be upgraded to Keras 3.",
            f"Its config is not one that Keras {generation} writes "
            f"({type(error).__name__}: {said(error)}).",
        ) from error
    return Upgraded(new, log.sentences(), lambda_layers(new), log.unsupported, generation)


def lambda_layers(config: Config) -> list[str]:
    """The paths of all Lambda layers in a model's config."""
    return [path for path, layer in iterate_layers(config) if layer.get("class_name") == "Lambda"]


def iterate_layers(config: Config) -> Iterator[tuple[str, Config]]:
    """Every layer's ``(path, serialised layer)`` in a model's config, nested ones included."""
    yield from _iterate(config, "")


def replace_layer(config: Config, name: str, new_layer: Config) -> Config:
    """Put another layer in the place of one, under its name and with its connections.

    Parameters
    ----------
    config
        A model's config (upgraded); it is not modified.
    name
        Path of the layer (``base/lambda_1``), or its name where that is the only one.
    new_layer
        ``{"class_name": ..., "config": {...}}`` of a Keras layer.

    Raises
    ------
    UnknownNameError
        No layer, or more than one, is called that.
    """
    new = copy.deepcopy(config)
    layers = list(iterate_layers(new))
    found = [layer for path, layer in layers if path == name]
    if not found:
        found = [layer for path, layer in layers if path.rpartition("/")[2] == name]
    if len(found) != 1:
        if found:
            paths = [path for path, _ in layers if path.rpartition("/")[2] == name]
            raise UnknownNameError(
                f"Layer '{name}' is not the only one of that name.",
                "There are " + ", ".join(f"'{path}'" for path in paths) + ".",
                "Give the whole path.",
            )
        raise UnknownNameError.of("layer", name, [path for path, _ in layers])
    layer = found[0]
    kept: Config = {key: layer[key] for key in ("name", "inbound_nodes") if key in layer}
    old_name = _name(layer)
    layer.clear()
    layer.update(
        module=new_layer.get("module", "keras.layers"),
        class_name=new_layer["class_name"],
        config={**new_layer.get("config", {}), "name": old_name},
        registered_name=new_layer.get("registered_name"),
    )
    layer.update(kept)
    return new


def with_input_layer(config: Config, shape: tuple[int | None, ...]) -> Config:
    """A Sequential's config with an input layer of `shape` (batch included) in front."""
    new = copy.deepcopy(config)
    if isinstance(new["config"], list):
        new["config"] = {"name": "sequential", "layers": new["config"]}
    entry = {"batch_shape": list(shape), "dtype": "float32", "name": "input"}
    new["config"]["layers"].insert(
        0,
        {
            "module": "keras.layers",
            "class_name": "InputLayer",
            "config": entry,
            "registered_name": None,
        },
    )
    return new


# --- applying it -------------------------------------------------------------------------------


class _Log:
    """Collects what was changed: one sentence for each kind, with the layers it happened to."""

    def __init__(self) -> None:
        self._changes: dict[str, list[str]] = {}
        self.unsupported: list[str] = []

    def add(self, what: str, layer: str) -> None:
        names = self._changes.setdefault(what, [])
        if layer and layer not in names:
            names.append(layer)

    def sentences(self) -> list[str]:
        found = []
        for what, names in self._changes.items():
            if not names:
                found.append(f"{what}.")
            elif len(names) == 1:
                found.append(f"{what} in '{names[0]}'.")
            else:
                found.append(f"{what} in {len(names)} layers ('{names[0]}' …).")
        return found


class _Upgrade:
    """One pass over a config of Keras 1 or 2."""

    def __init__(self, generation: int, log: _Log) -> None:
        self.generation, self.log = generation, log

    def model(self, model: Config) -> Config:
        if not isinstance(model.get("config"), (dict, list)):
            raise ValueError("it has no config")
        return self.layer(model)

    def layer(self, layer: Config) -> Config:
        """A serialised layer or nested model in Keras 3's form; `layer` may be modified."""
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
        for key in _INNER_LAYERS:
            if isinstance(config.get(key), dict) and "class_name" in config[key]:
                config[key] = self.layer(config[key])
        return self._plain(layer, config)

    # --- models ---

    def _model(self, layer: Config, config: Config) -> Config:
        name = _name(layer)
        functional = "input_layers" in config
        if functional:
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
                self.log.unsupported.append(f"{_name(layer)} ({operation_name(layer)})")
                return layer
            self.log.add("Turned TensorFlow operations into layers", _name(layer))
            return new
        return self.layer(layer)

    def _wiring(self, config: Config, name: str) -> None:
        """Calls of nested models are numbered from 0, and single inputs and outputs unwrapped."""
        numbering = nested_numbering(config)
        functional = {
            _name(layer)
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
        """A Sequential whose first layer carried the input shape gets an InputLayer."""
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
        entry = {"batch_shape": shape, "dtype": dtype, "name": f"{_name(layers[0])}_input"}
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
        class_name, name = layer["class_name"], _name(layer)
        shape = config.get("batch_input_shape", config.get("batch_shape"))
        input_dtype = config.get("input_dtype")
        if self.generation == 1:
            class_name, config = self._keras1(class_name, config, name)
        if shape is None and isinstance(config.get("input_dim"), int):
            # Written by hand, or left by Dense(input_dim=…).
            shape = [None, config["input_dim"]] if class_name == "Dense" else None
        config = {
            key: value if key in _INNER_LAYERS else _plain_value(value)
            for key, value in config.items()
        }
        if class_name in KEPT_LAYERS:
            self._kept(class_name, config, name)
        class_name = self._renamed(class_name, config, name)
        self._dtype(config)
        if class_name == "InputLayer":
            dtype = config.get("dtype") or input_dtype or "float32"
            config = {"batch_shape": shape, "dtype": dtype, "name": config.get("name", name)}
        else:
            self._drop_keys(class_name, config, name)
        for fix in _FIXES.get(class_name, ()):
            fix(config)
        self._activations(class_name, config, name)
        new = {
            "module": _module_of(layer, class_name),
            "class_name": class_name,
            "config": config,
            "registered_name": _registered_name(layer),
        }
        if class_name in KEPT_LAYERS:
            new.update(module=None, registered_name=f"kvis>{class_name}")
        new.update({key: layer[key] for key in ("name", "inbound_nodes") if key in layer})
        if shape is not None and class_name != "InputLayer":
            new["kvis_input_shape"] = shape
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
            for key in _TRAINING_KEYS:
                config.pop(key, None)

    def _renamed(self, class_name: str, config: Config, name: str) -> str:
        if class_name in TRAINING_ONLY:
            self.log.add(f"Left out {class_name}, which acts in training only", name)
            for key in set(config) - {"name", "dtype"}:
                del config[key]
            return "Identity"
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
        for key in _HARD_SIGMOID_KEYS:
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


def _fix_axis(config: Config) -> None:
    axis = config.get("axis")
    if isinstance(axis, list) and len(axis) == 1:
        config["axis"] = int(axis[0])


def _fix_lambda(config: Config) -> None:
    for key in ("function_type", "module", "output_shape_module", "output_shape_type"):
        config.pop(key, None)
    function = config.get("function")
    if isinstance(function, list):
        code, defaults, closure = (*function, None, None, None)[:3]
        config["function"] = {
            "class_name": "__lambda__",
            "config": {"code": code, "defaults": defaults, "closure": closure},
        }


_FIXES: dict[str, tuple[Callable[[Config], None], ...]] = {
    "BatchNormalization": (_fix_axis,),
    "Lambda": (_fix_lambda,),
    "Softmax": (_fix_axis,),
}


def _plain_value(value: Any) -> Any:
    """A setting without what only old Keras wrote around it."""
    if not isinstance(value, dict):
        return value
    if value.get("type") == "ndarray" and "value" in value:
        return value["value"]
    if "class_name" not in value or not isinstance(value.get("config"), dict):
        return value
    new = {**value, "config": {k: v for k, v in value["config"].items() if k != "dtype"}}
    module = new.get("module")
    if isinstance(module, str) and _is_keras(module):
        new["module"] = next((f"keras.{m}" for m in MODULES if f".{m}" in module), module)
        new["registered_name"] = None
    return new


def _is_keras(module: str) -> bool:
    return any(module == root or module.startswith(root + ".") for root in _KERAS_ROOTS)


def _module_of(layer: Config, class_name: str) -> str | None:
    module = layer.get("module")
    if module is None:
        # HDF5 files name no module: what is not Keras' own is found among the custom objects.
        return "keras.layers" if ">" not in class_name else None
    return "keras.layers" if _is_keras(module) else module


def _registered_name(layer: Config) -> str | None:
    name = layer.get("registered_name")
    if isinstance(name, str) and ">" in name:
        return name
    module = layer.get("module")
    return name if isinstance(name, str) and module and not _is_keras(module) else None


def _name(layer: Config) -> str:
    config = layer.get("config")
    inner = config.get("name") if isinstance(config, dict) else None
    return str(layer.get("name") or inner or str(layer.get("class_name", "layer")).lower())


def _shifted(value: Any, name: str, by: int) -> Any:
    """References to `name` with their call number moved `by`."""
    if by == 0:
        return value
    if isinstance(value, dict):
        return {key: _shifted(item, name, by) for key, item in value.items()}
    if isinstance(value, list):
        if len(value) >= 3 and value[0] == name and type(value[1]) is int:
            return [name, value[1] + by, value[2], *(_shifted(v, name, by) for v in value[3:])]
        return [_shifted(item, name, by) for item in value]
    return value


def _iterate(layer: Config, prefix: str) -> Iterator[tuple[str, Config]]:
    config = layer.get("config")
    inner = config if isinstance(config, list) else None
    if isinstance(config, dict):
        inner = config.get("layers")
    for child in inner if isinstance(inner, list) else ():
        if isinstance(child, dict):
            path = prefix + _name(child)
            yield path, child
            yield from _iterate(child, path + "/")


def _generation(config: Config, keras_version: str) -> int:
    """The major version of Keras that wrote a config; its look decides where nothing is said."""
    layers = [layer for _, layer in iterate_layers(config)]
    if any(_is_keras3(layer) for layer in layers):
        return 3
    if keras_version.startswith("1.") or any(keras1.is_keras1(layer) for layer in layers):
        return 1
    if keras_version.startswith("3.") or not layers:
        return 3
    return 2


def _is_keras3(layer: Config) -> bool:
    config = layer.get("config")
    if not isinstance(config, dict):
        return False
    if layer.get("class_name") == "InputLayer" and "batch_shape" in config:
        return True
    dtype = config.get("dtype")
    if isinstance(dtype, dict) and str(dtype.get("class_name", "")).endswith("DTypePolicy"):
        return True
    nodes = layer.get("inbound_nodes")
    return bool(nodes) and isinstance(nodes, list) and isinstance(nodes[0], dict)


def _to_float32(config: Config, log: _Log, *, copied: bool) -> Config:
    """The config with mixed and half precision replaced by float32."""
    everything = [("", config), *iterate_layers(config)]
    low = [(path, part) for path, layer in everything for part in _wrapped(layer) if _is_low(part)]
    if not low:
        return config
    if not copied:
        return _to_float32(copy.deepcopy(config), log, copied=True)
    for path, layer in low:
        log.add("Turned low precision into float32", path)
        _raise_precision(layer["config"])
    return config


def _wrapped(layer: Config) -> Iterator[Config]:
    """A serialised layer, and those that it wraps: ``TimeDistributed``, cells, whole models."""
    yield layer
    config = layer.get("config")
    if not isinstance(config, dict):
        return
    for key in _INNER_LAYERS:
        value = config.get(key)
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, dict) and "class_name" in part:
                yield from _wrapped(part)
                for _, inner in iterate_layers(part):
                    yield from _wrapped(inner)


def _is_low(layer: Config) -> bool:
    config = layer.get("config")
    dtype = config.get("dtype") if isinstance(config, dict) else None
    if isinstance(dtype, dict):
        inner = dtype.get("config")
        dtype = inner.get("name", inner.get("source_name")) if isinstance(inner, dict) else None
    return isinstance(dtype, str) and (dtype.startswith("mixed_") or dtype in _LOW_PRECISION)


def _raise_precision(config: Config) -> None:
    dtype = config["dtype"]
    if isinstance(dtype, dict) and "source_name" in dtype["config"]:
        # Quantised weights stay what they are; what is computed from them is float32.
        dtype["config"]["source_name"] = "float32"
    else:
        config["dtype"] = "float32"
