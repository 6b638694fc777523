"""What is explained and the constant inputs, arranged as a model takes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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
