"""``kvis layers`` shows what Keras would show, and what kvis would do."""

from __future__ import annotations

import json

import numpy as np


def test_shapes_parameters_and_marks_are_those_of_keras(kvis, tf, tiny_model):
    import keras

    model = keras.saving.load_model(tiny_model)
    document = json.loads(kvis("layers", tiny_model, "--json").out)
    rows = {row["path"]: row for row in document["layers"]}
    for layer in model.layers:
        row = rows[layer.name]
        assert row["type"] == type(layer).__name__
        assert tuple(row["output_shape"]) == layer.output.shape
        assert row["params"] == layer.count_params()
    assert document["params"] == model.count_params()
    assert document["preprocess"] == "none"
    assert [row["path"] for row in document["layers"] if row["auto"]] == ["second"]
    assert rows["first"]["cam"]
    assert not rows["classes"]["cam"]


def test_the_table_is_not_cut_in_a_pipe(kvis, tf, tmp_path):
    import keras

    name = "a_layer_with_a_name_that_is_longer_than_the_eighty_columns_of_a_terminal_that_is_narrow"
    keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Conv2D(2, 3, name=name)]).save(
        tmp_path / "m.keras"
    )
    ran = kvis("layers", tmp_path / "m.keras")
    assert ran.code == 0
    assert name in ran.out
    assert "2×2×2" in ran.out


def test_nested_models_are_shown_by_path(kvis, tf, tmp_path):
    import keras

    base = keras.applications.MobileNet(
        (64, 64, 3), include_top=False, weights=None, alpha=0.25, pooling=None
    )
    inputs = keras.Input((64, 64, 3))
    x = keras.layers.GlobalAveragePooling2D()(base(inputs))
    model = keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(x))
    for suffix in ("keras", "h5"):
        path = tmp_path / f"m.{suffix}"
        model.save(path)
        document = json.loads(kvis("layers", path, "--json").out)
        assert document["cam_layer"] == f"{base.name}/conv_pw_13_relu"
        assert document["params"] == model.count_params()
        assert document["preprocess"] == "signed"


def test_layers_of_an_application(kvis, tf):
    document = json.loads(kvis("layers", "mobilenet", "--json").out)
    assert document["cam_layer"] == "conv_pw_13_relu"
    assert document["params"] == 4_253_864


def test_what_cannot_be_listed(kvis, tf, tmp_path):
    assert kvis("layers", "mobilnet").code == 2
    assert "mobilenet" in kvis("layers", "mobilnet").err
    np.save(tmp_path / "a.npy", np.zeros(3))
    ran = kvis("layers", tmp_path / "a.npy")
    assert ran.code == 3
    assert "NumPy array" in ran.err
