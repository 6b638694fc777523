"""Layers of a model's config: listed, replaced, put in front."""

from __future__ import annotations

import copy
from collections.abc import Iterator

from kvis_cli.errors import UnknownNameError
from kvis_cli.models.graph.config import Config, name_of

INNER_LAYERS = ("backward_layer", "cell", "cells", "forward_layer", "layer")


def lambda_layers(config: Config) -> list[str]:
    """Return the paths of all Lambda layers in a model's config."""
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

    Returns
    -------
    Config
        A copy with the new layer.

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
    old_name = name_of(layer)
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
    """Return a Sequential's config with an input layer of `shape` (batch included) in front."""
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


def _iterate(layer: Config, prefix: str) -> Iterator[tuple[str, Config]]:
    config = layer.get("config")
    inner = config if isinstance(config, list) else None
    if isinstance(config, dict):
        inner = config.get("layers")
    for child in inner if isinstance(inner, list) else ():
        if isinstance(child, dict):
            path = prefix + name_of(child)
            yield path, child
            yield from _iterate(child, path + "/")
