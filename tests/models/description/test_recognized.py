"""Files of weights alone that are those of an application, and those that are not."""

from __future__ import annotations

import json
from collections import Counter
from importlib import resources

import h5py
import numpy as np
import pytest

from kvis_cli.errors import ModelError
from kvis_cli.models.description.applications import APPLICATIONS
from kvis_cli.models.description.info import describe_model
from kvis_cli.models.description.recognized import recognize
from kvis_cli.models.request import ModelSpec

DATA = resources.files("kvis_cli").joinpath("data/application_weights.json")
TABLE = json.loads(DATA.read_text())


def shapes(texts):
    return [tuple(int(n) for n in text.split(".") if n) for text in texts]


def base_of(entry):
    return [s for text, n in entry["base"].items() for s in shapes([text]) * n]


def names(entry):
    return entry["name"] + "".join(f"-{v}" for v in entry["options"].values())


def test_every_application_is_in_the_table():
    assert {entry["name"] for entry in TABLE} == set(APPLICATIONS)


@pytest.mark.parametrize("entry", TABLE, ids=names)
def test_no_family_is_taken_for_another(entry):
    base = base_of(entry)
    top = shapes(text.replace("N", "7") for text in entry["top"])
    bare = recognize(base)
    assert (bare.name, bare.options) == (entry["name"], entry["options"])
    assert (bare.top, bare.rest) == (False, ())
    other = [(entry["channels"], 19), (19,), (19, 3), (3,)]
    found = recognize([*base, *other])
    assert (found.name, found.options, found.top) == (entry["name"], entry["options"], False)
    assert Counter(found.rest) == Counter(other)
    if entry["top"]:
        whole = recognize([*base, *top])
        assert (whole.name, whole.options, whole.classes) == (entry["name"], entry["options"], 7)


def test_the_numbers_of_a_normalization_may_be_missing():
    entry = next(e for e in TABLE if e["name"] == "efficientnet_b0")
    assert recognize([(3,), (3,), (), *base_of(entry)]).name == "efficientnet_b0"
    assert recognize(base_of(entry)[1:]) is None


def save_legacy(model, path):
    from keras.src.legacy.saving import legacy_h5_format

    with h5py.File(path, "w") as h5:
        legacy_h5_format.save_weights_to_hdf5_group(h5, model)


@pytest.mark.parametrize(
    ("suffix", "top"),
    [
        (".h5", True),
        pytest.param(".h5", False, marks=pytest.mark.slow),
        pytest.param(".weights.h5", True, marks=pytest.mark.slow),
        pytest.param(".weights.h5", False, marks=pytest.mark.slow),
    ],
)
def test_an_application_is_opened_without_being_named(tf, tmp_path, suffix, top):
    import keras

    from kvis_cli.models.live.open import open_model

    keras.utils.set_random_seed(1)
    options = {"classes": 5} if top else {}
    model = keras.applications.MobileNet(weights=None, alpha=0.25, include_top=top, **options)
    path = tmp_path / f"best{suffix}"
    save_legacy(model, path) if suffix == ".h5" else model.save_weights(path)
    info = describe_model(ModelSpec(path=str(path)))
    assert info.application.name == "mobilenet"
    assert info.application.options == (("alpha", 0.25),)
    assert info.application.classes == (5 if top else 0)
    assert "MobileNet(alpha=0.25, " in info.changes[0]
    opened = open_model(info)
    pixels = np.random.default_rng(0).uniform(-1, 1, (1, 224, 224, 3)).astype(np.float32)
    np.testing.assert_array_equal(np.asarray(opened.model(pixels)), np.asarray(model(pixels)))


def test_its_sidecar_knows_the_layers(tf, tmp_path, kvis):
    import keras

    keras.applications.MobileNet(weights=None, alpha=0.25).save_weights(tmp_path / "w.weights.h5")
    assert kvis("init-sidecar", tmp_path / "w.weights.h5").code == 0
    assert "preprocess: signed" in (tmp_path / "w.weights.kvis.yaml").read_text()


@pytest.mark.parametrize("suffix", [".weights.h5", ".h5"])
def test_a_head_around_a_nested_application_is_none_of_its_own(tf, tmp_path, suffix):
    """Its arrays are those of MobileNetV2 with three classes; its layers are not."""
    import keras

    base = keras.applications.MobileNetV2(weights=None, alpha=0.35, include_top=False)
    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((96, 96, 3)), base, layers.GlobalAveragePooling2D(), layers.Dense(3)]
    )
    path = tmp_path / f"w{suffix}"
    save_legacy(model, path) if suffix == ".h5" else model.save_weights(path)
    with pytest.raises(ModelError, match="those of MobileNetV2 with another head"):
        describe_model(ModelSpec(path=str(path)))


def test_another_order_of_the_arrays_is_not_read_as_todays(tf, tmp_path):
    import keras

    model = keras.applications.MobileNet(weights=None, alpha=0.25)
    path = tmp_path / "old.h5"
    save_legacy(model, path)
    with h5py.File(path, "r+") as h5:
        order = list(h5.attrs["layer_names"])
        order.sort()
        h5.attrs["layer_names"] = order
    with pytest.raises(ModelError, match="MobileNet in another order"):
        describe_model(ModelSpec(path=str(path)))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(APPLICATIONS))
def test_all_applications_by_their_files(tf, tmp_path, name):
    import keras

    model = getattr(keras.applications, APPLICATIONS[name])(weights=None, classes=4)
    path = tmp_path / "w.h5"
    save_legacy(model, path)
    found = describe_model(ModelSpec(path=str(path))).application
    assert (found.name, found.classes) == (name, 4)
    keras.backend.clear_session()
