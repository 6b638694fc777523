"""The first layers in NumPy, from the weights of a file, are those of Keras."""

from __future__ import annotations

import numpy as np
import pytest

from kvis_cli.models.description.evidence.forward import NotKnown
from kvis_cli.models.description.evidence.reading import first_normalisation, size_needed, steps
from kvis_cli.models.description.evidence.weights import open_weights
from kvis_cli.models.description.info import describe_model
from kvis_cli.models.request import build_model_spec

RNG = np.random.default_rng(3)


def plain(L):
    return [
        L.ZeroPadding2D(((1, 2), (0, 1))),
        L.Conv2D(6, 3, strides=2, padding="same", activation="relu"),
        L.BatchNormalization(),
        L.ReLU(max_value=1.5),
        L.DepthwiseConv2D(3, depth_multiplier=2, padding="same", use_bias=False),
        L.LeakyReLU(),
        L.MaxPooling2D(3, strides=2, padding="same"),
        L.SeparableConv2D(5, 3, activation="swish"),
        L.AveragePooling2D(2, padding="same"),
        L.GlobalAveragePooling2D(),
        L.Dense(4, activation="softmax"),
    ]


def odd(L):
    return [
        L.Rescaling(1 / 3, offset=-0.5),
        L.Conv2D(8, (3, 2), dilation_rate=2, activation="elu"),
        L.Conv2D(12, 3, groups=4, padding="same", activation="tanh"),
        L.Activation("selu"),
        L.Dropout(0.5),
        L.Conv2D(20, 1, activation="gelu"),
        L.BatchNormalization(scale=False, center=False),
        L.Conv2D(4, 3, strides=(1, 2), activation="softplus"),
        L.Flatten(),
        L.Dense(3, activation="sigmoid"),
    ]


def branched(keras):
    L = keras.layers
    inner = keras.Sequential(
        [keras.Input((9, 7, 6)), L.Conv2D(6, 3, padding="same"), L.BatchNormalization()],
        name="inner",
    )
    x = inputs = keras.Input((9, 7, 3))
    x = L.Conv2D(6, 3, padding="same", activation="relu6")(x)
    x = L.Add()([x, inner(x)])
    x = L.Concatenate()([x, L.GlobalMaxPooling2D(keepdims=True)(x) * 0 + x])
    return keras.Model(inputs, L.Softmax()(x))


def randomised(model):
    """Give every weight, moving statistics included, a value of its own."""
    for weight in model.weights:
        values = RNG.normal(0, 0.4, weight.shape)
        weight.assign(abs(values) + 0.3 if "variance" in weight.path else values)
    return model


@pytest.mark.parametrize("suffix", ["keras", "h5"])
@pytest.mark.parametrize("make", [plain, odd])
def test_every_layer_is_that_of_keras(tf, tmp_path, make, suffix):
    import keras

    model = randomised(keras.Sequential([keras.Input((15, 11, 3)), *make(keras.layers)]))
    x = RNG.normal(0, 1, (2, 15, 11, 3)).astype(np.float32)
    check(keras, model, tmp_path / f"m.{suffix}", x, len(model.layers))


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_branches_and_nested_models(tf, tmp_path, suffix):
    import keras

    model = randomised(branched(keras))
    x = RNG.normal(0, 1, (2, 9, 7, 3)).astype(np.float32)
    # Keras calls the operation of a tensor and a number as it calls the layer: the pass ends there.
    found = check(keras, model, tmp_path / f"m.{suffix}", x, 5)
    assert "Multiply" not in found and "Add" in found


def check(keras, model, path, x, least):
    model.save(path)
    info = describe_model(build_model_spec({"path": str(path)}))
    with open_weights(info.file, info.config, 3) as read:
        found = list(steps(info.architecture, x, read))
    assert len(found) >= least
    for step in found:
        layer = model
        for part in step.call.layer_path.split("/"):
            layer = layer.get_layer(part)
        inputs = step.inputs[0] if len(step.inputs) == 1 else step.inputs
        expected = np.asarray(layer(inputs, training=False))
        np.testing.assert_allclose(step.output, expected, rtol=2e-3, atol=2e-5, err_msg=layer.name)
    return [step.call.class_name for step in found]


def test_a_pass_ends_where_it_gets_too_dear_or_the_layer_is_not_known(tf, tmp_path, monkeypatch):
    import keras

    L = keras.layers
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), L.Conv2D(4, 3), L.UpSampling2D(), L.Conv2D(4, 3)]
    )
    model.save(tmp_path / "m.keras")
    info = describe_model(build_model_spec({"path": str(tmp_path / "m.keras")}))
    x = np.zeros((1, 8, 8, 3), np.float32)
    with open_weights(info.file, info.config, 3) as read:
        assert [s.call.class_name for s in steps(info.architecture, x, read)] == ["Conv2D"]
        monkeypatch.setattr("kvis_cli.models.description.evidence.reading.MOST_WORK", 100.0)
        assert list(steps(info.architecture, x, read)) == []


def test_the_size_that_is_needed(tf, tmp_path):
    import keras

    L = keras.layers
    model = keras.Sequential(
        [keras.Input((96, 80, 3)), L.Conv2D(4, 3), L.BatchNormalization(), L.Flatten(), L.Dense(2)]
    )
    model.save(tmp_path / "m.keras")
    info = describe_model(build_model_spec({"path": str(tmp_path / "m.keras")}))
    architecture = info.architecture
    layer = first_normalisation(architecture)
    assert layer is not None and layer.class_name == "BatchNormalization"
    assert size_needed(architecture, layer, 96, 80) == (64, 64)
    assert size_needed(architecture, None, 96, 80) == (96, 80)


def test_files_without_readable_layers(tmp_path, samples):
    info = describe_model(build_model_spec({"path": str(samples / "shapes.keras")}))
    from dataclasses import replace

    with (
        pytest.raises(NotKnown),
        open_weights(replace(info.file, format="savedmodel"), info.config, 3),
    ):
        pass
