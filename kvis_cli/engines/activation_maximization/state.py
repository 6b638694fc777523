"""What an optimisation keeps per picture between two steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tensorflow as tf


@dataclass(frozen=True)
class State:
    """Per picture, tensors with the batch as their first axis."""

    parameters: Any
    slots: tuple[Any, ...]
    best: Any
    best_total: Any
    good: Any
    active: Any
    stale: Any


def wide(flags: Any, like: Any) -> Any:
    """``(B,)`` as ``(B, 1, …)`` of the rank of `like`."""
    return tf.reshape(flags, [-1] + [1] * (like.shape.rank - 1))


def as_list(state: State) -> list[Any]:
    """Return a state as the nested list that a traced function takes."""
    return [
        state.parameters, list(state.slots), state.best, state.best_total, state.good,
        state.active, state.stale,
    ]  # fmt: skip


def as_state(values: list[Any]) -> State:
    """Return the inverse of `as_list`."""
    parameters, slots, *rest = values
    return State(parameters, tuple(slots), *rest)
