"""Which keras.applications model a file of weights alone belongs to, by the shapes of its arrays.

``data/application_weights.json`` (written by ``tools/application_weights.py``) has the shapes of
every family: how many arrays of each shape, without the classifier, and the classifier apart.

What is of no family is refused with what its arrays tell (`layer_kinds`).
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from kvis_cli.errors import ModelError
from kvis_cli.models.description.applications import APPLICATIONS, ApplicationRef
from kvis_cli.models.description.layer_kinds import known_of
from kvis_cli.models.files.weight_layers import StoredLayer, weight_layers

Shape = tuple[int, ...]

# The least number of arrays in common: a file of a few weights is of no family.
_LEAST = 20


@dataclass(frozen=True)
class Recognized:
    """An application that a file's weights belong to.

    Attributes
    ----------
    name
        A key of `applications.APPLICATIONS`.
    options
        Settings of its function: ``{"alpha": 0.5}``.
    channels
        Of its last feature maps.
    top
        Whether the weights end with the application's own classifier.
    classes
        Of that classifier; 0 without it.
    rest
        Shapes of the weights that are not of its base: the head, its own or another.
    same_order
        Whether the arrays stand in the order in which today's Keras reads them.
    """

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    channels: int = 0
    top: bool = False
    classes: int = 0
    rest: tuple[Shape, ...] = ()
    same_order: bool = True


def application_of_weights(path: Path) -> ApplicationRef:
    """Return the application whose weights a file holds.

    Parameters
    ----------
    path
        A file of weights alone.

    Returns
    -------
    ApplicationRef
        With this file as its weights.

    Raises
    ------
    ModelError
        For weights of anything else, with what is known of their layers.
    """
    layers, ordered = weight_layers(path)
    found = recognize_file(path)
    hint = (
        f"Say what they belong to: `--arch module:function`, or an application's name. "
        f"`kvis init-code {path}` writes such a function, as far as the weights tell."
    )
    what = f"'{path}' holds weights only, no architecture."
    if found is None:
        raise ModelError(what, f"It has the weights of {known_of(layers)}.", hint)
    name = APPLICATIONS[found.name]
    if found.rest and not found.top:
        raise ModelError(what, f"They are those of {name} with another head.", hint)
    if ordered and not found.same_order:
        raise ModelError(
            what,
            f"Its arrays are those of {name} in another order than today's Keras has them.",
            "Name the function that made the model: `--arch module:function`.",
        )
    return ApplicationRef(
        found.name, str(path), tuple(found.options.items()), found.classes if found.top else 0
    )


def recognize_file(path: Path) -> Recognized | None:
    """Do as `recognize` with all arrays of a file of weights."""
    layers, _ = weight_layers(path)
    found = recognize([shape for layer in layers for shape in layer.shapes])
    if found is not None and found.top and is_nested(layers, head_layers(layers, found.rest)):
        # A model within the model, with a head that only looks like the application's.
        return replace(found, top=False, classes=0)
    return found


def recognize(shapes: Sequence[Shape]) -> Recognized | None:
    """Return the application that has weights of these shapes, the largest where several fit.

    Parameters
    ----------
    shapes
        Of all arrays of a file, in the file's order.

    Returns
    -------
    Recognized or None
        With the shapes that it does not explain; None where nothing fits.
    """
    arrays = compared(shapes)
    texts = [shape_text(shape) for shape in arrays]
    count = Counter(texts)
    # A ResNet 101 has all the weights of a ResNet 50.
    fitting = [entry for entry in _table() if entry["base"] <= count]
    if not fitting:
        return None
    entry = max(fitting, key=lambda entry: entry["base"].total())
    size = entry["base"].total()
    if size < _LEAST:
        return None
    left = count - entry["base"]
    rest = []
    for shape, text in zip(reversed(arrays), reversed(texts), strict=True):
        # The head comes last.
        if left[text]:
            left[text] -= 1
            rest.append(shape)
    rest.reverse()
    classes = _classes(entry["top"], [shape_text(shape) for shape in rest])
    return Recognized(
        entry["name"],
        entry["options"],
        entry["channels"],
        top=classes > 0,
        classes=classes,
        rest=tuple(rest),
        same_order=digest_of(arrays[:size]) == entry["order"],
    )


def head_layers(layers: Sequence[StoredLayer], rest: Sequence[Shape]) -> list[StoredLayer]:
    """Return the layers that have the arrays `rest`, those at the end first."""
    left = Counter(rest)
    found = []
    for layer in reversed(layers):
        own = Counter(layer.shapes)
        if own <= left:
            left -= own
            found.append(layer)
    return found[::-1]


def is_nested(layers: Sequence[StoredLayer], head: Sequence[StoredLayer]) -> bool:
    """Whether the layers that are not of the head stand in a model within the model."""
    own = {layer.name for layer in head}
    depths = {layer.name.count("/") for layer in layers if layer.name not in own}
    inside = min((layer.name.count("/") for layer in head), default=0)
    return bool(depths) and min(depths) > inside


def _classes(top: list[str], rest: list[str]) -> int:
    """Return for how many classes `rest` is an application's classifier; 0 where it is none."""
    if len(top) != len(rest) or not rest:
        return 0
    classes = rest[-1].rpartition(".")[2]
    wanted = Counter(text.replace("N", classes) for text in top)
    return int(classes) if classes.isdecimal() and wanted == Counter(rest) else 0


def compared(shapes: Sequence[Shape]) -> list[Shape]:
    """Return the shapes without those of a Normalization, which comes with three numbers or none.

    It has a mean and a variance for each of three colours, and a count.
    """
    found = list(shapes)
    if () in found and found.count((3,)) >= 2:
        for shape in ((), (3,), (3,)):
            found.remove(shape)
    return found


def shape_text(shape: Shape) -> str:
    """``(3, 3, 64, 128)`` as ``3.3.64.128``."""
    return ".".join(map(str, shape))


def digest_of(shapes: Sequence[Shape]) -> str:
    """Return a digest of shapes in their order."""
    text = " ".join(map(shape_text, shapes))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def _table() -> list[dict[str, Any]]:
    path = resources.files("kvis_cli").joinpath("data/application_weights.json")
    entries = json.loads(path.read_text("utf-8"))
    return [{**entry, "base": Counter(entry["base"])} for entry in entries]
