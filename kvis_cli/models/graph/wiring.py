"""How the layers of a functional config are connected, in Keras 2 and 3."""

from __future__ import annotations

from typing import Any

from kvis_cli.models.graph.config import (
    Config,
    Reference,
    as_shape,
    endpoint_references,
    is_functional,
    is_model_layer,
    name_of,
)
from kvis_cli.models.graph.layers.rules import Shape

_MAX_OUTPUTS = 10_000


def nested_numbering(config: Config) -> dict[str, tuple[int, int]]:
    """Return the number that the first call of each nested model has in a functional config.

    Parameters
    ----------
    config
        Of a functional model.

    Returns
    -------
    dict
        Layer name → (in the references between layers, in `output_layers`), 0 or 1 each.
    """
    layers = [layer for layer in config["layers"] if isinstance(layer, dict)]
    return Wiring(config, layers).shifts


class Wiring:
    """The wiring of one functional config, in the numbering of Keras 3's layers.

    Keras 2 counts the call that a nested model makes of itself, so that its first use is number 1,
    and both versions count it where they list a model's outputs.
    """

    def __init__(self, config: Config, layers: list[Config]) -> None:
        names = {name_of(layer) for layer in layers}
        self._raw: dict[str, list[list[Reference]]] = {}
        self._stored: dict[str, dict[tuple[int, int], Shape]] = {}
        for layer in layers:
            name = name_of(layer)
            nodes = layer.get("inbound_nodes") or []
            self._raw[name] = [self._references(node, names) for node in nodes]
            if layer.get("class_name") != "InputLayer" and not all(self._raw[name]):
                raise ValueError(f"'{name}' is called on nothing")
        outputs, _ = endpoint_references(config["output_layers"])
        self.shifts = {
            name: self._shift(layer, outputs)
            for layer in layers
            if is_model_layer(layer)
            for name in [name_of(layer)]
        }
        self._inbound = {name: shift[0] for name, shift in self.shifts.items()}
        outward = {name: shift[1] for name, shift in self.shifts.items()}
        self.outputs = [(name, n - outward.get(name, 0), t) for name, n, t in outputs]

    def nodes(self, layer: Config) -> list[list[Reference]]:
        """Return the references of each call of a layer."""
        return [
            [(name, n - self._inbound.get(name, 0), t) for name, n, t in node]
            for node in self._raw[name_of(layer)]
        ]

    def stored(self, name: str, number: int) -> list[Shape | None]:
        """Return the output shapes that the file gives for one call; empty when it gives none."""
        number += self._inbound.get(name, 0)
        shapes = {t: s for (n, t), s in self._stored.get(name, {}).items() if n == number}
        return [shapes.get(t) for t in range(max(shapes) + 1)] if shapes else []

    def _shift(self, layer: Config, outputs: list[Reference]) -> tuple[int, int]:
        """How far the references to a nested model are off, inside the graph and at its outputs."""
        name = name_of(layer)
        calls = set(range(len(self._raw[name])))
        nodes = [ref for nodes in self._raw.values() for node in nodes for ref in node]
        inside = {number for layer_name, number, _ in nodes if layer_name == name}
        outside = {number for layer_name, number, _ in outputs if layer_name == name}
        # Every call is referred to by somebody, so hardly more than one numbering covers them all.
        # Among the outputs both versions count a functional model's own call; Keras 3 does not
        # for a Sequential.
        functional = isinstance(layer["config"], dict) and is_functional(layer["config"])
        usual = [(0, 1), (1, 1), (0, 0)] if functional else [(0, 0), (1, 1), (0, 1)]
        for shift_in, shift_out in usual:
            if {n - shift_in for n in inside} | {n - shift_out for n in outside} == calls:
                return shift_in, shift_out
        return 0, 0

    def _references(self, node: Any, names: set[str]) -> list[Reference]:
        found: list[Reference] = []
        if isinstance(node, dict) and ("args" in node or "kwargs" in node):
            self._collect(node.get("args"), found)
            self._collect(node.get("kwargs"), found)
        else:
            self._collect_legacy(node, names, found)
        return found

    def _collect(self, value: Any, found: list[Reference]) -> None:
        if isinstance(value, list):
            for item in value:
                self._collect(item, found)
        elif isinstance(value, dict):
            if value.get("class_name") == "__keras_tensor__":
                name, number, output = value["config"]["keras_history"]
                if not 0 <= int(output) < _MAX_OUTPUTS:
                    raise ValueError(f"output {output} of '{name}'")
                found.append((name, int(number), int(output)))
                shape = as_shape(value["config"].get("shape"))
                if shape is not None and not value["config"].get("shape_unknown"):
                    self._stored.setdefault(name, {})[int(number), int(output)] = shape
            else:
                # Keras flattens by sorted keys.
                for _, item in sorted(value.items()):
                    self._collect(item, found)

    def _collect_legacy(self, value: Any, names: set[str], found: list[Reference]) -> None:
        if isinstance(value, dict):
            for item in value.values():
                self._collect_legacy(item, names, found)
        elif isinstance(value, list):
            if _is_reference(value):
                if value[0] in names:
                    found.append((value[0], int(value[1]), int(value[2])))
                elif value[0] != "_CONSTANT_VALUE":
                    raise ValueError(f"unknown layer '{value[0]}'")
                if len(value) > 3:
                    self._collect_legacy(value[3], names, found)
            else:
                for item in value:
                    self._collect_legacy(item, names, found)


def _is_reference(value: list[Any]) -> bool:
    return (
        len(value) in (3, 4)
        and isinstance(value[0], str)
        and type(value[1]) is int
        and (type(value[2]) is int or value[0] == "_CONSTANT_VALUE")
    )
