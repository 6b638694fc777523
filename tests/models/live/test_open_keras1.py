"""Sequential models of Keras 1 that merge branches: written by hand, opened, and by numpy."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest
from PIL import Image

from kvis_cli.errors import ModelError
from kvis_cli.models.description.info import describe_model
from kvis_cli.models.description.trust import check_code
from kvis_cli.models.legacy.upgrade import upgrade
from kvis_cli.models.request import ModelSpec


def dense(name, units, inputs=None, activation="linear"):
    first = {"batch_input_shape": [None, inputs], "input_dtype": "float32"} if inputs else {}
    config = {"name": name, "output_dim": units, "activation": activation, "init": "uniform",
              "bias": True, "W_regularizer": None, **first}  # fmt: skip
    return {"class_name": "Dense", "config": config}


def sequential(*layers):
    return {"class_name": "Sequential", "config": list(layers)}


def merge(mode, *branches, **config):
    config = {"name": "merge_1", "mode": mode, "mode_type": "raw", "concat_axis": -1,
              "dot_axes": -1, "output_shape": None, "output_mask": None, **config}  # fmt: skip
    if branches:
        config["layers"] = list(branches)
    return {"class_name": "Merge", "config": config}


def write(path, model, weights):
    with h5py.File(path, "w") as h5:
        h5.attrs["model_config"] = json.dumps(model).encode()
        h5.attrs["keras_version"] = b"1.2.1"
        group = h5.create_group("model_weights")
        group.attrs["layer_names"] = [name.encode() for name in weights]
        for name, arrays in weights.items():
            inner = group.create_group(name)
            names = [f"{name}_{i}" for i in range(len(arrays))]
            inner.attrs["weight_names"] = [n.encode() for n in names]
            for key, array in zip(names, arrays, strict=True):
                inner[key] = array


def opened(path):
    from kvis_cli.models.live.open import open_model

    return open_model(describe_model(ModelSpec(path=str(path))))


def cosine(a, b):
    norms = np.sqrt((a * a).sum(1, keepdims=True) * (b * b).sum(1, keepdims=True))
    return (a * b).sum(1, keepdims=True) / norms


MODES = {
    "ave": lambda a, b: (a + b) / 2,
    "concat": lambda a, b: np.concatenate([a, b], 1),
    "cos": cosine,
    "dot": lambda a, b: (a * b).sum(1, keepdims=True),
    "max": np.maximum,
    "mul": lambda a, b: a * b,
    "sum": lambda a, b: a + b,
}
TOP = [("a", 5, 4), ("c", 3, 4)]


@pytest.fixture
def numbers():
    rng = np.random.default_rng(4)
    left, right = rng.normal(size=(6, 5)), rng.normal(size=(6, 3))
    weights = {n: [rng.normal(size=(i, o)), rng.normal(size=o)] for n, i, o in TOP}
    return left, right, weights, rng


def by_hand(mode, left, right, weights):
    a = np.maximum(left @ weights["a"][0] + weights["a"][1], 0)
    b = right @ weights["c"][0] + weights["c"][1]
    return MODES[mode](a, b) @ weights["d"][0] + weights["d"][1]


@pytest.mark.parametrize("form", ["Sequential", "functional"])
@pytest.mark.parametrize("mode", MODES)
def test_two_branches_by_every_mode(tf, numbers, mode, form, tmp_path):
    left, right, weights, rng = numbers
    width = {"concat": 8, "cos": 1, "dot": 1}.get(mode, 4)
    weights["d"] = [rng.normal(size=(width, 2)), rng.normal(size=2)]
    one, other, top = dense("a", 4, 5, "relu"), dense("c", 4, 3), dense("d", 2)
    if form == "Sequential":
        model = sequential(merge(mode, sequential(one), sequential(other)), top)
    else:
        model = functional([one], [other], merge(mode), top)
    write(tmp_path / "m.h5", model, weights)
    found = opened(tmp_path / "m.h5")
    got = found.model([left.astype("f4"), right.astype("f4")], training=False)
    np.testing.assert_allclose(got, by_hand(mode, left, right, weights), atol=1e-5)
    assert found.info.architecture.params == found.model.count_params()


def functional(left, right, *rest):
    layers, ends = [], []
    for branch in (left, right):
        name, shape = branch[0]["config"]["name"], branch[0]["config"].pop("batch_input_shape")
        entry = {"name": f"in_{name}", "batch_input_shape": shape, "input_dtype": "float32"}
        layers.append({"class_name": "InputLayer", "name": f"in_{name}", "config": entry,
                       "inbound_nodes": []})  # fmt: skip
        end = [f"in_{name}", 0, 0]
        for layer in branch:
            name = layer["config"]["name"]
            layers.append({**layer, "name": name, "inbound_nodes": [[end]]})
            end = [name, 0, 0]
        ends.append(end)
    for layer in rest:
        name = layer["config"]["name"]
        layers.append({**layer, "name": name, "inbound_nodes": [ends]})
        ends = [[name, 0, 0]]
    inputs = [[x["name"], 0, 0] for x in layers if x["class_name"] == "InputLayer"]
    config = {"name": "m", "layers": layers, "input_layers": inputs, "output_layers": ends}
    return {"class_name": "Model", "config": config}


def test_branches_of_other_forms_and_branches_of_branches(tf, numbers, tmp_path):
    left, right, weights, rng = numbers
    weights["e"] = [rng.normal(size=(5, 4)), rng.normal(size=4)]
    weights["d"] = [rng.normal(size=(8, 2)), rng.normal(size=2)]
    graph = functional([dense("a", 4, 5, "relu")], [dense("c", 4, 3)], merge("sum", name="merge_2"))
    inner = sequential(merge("concat", graph, dense("e", 4, 5)))
    write(tmp_path / "m.h5", sequential(*inner["config"], dense("d", 2)), weights)
    model = opened(tmp_path / "m.h5").model
    extra = rng.normal(size=(6, 5))
    got = model([x.astype("f4") for x in (left, right, extra)], training=False)
    a = np.maximum(left @ weights["a"][0] + weights["a"][1], 0)
    a = a + right @ weights["c"][0] + weights["c"][1]
    both = np.concatenate([a, extra @ weights["e"][0] + weights["e"][1]], 1)
    np.testing.assert_allclose(got, both @ weights["d"][0] + weights["d"][1], atol=1e-5)


def test_two_branches_of_pictures_are_explained(tf, kvis, tmp_path):
    def branch(name):
        conv = {"name": name, "nb_filter": 3, "nb_row": 3, "nb_col": 3, "border_mode": "same",
                "dim_ordering": "tf", "activation": "relu", "subsample": [1, 1],
                "batch_input_shape": [None, 9, 9, 3]}  # fmt: skip
        return sequential({"class_name": "Convolution2D", "config": conv})

    rng = np.random.default_rng(1)
    pool = {"class_name": "GlobalAveragePooling2D", "config": {"name": "p", "dim_ordering": "tf"}}
    model = sequential(merge("sum", branch("a"), branch("b")), pool, dense("d", 2))
    shapes = {"a": [(3, 3, 3, 3), 3], "b": [(3, 3, 3, 3), 3], "d": [(3, 2), 2]}
    weights = {name: [rng.normal(size=s) for s in sizes] for name, sizes in shapes.items()}
    weights["d"][0] = np.abs(weights["d"][0])
    write(tmp_path / "m.h5", model, weights)
    pixels = rng.integers(0, 256, (9, 9, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "p.png")
    ran = kvis("cam", tmp_path / "m.h5", tmp_path / "p.png", "--preprocess", "unit", "-c", "1",
               "--raw", "--input", "b_input=0.5", "-o", tmp_path)  # fmt: skip
    assert ran.code == 0, ran.err
    assert "Joined the branches" in ran.err
    row = json.loads((tmp_path / "manifest.jsonl").read_text())
    assert row["layer"] == "merge_1"
    maps = np.zeros((9, 9, 3))
    for name, x in (("a", pixels / 255), ("b", np.full((9, 9, 3), 0.5))):
        padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (0, 1))
        made = np.einsum("hwcij,ijco->hwo", windows, weights[name][0]) + weights[name][1]
        maps += np.maximum(made, 0)
    wanted = np.maximum(maps @ weights["d"][0][:, 1], 0) / 81
    np.testing.assert_allclose(np.load(tmp_path / row["raw"])["map"], wanted, atol=1e-5)


@pytest.mark.parametrize("mode", [1, 2])
def test_normalization_that_later_keras_has_not_is_refused(tmp_path, mode):
    norm = {"class_name": "BatchNormalization", "config": {"name": "b", "mode": mode, "axis": -1}}
    write(tmp_path / "m.h5", sequential(dense("a", 4, 5), norm), {})
    with pytest.raises(ModelError) as caught:
        check_code(describe_model(ModelSpec(path=str(tmp_path / "m.h5"))))
    assert f"b (BatchNormalization mode {mode} of Keras 1)" in caught.value.what
    assert "--replace-layer b=" in caught.value.hint


@pytest.mark.parametrize("mode", ["lambda", 3, None])
def test_a_merge_by_a_function_is_refused_by_name(tmp_path, mode):
    model = sequential(merge(mode, sequential(dense("a", 4, 5)), sequential(dense("c", 4, 3))))
    write(tmp_path / "m.h5", model, {})
    info = describe_model(ModelSpec(path=str(tmp_path / "m.h5")))
    with pytest.raises(ModelError, match="merge_1"):
        check_code(info)


def test_branches_with_layers_of_one_name_are_one_error():
    same = sequential(merge("sum", sequential(dense("a", 4, 5)), sequential(dense("a", 4, 5))))
    with pytest.raises(ModelError) as caught:
        upgrade(same, keras_version="1.2.1")
    assert "called 'a'" in caught.value.why
