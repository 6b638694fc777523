"""From a model's output back to the value before its last softmax or sigmoid."""

from __future__ import annotations

from typing import Any, Literal

import tensorflow as tf

Activation = Literal["softmax", "sigmoid", "tanh", "none"]
_ACTIVATIONS: dict[str, Activation] = {"Softmax": "softmax", "Sigmoid": "sigmoid", "Tanh": "tanh"}


def pre_activation(output: Any) -> tuple[Any, Activation]:
    """Return the tensor that the last softmax, sigmoid or tanh was applied to.

    It looks at the traced graph, not at layers, so a fused activation, an activation layer, a
    nested head and a bare ``tf.nn.softmax`` in a subclassed model are all the same. Reshapes and
    casts behind the activation are repeated on the tensor before it.

    Parameters
    ----------
    output
        A symbolic tensor, inside a ``tf.function``.

    Returns
    -------
    tensor, activation
        ``output`` itself and ``"none"`` when no such activation ends the graph.
    """
    found = _strip(output)
    return found if found is not None else (output, "none")


def _strip(tensor: Any) -> tuple[Any, Activation] | None:
    operation = tensor.op
    if operation.type in _ACTIVATIONS:
        return operation.inputs[0], _ACTIVATIONS[operation.type]
    repeat = _REPEAT.get(operation.type)
    if repeat is None:
        return None
    inner = _strip(operation.inputs[0])
    return (repeat(inner[0], operation), inner[1]) if inner else None


_REPEAT = {
    "Identity": lambda x, op: x,
    "StopGradient": lambda x, op: x,
    "Reshape": lambda x, op: tf.reshape(x, op.inputs[1]),
    "Transpose": lambda x, op: tf.transpose(x, op.inputs[1]),
    "Squeeze": lambda x, op: tf.squeeze(x, op.get_attr("squeeze_dims")),
    "ExpandDims": lambda x, op: tf.expand_dims(x, op.inputs[1]),
    "Cast": lambda x, op: tf.cast(x, op.get_attr("DstT")),
}
