"""Models of TensorFlow.js: read, compared with tf-keras, and refused where they reach outside."""

from __future__ import annotations

import json

import numpy as np
import pytest

from kvis_cli.errors import ModelError, WeightsError
from kvis_cli.models.description.info import describe_model
from kvis_cli.models.files.read import check_safe, stored_weights
from kvis_cli.models.files.tfjs import groups, read_arrays
from kvis_cli.models.live.open import open_model
from kvis_cli.models.request import ModelSpec
from tests.helpers.javascript import write


def nested():
    """A network within a network whose layers have the same names, and layers of every sort."""
    import tf_keras
    from tf_keras import layers

    tf_keras.utils.set_random_seed(3)

    def block(name):
        return tf_keras.Sequential(
            [layers.Input((8, 8, 3)), layers.SeparableConv2D(4, 3, padding="same", name="conv"),
             layers.BatchNormalization(name="bn"),
             layers.Conv2D(3, 1, activation="relu", name="out")], name=name,
        )  # fmt: skip

    entry = layers.Input((8, 8, 3))
    x = block("second")(block("first")(entry))
    x = layers.Reshape((8, 24))(x)
    x = layers.Bidirectional(layers.LSTM(3, recurrent_activation="hard_sigmoid"), name="both")(x)
    model = tf_keras.Model(entry, layers.Dense(3, activation="softmax", name="dense")(x))
    rng = np.random.default_rng(2)
    for weight in model.weights:
        weight.assign(rng.uniform(0.1, 0.6, weight.shape))
    return model


def leaves(model):
    for layer in model.layers:
        if hasattr(layer, "layers") and not hasattr(layer, "forward_layer"):
            yield from leaves(layer)
        else:
            yield layer


def by_layer(model):
    """Weights as the converter of Python writes them: layer by layer."""
    return [
        (weight.name.removesuffix(":0"), weight.numpy())
        for layer in model.layers
        for weight in layer.weights
    ]


def as_javascript(model):
    """As JavaScript writes them: the trainable ones first, without the models around a layer."""
    found, taken = [], set()
    for kind in ("trainable_weights", "non_trainable_weights"):
        for layer in leaves(model):
            for weight in getattr(layer, kind):
                parts = weight.name.removesuffix(":0").split("/")
                inside = parts[1] if layer.name == "both" else layer.name
                name, number = f"{inside}/{parts[-1]}", 0
                while name in taken:
                    number += 1
                    name = f"{inside}/{parts[-1]}_{number}"
                taken.add(name)
                found.append((name, weight.numpy()))
    return found


def pixels():
    return np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)


def check(path, model):
    found = open_model(describe_model(ModelSpec(path=str(path))))
    np.testing.assert_allclose(
        np.asarray(found.model(pixels())), np.asarray(model(pixels())), rtol=2e-5, atol=1e-6
    )
    return found


@pytest.mark.parametrize("names", [by_layer, as_javascript])
def test_it_predicts_as_the_keras_model_did(tf, tmp_path, kvis, names):
    model = nested()
    config = json.loads(model.to_json())
    path, _ = write(tmp_path, {k: config[k] for k in ("class_name", "config")}, names(model))
    opened = check(path, model)
    assert opened.info.file.format == "tfjs" and len(opened.info.file.beside) == 3
    digest = opened.digest
    assert len(stored_weights(path)) == len(model.weights)
    listed = kvis("layers", path, "--json")
    assert listed.code == 0 and json.loads(listed.out)["params"] == model.count_params()
    last = opened.info.file.beside[-1]
    last.write_bytes(last.read_bytes()[:-4] + b"\0\0\0\0")
    assert open_model(describe_model(ModelSpec(path=str(path)))).digest != digest


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float16"])
def test_quantized_weights_are_what_they_stand_for(tf, tmp_path, kind):
    model = nested()
    config = json.loads(model.to_json())
    path, meant = write(tmp_path, config, by_layer(model), quantized=kind)
    for weight in model.weights:
        weight.assign(meant[weight.name.removesuffix(":0")])
    check(path, model)


def test_a_sequential_by_javascript_with_its_labels(tf, tmp_path, kvis, picture):
    """As Teachable Machine exports it: the config itself is the topology."""
    dense = {
        "class_name": "Dense",
        "config": {
            "units": 2, "activation": "softmax", "use_bias": True, "name": "dense_Dense1",
            "kernel_initializer": {
                "class_name": "VarianceScaling",
                "config": {"scale": 1, "mode": "fan_in", "distribution": "normal", "seed": None},
            },
            "bias_initializer": {"class_name": "Zeros", "config": {}}, "kernel_regularizer": None,
            "bias_regularizer": None, "activity_regularizer": None, "kernel_constraint": None,
            "bias_constraint": None, "trainable": True,
        },
    }  # fmt: skip
    conv = {
        "class_name": "Conv2D",
        "config": {
            "filters": 2, "kernel_size": [3, 3], "strides": [1, 1], "padding": "valid",
            "data_format": "channels_last", "dilation_rate": [1, 1], "activation": "relu",
            "use_bias": True, "name": "conv2d_Conv2D1", "trainable": True,
            "batch_input_shape": [None, 12, 12, 3], "dtype": "float32",
        },
    }  # fmt: skip
    pool = {
        "class_name": "GlobalAveragePooling2D",
        "config": {"data_format": "channels_last", "name": "pool_1", "trainable": True},
    }
    rng = np.random.default_rng(4)
    kernel, weights = rng.normal(size=(3, 3, 3, 2)), rng.normal(size=(2, 2))
    arrays = [
        ("conv2d_Conv2D1/kernel", kernel.astype(np.float32)),
        ("conv2d_Conv2D1/bias", np.float32([0.1, 0.2])),
        ("dense_Dense1/kernel", weights.astype(np.float32)),
        ("dense_Dense1/bias", np.float32([0.3, -0.1])),
    ]
    names = ["./weights.bin"]
    path, _ = write(tmp_path, {}, arrays, shards=1, names=names)
    document = json.loads(path.read_text())
    document["modelTopology"] = {
        "class_name": "Sequential", "config": {"name": "s", "layers": [conv, pool, dense]},
        "keras_version": "tfjs-layers 1.3.1", "backend": "tensor_flow.js",
    }  # fmt: skip
    path.write_text(json.dumps(document))
    (tmp_path / "metadata.json").write_text('{"labels": ["ape", "bear"], "imageSize": 12}')
    opened = open_model(describe_model(ModelSpec(path=str(path))))
    x = rng.normal(size=(1, 12, 12, 3))
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))
    biased = np.einsum("bhwcij,ijco->bhwo", windows, kernel) + np.array([0.1, 0.2])
    maps = np.maximum(biased, 0)
    scores = np.exp(maps.mean((1, 2)) @ weights + [0.3, -0.1])
    np.testing.assert_allclose(np.asarray(opened.model(x)), scores / scores.sum(), rtol=1e-4)
    assert opened.head.labels.names == ("ape", "bear")
    ran = kvis("cam", path, picture, "-c", "bear", "-o", tmp_path / "out")
    assert ran.code == 0 and "1-bear.png" in ran.out, ran.err


def small(tmp_path, **changes):
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": []}}
    arrays = [("dense/kernel", np.ones((2, 3), np.float32)), ("dense/n", np.int32([1, -2]))]
    path, _ = write(tmp_path, config, arrays)
    document = json.loads(path.read_text())
    for key, value in changes.items():
        group = document["weightsManifest"][0]
        (group if key == "paths" else group["weights"][0])[key] = value
    path.write_text(json.dumps(document))
    return path


@pytest.mark.parametrize(
    "name",
    ["../x.bin", "/etc/passwd", "a/../../x.bin", "..\\x.bin", "C:x.bin", "http://x/y", "", "a\0b"],
)
def test_shards_outside_of_the_folder_are_refused(tmp_path, name):
    inside = tmp_path / "model"
    inside.mkdir()
    (tmp_path / "x.bin").write_bytes(bytes(100))
    path = small(inside, paths=[name])
    for read in (check_safe, stored_weights, lambda p: describe_model(ModelSpec(path=str(p)))):
        with pytest.raises(ModelError, match="not in its folder"):
            read(path)


def test_a_link_out_of_the_folder_is_refused(tmp_path):
    inside = tmp_path / "model"
    inside.mkdir()
    (tmp_path / "x.bin").write_bytes(bytes(100))
    path = small(inside, paths=["link.bin"])
    (inside / "link.bin").symlink_to(tmp_path / "x.bin")
    with pytest.raises(ModelError, match="link out of its folder"):
        check_safe(path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"paths": ["gone.bin"]}, "there is no 'gone.bin' beside it"),
        ({"paths": [3]}, "no text"),
        ({"paths": "group1-shard1of3.bin"}, "no paths"),
        ({"shape": [1 << 50]}, "no usable shape"),
        ({"shape": [-1]}, "no usable shape"),
        ({"shape": [1 << 30, 1 << 30]}, "files beside it hold"),
        ({"shape": [True, 3]}, "no usable shape"),
        ({"dtype": "complex64"}, "complex64"),
        ({"dtype": "string"}, "string"),
        ({"dtype": ["float32"]}, "float32"),
        ({"name": 3}, "without a name"),
        ({"quantization": {"dtype": "int4"}}, "int4"),
        ({"quantization": {"dtype": "uint8", "scale": "2", "min": 0}}, "no usable scale"),
        ({"quantization": {"dtype": "uint8", "scale": float("inf")}}, "no usable scale"),
        ({"quantization": 3}, "no usable quantisation"),
    ],
)
def test_a_manifest_that_is_wrong_is_refused(tmp_path, changes, words):
    path = small(tmp_path, **changes)
    with pytest.raises(ModelError) as caught:
        check_safe(path)
    assert words in str(caught.value)


def test_numbers_of_every_type(tmp_path):
    arrays = [
        ("a", np.float32([[1.5, -2]])), ("b", np.int32([1 << 30, -5])), ("c", np.uint8([250])),
        ("d", np.array([True, False])), ("e", np.float32(7.0)), ("f", np.zeros((0, 2), np.float32)),
    ]  # fmt: skip
    path, _ = write(tmp_path, {"class_name": "Sequential", "config": {}}, arrays, shards=5)
    found = dict(read_arrays(groups(path, json.loads(path.read_text()))))
    for name, array in arrays:
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


def test_graph_models_and_missing_weights_are_told(tf, tmp_path):
    path = tmp_path / "model.json"
    for document in ({"format": "graph-model"}, {"modelTopology": {"node": []}}):
        path.write_text(json.dumps(document))
        with pytest.raises(ModelError, match=r"graph model of TensorFlow\.js"):
            describe_model(ModelSpec(path=str(path)))
    model = nested()
    config = json.loads(model.to_json())
    path, _ = write(tmp_path, config, by_layer(model)[:-1])
    with pytest.raises(WeightsError, match="does not hold the weights") as caught:
        open_model(describe_model(ModelSpec(path=str(path))))
    assert "dense/bias" in caught.value.why
    path, _ = write(tmp_path, config, [*by_layer(model), ("more/bias", np.zeros(3, np.float32))])
    with pytest.raises(WeightsError, match="none of its layers takes"):
        open_model(describe_model(ModelSpec(path=str(path))))
