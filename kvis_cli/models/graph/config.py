"""Configs of layers and models, as their files have them."""

from __future__ import annotations

from typing import Any

from kvis_cli.models.graph.layers.rules import Shape

Config = dict[str, Any]


# What reading a config that no Keras wrote may raise.
BROKEN = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


# Larger than any tensor dimension or number of outputs.
_MAX_SIZE = 1 << 40


# A reference inside a functional config: layer name, call number, output number.
Reference = tuple[str, int, int]


def endpoint_references(value: Any) -> tuple[list[Reference], list[str | None]]:
    """Return the references in `input_layers` or `output_layers`, and their dict keys."""
    references: list[Reference] = []
    keys: list[str | None] = []

    def visit(item: Any, key: str | None) -> None:
        if isinstance(item, dict):
            # Keras flattens by sorted keys.
            for inner, entry in sorted(item.items()):
                visit(entry, str(inner))
        elif isinstance(item, list):
            if len(item) >= 3 and isinstance(item[0], str):
                references.append((item[0], int(item[1]), int(item[2])))
                keys.append(key)
            else:
                for entry in item:
                    visit(entry, key)

    visit(value, None)
    return references, keys


def is_model(config: Config) -> bool:
    """Whether a config is that of a whole model."""
    return isinstance(config.get("layers"), list)


def is_functional(config: Config) -> bool:
    """Whether a model's config lists its connections."""
    return "input_layers" in config and "output_layers" in config


def is_model_layer(layer: Config) -> bool:
    """Whether a serialised layer is a whole model."""
    config = layer.get("config")
    return isinstance(config, list) or (isinstance(config, dict) and is_model(config))


def name_of(layer: Config) -> str:
    """Return the name of a serialised layer."""
    config = layer.get("config")
    inner = config.get("name") if isinstance(config, dict) else None
    name = layer.get("name") or inner
    return str(name) if name else str(layer.get("class_name", "layer")).lower()


def leading_shape(config: Config) -> tuple[Shape | None, str]:
    """Return the input shape that a Sequential's config states somewhere, and its dtype."""
    shape = as_shape(config.get("build_input_shape"))
    layers = config.get("layers") or []
    first = layers[0] if layers and isinstance(layers[0], dict) else {}
    inner = first.get("config")
    if isinstance(inner, list):
        inner = {"layers": inner}
    if not isinstance(inner, dict):
        return shape, "float32"
    stated = as_shape(inner.get("batch_shape", inner.get("batch_input_shape")))
    if stated is None and is_functional(inner):
        references, _ = endpoint_references(inner["input_layers"])
        names = {name_of(layer): layer for layer in inner["layers"]}
        entry = names[references[0][0]]["config"] if references else {}
        stated = as_shape(entry.get("batch_shape", entry.get("batch_input_shape")))
    elif stated is None and is_model(inner):
        stated, _ = leading_shape(inner)
    if stated is None and first.get("build_config"):
        stated = as_shape(first["build_config"].get("input_shape"))
    dtype = inner.get("dtype") if first.get("class_name") == "InputLayer" else None
    return stated or shape, dtype if isinstance(dtype, str) else "float32"


def as_shape(value: Any) -> Shape | None:
    """Return a shape from JSON, or None when it is not one."""
    if not isinstance(value, (list, tuple)):
        return None
    sizes = [None if size is None else size for size in value]
    if not all(size is None or (type(size) is int and 0 <= size < _MAX_SIZE) for size in sizes):
        return None
    return tuple(sizes)
