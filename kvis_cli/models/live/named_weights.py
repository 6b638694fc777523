"""Arrays with names, such as TensorFlow.js keeps, given to the weights of a model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from kvis_cli.errors import WeightsError
from kvis_cli.models.live.reader import children
from kvis_cli.shown import shown

_COUNTED = re.compile(r"_\d+$")


@dataclass
class _Slot:
    """A weight of the model, and the names of the layers that it is in."""

    names: tuple[str, ...]
    variable: Any
    taken: bool = False

    @property
    def place(self) -> str:
        return "/".join((*self.names, self.variable.name))


def assign_named(
    model: keras.Model, arrays: Iterable[tuple[str, np.ndarray]], reference: str
) -> None:
    """Give each array to the weight that it is named after.

    A name is the path of a layer, or the end or a part of it, and the name of a weight:
    ``conv1/kernel``, ``bidirectional/forward_lstm/lstm_cell_3/kernel``. Several layers of one name
    (of different models within the model) take their arrays in the order of the model.

    Parameters
    ----------
    model
        A built model.
    arrays
        ``(name, array)``, each weight once.
    reference
        What the user typed, for messages.

    Raises
    ------
    WeightsError
        When a weight finds no array, or an array no weight.
    """
    slots = list(_slots(model, ()))
    by_name: dict[str, list[_Slot]] = {}
    for slot in slots:
        by_name.setdefault(slot.variable.name, []).append(slot)
    for name, array in arrays:
        *path, last = name.partition(":")[0].split("/")
        found = by_name.get(last) or by_name.get(_COUNTED.sub("", last), [])
        best = _best(found, path, array.shape)
        if best is None:
            raise WeightsError(
                f"{reference} holds weights that none of its layers takes.",
                f"They are called '{shown(name)}', of the shape {array.shape}.",
                "The file was altered, or a replaced layer must not have had weights.",
            )
        best.variable.assign(array)
        best.taken = True
    missing = [slot for slot in slots if not slot.taken]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise WeightsError(
            f"{reference} does not hold the weights of its layers.",
            f"'{shown(missing[0].place)}'{more} is not among them.",
            "It is incomplete or was altered: copy it again, or convert it again.",
        )
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()


def _slots(layer: Any, names: tuple[str, ...], seen: set[int] | None = None) -> Iterator[_Slot]:
    seen = set() if seen is None else seen
    for inner in children(layer):
        if id(inner) in seen or not hasattr(inner, "_trainable_variables"):
            continue
        seen.add(id(inner))
        path = (*names, inner.name)
        # A seed is no weight: it is a state of what acts in training.
        for variable in [*inner._trainable_variables, *inner._non_trainable_variables]:
            yield _Slot(path, variable)
        yield from _slots(inner, path, seen)


def _best(slots: list[_Slot], path: list[str], shape: tuple[int, ...]) -> _Slot | None:
    """Return the first free weight of this shape that most of the names lead to."""
    best, most = None, 0
    for slot in slots:
        if slot.taken or tuple(slot.variable.shape) != tuple(shape):
            continue
        common = sum(name in slot.names for name in path)
        # The name of the layer itself counts more than those of the models around it.
        score = 2 * common + (bool(path) and path[-1] in slot.names[-2:])
        if score > most:
            best, most = slot, score
    return best
