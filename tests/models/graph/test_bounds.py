"""Bounds of channels, beside the largest and least values over every corner of the input's range.

A convolution as large as its input is a linear function of 8 numbers: its extremes are reached at
the 256 corners. What follows it keeps them extremes, channel by channel, so the bounds are exact.
"""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from kvis_cli.models.graph.bounds import channel_bounds, constant_channels
from kvis_cli.models.graph.from_config import read_architecture

LOW, HIGH = np.array([-0.5, 0.2]), np.array([1.5, 0.9])
WHOLE = {"filters": 5, "kernel_size": 2, "bias_initializer": "random_normal"}


def stack(keras, *layers, shape=(2, 2, 2)):
    x = start = keras.Input(shape)
    for layer in layers:
        x = layer(x)
    model = keras.Model(start, x)
    rng = np.random.default_rng(3)
    for weight in model.weights:
        drawn = rng.normal(0.3, 1.0, weight.shape)
        weight.assign(np.abs(drawn) + 0.1 if "variance" in weight.path else drawn)
    return model


def bounds(model, low=LOW, high=HIGH):
    calls = list(read_architecture(json.loads(model.to_json())))
    return channel_bounds(calls[-1], model.get_layer, low, high)


def corners(shape=(2, 2, 2)):
    """Every input whose values are all at an end of their range."""
    low, high = (np.broadcast_to(end, shape).ravel() for end in (LOW, HIGH))
    picks = np.array(list(itertools.product([0, 1], repeat=low.size)))
    return np.where(picks, high, low).reshape(-1, *shape).astype("float32")


def followers(layers):
    return {
        "alone": [],
        "no bias": [],
        "batch normalization": [layers.BatchNormalization()],
        "without scale": [layers.BatchNormalization(scale=False, epsilon=0.1)],
        "without centre": [layers.BatchNormalization(center=False)],
        "relu": [layers.ReLU()],
        "relu 0.7": [layers.ReLU(max_value=0.7)],
        "leaky relu": [layers.LeakyReLU(negative_slope=0.2)],
        "rescaled": [layers.Rescaling(-2.0, offset=0.3), layers.Activation("tanh")],
        "pooled": [layers.Dropout(0.5), layers.MaxPooling2D(1), layers.GlobalAveragePooling2D()],
        "padded": [layers.ZeroPadding2D(1), layers.GlobalMaxPooling2D()],
        "activation": [layers.Activation("sigmoid")],
    }


@pytest.mark.parametrize(
    "name",
    [
        "alone", "no bias", "batch normalization", "without scale", "without centre", "relu",
        "relu 0.7", "leaky relu", "rescaled", "pooled", "activation",
    ],
)  # fmt: skip
def test_bounds_are_reached(tf, name):
    import keras

    first = keras.layers.Conv2D(**WHOLE, use_bias=name != "no bias")
    model = stack(keras, first, *followers(keras.layers)[name])
    values = model.predict(corners(), verbose=0).reshape(256, 5)
    least, most = bounds(model)
    np.testing.assert_allclose(least, values.min(0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(most, values.max(0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "activation", ["linear", "relu", "relu6", "tanh", "sigmoid", "elu", "softplus"]
)
def test_bounds_behind_activations_are_reached(tf, activation):
    import keras

    model = stack(keras, keras.layers.Conv2D(**WHOLE, activation=activation))
    values = model.predict(corners(), verbose=0).reshape(256, 5)
    least, most = bounds(model)
    np.testing.assert_allclose(least, values.min(0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(most, values.max(0), rtol=1e-4, atol=1e-5)


def test_the_same_for_a_dense_layer_of_one_row(tf):
    import keras

    model = stack(keras, keras.layers.Dense(4), shape=(2,))
    values = model.predict(corners((2,)), verbose=0)
    least, most = bounds(model)
    np.testing.assert_allclose(least, values.min(0), rtol=1e-5)
    np.testing.assert_allclose(most, values.max(0), rtol=1e-5)


def test_inputs_in_other_units_come_before(tf):
    import keras

    layers = keras.layers
    model = stack(keras, layers.Rescaling([2.0, -3.0], offset=[1.0, 0.5]), layers.Conv2D(**WHOLE))
    values = model.predict(corners(), verbose=0).reshape(256, 5)
    least, most = bounds(model)
    np.testing.assert_allclose(least, values.min(0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(most, values.max(0), rtol=1e-4, atol=1e-5)


def test_nothing_is_outside_of_wider_bounds(tf):
    """Padding, branches and depth: bounds are no longer reached, and still hold."""
    import keras

    layers = keras.layers
    start = keras.Input((2, 2, 2))
    padded = layers.Conv2D(5, 3, padding="same")(start)
    other = layers.Conv2D(5, 1)(layers.ZeroPadding2D(1)(layers.Conv2D(3, 2)(start)))
    other = layers.MaxPooling2D(2, 1)(other)
    joined = layers.Add()([padded, other])
    both = layers.Concatenate()([layers.ReLU()(joined), padded])
    model = keras.Model(start, layers.Conv2D(4, 1)(both))
    rng = np.random.default_rng(1)
    for weight in model.weights:
        weight.assign(rng.normal(0, 1, weight.shape))
    values = model.predict(corners(), verbose=0).reshape(-1, 4)
    least, most = bounds(model)
    assert (least <= values.min(0)).all() and (values.max(0) <= most).all()
    inner = keras.Model(start, both)
    values = inner.predict(corners(), verbose=0).reshape(-1, 10)
    least, most = bounds(inner)
    assert (least <= values.min(0) + 1e-5).all() and (values.max(0) <= most + 1e-5).all()
    assert (most - least)[:5] == pytest.approx((np.maximum(most, 0) - np.maximum(least, 0))[:5])


def test_a_padded_border_sees_zero(tf):
    import keras

    layers = keras.layers
    high = np.array([0.9, 0.8])
    model = stack(keras, layers.ZeroPadding2D(1), shape=(2, 2, 2))
    assert [list(end) for end in bounds(model, np.array([0.5, 0.6]), high)] == [[0, 0], [0.9, 0.8]]


def test_a_channel_that_only_its_bias_moves_is_constant(tf):
    import keras

    model = stack(keras, keras.layers.Conv2D(3, 1), keras.layers.ReLU())
    kernel, _ = model.layers[1].get_weights()
    kernel[..., 1] = 0
    kernel[..., 2] = -np.abs(kernel[..., 2])
    model.layers[1].set_weights([kernel, np.array([0.5, 0.5, -9.0], "float32")])
    calls = list(read_architecture(json.loads(model.to_json())))
    found = constant_channels(calls[-1], model.get_layer, 0.0, 1.0)
    assert found.tolist() == [False, True, True]


def test_what_is_not_known_proves_nothing(tf):
    import keras

    layers = keras.layers
    for layer in (
        layers.DepthwiseConv2D(2),
        layers.Activation("gelu"),
        layers.ReLU(threshold=0.5),
        layers.Conv2D(4, 1, groups=2),
    ):
        assert bounds(stack(keras, layer)) is None
