"""Inputs arranged as a model takes them, and its outputs as engines take these."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kvis_cli.models.graph.forms import OutputForm

Arrange = Callable[[Any], Any]


def arranger(structure: Any, names: Any, explained: str, constants: dict[str, Any]) -> Arrange:
    """Put the explained tensor in its place among the constants.

    Parameters
    ----------
    structure
        The model's structure of inputs (tensors or specs).
    names
        The same structure with the name of each input.
    explained
        The name of the input that takes what is explained.
    constants
        The other inputs: name → one example ``(1, …)``.

    Returns
    -------
    callable
        From the explained tensor ``(B, …)`` to the structure that the model takes.
    """
    import keras
    import tensorflow as tf

    order = keras.tree.flatten(names)
    dtypes = [tensor.dtype for tensor in keras.tree.flatten(structure)]

    def arrange(x: Any) -> Any:
        values = []
        for name, dtype in zip(order, dtypes, strict=True):
            value = x if name == explained else tf.constant(constants[name])
            if name != explained:
                value = tf.repeat(value, tf.shape(x)[0], axis=0)
            values.append(tf.cast(value, dtype))
        return keras.tree.pack_sequence_as(structure, values)

    return arrange


def folding(shape: tuple[int | None, ...], arrange: Arrange | None) -> Arrange:
    """Turn pictures ``(B, H, W, C)`` into the numbers of an input without channels.

    Parameters
    ----------
    shape
        Of the input, without the batch.
    arrange
        What is done with the input after that.

    Returns
    -------
    callable
        From pictures to what the model takes.
    """
    import tensorflow as tf

    def arranged(x: Any) -> Any:
        flat = tf.reshape(x, [-1, *(size or -1 for size in shape)])
        return flat if arrange is None else arrange(flat)

    return arranged


def units_last(form: OutputForm, output: int) -> Callable[[list[Any]], list[Any]] | None:
    """Bring an output to ``(B, *positions, units)``; None where it is that already."""
    if form.layout == "last":
        return None
    import tensorflow as tf

    def arranged(outputs: list[Any]) -> list[Any]:
        found = list(outputs)
        tensor = found[output]
        if form.layout == "none":
            found[output] = tf.expand_dims(tensor, -1)
        elif form.layout == "flat":
            found[output] = tf.reshape(tensor, [-1, *form.positions, form.units])
        else:
            order = [0, *range(2, tensor.shape.rank), 1]
            found[output] = tf.transpose(tensor, order)
        return found

    return arranged
