"""A Sequential of Keras 1 that begins by merging branches, said as a graph.

``Sequential().add(Merge([left, right], mode="sum"))`` was how Keras 1 joined models. Later Keras
has no such layer: the branches become part of one functional model. Their weights lie side by side
in the file, so that they are found by name as before.
"""

from __future__ import annotations

from typing import Any

from kvis_cli.errors import ModelError
from kvis_cli.models.graph.config import Config, name_of

Reference = list[Any]


def has_branches(layer: Config) -> bool:
    """Whether a serialised layer is a Sequential whose first layer merges whole models."""
    layers = _layers(layer)
    return bool(layers) and bool(_branches(layers[0]))


def as_graph(model: Config) -> Config:
    """Return the functional model that such a Sequential is; still in Keras 1's terms.

    Parameters
    ----------
    model
        The config of a Sequential of Keras 1.

    Returns
    -------
    Config
        Class ``Model``, with the same layers.

    Raises
    ------
    ModelError
        When two layers have one name.
    ValueError
        When a branch is not a model with one output.
    """
    graph = _Joined()
    output = graph.sequential(_layers(model))
    config = model.get("config")
    name = config.get("name") if isinstance(config, dict) else None
    inner = {
        "name": model.get("name") or name or "sequential",
        "layers": graph.layers,
        "input_layers": graph.inputs,
        "output_layers": [output],
    }
    return {**model, "class_name": "Model", "config": inner}


class _Joined:
    def __init__(self) -> None:
        self.layers: list[Config] = []
        self.inputs: list[Reference] = []

    def sequential(self, layers: list[Config]) -> Reference:
        first, *rest = layers
        branches = _branches(first)
        if branches:
            merge = {k: v for k, v in first["config"].items() if k != "layers"}
            ends = [self._branch(branch) for branch in branches]
            end = self._add({**first, "config": merge}, ends)
        elif first["class_name"] == "InputLayer":
            end = self._add(first, [])
            self.inputs.append(end)
        else:
            self._check(name_of(first))
            config = first["config"]
            shape = _stated_shape(first)
            if shape is None:
                raise ValueError(f"'{name_of(first)}' does not say the shape of its input")
            entry = {"name": f"{name_of(first)}_input", "batch_input_shape": shape}
            dtype = config.get("input_dtype") if isinstance(config, dict) else None
            entry["input_dtype"] = dtype or "float32"
            start = self._add({"class_name": "InputLayer", "config": entry}, [])
            self.inputs.append(start)
            end = self._add(first, [start])
        for layer in rest:
            end = self._add(layer, [end])
        return end

    def _branch(self, branch: Config) -> Reference:
        config = branch.get("config")
        if isinstance(config, dict) and "input_layers" in config:
            for layer in config["layers"]:
                self._check(name_of(layer))
                self.layers.append(layer)
            self.inputs += config["input_layers"]
            if len(config["output_layers"]) != 1:
                raise ValueError(f"the branch '{name_of(branch)}' has several outputs")
            return list(config["output_layers"][0])
        layers = _layers(branch)
        return self.sequential(layers or [branch])

    def _add(self, layer: Config, sources: list[Reference]) -> Reference:
        name = name_of(layer)
        self._check(name)
        self.layers.append({**layer, "name": name, "inbound_nodes": [sources] if sources else []})
        return [name, 0, 0]

    def _check(self, name: str) -> None:
        if any(name_of(layer) == name for layer in self.layers):
            raise ModelError(
                "The branches of the model cannot be joined to one graph.",
                f"Two of their layers are called '{name}', and weights are found by name.",
            )


def _layers(layer: Config) -> list[Config]:
    """Return the layers of a serialised Sequential; none for anything else."""
    config = layer.get("config")
    if isinstance(config, dict):
        config = None if "input_layers" in config else config.get("layers")
    if layer.get("class_name") == "Merge" or not isinstance(config, list):
        return []
    return [inner for inner in config if isinstance(inner, dict)]


def _branches(layer: Config) -> list[Config]:
    config = layer.get("config")
    if layer.get("class_name") != "Merge" or not isinstance(config, dict):
        return []
    found = config.get("layers")
    return [b for b in found if isinstance(b, dict)] if isinstance(found, list) else []


def _stated_shape(layer: Config) -> list[Any] | None:
    inner = _layers(layer)
    if inner:
        return _stated_shape(inner[0])
    config = layer.get("config")
    shape = config.get("batch_input_shape") if isinstance(config, dict) else None
    return shape if isinstance(shape, list) else None
