"""Layers as each Keras from 3.0 to 3.14 wrote them, opened by today's.

``keras3_layers.json`` holds what ``keras.saving.serialize_keras_object`` of these versions gave for
layers with plain settings, each with the versions that gave just that.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest

from kvis_cli.models.description.trust import check_config
from kvis_cli.models.legacy.upgrade import upgrade

RECORDED = json.loads(Path(__file__).with_name("keras3_layers.json").read_text())
VERSIONS = [f"3.{minor}" for minor in range(15)]


def written_by(version):
    """A nested Sequential of all recorded layers of a version, as its config."""
    module = "keras.src.models.sequential" if version == "3.0" else "keras"
    layers = copy.deepcopy([e["layer"] for e in RECORDED if version in e["versions"]])
    inner = {
        "module": module, "class_name": "Sequential", "registered_name": None,
        "config": {"name": "inner", "trainable": True, "layers": layers},
    }  # fmt: skip
    return {
        "module": module, "class_name": "Sequential", "registered_name": None,
        "config": {"name": "outer", "trainable": True, "layers": [inner]},
    }  # fmt: skip


@pytest.mark.parametrize("version", VERSIONS)
def test_every_layer_is_taken_by_todays_keras(tf, version):
    import keras

    config = written_by(version)
    before = json.dumps(config)
    found = upgrade(config, keras_version=f"{version}.0")
    assert json.dumps(config) == before
    check_config(found.config, "model.keras")
    layers = found.config["config"]["layers"][0]["config"]["layers"]
    assert len(layers) >= 25
    for layer, old in zip(layers, config["config"]["layers"][0]["config"]["layers"], strict=True):
        made = keras.saving.deserialize_keras_object(layer)
        assert made.name == old["config"]["name"]
        new = made.get_config()
        # What is kept says the same.
        for key in {"rate", "factor", "height", "filters", "units", "epsilon", "axis"} & set(new):
            if key in old["config"] and key != "factor":
                value = new[key]
                assert (list(value) if isinstance(value, tuple) else value) == old["config"][key]


@pytest.mark.parametrize(
    ("versions", "words"),
    [
        (["3.0"], "Named Keras' classes by the packages that they are in today in 3"),
        (VERSIONS[:6], "Dropped RandomRotation's 'value_range' in 'randomrotation'."),
        (VERSIONS[:6], "Made RandomCrop the resizing that it was in use"),
        (["3.6", "3.7"], "Made RandomCrop, which cut at random even in use, a cut from the centre"),
    ],
)
def test_changes_are_those_of_the_versions(versions, words):
    for version in VERSIONS:
        found = upgrade(written_by(version), keras_version=f"{version}.0")
        assert any(words in change for change in found.changes) == (version in versions), version


@pytest.mark.parametrize("version", VERSIONS[8:])
def test_nothing_is_changed_that_todays_keras_takes(version):
    config = written_by(version)
    found = upgrade(config, keras_version=f"{version}.0")
    assert found.config is config and found.changes == []


def test_settings_that_say_something_are_left_for_keras_to_refuse():
    layer = {
        "module": "keras.layers", "class_name": "Dense", "registered_name": None,
        "config": {"name": "d", "units": 2, "of_another_time": 3, "neither": None, "nor": False},
    }  # fmt: skip
    config = {"module": "keras", "class_name": "Sequential", "config": {"layers": [layer]}}
    found = upgrade(config, keras_version="3.4.0")
    inner = found.config["config"]["layers"][0]["config"]
    assert set(inner) == {"name", "units", "of_another_time"}
    layer["module"] = "mine"
    assert upgrade(config, keras_version="3.4.0").config is config


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("keras.src.saving.saving_lib", "load_model"),
        ("keras.src.utils.file_utils", "get_file"),
        ("keras.src.layers.core.lambda_layer", "Lambda"),
        ("keras.src.layers.x", "Evil"),
        ("keras.srcs.layers", "Dense"),
    ],
)
def test_other_names_of_keras_stay_refused(module, name):
    layer = {"module": module, "class_name": name, "config": {"name": "l"}}
    config = {"module": "keras", "class_name": "Sequential", "config": {"layers": [layer]}}
    with pytest.raises(Exception, match=name):
        check_config(upgrade(config, keras_version="3.0.1").config, "model.keras")


@pytest.mark.parametrize("size", [(8, 8), (8, 6), (20, 10)])
def test_a_random_crop_is_the_resizing_that_tf_keras_made_it(tf, tmp_path, size):
    import tf_keras

    from kvis_cli.models.description.info import describe_model
    from kvis_cli.models.live.open import open_model
    from kvis_cli.models.request import ModelSpec

    model = tf_keras.Sequential(
        [tf_keras.Input((12, 12, 3)), tf_keras.layers.RandomCrop(*size), tf_keras.layers.Flatten()]
    )
    path = tmp_path / "crop.h5"
    model.save(path)
    x = np.random.default_rng(0).uniform(size=(2, 12, 12, 3)).astype(np.float32)
    opened = open_model(describe_model(ModelSpec(path=str(path))))
    np.testing.assert_allclose(
        np.asarray(opened.model(x, training=False)), model.predict(x, verbose=0), atol=1e-6
    )
