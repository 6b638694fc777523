"""Classes of a user's own, which a model file only names."""

from __future__ import annotations

import keras


class Residual(keras.layers.Layer):
    """Adds a convolution of its input to it, and rectifies, by plain operations."""

    def __init__(self, filters, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.conv = keras.layers.Conv2D(filters, 3, padding="same", name="conv")

    def build(self, shape):
        self.conv.build(shape)

    def call(self, x):
        return keras.ops.relu(x + self.conv(x))

    def get_config(self):
        return {**super().get_config(), "filters": self.filters}


class Subclassed(keras.Model):
    """A stem, a residual block and a linear head whose softmax is a plain operation."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.stem = keras.layers.Conv2D(6, 3, strides=2, activation="relu", name="stem")
        self.block = Residual(6, name="block")
        self.side = keras.layers.Conv2D(6, 1, name="side")
        self.classes = keras.layers.Dense(3, name="classes")

    def call(self, x):
        x = self.stem(x)
        x = self.block(x)
        pooled = keras.ops.mean(x, (1, 2)) + keras.ops.mean(keras.ops.tanh(self.side(x)), (1, 2))
        return keras.ops.softmax(self.classes(pooled))

    def get_config(self):
        return super().get_config()
