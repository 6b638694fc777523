"""Files of tf.keras 1.13 to 2.0 and of Keras 2.0, made of today's tf-keras by their differences."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest

from kvis_cli.models.description.info import describe_model
from kvis_cli.models.legacy.upgrade import upgrade
from kvis_cli.models.live.open import open_model
from kvis_cli.models.request import ModelSpec


def rewritten(path, change, version):
    """Give the config of a file to `change`."""
    with h5py.File(path, "r+") as h5:
        config = json.loads(h5.attrs["model_config"])
        change(config)
        h5.attrs["model_config"] = json.dumps(config)
        h5.attrs["keras_version"] = version
        h5["model_weights"].attrs["keras_version"] = version


def layers_of(config):
    for layer in config["config"]["layers"]:
        if "layers" in layer["config"]:
            yield from layers_of(layer)
        yield layer


def flatten(config):
    """Nodes of one input as ``["input", 0, 0, {}]``."""
    count = 0
    for layer in layers_of(config):
        for place, node in enumerate(layer.get("inbound_nodes", [])):
            if len(node) == 1 and isinstance(node[0], list):
                layer["inbound_nodes"][place] = node[0]
                count += 1
        initializer = layer["config"].get("kernel_initializer")
        if initializer:
            initializer["class_name"] += "V2"
            initializer["config"]["dtype"] = "float32"
        if layer["class_name"] == "BatchNormalization":
            layer["class_name"] = "BatchNormalizationV1"
        if layer["class_name"] == "LSTM":
            layer["class_name"] = "UnifiedLSTM"
    assert count >= 8


def check(path, model, x):
    found = open_model(describe_model(ModelSpec(path=str(path))))
    np.testing.assert_allclose(
        np.asarray(found.model(x)), model.predict(x, verbose=0), rtol=1e-5, atol=1e-6
    )
    return found


def test_flat_nodes_of_one_input(tf, tmp_path, kvis):
    import tf_keras
    from tf_keras import layers

    tf_keras.utils.set_random_seed(2)
    inner_in = layers.Input((8, 8, 3))
    inner_out = layers.BatchNormalization()(layers.Conv2D(3, 3, padding="same")(inner_in))
    inner = tf_keras.Model(inner_in, inner_out, name="inner")
    entry = layers.Input((8, 8, 3))
    shared = layers.Conv2D(3, 1, name="shared")
    x = layers.Add()([shared(inner(entry)), shared(entry)])
    x = layers.LSTM(3)(layers.Reshape((8, 24))(x))
    model = tf_keras.Model(entry, layers.Dense(2, activation="softmax")(x))
    path = tmp_path / "old.h5"
    model.save(path)
    rewritten(path, flatten, "2.2.4-tf")
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)
    found = check(path, model, x)
    assert any("lists of one" in change for change in found.info.changes)
    listed = kvis("layers", path, "--json")
    assert listed.code == 0 and json.loads(listed.out)["params"] == model.count_params()


def test_operations_keep_their_nodes(tf, tmp_path):
    import tf_keras
    from tf_keras import layers

    tf_keras.utils.set_random_seed(2)
    entry = layers.Input((6,))
    x = tf.math.multiply(layers.Dense(4)(entry), 2.0)
    model = tf_keras.Model(entry, layers.Dense(2)(x + 1.0))
    path = tmp_path / "op.h5"
    model.save(path)
    check(path, model, np.ones((2, 6), np.float32))


@pytest.mark.parametrize("functional", [True, False])
def test_the_dtype_of_an_embedding_was_that_of_its_input(tf, tmp_path, functional):
    import tf_keras
    from tf_keras import layers

    tf_keras.utils.set_random_seed(2)
    made = [layers.Embedding(20, 4, input_length=5), layers.Flatten(), layers.Dense(2)]
    if functional:
        entry = x = layers.Input((5,), dtype="int32")
        for layer in made:
            x = layer(x)
        model = tf_keras.Model(entry, x)
    else:
        model = tf_keras.Sequential(made)
        model.build((None, 5))

    def say(config):
        inner = config["config"]["layers"]
        if not functional and inner[0]["class_name"] == "InputLayer":
            del inner[0]
        embedding = next(layer for layer in inner if layer["class_name"] == "Embedding")
        embedding["config"].update(dtype="int32", batch_input_shape=[None, 5])

    path = tmp_path / "text.h5"
    model.save(path)
    rewritten(path, say, "2.0.8")
    found = check(path, model, np.array([[1, 2, 3, 4, 19], [0, 0, 5, 6, 7]]))
    assert any("for that of its input" in change for change in found.info.changes)
    assert found.info.architecture.inputs[0].dtype == "int32"
    assert found.model.weights[0].dtype == "float32"


def test_a_dtype_of_an_embedding_that_is_no_whole_number_stays():
    layer = {"class_name": "Embedding", "config": {"name": "e", "input_dim": 3, "output_dim": 2,
             "dtype": "float32"}}  # fmt: skip
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": [layer]}}
    found = upgrade(config, keras_version="2.0.8")
    assert found.config["config"]["layers"][0]["config"]["dtype"] == "float32"
    assert not any("for that of its input" in change for change in found.changes)
