"""What a model's configuration names, read in whole before Keras sees any of it.

Keras makes an object of every ``class_name`` that it meets, however deep, and some of its own
classes and functions open files, fetch addresses or run stored code. So each name has to be, in
full, one of the parts of a model that ``data/keras_names.json`` lists (written by
``tools/keras_names.py``) or one that the user named; and no text may be a path or an address.
"""

from __future__ import annotations

import builtins
import json
import re
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal, NamedTuple

from kvis_cli.models.legacy.tables import KEPT_LAYERS, LEGACY_HARD_SIGMOID
from kvis_cli.models.legacy.upgrade import Config

Kind = Literal["code", "file", "gadget", "name", "unknown"]

# Layers that run what is stored in them, or that load it from elsewhere.
CODE = {
    "FlaxLayer": "It runs a function that is stored as bytecode.",
    "JaxLayer": "It runs a function that is stored as bytecode.",
    "Lambda": "It runs a function that is stored as bytecode, or any that it names.",
    "TFSMLayer": "It loads a SavedModel from a path and runs it.",
    "TorchModuleWrapper": "It unpickles a PyTorch module, which runs any code.",
    "__lambda__": "It is a function that is stored as bytecode.",
}
# Values that are no objects of a class.
_VALUES = frozenset(
    {
        "__bytes__", "__ellipsis__", "__keras_tensor__", "__numpy__", "__slice__", "__tensor__",
        "__tuple__", "TensorShape",
    }
)  # fmt: skip
# What kvis itself registers for old files.
_OWN = KEPT_LAYERS | {LEGACY_HARD_SIGMOID}
_KERAS_ROOTS = frozenset(
    {"keras", "keras_core", "keras_cv", "keras_hub", "keras_nlp", "tensorflow", "tf_keras"}
)

# Settings that are read as a file, a folder or the handle of a download when they are text.
_FILE_SETTINGS = frozenset(
    {
        "checkpoint", "checkpoint_path", "dir", "directory", "file", "file_path", "filename",
        "filepath", "fname", "folder", "handle", "hub_handle", "merges", "model_path", "origin",
        "path", "preset", "proto", "saved_model", "saved_model_path", "tokenizer_file", "uri",
        "url", "vocab", "vocab_file", "vocabulary", "vocabulary_file", "weights_file",
        "weights_path",
    }
)  # fmt: skip
_ADDRESS = re.compile(
    r"""\s*(?:
        [a-z][a-z0-9+.-]+://        # hf://, kaggle://, gs://, https:// ...
        | file:
        | /[^/\s]                   # /etc/passwd
        | ~[\w.-]*[/\\]             # ~/.ssh, ~user/
        | \\\\[^\\]                 # \\server\share
        | [a-z]:[\\/]               # C:\
        | (?:[^/\\]*[/\\])*\.\.(?:[/\\]|\s*$)   # up, at any depth
        | \.[/\\]
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_FILE_NAME = re.compile(
    r"[^\s]+\.(?:bin|csv|h5|hdf5|json|keras|model|npy|npz|onnx|pb|pickle|pkl|pt|pth|py|safetensors"
    r"|so|spm|tar|tfrecord|tgz|txt|vocab|yaml|yml|zip)\s*",
    re.IGNORECASE,
)
_INNER_LAYERS = ("backward_layer", "cell", "forward_layer", "layer")
_LAYER_LISTS = ("cells", "layers")
# Names of layers, which point within the model and are never opened.
_POINTERS = ("input_layers", "keras_history", "output_layers")


@dataclass(frozen=True)
class ForbiddenPart:
    """One thing in a configuration that is not to reach Keras.

    Attributes
    ----------
    kind
        ``"code"`` (a layer that runs code), ``"file"`` (a path or an address), ``"gadget"`` (a
        class or function that is no part of a model), ``"name"`` (a layer's name that leaves its
        folder) or ``"unknown"`` (a class or function that is not Keras').
    layer
        Path of the layer that it stands in; empty for the model itself.
    text
        The class with its module, or the setting and its value.
    reason
        Why it is refused.
    """

    kind: Kind
    layer: str
    text: str
    reason: str = ""


class _Names(NamedTuple):
    classes: dict[str, frozenset[str]]
    functions: dict[str, frozenset[str]]
    bare: frozenset[str]


class _Item(NamedTuple):
    value: Any
    key: str
    layer: str


def findings(config: Config, custom_objects: Collection[str] = ()) -> Iterator[ForbiddenPart]:
    """Everything in a model's configuration that Keras must not be given.

    Parameters
    ----------
    config
        ``{"class_name": ..., "config": {...}}`` as Keras would get it, after any upgrade. What it
        says of training (``compile_config``) is left out: kvis does not hand it on.
    custom_objects
        ``package.module:Name`` references of what the user lets the file use.

    Yields
    ------
    ForbiddenPart
        One for each forbidden part, in the order of the configuration.
    """
    known = _Known.of(custom_objects)
    root = {key: value for key, value in config.items() if key != "compile_config"}
    pending = [_Item(root, "", "")]
    while pending:
        item = pending.pop()
        if isinstance(item.value, str):
            yield from _text(item)
        elif isinstance(item.value, list):
            pending.extend(reversed(_elements(item)))
        elif isinstance(item.value, dict):
            layer = _layer_path(item)
            found = _named(item.value, layer, known)
            if found is not None:
                yield found
            if found is None or found.kind != "code":
                pending.extend(reversed(_settings(item, layer)))


# --- names -------------------------------------------------------------------------------------


class _Known(NamedTuple):
    """What the user named, and what the process that kvis runs in has registered."""

    names: frozenset[str]
    modules: frozenset[str]
    registered: frozenset[str]

    @classmethod
    def of(cls, references: Collection[str]) -> _Known:
        parts = [reference.partition(":") for reference in references]
        registration = sys.modules.get("keras.src.saving.object_registration")
        registered = getattr(registration, "GLOBAL_CUSTOM_OBJECTS", {})
        return cls(
            frozenset(name for _, _, name in parts) | _OWN,
            frozenset(module for module, _, _ in parts),
            frozenset(name for name in registered if isinstance(name, str)),
        )

    def allows(self, name: str, module: Any, registered: Any) -> bool:
        if isinstance(registered, str) and registered in self.registered:
            return True
        root = module.partition(".")[0] if isinstance(module, str) else ""
        if module in self.modules and root not in _KERAS_ROOTS | sys.stdlib_module_names:
            # Its code runs anyhow: the user named something else of it.
            return True
        if root in _KERAS_ROOTS and module not in ("keras.layers", "keras"):
            # Keras imports these modules by itself.
            return root in {m.partition(".")[0] for m in self.modules} and name in self.names
        last = registered.rpartition(">")[2] if isinstance(registered, str) else ""
        return name in self.names or last in self.names


def _named(value: Config, layer: str, known: _Known) -> ForbiddenPart | None:
    """Return what is wrong with the class or function that a part of the configuration names."""
    if "class_name" not in value:
        return None
    name, module, registered = (value.get(k) for k in ("class_name", "module", "registered_name"))
    if not isinstance(name, str) or not isinstance(module, str | None):
        return ForbiddenPart("gadget", layer, f"{module}.{name}", "Its name is not text.")
    if name in CODE and not (name == "Lambda" and _lambda_is_known(value, known)):
        return ForbiddenPart("code", layer, name.strip("_"), CODE[name])
    if name in _VALUES or name == "Lambda":
        return None
    is_function = name == "function"
    if is_function:
        name = value.get("config")
        if not isinstance(name, str):
            return ForbiddenPart("gadget", layer, f"{module}.{name}", "Its name is not text.")
    if known.allows(name, module, registered) or _is_listed(name, module, is_function):
        return None
    full = f"{module}.{name}" if module and module != "builtins" else name
    if _is_gadget(name, module, is_function):
        return ForbiddenPart("gadget", layer, full)
    return ForbiddenPart("unknown", layer, full, "function" if is_function else "class")


def _lambda_is_known(layer: Config, known: _Known) -> bool:
    """Whether a Lambda calls a function that the user named."""
    config = layer.get("config")
    function = config.get("function") if isinstance(config, dict) else None
    if isinstance(function, dict) and function.get("class_name") != "__lambda__":
        function = function.get("config")
    return isinstance(function, str) and function in known.names


def _is_listed(name: str, module: str | None, is_function: bool) -> bool:
    names = _names()
    if module is None or (is_function and module == "builtins"):
        return name in names.bare
    table = names.functions if is_function else names.classes
    return name in table.get(module, ())


def _is_gadget(name: str, module: str | None, is_function: bool) -> bool:
    """Whether a name that is not allowed is one of Keras or Python, and so no user's own class."""
    if module is None or module == "keras.layers":
        return False
    if module == "builtins":
        return not is_function or hasattr(builtins, name)
    root = module.partition(".")[0]
    return root in _KERAS_ROOTS or root in sys.stdlib_module_names


@cache
def _names() -> _Names:
    text = resources.files("kvis_cli").joinpath("data/keras_names.json").read_text("utf-8")
    table = json.loads(text)
    classes, functions = (
        {module: frozenset(names) for module, names in table[kind].items()}
        for kind in ("classes", "functions")
    )
    return _Names(classes, functions, frozenset(table["bare"]))


# --- values ------------------------------------------------------------------------------------


def _text(item: _Item) -> Iterator[ForbiddenPart]:
    value = item.value
    if item.key == "name":
        # Weights and vocabularies are looked up in folders of this name.
        if ".." in re.split(r"[/\\]", value):
            yield ForbiddenPart("name", item.layer, value)
        return
    is_file = item.key in _FILE_SETTINGS and value
    if is_file or _ADDRESS.match(value) or _FILE_NAME.fullmatch(value):
        yield ForbiddenPart("file", item.layer, f"{item.key}={value!r}")


def _elements(item: _Item) -> list[_Item]:
    """Return the elements of a list that are to be looked at."""
    value, key, layer = item
    if key in _POINTERS:
        return []
    if key in _FILE_SETTINGS:
        # A vocabulary that is written out: words, whatever they look like.
        return [_Item(v, key, layer) for v in value if not isinstance(v, str)]
    if len(value) >= 3 and isinstance(value[0], str) and type(value[1]) is int:
        # A connection of Keras 2: the name of a layer, and which call and output of it.
        value = value[1:]
    return [_Item(v, key, layer) for v in value]


def _settings(item: _Item, layer: str) -> list[_Item]:
    """Return the entries of a dictionary that are to be looked at."""
    value, key, _ = item
    named = isinstance(value.get("class_name"), str)
    found = []
    for name, entry in value.items():
        if named and name in ("class_name", "module", "registered_name", "spec_name"):
            continue
        if name in ("config", "value") and key in _FILE_SETTINGS:
            # Text in another form, for the setting that it stands in.
            name = key
        elif named and name == "config" and isinstance(entry, str):
            continue  # the name of a function
        elif named and name == "config" and isinstance(entry, list):
            name = "layers"
        found.append(_Item(entry, str(name), layer))
    return found


def _layer_path(item: _Item) -> str:
    value, key, layer = item
    if key not in _LAYER_LISTS and key not in _INNER_LAYERS:
        return layer
    config = value.get("config")
    inner = config.get("name") if isinstance(config, dict) else None
    name = str(value.get("name") or inner or value.get("class_name", "layer"))
    return f"{layer}/{name}" if layer else name
