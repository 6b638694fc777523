"""Opening what does not open by itself: code, weights alone, SavedModels, files that lie."""

from __future__ import annotations

import base64
import json
import marshal
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from kvis_cli.errors import ModelError, UnknownNameError, UntrustedError, UsageError, WeightsError
from kvis_cli.models.description.info import describe_model
from kvis_cli.models.description.replacements import (
    apply_replacements,
    parse_replacement,
    parse_value,
)
from kvis_cli.models.description.trust import check_code
from kvis_cli.models.request import ModelSpec


def opened(path, **options):
    from kvis_cli.models.live.open import open_model

    return open_model(describe_model(ModelSpec(path=str(path), **options)))


# --- replacing layers --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1/127.5", 1 / 127.5),
        ("-1", -1),
        ("0.5", 0.5),
        ("true", True),
        ("None", None),
        ("(2, 3)", [2, 3]),
        ("same", "same"),
        ("'relu'", "relu"),
        ("1e-3", 1e-3),
        ("__import__('os')", "__import__('os')"),
    ],
)
def test_values_are_read_and_never_evaluated(text, value):
    assert parse_value(text) == value


def test_replacements():
    assert parse_replacement("rescaling:scale=1/127.5,offset=-1") == {
        "class_name": "Rescaling",
        "config": {"scale": 1 / 127.5, "offset": -1},
    }
    assert parse_replacement("activation:relu")["config"] == {"activation": "relu"}
    assert parse_replacement("identity") == {"class_name": "Identity", "config": {}}
    assert parse_replacement("leaky_relu:negative_slope=0.3")["class_name"] == "LeakyReLU"
    assert parse_replacement("Cropping2D:cropping=((1,2),(0,3))")["config"] == {
        "cropping": [[1, 2], [0, 3]]
    }
    with pytest.raises(UnknownNameError, match="Rescaling"):
        parse_replacement("rescalling:scale=1")
    with pytest.raises(UnknownNameError):
        parse_replacement("lambda:function=x")
    with pytest.raises(UsageError, match="zero"):
        parse_replacement("rescaling:scale=1/0")
    with pytest.raises(UsageError, match="NAME=LAYER"):
        apply_replacements({}, ["lambda_1"])


def lambda_h5(path, code):
    """A Sequential of Keras 2 whose first layer is a Lambda."""
    layers = [
        {"class_name": "InputLayer", "config": {
            "name": "in", "batch_input_shape": [None, 8, 8, 3], "dtype": "float32"}},
        {"class_name": "Lambda", "config": {
            "name": "scale", "function": [code, None, None], "function_type": "lambda",
            "arguments": {}}},
        {"class_name": "Conv2D", "config": {
            "name": "c", "filters": 2, "kernel_size": [3, 3], "activation": "relu"}},
        {"class_name": "GlobalAveragePooling2D", "config": {"name": "p"}},
    ]  # fmt: skip
    kernel = np.random.default_rng(0).normal(size=(3, 3, 3, 2)).astype(np.float32)
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": layers}}
    with h5py.File(path, "w") as h5:
        h5.attrs["model_config"] = json.dumps(config)
        h5.attrs["keras_version"] = "2.4.0"
        group = h5.create_group("model_weights")
        group.attrs["layer_names"] = [b"c"]
        inner = group.create_group("c")
        inner.attrs["weight_names"] = [b"kernel", b"bias"]
        inner["kernel"], inner["bias"] = kernel, np.zeros(2, np.float32)
    return kernel


def by_hand(tf, pixels, kernel):
    return tf.reduce_mean(tf.nn.relu(tf.nn.conv2d(pixels / 4 - 1, kernel, 1, "VALID")), (1, 2))


def own_bytecode():
    return base64.b64encode(marshal.dumps((lambda x: x / 4 - 1).__code__)).decode()


def test_a_lambda_is_refused_by_name_and_replaced(tf, tmp_path):
    path = tmp_path / "m.h5"
    kernel = lambda_h5(path, own_bytecode())
    with pytest.raises(UntrustedError, match="'scale'") as caught:
        check_code(describe_model(ModelSpec(path=str(path))))
    assert "--replace-layer scale=" in caught.value.hint
    with pytest.raises(UntrustedError):
        opened(path)
    pixels = np.random.default_rng(1).uniform(0, 8, (2, 8, 8, 3)).astype(np.float32)
    wanted = by_hand(tf, pixels, kernel)
    for options in (
        {"replace_layer": ["scale=rescaling:scale=1/4,offset=-1"]},
        {"replace_layer": {"scale": "rescaling:scale=0.25,offset=-1"}},
        {"trust": True},
    ):
        got = opened(path, **options).model(pixels, training=False)
        np.testing.assert_allclose(np.asarray(got), wanted, atol=1e-6)
    (tmp_path / "m.kvis.yaml").write_text(
        "replace_layer:\n  scale: rescaling:scale=1/4,offset=-1\n"
    )
    np.testing.assert_allclose(np.asarray(opened(path).model(pixels)), wanted, atol=1e-6)


def test_bytecode_of_another_python_is_refused_even_with_trust(tf, tmp_path, real_data):
    with h5py.File(real_data / "models/steering_keras12.h5") as h5:
        layer = json.loads(h5.attrs["model_config"])["config"][0]
    path = tmp_path / "m.h5"
    lambda_h5(path, layer["config"]["function"][0])
    with pytest.raises(UntrustedError, match="cannot run on Python") as caught:
        opened(path, trust=True)
    assert "--replace-layer scale=" in caught.value.hint


def test_damaged_bytecode_is_refused(tf, tmp_path):
    path = tmp_path / "m.h5"
    lambda_h5(path, base64.b64encode(b"\xe3" + bytes(range(60))).decode())
    with pytest.raises(UntrustedError):
        opened(path, trust=True)


def test_replacements_that_do_not_work_say_so(tf, tmp_path):
    path = tmp_path / "m.h5"
    lambda_h5(path, own_bytecode())
    with pytest.raises(UsageError, match="does not work") as caught:
        opened(path, replace_layer=["scale=rescaling:skale=2"])
    assert "scale" in caught.value.hint
    with pytest.raises(UnknownNameError, match="'scail'"):
        opened(path, replace_layer=["scail=identity"])
    with pytest.raises(WeightsError, match="'c'"):
        opened(path, replace_layer=["scale=identity", "c=identity"])


# --- weights alone -----------------------------------------------------------------------------


def make_functional():
    from tests.helpers.odd_models import functional

    return functional()


@pytest.mark.parametrize("suffix", [".weights.h5", ".h5"])
def test_weights_alone_with_the_function_that_makes_the_model(tf, tmp_path, suffix, monkeypatch):
    import keras

    (tmp_path / "nets.py").write_text(
        "import keras\n"
        "def small():\n"
        "    return keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3),\n"
        "                             keras.layers.Flatten(), keras.layers.Dense(3)])\n"
        "def other():\n"
        "    return keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()])\n"
        "def open_ended():\n"
        "    return keras.Sequential([keras.layers.Conv2D(2, 3), keras.layers.Flatten(),\n"
        "                             keras.layers.Dense(3)])\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "nets", raising=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    import nets

    keras.utils.set_random_seed(2)
    model = nets.small()
    path = tmp_path / f"w{suffix}"
    if suffix == ".h5":
        from keras.src.legacy.saving import legacy_h5_format

        with h5py.File(path, "w") as h5:
            legacy_h5_format.save_weights_to_hdf5_group(h5, model)
    else:
        model.save_weights(path)
    pixels = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)
    wanted = np.asarray(model(pixels))
    with pytest.raises(ModelError, match="weights only") as caught:
        describe_model(ModelSpec(path=str(path)))
    assert "--arch" in caught.value.hint
    found = opened(path, arch="nets:small")
    np.testing.assert_array_equal(np.asarray(found.model(pixels)), wanted)
    assert found.image_input.describe() == "8×8×3"
    shaped = opened(path, arch="nets:open_ended", input_shape="8,8,3")
    np.testing.assert_array_equal(np.asarray(shaped.model(pixels)), wanted)
    with pytest.raises(UsageError, match="not built") as caught:
        opened(path, arch="nets:open_ended")
    assert "--input-shape" in caught.value.hint
    with pytest.raises(WeightsError, match="nets:other"):
        opened(path, arch="nets:other")
    with pytest.raises(UsageError, match="cannot be imported"):
        opened(path, arch="nets:smal")


def test_weights_alone_of_an_application(tf, tmp_path):
    import keras

    model = keras.applications.MobileNet(weights=None)
    path = tmp_path / "w.weights.h5"
    model.save_weights(path)
    found = opened(path, arch="app:mobilenet")
    np.testing.assert_array_equal(found.model.weights[0], model.weights[0])
    with pytest.raises(UnknownNameError, match="mobilenet"):
        opened(path, arch="app:mobilnet")


# --- SavedModels -------------------------------------------------------------------------------


@pytest.mark.slow
def test_saved_models(tf, tmp_path, kvis, picture):
    model = make_functional()
    model.export(tmp_path / "saved", verbose=False)
    pixels = np.random.default_rng(0).uniform(0, 1, (2, 24, 24, 3)).astype(np.float32)
    found = opened(tmp_path / "saved")
    np.testing.assert_allclose(
        np.asarray(found.model(pixels)), np.asarray(model(pixels)), atol=1e-6
    )
    ran = kvis("cam", tmp_path / "saved", picture, "-o", tmp_path / "o")
    assert ran.code == 2
    assert "SavedModel" in ran.err and "kvis saliency" in ran.err
    # Its softmax is sealed in: what is explained is the probability, and that is said.
    wanted = ["-c", "1", "--raw", "--score", "probability"]
    ran = kvis("saliency", tmp_path / "saved", picture, *wanted, "-o", tmp_path / "a")
    assert ran.code == 0, ran.err
    assert "before their softmax" in ran.err
    file = tmp_path / "m.keras"
    model.save(file)
    assert kvis("saliency", file, picture, *wanted, "-o", tmp_path / "b").code == 0
    a, b = (np.load(next((tmp_path / d).glob("*.npz")))["map"] for d in "ab")
    np.testing.assert_allclose(a, b, atol=1e-6 * b.max())
    assert kvis("layers", tmp_path / "saved").code == 2
    assert kvis("convert", tmp_path / "saved", tmp_path / "x.keras").code == 3


# --- subclassed --------------------------------------------------------------------------------


def test_subclassed_models_need_their_class_or_trust(tf, tmp_path):
    from tests.helpers.odd_models import subclassed

    path = tmp_path / "m.keras"
    model = subclassed()
    model.save(path)
    with pytest.raises(ModelError, match="not part of Keras") as caught:
        opened(path)
    assert "--custom-objects" in caught.value.hint
    found = opened(
        path,
        custom_objects=[
            "tests.helpers.odd_classes:Subclassed",
            "tests.helpers.odd_classes:Residual",
        ],
    )
    # The graph is read from one run: the block's addition and its rectifier are plain operations.
    paths = [call.path for call in found.info.architecture]
    assert paths == ["input", "stem", "block/conv", "block", "side", "classes", "output"]
    calls = {call.path: call for call in found.info.architecture}
    assert calls["block"].inputs == (calls["stem"], calls["block/conv"])
    assert calls["classes"].inputs == (calls["block"], calls["side"])
    assert found.info.final_activation() == "softmax"
    assert found.info.cam_layer("auto")[0].path == "block"
    trusted = opened(path, trust=True)
    assert trusted.info.cam_layer("auto")[0].path == "block"


# --- inputs of several shapes -------------------------------------------------------------------


def test_arrays_of_several_shapes_go_in_one_run(tf, kvis, tmp_path):
    import keras

    keras.utils.set_random_seed(2)
    wave = keras.Input((None, 2))
    x = keras.layers.Conv1D(4, 5, activation="relu", name="c1")(wave)
    x = keras.layers.GlobalAveragePooling1D()(x)
    keras.Model(wave, keras.layers.Dense(3, activation="softmax")(x)).save(tmp_path / "m.keras")
    rng = np.random.default_rng(0)
    lengths = {"a": 40, "b": 64, "c": 40, "d": 64, "e": 64}
    for name, length in lengths.items():
        np.save(tmp_path / f"{name}.npy", rng.normal(size=(length, 2)).astype(np.float32))

    def maps(folder, *names):
        files = [tmp_path / f"{name}.npy" for name in names]
        ran = kvis("cam", tmp_path / "m.keras", *files, "-c", "1", "--raw", "-o", tmp_path / folder)
        assert ran.code == 0, ran.err
        rows = [
            json.loads(line)
            for line in (tmp_path / folder / "manifest.jsonl").read_text().splitlines()
        ]
        assert [Path(row["image"]).stem for row in rows] == list(names)
        return [np.load(tmp_path / folder / row["raw"])["map"] for row in rows]

    together = maps("all", *lengths)
    assert [m.shape for m in together] == [(length - 4,) for length in lengths.values()]
    for name, found in zip(lengths, together, strict=True):
        np.testing.assert_allclose(found, maps(name, name)[0], atol=1e-6)


# --- files that lie ----------------------------------------------------------------------------


def altered(path, out, change):
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "config.json":
                config = json.loads(data)
                change(config)
                data = json.dumps(config).encode()
            new.writestr(name, data)


def test_sizes_that_the_file_does_not_hold_are_refused_before_memory_is(tf, tiny_model, tmp_path):
    def absurd(config):
        config["config"]["layers"][-1]["config"]["units"] = 10**11

    altered(tiny_model, tmp_path / "m.keras", absurd)
    with pytest.raises(WeightsError, match="does not hold the weights"):
        opened(tmp_path / "m.keras")


def test_a_config_of_another_model_is_refused(tf, tiny_model, tmp_path):
    def wider(config):
        config["config"]["layers"][2]["config"]["filters"] = 5

    altered(tiny_model, tmp_path / "m.keras", wider)
    with pytest.raises((ModelError, WeightsError)):
        opened(tmp_path / "m.keras")


def test_a_function_of_the_standard_library_is_no_layer(tf, tiny_model, tmp_path):
    def evil(config):
        config["config"]["layers"][2] = {
            "module": "os", "class_name": "system", "config": "true", "registered_name": None,
        }  # fmt: skip

    altered(tiny_model, tmp_path / "m.keras", evil)
    with pytest.raises(ModelError):
        opened(tmp_path / "m.keras")


def test_damaged_files_never_end_in_a_traceback(tf, tiny_model, tmp_path):
    rng = np.random.default_rng(0)
    data = tiny_model.read_bytes()
    for number in range(40):
        broken = bytearray(data)
        if number % 2:
            broken = broken[: rng.integers(1, len(broken))]
        else:
            for place in rng.integers(0, len(broken), 12):
                broken[place] ^= 1 << rng.integers(8)
        path = tmp_path / f"{number}.keras"
        path.write_bytes(broken)
        try:
            opened(path)
        except (ModelError, WeightsError, UsageError):
            continue


# --- a Sequential that does not know its input -------------------------------------------------


def test_an_unbuilt_sequential_takes_the_size_that_is_given(tf, tmp_path):
    path = tmp_path / "m.h5"
    lambda_h5(path, own_bytecode())
    with h5py.File(path, "r+") as h5:
        config = json.loads(h5.attrs["model_config"])
        config["config"]["layers"] = config["config"]["layers"][2:]
        h5.attrs["model_config"] = json.dumps(config)
    info = describe_model(ModelSpec(path=str(path)))
    with pytest.raises(ModelError, match="does not say the shape") as caught:
        info.image_input()
    assert "--size" in caught.value.hint
    for options in ({"size": "8"}, {"input_shape": "8,8,3"}):
        found = opened(path, **options)
        assert found.image_input.describe() == "8×8×3"
        assert found.info.cam_layer("auto")[0].path == "c"
