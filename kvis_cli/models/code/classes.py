"""The classes of a model that are not Keras' own, begun with what the file has of them.

A file keeps a layer's settings and weights, and not what it computes. The settings become
arguments, the weights become weights and layers of the same shapes; `call` is left to be written.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from kvis_cli.models.description.config_check import findings
from kvis_cli.models.description.layer_kinds import kind_of_layer
from kvis_cli.models.files.weight_layers import StoredLayer
from kvis_cli.models.graph.config import Config, name_of
from kvis_cli.models.graph.editing import INNER_LAYERS
from kvis_cli.models.legacy.groups import LISTS, snake_case

# What every layer has, and what is written beside its settings.
_COMMON = frozenset(
    {
        "activity_regularizer", "autocast", "batch_input_shape", "batch_shape", "dtype", "dynamic",
        "name", "trainable",
    }
)  # fmt: skip
_MOST_ARGUMENTS = 40


@dataclass
class OwnClass:
    """A class that a file needs.

    Attributes
    ----------
    name
        Of the class, as it is to be registered.
    base
        What it derives from: ``keras.layers.Layer`` or ``keras.Model``; empty for a function.
    layers
        Paths of the layers that are of it.
    settings
        Of the first of them.
    stored
        The arrays of the first of them, by their places within it.
    """

    name: str
    base: str
    layers: list[str] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    stored: list[StoredLayer] = field(default_factory=list)


def own_classes(config: Config, stored: Sequence[StoredLayer], *, ordered: bool) -> list[OwnClass]:
    """List the classes and functions of a model that are not Keras' own.

    Parameters
    ----------
    config
        Of the model, after the upgrade.
    stored
        From `weight_layers`, of the model's file.
    ordered
        Whether their order is that of the model.

    Returns
    -------
    list of OwnClass
        Each class once, with its settings and its layers.
    """
    found: dict[str, OwnClass] = {}
    unknown = {f.text.rpartition(".")[2] for f in findings(config) if f.kind == "unknown"}
    for path, group, layer in _layers(config, "", ""):
        name = str(layer["class_name"])
        if name not in unknown:
            continue
        base = "keras.layers.Layer" if path else "keras.Model"
        entry = found.setdefault(name, OwnClass(name, base))
        if not entry.layers:
            inner = layer.get("config")
            entry.settings = _settings(inner) if isinstance(inner, dict) else {}
            entry.stored = _within(stored, path if ordered else group)
        entry.layers.append(path)
    for finding in findings(config):
        name = finding.text.rpartition(".")[2]
        if finding.kind == "unknown" and name not in found:
            base = "" if finding.reason == "function" else "keras.layers.Layer"
            found[name] = OwnClass(name, base, [finding.layer])
    return [entry for entry in found.values() if _is_name(entry.name)]


def _layers(layer: Config, path: str, group: str) -> Iterator[tuple[str, str, Config]]:
    """Yield ``(path, group of weights in a file by Keras 3, layer)`` of all that a model holds."""
    if isinstance(layer.get("class_name"), str):
        yield path, group, layer
    config = layer.get("config")
    inner = config if isinstance(config, list) else None
    if isinstance(config, dict):
        inner = config.get("layers")
        for key in INNER_LAYERS:
            part = config.get(key)
            if isinstance(part, dict) and "class_name" in part:
                place = f"{path}/{name_of(part)}"
                yield from _layers(part, place, f"{group}/{key}")
    counts: dict[str, int] = {}
    for child in inner if isinstance(inner, list) else ():
        if isinstance(child, dict):
            snake = snake_case(str(child.get("class_name", "layer")))
            number = counts.get(snake, 0)
            counts[snake] = number + 1
            below = f"{group}/layers/{snake}{f'_{number}' if number else ''}".lstrip("/")
            name = name_of(child)
            yield from _layers(child, f"{path}/{name}" if path else name, below)


def _within(stored: Sequence[StoredLayer], place: str) -> list[StoredLayer]:
    """Return what is stored of one layer, with names from there on."""
    if not place:
        return list(stored)
    found = []
    for layer in stored:
        if layer.name == place or layer.name.startswith(f"{place}/"):
            name = layer.name[len(place) :].lstrip("/")
            # HDF5 files repeat the layer's name before those of the layers in it.
            parts, own = name.split("/"), place.rpartition("/")[2]
            if own in parts:
                name = "/".join(parts[len(parts) - parts[::-1].index(own) :])
            found.append(StoredLayer(name, layer.arrays, layer.class_name if name else ""))
    return found


def _settings(config: Config) -> dict[str, Any]:
    own = {key: value for key, value in config.items() if key not in _COMMON and _is_name(key)}
    return dict(list(own.items())[:_MOST_ARGUMENTS])


def _is_name(text: str) -> bool:
    return text.isidentifier() and text.isascii() and not keyword.iskeyword(text)


# --- text --------------------------------------------------------------------------------------


def classes_code(found: Sequence[OwnClass], reference: str) -> str:
    """Return the text of a Python module with the classes.

    Parameters
    ----------
    found
        From `own_classes`.
    reference
        The file, for the comment.

    Returns
    -------
    str
        Python source, ending in a line break.
    """
    said = ascii(reference)[1:-1].replace('"', "'").replace("\\", "/")
    lines = [
        f'"""What {said} needs beside Keras: settings and weights are those of the file.',
        "",
        "What the classes compute is not in it. Write it where NotImplementedError stands, and",
        "give layers and weights the names of the original, in its order.",
        '"""',
        "",
        "import keras",
    ]
    for entry in found:
        lines += ["", "", *(_function(entry) if not entry.base else _class(entry))]
    return "\n".join(lines) + "\n"


def _function(entry: OwnClass) -> list[str]:
    return [
        f"def {entry.name}(x):",
        f'    raise NotImplementedError("what {entry.name} computes is not in the file")',
    ]


def _class(entry: OwnClass) -> list[str]:
    arguments = "".join(f", {key}={_literal(value)}" for key, value in entry.settings.items())
    places = [ascii(path)[1:-1] for path in entry.layers if path]
    where = f"In the file: {', '.join(places[:3])}" + (" …" if len(places) > 3 else "")
    lines = [f"class {entry.name}({entry.base}):"]
    if places:
        where = where.replace("\\", "/").replace('"', "'").replace(" …", " and more")
        lines += [f'    """{where}."""', ""]
    lines += [f"    def __init__(self{arguments}, **kwargs):", "        super().__init__(**kwargs)"]
    lines += [f"        self.{key} = {key}" for key in entry.settings]
    own, inner = _parts(entry.stored)
    lines += inner
    if own:
        lines += ["", "    def build(self, input_shape):", *own, "        self.built = True"]
    lines += [
        "",
        "    def call(self, inputs):",
        f'        raise NotImplementedError("what {entry.name} computes is not in the file")',
        "",
        "    def get_config(self):",
    ]
    kept = "".join(f', "{key}": self.{key}' for key in entry.settings)
    lines += [f"        return {{**super().get_config(){kept}}}"]
    return lines


def _parts(stored: Sequence[StoredLayer]) -> tuple[list[str], list[str]]:
    """Return the lines of a layer's own weights, and of the layers within it."""
    own, inner = [], []
    groups: dict[str, list[StoredLayer]] = {}
    for layer in stored:
        if not layer.name:
            for name, shape in layer.arrays:
                plain = re.sub(r"\W", "_", name, flags=re.ASCII)
                plain = plain if _is_name(plain) else f"weight_{plain}"
                own.append(f'        self.{plain} = self.add_weight(name="{plain}", shape={shape})')
        else:
            head = layer.name.split("/")[0]
            groups.setdefault(head, []).append(layer)
    for head, layers in groups.items():
        attribute = re.sub(r"\W", "_", head, flags=re.ASCII)
        attribute = attribute if _is_name(attribute) else f"layer_{attribute}"
        inner += _inner(attribute, head, layers)
    return own, inner


def _inner(attribute: str, head: str, layers: list[StoredLayer]) -> list[str]:
    """Return the lines that make the layers of one attribute."""
    if len(layers) == 1 and layers[0].name == head:
        return [f"        self.{attribute} = {_made(layers[0])}"]
    parts = {layer.name.rpartition("/")[2].strip("_"): layer for layer in layers}
    query = parts.get("query_dense") or parts.get("query")
    if query is not None and parts.keys() & {"output_dense", "attention_output"}:
        kernel = query.shapes[0]
        if len(kernel) == 3:
            made = f"keras.layers.MultiHeadAttention({kernel[1]}, {kernel[2]})"
            return [f"        self.{attribute} = {made}"]
    inside = {layer.name.split("/")[1] for layer in layers if "/" in layer.name}
    plain = all(layer.name.count("/") == 1 and kind_of_layer(layer).class_name for layer in layers)
    if head in LISTS or (inside and inside <= set(LISTS)) or plain:
        made = ", ".join(_made(layer) for layer in layers)
        return [f"        self.{attribute} = keras.Sequential([{made}])"]
    return [
        f"        # '{ascii(layer.name)[1:-1]}' has the shapes {', '.join(map(str, layer.shapes))}"
        for layer in layers
    ]


def _made(layer: StoredLayer) -> str:
    kind = kind_of_layer(layer)
    if not kind.class_name:
        shapes = ", ".join(map(str, layer.shapes))
        return f"None  # its weights have the shapes {shapes}"
    settings = dict(kind.settings)
    first = [str(settings.pop(k)) for k in ("filters", "units", "input_dim") if k in settings]
    rest = [f"{key}={value!r}" for key, value in settings.items()]
    return f"keras.layers.{kind.class_name}({', '.join([*first, *rest])})"


def _literal(value: Any) -> str:
    """Return a setting as Python; what is no plain value is None, and comes from the file."""
    if value is None or isinstance(value, bool | int | float | str):
        text = ascii(value)
        return text if text not in ("nan", "inf", "-inf") else "None"
    if isinstance(value, list) and all(isinstance(v, bool | int | float | str) for v in value):
        return f"({', '.join(_literal(v) for v in value)}{',' if len(value) == 1 else ''})"
    return "None"
