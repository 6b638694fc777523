"""The losses and the display of keras-vis 0.5.0 and of "Deep Learning with Python", as coded there.

They work on model inputs as they are, so use them with ``InputSpace()``. For new pictures take
`kvis_cli.engines.activation_maximization.regularizers`, which mean the same for every input range.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from kvis_cli.engines.activation_maximization.losses import Loss, View
from kvis_cli.engines.activation_maximization.regularizers import squared_differences


class KerasVisLPNorm(Loss):
    """``(Σ |x|^p)^(1/p) / N`` with N the number of input values, channels included."""

    def __init__(self, p: float = 6.0) -> None:
        self.p = p
        self.name = f"L-{p} Norm Loss"

    def __call__(self, view: View, arguments: dict[str, Any]) -> Any:
        """Return the loss of each picture, ``(B,)``."""
        flat = tf.abs(tf.reshape(view.inputs, [tf.shape(view.inputs)[0], -1]))
        if np.isinf(self.p):
            return tf.reduce_max(flat, 1) / _values(view)
        # Taken relative to the largest value: 255^6 of many pixels is beyond float32's precision,
        # and a black picture has no gradient instead of NaN.
        top = tf.stop_gradient(tf.maximum(tf.reduce_max(flat, 1), 1e-12))
        power = tf.reduce_sum((flat / top[:, tf.newaxis]) ** self.p, 1)
        return top * tf.maximum(power, 1e-30) ** (1 / self.p) / _values(view)


class KerasVisTotalVariation(Loss):
    """``Σ_{c,i} (Σ_d (x[i+e_d] - x[i])²)^(β/2) / N``."""

    def __init__(self, beta: float = 2.0) -> None:
        self.beta = beta
        self.name = f"TV({beta}) Loss"

    def __call__(self, view: View, arguments: dict[str, Any]) -> Any:
        """Return the loss of each picture, ``(B,)``."""
        inputs = view.inputs
        if view.channels_first:
            inputs = tf.transpose(inputs, [0, *range(2, inputs.shape.rank), 1])
        square = squared_differences(inputs)
        powered = square if self.beta == 2 else (square + 1e-12) ** (self.beta / 2)
        return tf.reduce_sum(powered, axis=list(range(1, square.shape.rank))) / _values(view)


def _values(view: View) -> float:
    return float(np.prod(view.inputs.shape[1:]))


def stretch(image: np.ndarray) -> np.ndarray:
    """Set mean 0.5 and deviation 0.1, clip to 0..1: the book's ``deprocess_image``.

    It shows what is there at any scale, but it is another picture than the one that was optimised.
    """
    image = np.asarray(image, np.float32)
    centred = (image - image.mean()) / (image.std() + 1e-5)
    return np.clip(centred * 0.1 + 0.5, 0, 1)
