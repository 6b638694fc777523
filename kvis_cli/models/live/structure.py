"""What a live model takes: the structure, shapes and names of its inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from kvis_cli.errors import UsageError
from kvis_cli.models.description.info import ModelInfo


def input_structure(info: ModelInfo, model: keras.Model) -> tuple[Any, Any]:
    """Return what a model takes: its structure of ``tf.TensorSpec``, and that of the inputs' names.

    Parameters
    ----------
    info
        What the user said about the input's shape.
    model
        A built model.

    Returns
    -------
    structure, names
        Nested alike; batch sizes are None.

    Raises
    ------
    UsageError
        When neither the model nor the user says the shape.
    """
    struct = getattr(model, "_inputs_struct", None)
    if struct is None and isinstance(model, keras.Sequential) and model.built:
        struct = model.inputs[0]
    if struct is not None:
        names = keras.tree.map_structure(lambda t: t._keras_history.operation.name, struct)
        return keras.tree.map_structure(lambda t: tf.TensorSpec(t.shape, t.dtype), struct), names
    shapes = _build_shapes(info, model)
    if shapes is None:
        raise UsageError(
            f"{info.reference} does not say the shape of its input.",
            f"It is a subclassed model ({type(model).__name__}).",
            "Give --size 224 for pictures, or --input-shape 224,224,3.",
        )
    keys = [path[-1] for path, _ in _shape_leaves(shapes)]
    names = [str(k) if isinstance(k, str) else f"input_{i}" for i, k in enumerate(keys)]
    if len(names) == 1:
        names = ["input"] if not isinstance(keys[0], str) else names
    leaves = iter(names)

    def spec(shape: Any) -> Any:
        return tf.TensorSpec((None, *shape[1:]), keras.config.floatx())

    structure = _map_shapes(shapes, spec)
    return structure, _map_shapes(shapes, lambda _: next(leaves))


def _build_shapes(info: ModelInfo, model: keras.Model) -> Any:
    stated = info.stated_shape()
    if stated is not None:
        return (None, *stated)
    for config in (model.get_build_config(), info.config.get("build_config")):
        if isinstance(config, dict):
            found = config.get("input_shape") or config.get("shapes_dict")
            if found:
                return found
    return None


def _is_shape(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(n is None or isinstance(n, int) for n in value)


def _map_shapes(shapes: Any, function: Callable[[Any], Any]) -> Any:
    if _is_shape(shapes):
        return function(shapes)
    if isinstance(shapes, dict):
        # In the order in which `keras.tree` flattens a dict.
        return {key: _map_shapes(shapes[key], function) for key in sorted(shapes)}
    return [_map_shapes(item, function) for item in shapes]


def _shape_leaves(shapes: Any, path: tuple[Any, ...] = (0,)) -> list[tuple[tuple[Any, ...], Any]]:
    if _is_shape(shapes):
        return [(path, shapes)]
    items = [(k, shapes[k]) for k in sorted(shapes)] if isinstance(shapes, dict) else None
    inner = enumerate(shapes) if items is None else items
    return [leaf for key, value in inner for leaf in _shape_leaves(value, (*path, key))]
