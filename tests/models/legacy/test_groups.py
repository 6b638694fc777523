"""Archives of tf.keras whose groups of weights have other names, against tf-keras itself."""

from __future__ import annotations

import zipfile

import h5py
import numpy as np
import pytest

from kvis_cli.errors import WeightsError
from kvis_cli.models.description.info import describe_model
from kvis_cli.models.files.archive import WEIGHTS_MEMBER
from kvis_cli.models.legacy.groups import renamed
from kvis_cli.models.live.open import open_model
from kvis_cli.models.request import ModelSpec


def test_names_on_windows():
    assert renamed(["layers\\conv1d/vars/0", "layers\\a\\layers\\b/vars"]) == {
        "layers\\conv1d/vars/0": "layers/conv1d/vars/0",
        "layers\\a\\layers\\b/vars": "layers/a/layers/b/vars",
    }


def test_numbers_are_those_of_the_class_in_its_order():
    listed = "_layer_checkpoint_dependencies"
    names = ["conv2d_4", "conv2d_12", "dense", "dense_2", "batch_normalization_9", "lstm/cell"]
    found = renamed([f"{listed}/{name}/vars/0" for name in names])
    assert list(found.values()) == [
        "layers/conv2d/vars/0", "layers/conv2d_1/vars/0", "layers/dense/vars/0",
        "layers/dense_1/vars/0", "layers/batch_normalization/vars/0", "layers/lstm/cell/vars/0",
    ]  # fmt: skip
    assert renamed(["layers/conv2d_1/vars/0", "layers/conv2d/vars/0"]) == {
        "layers/conv2d_1/vars/0": "layers/conv2d_1/vars/0",
        "layers/conv2d/vars/0": "layers/conv2d/vars/0",
    }
    assert renamed(["layers/sync_batch_normalization/vars/0"]) == {
        "layers/sync_batch_normalization/vars/0": "layers/batch_normalization/vars/0"
    }


def network():
    """A nested model, a shared layer, layers of several classes and a wrapper, in tf-keras."""
    import tf_keras
    from tf_keras import layers

    tf_keras.utils.set_random_seed(5)
    inside = tf_keras.Sequential(
        [layers.Input((8, 8, 3)), layers.Conv2D(4, 3, padding="same"), layers.BatchNormalization(),
         layers.Conv2D(3, 3, padding="same", activation="relu")], name="inside",
    )  # fmt: skip
    entry = layers.Input((8, 8, 3))
    x = layers.Conv2D(3, 3, padding="same", activation="relu")(entry)
    x = inside(x)
    shared = layers.Conv2D(3, 1, use_bias=False)
    x = layers.Add()([shared(x), shared(entry)])
    x = layers.Reshape((8, 24))(x)
    x = layers.Bidirectional(layers.LSTM(3))(x)
    x = layers.Dense(5, activation="tanh")(x)
    return tf_keras.Model(entry, layers.Dense(3, activation="softmax")(x))


def rename(path, change):
    """Rewrite the groups of an archive's weights."""
    members = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            members[name] = archive.read(name)
    inner = path.with_suffix(".inner")
    inner.write_bytes(members[WEIGHTS_MEMBER])
    other = path.with_suffix(".other")
    with h5py.File(inner) as old, h5py.File(other, "w") as new:
        names = []
        old.visititems(lambda name, item: names.append((name, isinstance(item, h5py.Dataset))))
        for name, is_array in names:
            if is_array:
                new[change(name)] = old[name][()]
    members[WEIGHTS_MEMBER] = other.read_bytes()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def on_windows(name):
    place, _, array = name.rpartition("/vars/")
    return place.replace("/", "\\") + "/vars/" + array if place else name


def pixels():
    return np.random.default_rng(1).normal(size=(2, 8, 8, 3)).astype(np.float32)


def check(path, model):
    found = open_model(describe_model(ModelSpec(path=str(path))))
    np.testing.assert_allclose(
        np.asarray(found.model(pixels())), np.asarray(model(pixels())), rtol=1e-5, atol=1e-6
    )


def test_an_archive_written_on_windows(tf, tmp_path, kvis):
    model = network()
    path = tmp_path / "windows.keras"
    model.save(path)
    rename(path, on_windows)
    with zipfile.ZipFile(path) as archive, archive.open(WEIGHTS_MEMBER) as stream:
        assert any("\\" in name for name in h5py.File(stream))
    check(path, model)
    listed = kvis("layers", path)
    assert listed.code == 0 and "would be refused" not in listed.out


def test_an_archive_that_lists_dependencies(tf, tmp_path, monkeypatch):
    from tf_keras.src.saving import saving_lib

    # As tf.keras 2.13 wrote them: this attribute first, and every layer counted twice.
    monkeypatch.setattr(
        saving_lib, "ATTR_SKIPLIST", saving_lib.ATTR_SKIPLIST - {"_layer_checkpoint_dependencies"}
    )
    monkeypatch.setattr(saving_lib, "sorted", lambda names, reverse: sorted(names), raising=False)
    model = network()
    path = tmp_path / "listed.keras"
    model.save(path)
    gaps = {"conv2d_1": "conv2d_2", "dense_1": "dense_2"}

    def with_gaps(name):
        first, listed, rest = name.partition("_layer_checkpoint_dependencies/")
        part, _, after = rest.partition("/")
        return f"{first}{listed}{gaps.get(part, part)}/{after}" if listed and not first else name

    rename(path, with_gaps)
    with zipfile.ZipFile(path) as archive, archive.open(WEIGHTS_MEMBER) as stream:
        h5 = h5py.File(stream)
        assert "conv2d_2" in h5["_layer_checkpoint_dependencies"] and "layers" not in h5
    check(path, model)
    rename(path, lambda name: name.replace("dense", "dance"))
    with pytest.raises(WeightsError, match="dense"):
        open_model(describe_model(ModelSpec(path=str(path))))


def test_weights_alone_that_list_dependencies(tf, tmp_path, monkeypatch):
    import keras

    model = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3), keras.layers.Conv2D(3, 3),
         keras.layers.Flatten(), keras.layers.Dense(2)]
    )  # fmt: skip
    path = tmp_path / "w.weights.h5"
    model.save_weights(path)
    new = tmp_path / "listed.weights.h5"
    with h5py.File(path) as h5, h5py.File(new, "w") as other:
        for number, name in enumerate(("conv2d", "conv2d_1", "dense")):
            target = f"_layer_checkpoint_dependencies\\{name.partition('_')[0]}_{number + 4}"
            h5.copy(h5[f"layers/{name}"], other, target)
    (tmp_path / "nets.py").write_text("")
    from kvis_cli.models.legacy.groups import load_weights

    twin = keras.models.clone_model(model)
    load_weights(twin, new)
    np.testing.assert_array_equal(np.asarray(twin(pixels())), np.asarray(model(pixels())))
