"""Values that old Keras wrote differently."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kvis_cli.models.graph.config import Config
from kvis_cli.models.legacy.tables import KERAS_ROOTS, MODULES


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


RESIZED = "Made RandomCrop the resizing that it was in use, with its sides cut to fit"


def resize_in_use(config: Config) -> None:
    """Give a RandomCrop, which tf.keras and Keras 3.0 to 3.5 made a Resizing in use, its settings.

    Keras 3.8 and later return the input as it is.
    """
    kept = {"data_format", "dtype", "height", "name", "width"}
    for key in set(config) - kept:
        del config[key]
    config["crop_to_aspect_ratio"] = True


FIXES: dict[str, tuple[Callable[[Config], None], ...]] = {
    "BatchNormalization": (_fix_axis,),
    "Lambda": (_fix_lambda,),
    "Softmax": (_fix_axis,),
}


def flat_nodes(layer: Config) -> bool:
    """Nest the connections of a layer as later versions did; whether they were flat.

    tf.keras 1.13 to 2.0 wrote a call with one input as ``["input", 0, 0, {}]``, where all others
    have ``[["input", 0, 0, {}]]``.
    """
    nodes = layer.get("inbound_nodes")
    if not isinstance(nodes, list):
        return False
    new = [[node] if _is_reference(node) else node for node in nodes]
    if new == nodes:
        return False
    layer["inbound_nodes"] = new
    return True


def _is_reference(node: Any) -> bool:
    return (
        isinstance(node, list)
        and len(node) in (3, 4)
        and isinstance(node[0], str)
        and type(node[1]) is int
        and type(node[2]) is int
    )


def plain_value(value: Any) -> Any:
    """Return a setting without what only old Keras wrote around it."""
    if not isinstance(value, dict):
        return value
    if value.get("type") == "ndarray" and "value" in value:
        return value["value"]
    if "class_name" not in value or not isinstance(value.get("config"), dict):
        return value
    new = {**value, "config": {k: v for k, v in value["config"].items() if k != "dtype"}}
    if isinstance(new["class_name"], str) and new["class_name"][-2:] in ("V1", "V2"):
        # Initializers of tf.keras 1.13 to 2.2; none of today's ends so.
        new["class_name"] = new["class_name"][:-2]
    module = new.get("module")
    if isinstance(module, str) and is_keras(module):
        new["module"] = next((f"keras.{m}" for m in MODULES if f".{m}" in module), module)
        new["registered_name"] = None
    return new


def is_keras(module: str) -> bool:
    """Whether a module is Keras' own."""
    return any(module == root or module.startswith(root + ".") for root in KERAS_ROOTS)


def module_of(layer: Config, class_name: str) -> str | None:
    """Return the module that Keras 3 looks a class up in."""
    module = layer.get("module")
    if module is None:
        # HDF5 files name no module: what is not Keras' own is found among the custom objects.
        return "keras.layers" if ">" not in class_name else None
    return "keras.layers" if is_keras(module) else module


def registered_name(layer: Config) -> str | None:
    """Return the name that a custom class is registered by."""
    name = layer.get("registered_name")
    if isinstance(name, str) and ">" in name:
        return name
    module = layer.get("module")
    return name if isinstance(name, str) and module and not is_keras(module) else None
