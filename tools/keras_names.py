"""Writes kvis_cli/data/keras_names.json: what of Keras a model's configuration may name.

Run it with each Keras whose files are to be opened; names are added, and none goes away:

    python tools/keras_names.py
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
from keras.src.ops.operation import Operation
from keras.src.saving.keras_saveable import KerasSaveable

TABLE = Path(__file__).resolve().parents[1] / "kvis_cli/data/keras_names.json"

# Where the parts of a model are exported. Nothing else of Keras belongs into a configuration.
CLASSES = (
    "keras", "keras.constraints", "keras.dtype_policies", "keras.initializers", "keras.layers",
    "keras.losses", "keras.metrics", "keras.models", "keras.optimizers",
    "keras.optimizers.schedules", "keras.quantizers", "keras.random", "keras.regularizers",
)  # fmt: skip
FUNCTIONS = ("keras.activations", "keras.losses", "keras.metrics", "keras.ops", "keras.ops.nn")
# What a configuration without modules is looked up in.
LOOKED_UP = (
    "activations", "constraints", "dtype_policies", "initializers", "losses", "metrics",
    "optimizers", "quantizers", "regularizers",
)  # fmt: skip
# Layers that hold code, load files of their own or run what another library compiled.
LEFT_OUT = {
    "FlaxLayer", "Function", "JaxLayer", "Lambda", "Operation", "TFSMLayer", "TorchModuleWrapper",
}  # fmt: skip
NO_PART = {"deserialize", "get", "serialize"}
# Operations that call what they are given.
CALLING = {
    "body", "body_fun", "branches", "cond", "cond_fn", "elementwise_fn", "f", "false_fn", "fn",
    "fun", "func", "function", "pred", "pyfunc", "true_fn",
}  # fmt: skip


def main() -> None:
    """Add the installed Keras to the table."""
    table = json.loads(TABLE.read_text()) if TABLE.exists() else {}
    versions = {*table.get("keras", []), keras.__version__}
    found = names()
    merged = {
        "keras": sorted(versions, key=lambda v: [int(n) for n in v.split(".")[:3]]),
        **{kind: _joined(table.get(kind, {}), found[kind]) for kind in ("classes", "functions")},
        "bare": sorted({*table.get("bare", []), *found["bare"]}),
    }
    TABLE.write_text(json.dumps(merged, indent=1) + "\n")
    count = sum(len(v) for kind in ("classes", "functions") for v in merged[kind].values())
    print(f"{TABLE}: {count} names of Keras {', '.join(merged['keras'])}")


def names() -> dict[str, Any]:
    """What the installed Keras has: classes and functions by module, and names without one."""
    classes: dict[str, set[str]] = {}
    functions: dict[str, set[str]] = {}
    for path in CLASSES:
        for name, value in _public(path):
            if inspect.isclass(value) and _is_part(value):
                # Written under either name: the exported one, or that of the source file.
                classes.setdefault(path, set()).add(name)
                classes.setdefault(value.__module__, set()).add(value.__name__)
    for module in _sources():
        for name, value in vars(module).items():
            own = inspect.isclass(value) and value.__module__ == module.__name__
            if own and issubclass(value, Operation) and name not in LEFT_OUT and _is_part(value):
                classes.setdefault(module.__name__, set()).add(name)
    for path in FUNCTIONS:
        for name, value in _public(path):
            if inspect.isfunction(value) and name not in NO_PART and not _calls(value):
                functions.setdefault(path, set()).add(name)
                functions.setdefault(value.__module__, set()).add(name)
    bare = {n for p in CLASSES for n in classes.get(p, ())}
    bare |= {n for p in FUNCTIONS if p != "keras.ops" for n in functions.get(p, ())}
    for kind in LOOKED_UP:
        table = getattr(importlib.import_module(f"keras.src.{kind}"), "ALL_OBJECTS_DICT", {})
        bare |= {name for name, value in table.items() if _is_part(value)}
    classes["keras.src.models.functional"] = {"Functional"}
    return {
        "classes": {k: sorted(v) for k, v in classes.items()},
        "functions": {k: sorted(v) for k, v in functions.items()},
        "bare": sorted(bare | {"Functional"}),
    }


def _joined(old: dict[str, list[str]], new: dict[str, list[str]]) -> dict[str, list[str]]:
    return {k: sorted({*old.get(k, []), *new.get(k, [])}) for k in sorted({*old, *new})}


def _public(path: str) -> Iterator[tuple[str, Any]]:
    module = importlib.import_module(path)
    for name in dir(module):
        if not name.startswith("_"):
            yield name, getattr(module, name)


def _is_part(value: Any) -> bool:
    """Whether it is made from a configuration, and calls no function that this one names."""
    if getattr(value, "__name__", "") in LEFT_OUT:
        return False
    if not inspect.isclass(value):
        return inspect.isfunction(value)
    if not (issubclass(value, KerasSaveable) or hasattr(value, "from_config")):
        return False
    layer = issubclass(value, keras.layers.Layer)
    return layer or not issubclass(value, Operation) or not _calls(value.__init__, value.call)


def _calls(*functions: Any) -> bool:
    return any(CALLING & set(inspect.signature(f).parameters) for f in functions)


def _sources() -> Iterator[ModuleType]:
    """The modules whose own operations and layers are written by the name of the module."""
    for path in ("keras.src.applications", "keras.src.ops"):
        package = importlib.import_module(path)
        for module in pkgutil.iter_modules(package.__path__, f"{path}."):
            if not module.name.endswith("_test"):
                yield importlib.import_module(module.name)


if __name__ == "__main__":
    main()
