"""An architecture as JSON and its weights in a file beside it, opened together."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest

from kvis_cli.errors import ModelError
from kvis_cli.models.description.info import describe_model
from kvis_cli.models.live.open import open_model
from kvis_cli.models.request import ModelSpec


def network(keras, units=2):
    keras.utils.set_random_seed(6)
    layers = keras.layers
    model = keras.Sequential(
        [layers.InputLayer((8, 8, 3)), layers.Conv2D(4, 3, activation="relu", name="first"),
         layers.BatchNormalization(name="normal"), layers.Flatten(),
         layers.Dense(units, activation="softmax", name="classes")]
    )  # fmt: skip
    rng = np.random.default_rng(3)
    for weight in model.weights:
        weight.assign(rng.uniform(0.1, 0.7, weight.shape))
    return model


def pixels():
    return np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)


def check(path, model, **options):
    found = open_model(describe_model(ModelSpec(path=str(path), **options)))
    np.testing.assert_allclose(
        np.asarray(found.model(pixels())), np.asarray(model(pixels())), rtol=1e-5, atol=1e-6
    )
    return found


@pytest.mark.parametrize(
    ("json_name", "weights_name"),
    [
        ("model.json", "model.h5"),
        ("model.json", "model_weights.hdf5"),
        ("fer.json", "fer.weights.h5"),
        ("net_architecture.json", "net.h5"),
        ("a.json", "of another name.h5"),
    ],
)
def test_named_by_either_file(tf, tmp_path, kvis, json_name, weights_name):
    import tf_keras

    model = network(tf_keras)
    (tmp_path / json_name).write_text(model.to_json())
    weights = tmp_path / weights_name
    model.save_weights(tmp_path / "w.h5")
    (tmp_path / "w.h5").rename(weights)
    found = check(tmp_path / json_name, model)
    assert found.info.file.beside == (weights,)
    listed = kvis("layers", tmp_path / json_name, "--json")
    assert listed.code == 0 and json.loads(listed.out)["params"] == model.count_params()
    check(weights, model, arch=str(tmp_path / json_name))
    if "other" not in weights_name:
        check(weights, model)


def test_of_keras_3(tf, tmp_path):
    import keras

    model = network(keras)
    (tmp_path / "model.json").write_text(model.to_json())
    model.save_weights(tmp_path / "model.weights.h5")
    check(tmp_path / "model.json", model)
    check(tmp_path / "model.weights.h5", model)


def test_weights_of_layers_with_other_names_go_by_their_order(tf, tmp_path):
    import tf_keras

    model = network(tf_keras)
    text = model.to_json().replace('"first"', '"conv2d_7"')
    (tmp_path / "model.json").write_text(text)
    model.save_weights(tmp_path / "model.h5")
    check(tmp_path / "model.json", model)


def test_which_weights_is_asked_where_it_is_not_clear(tf, tmp_path):
    import tf_keras

    path = tmp_path / "net.json"
    path.write_text(network(tf_keras).to_json())
    with pytest.raises(ModelError, match="without weights") as caught:
        describe_model(ModelSpec(path=str(path)))
    assert "net.weights.h5" in caught.value.why
    for name in ("epoch-1.h5", "epoch-2.h5"):
        network(tf_keras).save_weights(tmp_path / name)
    with pytest.raises(ModelError, match="not clear") as caught:
        describe_model(ModelSpec(path=str(path)))
    assert f"epoch-1.h5 --arch {path}" in caught.value.hint
    check(tmp_path / "epoch-1.h5", network(tf_keras), arch=str(path))


def test_other_weights_are_refused(tf, tmp_path):
    import tf_keras

    (tmp_path / "model.json").write_text(network(tf_keras).to_json())
    network(tf_keras, units=3).save_weights(tmp_path / "model.h5")
    with pytest.raises(Exception, match="'classes'"):
        open_model(describe_model(ModelSpec(path=str(tmp_path / "model.json"))))
    with h5py.File(tmp_path / "model.h5", "r+") as h5:
        h5["elsewhere"] = h5py.ExternalLink("/etc/passwd", "x")
    with pytest.raises(ModelError, match="link to somewhere else"):
        open_model(describe_model(ModelSpec(path=str(tmp_path / "model.json"))))


@pytest.mark.parametrize("text", ["{}", '{"a": 1}', '{"class_name": 3}', '{"modelTopology": 3}'])
def test_other_json_is_no_model(tmp_path, text):
    path = tmp_path / "model.json"
    path.write_text(text)
    with pytest.raises(ModelError):
        describe_model(ModelSpec(path=str(path)))


def test_code_in_the_architecture_is_refused(tf, kvis, tmp_path):
    import tf_keras

    model = network(tf_keras)
    document = json.loads(model.to_json())
    document["config"]["layers"].append({"class_name": "Lambda", "config": {"name": "evil"}})
    (tmp_path / "model.json").write_text(json.dumps(document))
    model.save_weights(tmp_path / "model.h5")
    listed = kvis("layers", tmp_path / "model.json")
    assert "would be refused" in listed.out and "evil" in listed.out
    with pytest.raises(ModelError, match="evil"):
        open_model(describe_model(ModelSpec(path=str(tmp_path / "model.json"))))
