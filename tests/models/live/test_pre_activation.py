"""The value before the last activation, wherever that activation stands."""

from __future__ import annotations

import numpy as np
import pytest

X = np.random.default_rng(4).normal(size=(3, 6)).astype(np.float32)


def variants(kind: str):
    """The same logits, ended in five different ways."""
    import keras
    from keras import layers, ops

    keras.utils.set_random_seed(7)
    inputs = keras.Input((6,))
    dense = layers.Dense(4, name="logits")
    logits = dense(inputs)
    yield "fused", keras.Model(inputs, _fused(inputs, dense, kind)), dense
    yield "Activation", keras.Model(inputs, layers.Activation(kind)(logits)), dense
    if kind == "softmax":
        yield "Softmax layer", keras.Model(inputs, layers.Softmax()(logits)), dense
    yield "operation", keras.Model(inputs, getattr(ops, kind)(logits)), dense
    reshaped = layers.Reshape((2, 2))(layers.Activation(kind)(logits))
    yield "reshaped", keras.Model(inputs, layers.Flatten()(reshaped)), dense
    inner_in = keras.Input((4,))
    inner = keras.Model(inner_in, layers.Activation(kind)(inner_in))
    yield "nested", keras.Model(inputs, inner(logits)), dense

    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = dense

        def call(self, x):
            import tensorflow as tf

            return getattr(tf.nn, kind)(self.dense(x))

    yield "subclassed", Own(), dense


def _fused(inputs, dense, kind):
    from keras import layers

    copy = layers.Dense(4, activation=kind)
    outputs = copy(inputs)
    copy.set_weights(dense.get_weights())
    return outputs


@pytest.mark.parametrize("kind", ["softmax", "sigmoid", "tanh"])
def test_every_way_to_end_a_model(tf, kind):
    from kvis_cli.models.live.pre_activation import pre_activation

    for name, model, dense in variants(kind):

        @tf.function(autograph=False)
        def run(x, model=model):
            tensor, activation = pre_activation(model(x, training=False))
            assert activation == kind
            return tensor

        np.testing.assert_allclose(run(X), dense(X), rtol=1e-5, atol=1e-6, err_msg=name)


def test_a_model_without_such_an_end_is_left_alone(tf):
    import keras

    from kvis_cli.models.live.pre_activation import pre_activation

    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(4, activation="relu")])

    @tf.function(autograph=False)
    def run(x):
        tensor, activation = pre_activation(model(x))
        assert activation == "none"
        return tensor

    np.testing.assert_array_equal(run(X), model(X))
