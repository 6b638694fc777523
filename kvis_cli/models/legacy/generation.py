"""Which Keras wrote a config."""

from __future__ import annotations

from kvis_cli.models.graph.config import Config
from kvis_cli.models.graph.editing import iterate_layers
from kvis_cli.models.legacy import keras1


def generation_of(config: Config, keras_version: str) -> int:
    """Return the major version of Keras that wrote a config.

    Its look decides where nothing is said.
    """
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
