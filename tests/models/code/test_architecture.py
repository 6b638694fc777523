"""Modules for files of weights alone: written, imported, and predicting as the model did."""

from __future__ import annotations

import ast
import sys

import h5py
import numpy as np
import pytest

from kvis_cli.errors import ModelError
from kvis_cli.models.code.architecture import architecture_code
from kvis_cli.models.code.sizes import fitting_sizes
from kvis_cli.models.description.info import describe_model
from kvis_cli.models.description.layer_kinds import kind_of_layer
from kvis_cli.models.files.weight_layers import StoredLayer, weight_layers
from kvis_cli.models.request import ModelSpec
from tests.models.description.test_recognized import save_legacy


def stored(name, *shapes, class_name="", names=()):
    names = names or tuple(map(str, range(len(shapes))))
    return StoredLayer(name, tuple(zip(names, shapes, strict=True)), class_name)


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (stored("a", (3, 3, 1, 8), (8,)), "Conv2D 1 8 filters=8 kernel_size=(3, 3)"),
        (stored("a", (5, 2, 6)), "Conv1D 2 6 filters=6 kernel_size=(5,) use_bias=False"),
        (stored("a", (3, 3, 3, 2, 4), (4,)), "Conv3D 2 4 filters=4 kernel_size=(3, 3, 3)"),
        (stored("a", (3, 3, 8, 1), (8,)), "DepthwiseConv2D 8 8 kernel_size=(3, 3)"),
        (stored("a", (3, 3, 8, 1), (1,)), "Conv2D 8 1 filters=1 kernel_size=(3, 3)"),
        (
            stored("a", (3, 3, 8, 2), names=["depthwise_kernel:0"]),
            "DepthwiseConv2D 8 16 kernel_size=(3, 3) depth_multiplier=2 use_bias=False",
        ),
        (
            stored("a", (3, 3, 8, 1), (1, 1, 8, 5), (5,)),
            "SeparableConv2D 8 5 filters=5 kernel_size=(3, 3)",
        ),
        (
            stored("conv2d_transpose_1", (2, 2, 4, 8), (4,)),
            "Conv2DTranspose 8 4 filters=4 kernel_size=(2, 2)",
        ),
        (stored("a", (7, 3), (3,)), "Dense 7 3 units=3"),
        (stored("embedding", (100, 8)), "Embedding None 8 input_dim=100 output_dim=8"),
        (stored("a", (4, 20), (5, 20), (20,)), "LSTM 4 5 units=5"),
        (stored("a", (4, 15), (5, 15), (2, 15)), "GRU 4 5 units=5"),
        (stored("a", (4, 15), (5, 15), (15,)), "GRU 4 5 units=5 reset_after=False"),
        (stored("a", (4, 5), (5, 5), (5,)), "SimpleRNN 4 5 units=5"),
        (stored("a", (6,), (6,), (6,), (6,)), "BatchNormalization 6 None"),
        (
            stored("a", (6,), (6,), (6,), names=["beta", "moving_mean", "moving_variance"]),
            "BatchNormalization 6 None scale=False",
        ),
        (stored("layer_normalization", (6,), (6,)), "LayerNormalization 6 None"),
        (stored("a", (4, 2, 3), (2, 3), (2, 3, 4), (4,)), " None None"),
        (stored("a", (0, 3), (3,)), " None None"),
        (stored("a", (7, 3), (4,)), " None None"),
    ],
)
def test_what_layer_has_such_weights(layer, text):
    kind = kind_of_layer(layer)
    settings = "".join(f" {key}={value}" for key, value in kind.settings.items())
    assert f"{kind.class_name} {kind.takes} {kind.gives}{settings}" == text


def test_sizes_that_leave_the_positions_a_dense_layer_takes():
    # Chollet's cats and dogs: 150 → 148, 74 → 72, 36 → 34, 17 → 15, 7.
    chollet = [((3, 3), n) for n in (32, 64, 128, 128)]
    assert any(
        (fit.side, fit.padding, fit.pooled) == (150, "valid", (0, 1, 2, 3))
        for fit in fitting_sizes(chollet, 49)
    )
    vgg = [((3, 3), n) for n in (64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)]
    blocks = fitting_sizes(vgg, 49)
    assert blocks and all(fit.side >= 28 for fit in blocks)
    assert fitting_sizes(chollet, 48) == []


def networks():
    import keras
    from keras import layers

    relu = {"activation": "relu"}
    return {
        "mnist": [
            keras.Input((28, 28, 1)), layers.Conv2D(4, 3, **relu), layers.MaxPooling2D(),
            layers.Conv2D(6, 3, **relu), layers.MaxPooling2D(), layers.Flatten(),
            layers.Dense(10, **relu), layers.Dense(3, activation="softmax"),
        ],
        "normalized": [
            keras.Input((32, 32, 3)),
            layers.Conv2D(4, 3, padding="same"), layers.BatchNormalization(),
            layers.Activation("relu"), layers.MaxPooling2D(),
            layers.Conv2D(8, 3, padding="same"), layers.BatchNormalization(),
            layers.Activation("relu"), layers.MaxPooling2D(),
            layers.Flatten(), layers.Dense(1, activation="sigmoid"),
        ],
        "pooled": [
            keras.Input((None, None, 3)), layers.Conv2D(4, 3, **relu), layers.MaxPooling2D(),
            layers.Conv2D(6, 3, **relu), layers.GlobalAveragePooling2D(),
            layers.Dense(3, activation="softmax"),
        ],
        "table": [
            keras.Input((4,)), layers.Dense(5, **relu), layers.Dense(2, activation="softmax"),
        ],
        "signal": [
            keras.Input((20, 2)), layers.Conv1D(4, 3, **relu), layers.Flatten(),
            layers.Dense(2, activation="softmax"),
        ],
        "text": [
            keras.Input((None,)), layers.Embedding(50, 6), layers.LSTM(5, return_sequences=True),
            layers.LSTM(4), layers.Dense(1, activation="sigmoid"),
        ],
    }  # fmt: skip


def example(model):
    shape = [n or 12 for n in model.input_shape[1:]]
    rng = np.random.default_rng(3)
    if len(shape) == 1 and model.input_shape[-1] is None:
        return rng.integers(0, 50, (2, *shape))
    return rng.normal(size=(2, *shape)).astype(np.float32)


@pytest.mark.parametrize("suffix", [".weights.h5", ".h5"])
@pytest.mark.parametrize("name", ["mnist", "normalized", "pooled", "signal", "table", "text"])
def test_the_model_is_built_as_it_was(tf, kvis, tmp_path, monkeypatch, name, suffix):
    import keras

    from kvis_cli.models.live.open import open_model

    keras.utils.set_random_seed(7)
    model = keras.Sequential(networks()[name])
    for weight in model.weights:
        weight.assign(weight + 0.1)
    path = tmp_path / f"best{suffix}"
    save_legacy(model, path) if suffix == ".h5" else model.save_weights(path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    module = f"{name}_{len(suffix)}_code"
    ran = kvis("init-code", path, "--out", f"{module}.py")
    assert ran.code == 0, ran.err
    assert ran.out == f"{module}.py\n" and f"--arch {module}:make_model" in ran.err
    text = (tmp_path / f"{module}.py").read_text()
    assert "unknown" in text
    opened = open_model(describe_model(ModelSpec(path=str(path), arch=f"{module}:make_model")))
    inputs = example(model)
    np.testing.assert_allclose(
        np.asarray(opened.model(inputs)), np.asarray(model(inputs)), rtol=1e-5, atol=1e-6
    )
    again = kvis("init-code", path, "--out", f"{module}.py")
    assert again.code == 2 and "--force" in again.err


def test_what_is_known_is_said_where_the_file_is_refused(tf, tmp_path):
    import keras

    path = tmp_path / "best.h5"
    save_legacy(keras.Sequential(networks()["mnist"]), path)
    with pytest.raises(ModelError) as caught:
        describe_model(ModelSpec(path=str(path)))
    assert caught.value.why == (
        "It has the weights of 4 layers: Conv2D 1→4, Conv2D 4→6, Dense 150→10, Dense 10→3."
    )
    assert f"kvis init-code {path}" in caught.value.hint


@pytest.mark.slow
@pytest.mark.parametrize("nested", [True, False])
def test_an_application_with_another_head(tf, kvis, tmp_path, monkeypatch, nested):
    import keras
    from keras import layers

    from kvis_cli.models.live.open import open_model

    keras.utils.set_random_seed(7)
    base = keras.applications.MobileNetV2(
        weights=None, include_top=False, input_shape=(96, 96, 3), alpha=0.35
    )
    head = [layers.Flatten(), layers.Dense(6, activation="relu"), layers.Dense(2, "softmax")]
    if nested:
        model = keras.Sequential([keras.Input((96, 96, 3)), base, *head])
    else:
        x = base.output
        for layer in head:
            x = layer(x)
        model = keras.Model(base.input, x)
    path = tmp_path / "head.weights.h5"
    model.save_weights(path)
    with pytest.raises(ModelError, match="those of MobileNetV2 with another head"):
        describe_model(ModelSpec(path=str(path)))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    module = f"head_{nested}"
    assert kvis("init-code", path, "-o", f"{module}.py").code == 0
    opened = open_model(describe_model(ModelSpec(path=str(path), arch=f"{module}:make_model")))
    inputs = np.random.default_rng(0).normal(size=(1, 96, 96, 3)).astype(np.float32)
    np.testing.assert_allclose(
        np.asarray(opened.model(inputs)), np.asarray(model(inputs)), rtol=1e-5, atol=1e-6
    )


def test_what_is_no_chain_is_refused_by_the_layer():
    first, other = stored("first", (3, 3, 3, 8), (8,)), stored("other", (3, 3, 5, 8), (8,))
    with pytest.raises(ModelError, match="'other' takes 5 channels") as caught:
        architecture_code([first, other], ordered=True, reference="w.h5")
    assert "gives 8" in caught.value.why and "--arch" in caught.value.hint
    odd = stored("attention", (4, 2, 3), (2, 3))
    with pytest.raises(ModelError, match="'attention' is no plain layer"):
        architecture_code([odd], ordered=True, reference="w.h5")


def test_names_of_a_file_are_never_code():
    evil = 'x"); import os; os.system(\'true\') #\n"""'
    layers = [stored(evil, (3, 3, 3, 8), (8,)), stored(evil + "2", (8 * 49, 2), (2,))]
    text = architecture_code(layers, ordered=True, reference=f"{evil}\\.h5")
    tree = ast.parse(text)
    assert [type(node).__name__ for node in tree.body] == [
        "Expr", "Import", "ImportFrom", "FunctionDef",
    ]  # fmt: skip
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert names == {"keras", "layers"}


def test_links_of_a_file_are_not_followed(tmp_path):
    path = tmp_path / "w.h5"
    with h5py.File(path, "w") as h5:
        h5.attrs["layer_names"] = [b"a"]
        h5["a"] = h5py.ExternalLink("/etc/passwd", "/x")
    with pytest.raises(ModelError, match="link to somewhere else"):
        weight_layers(path)
