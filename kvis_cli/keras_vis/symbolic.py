"""Traced computations as layers of a functional Keras model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from kvis_cli.models.live.pre_activation import pre_activation


class Traced(keras.layers.Layer):
    """A function of one TensorFlow tensor as a layer, for models that are never saved.

    Parameters
    ----------
    function
        Works on tensors inside a ``tf.function``, where it sees the graph behind them.
    **options
        Those of `keras.layers.Layer`, such as ``name``.
    """

    def __init__(self, function: Callable[[Any], Any], **options: Any) -> None:
        super().__init__(**options)
        self.function = function

    def call(self, inputs: Any) -> Any:
        """Compute the layer."""
        return self.function(inputs)


def before_activation(tensor: Any) -> Any:
    """Return the symbolic tensor before a final softmax, sigmoid or tanh.

    `tensor` where there is none.
    """
    return Traced(lambda x: pre_activation(x)[0] if hasattr(x, "op") else x)(tensor)
