"""Quantised checkpoints of Keras 3: explained by the weights that they stand for."""

from __future__ import annotations

import json

import numpy as np
import pytest

from kvis_cli.models.description.info import describe_model
from kvis_cli.models.request import ModelSpec

pytestmark = pytest.mark.slow


def make(keras):
    keras.utils.set_random_seed(0)
    image = keras.Input((24, 24, 3))
    x = keras.layers.Conv2D(6, 3, activation="relu", name="c1")(image)
    x = keras.layers.Conv2D(8, 3, strides=2, activation="relu", name="c2")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dense(16, activation="relu", name="d1")(x)
    return keras.Model(image, keras.layers.Dense(3, activation="softmax", name="classes")(x))


def dequantised(keras, model):
    """The same network in float32, its kernels those that the stored integers stand for."""
    twin = make(keras)
    for layer in twin.layers:
        source = model.get_layer(layer.name) if layer.weights else None
        if source is None:
            continue
        if layer.name.startswith("c") and layer.name != "classes":
            layer.set_weights(source.get_weights())
            continue
        # What the layer makes of each unit vector is its kernel, whatever it is stored as.
        units = np.eye(layer.kernel.shape[0], dtype=np.float32)
        activation, source.activation = source.activation, keras.activations.linear
        kernel = np.asarray(source(units)) - np.asarray(source.bias)
        source.activation = activation
        layer.set_weights([kernel, np.asarray(source.bias)])
    return twin


@pytest.mark.parametrize("mode", ["int8", "int4"])
def test_maps_are_those_of_the_dequantised_weights(tf, kvis, picture, mode, tmp_path):
    import keras

    model = make(keras)
    plain = [np.array(w) for w in model.get_layer("d1").get_weights()]
    model.quantize(mode)
    model.save(tmp_path / "m.keras")
    twin = dequantised(keras, model)
    twin.save(tmp_path / "twin.keras")
    # Quantising did something, and no more than it should.
    moved = np.abs(twin.get_layer("d1").get_weights()[0] - plain[0]).max() / np.abs(plain[0]).max()
    assert 1e-4 < moved < {"int8": 0.02, "int4": 0.2}[mode]
    for command in ("cam", "saliency"):
        maps = []
        for name in ("m", "twin"):
            out = tmp_path / f"{command}-{name}"
            ran = kvis(command, tmp_path / f"{name}.keras", picture, "-c", "1", "--raw", "-o", out)
            assert ran.code == 0, ran.err
            row = json.loads((out / "manifest.jsonl").read_text())
            maps.append(np.load(out / row["raw"])["map"])
        # The features between the layers are rounded, too, to 8 bits: no rectifier may turn by it.
        assert maps[1].max() > 0
        np.testing.assert_allclose(maps[0], maps[1], atol=0.02 * maps[1].max())


def test_low_precision_in_wrappers_is_computed_in_float32(tf, tmp_path):
    import keras

    from kvis_cli.models.live.open import open_model

    layers = keras.layers
    keras.utils.set_random_seed(1)
    keras.config.set_dtype_policy("mixed_float16")
    try:
        frame = keras.Sequential([keras.Input((10, 10, 4)), layers.Conv2D(2, 3), layers.Flatten()])
        model = keras.Sequential(
            [
                keras.Input((5, 12, 12, 3)),
                layers.TimeDistributed(layers.Conv2D(4, 3, activation="relu")),
                layers.TimeDistributed(frame),
                layers.Bidirectional(layers.LSTM(3)),
                layers.Dense(2),
            ]
        )
    finally:
        keras.config.set_dtype_policy("float32")
    model.save(tmp_path / "m.keras")
    found = open_model(describe_model(ModelSpec(path=str(tmp_path / "m.keras"))))
    low = [x.name for x in found.model._flatten_layers() if x.compute_dtype != "float32"]
    assert low == []
    film = np.random.default_rng(0).normal(size=(2, 5, 12, 12, 3)).astype(np.float32)
    got, wanted = np.asarray(found.model(film)), np.asarray(model(film), np.float32)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, wanted, atol=5e-3)
    # Not a copy of the float16 result: float32 has more digits.
    assert np.any(got != got.astype(np.float16))
