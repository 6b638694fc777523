"""Which Keras layer a layer of a weights file is, as far as the names and shapes of arrays tell."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from kvis_cli.models.files.weight_layers import Shape, StoredLayer

_MOVING = ("moving_mean", "moving_variance", "running_mean", "running_std")
_SHOWN = 6


@dataclass(frozen=True)
class Kind:
    """A layer of Keras with the settings that its weights decide.

    Attributes
    ----------
    class_name
        Of the layer; empty where the weights are of no plain layer.
    settings
        Its arguments: ``{"filters": 32, "kernel_size": (3, 3)}``.
    takes, gives
        Channels or numbers in and out; None where the layer keeps them, as a normalisation does.
    """

    class_name: str
    settings: dict[str, Any] = field(default_factory=dict)
    takes: int | None = None
    gives: int | None = None

    @property
    def rank(self) -> int:
        """Number of axes of space of a convolution; 0 for other layers."""
        found = re.search(r"(\d)D", self.class_name)
        return int(found[1]) if found else 0


UNKNOWN = Kind("")


def kind_of_layer(layer: StoredLayer) -> Kind:
    """Return the Keras layer that has such weights; `UNKNOWN` where several or none do."""
    shapes = layer.shapes
    # The class of a file by Keras 3, the layer's own name of one by Keras 1 and 2.
    hint = (layer.class_name or layer.name.rpartition("/")[2]).lower()
    names = {name for name, _ in layer.arrays}
    first = shapes[0]
    if any(0 in shape for shape in shapes):
        return UNKNOWN
    if all(len(shape) == 1 for shape in shapes):
        return _vectors(shapes, hint, names)
    if len(first) == 2 and len(shapes) <= 2:
        return _matrix(shapes, hint, names)
    if len(first) == 2 and len(shapes) == 3:
        return _recurrent(shapes)
    if len(first) in (3, 4, 5):
        return _convolution(shapes, hint, names)
    return UNKNOWN


def _vectors(shapes: Sequence[Shape], hint: str, names: set[str]) -> Kind:
    size = shapes[0][0]
    if len(set(shapes)) > 1:
        return UNKNOWN
    moving = any(name.endswith(_MOVING) for name in names)
    if len(shapes) == 4 or (len(shapes) in (2, 3) and (moving or "batch" in hint)):
        left_out = {}
        if len(shapes) < 4:
            left_out = {"scale": "gamma" in names, "center": "beta" in names}
            left_out = {key: False for key, there in left_out.items() if not there}
            if len(left_out) != 4 - len(shapes):
                return UNKNOWN
        return Kind("BatchNormalization", left_out, size, None)
    if len(shapes) == 2 and ("norm" in hint or {"gamma", "beta"} <= names):
        return Kind("LayerNormalization", {}, size, None)
    return UNKNOWN


def _matrix(shapes: Sequence[Shape], hint: str, names: set[str]) -> Kind:
    rows, columns = shapes[0]
    if len(shapes) == 1 and ("embedding" in hint or "embeddings" in names):
        return Kind("Embedding", {"input_dim": rows, "output_dim": columns}, None, columns)
    if len(shapes) == 2 and shapes[1] != (columns,):
        return UNKNOWN
    return Kind("Dense", {"units": columns, **_bias(len(shapes) == 2)}, rows, columns)


def _recurrent(shapes: Sequence[Shape]) -> Kind:
    kernel, recurrent, bias = shapes
    if len(recurrent) != 2 or kernel[1] != recurrent[1]:
        return UNKNOWN
    units, columns = recurrent
    known: dict[tuple[int, Shape], tuple[str, dict[str, Any]]] = {
        (4 * units, (4 * units,)): ("LSTM", {}),
        (3 * units, (2, 3 * units)): ("GRU", {}),
        (3 * units, (3 * units,)): ("GRU", {"reset_after": False}),
        (units, (units,)): ("SimpleRNN", {}),
    }
    found = known.get((columns, bias))
    if found is None:
        return UNKNOWN
    return Kind(found[0], {"units": units, **found[1]}, kernel[0], units)


def _convolution(shapes: Sequence[Shape], hint: str, names: set[str]) -> Kind:
    *window, takes, gives = shapes[0]
    rank = len(window)
    size = {"kernel_size": tuple(window)}
    vectors = [shape for shape in shapes[1:] if len(shape) == 1]
    if len(shapes) in (2, 3) and len(shapes[1]) == rank + 2 and rank < 3:
        # Depthwise, then pointwise.
        if shapes[1][:-1] != (1,) * rank + (takes * gives,) or len(vectors) != len(shapes) - 2:
            return UNKNOWN
        multiplier = {"depth_multiplier": gives} if gives != 1 else {}
        out = shapes[1][-1]
        settings = {"filters": out, **size, **multiplier, **_bias(bool(vectors))}
        return Kind(f"SeparableConv{rank}D", settings, takes, out)
    if len(shapes) > 2 or len(vectors) != len(shapes) - 1:
        return UNKNOWN
    bias = _bias(bool(vectors))
    ends = vectors[0][0] if vectors else None
    depthwise = any("depthwise" in text for text in (hint, *names))
    if rank < 3 and (depthwise or (ends == takes * gives and ends != gives)):
        multiplier = {"depth_multiplier": gives} if gives != 1 else {}
        settings = {**size, **multiplier, **bias}
        return Kind(f"DepthwiseConv{rank}D", settings, takes, takes * gives)
    if "transpose" in hint or "deconv" in hint:
        takes, gives = gives, takes
        transposed = Kind(f"Conv{rank}DTranspose", {"filters": gives, **size, **bias}, takes, gives)
        return transposed if ends in (None, gives) else UNKNOWN
    if ends not in (None, gives):
        return UNKNOWN
    return Kind(f"Conv{rank}D", {"filters": gives, **size, **bias}, takes, gives)


def _bias(there: bool) -> dict[str, Any]:
    return {} if there else {"use_bias": False}


def known_of(layers: Sequence[StoredLayer]) -> str:
    """Say in a few words what the weights tell: ``4 layers: Conv2D 3→32, … Dense 128→10``."""
    parts = []
    for layer in layers:
        kind = kind_of_layer(layer)
        if not kind.class_name:
            parts.append("an unknown layer")
        elif kind.gives is None:
            parts.append(kind.class_name)
        else:
            takes = f"{kind.takes}→" if kind.takes is not None else ""
            parts.append(f"{kind.class_name} {takes}{kind.gives}")
    if len(parts) > _SHOWN:
        parts[_SHOWN - 2 : -1] = ["…"]
    plural = "layer" if len(layers) == 1 else "layers"
    return f"{len(layers)} {plural}: {', '.join(parts)}"
