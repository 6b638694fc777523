"""The upgrade table, row by row, on configs as old Keras wrote them."""

from __future__ import annotations

import copy
import json

import pytest

from kvis_cli.errors import ModelError, UnknownNameError
from kvis_cli.models.graph.editing import iterate_layers, lambda_layers, replace_layer
from kvis_cli.models.legacy.tables import LEGACY_HARD_SIGMOID
from kvis_cli.models.legacy.upgrade import upgrade

NORMAL = {"class_name": "Zeros", "config": {}}


def sequential(*layers, **config):
    return {"class_name": "Sequential", "config": {"name": "s", "layers": list(layers), **config}}


def layer(class_name, name, **config):
    return {"class_name": class_name, "config": {"name": name, **config}}


def upgraded_layer(made, version="2.4.0"):
    """The class and config of one layer after the upgrade."""
    first = layer("InputLayer", "in", batch_input_shape=[None, 8, 8, 3], dtype="float32")
    found = upgrade(sequential(first, made), keras_version=version).config["config"]["layers"][1]
    return found["class_name"], found["config"]


KERAS1 = [
    (
        layer(
            "Convolution2D", "c", nb_filter=24, nb_row=5, nb_col=3, subsample=[2, 1],
            border_mode="same", dim_ordering="th", init="uniform", bias=False, activation="relu",
            W_regularizer={"name": "WeightRegularizer", "l1": 0.0, "l2": 0.5}, b_regularizer=None,
            W_constraint={"name": "MaxNorm", "m": 3, "axis": 0}, trainable=True,
        ),
        "Conv2D",
        {
            "filters": 24, "kernel_size": [5, 3], "strides": [2, 1], "padding": "same",
            "data_format": "channels_first", "kernel_initializer": "random_uniform",
            "use_bias": False, "activation": "relu",
            "kernel_regularizer": {"class_name": "L1L2", "config": {"l1": 0.0, "l2": 0.5}},
            "bias_regularizer": None, "trainable": True,
            "kernel_constraint": {
                "class_name": "MaxNorm", "config": {"max_value": 3, "axis": 0},
            },
        },
    ),
    (
        layer("Convolution1D", "c", nb_filter=4, filter_length=3, subsample_length=2,
              border_mode="valid", input_dim=3, input_length=9),
        "Conv1D",
        {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "valid"},
    ),
    (
        layer("AtrousConvolution2D", "c", nb_filter=4, nb_row=3, nb_col=3, atrous_rate=[2, 2]),
        "Conv2D",
        {"filters": 4, "kernel_size": [3, 3], "dilation_rate": [2, 2]},
    ),
    (
        layer("Dense", "d", output_dim=7, input_dim=5, init="one", bias=True),
        "Dense",
        {"units": 7, "kernel_initializer": "ones", "use_bias": True},
    ),
    (layer("Dropout", "d", p=0.25), "Dropout", {"rate": 0.25}),
    (layer("GaussianNoise", "d", sigma=0.25), "GaussianNoise", {"stddev": 0.25}),
    (
        layer("MaxPooling2D", "p", pool_size=[2, 2], strides=[1, 1], border_mode="same",
              dim_ordering="tf"),
        "MaxPooling2D",
        {"pool_size": [2, 2], "strides": [1, 1], "padding": "same", "data_format": "channels_last"},
    ),
    (
        layer("ZeroPadding2D", "p", padding=[1, 2, 3, 4], dim_ordering="tf"),
        "ZeroPadding2D",
        {"padding": [[1, 2], [3, 4]], "data_format": "channels_last"},
    ),
    (
        layer("BatchNormalization", "b", mode=0, axis=1, epsilon=0.1, gamma_init="one",
              beta_init="zero"),
        "BatchNormalization",
        {"axis": 1, "epsilon": 0.1, "gamma_initializer": "ones", "beta_initializer": "zeros"},
    ),
    (
        layer("Embedding", "e", input_dim=9, output_dim=4, init="uniform", input_length=3,
              dropout=0.0, W_regularizer=None),
        "Embedding",
        {"input_dim": 9, "output_dim": 4, "embeddings_initializer": "random_uniform",
         "embeddings_regularizer": None},
    ),
    (
        layer("LSTM", "l", output_dim=4, inner_init="orthogonal", inner_activation="sigmoid",
              forget_bias_init="one", dropout_W=0.1, dropout_U=0.2, consume_less="cpu"),
        "LSTM",
        {"units": 4, "recurrent_initializer": "orthogonal", "recurrent_activation": "sigmoid",
         "unit_forget_bias": True, "dropout": 0.1, "recurrent_dropout": 0.2},
    ),
    (
        layer("Merge", "m", mode="concat", concat_axis=-1),
        "Concatenate",
        {"axis": -1},
    ),
    (layer("Merge", "m", mode="sum", concat_axis=-1), "Add", {}),
]  # fmt: skip


@pytest.mark.parametrize(("made", "class_name", "expected"), KERAS1)
def test_keras_1(made, class_name, expected):
    assert upgraded_layer(made, "1.2.1") == (
        class_name,
        {"name": made["config"]["name"], **expected},
    )


KERAS2 = [
    (
        layer("DepthwiseConv2D", "d", kernel_size=[3, 3], groups=1, kernel_initializer=NORMAL,
              depthwise_initializer=NORMAL),
        "DepthwiseConv2D",
        {"kernel_size": [3, 3], "depthwise_initializer": NORMAL},
    ),
    (layer("BatchNormalizationV1", "b", axis=[3], fused=True), "BatchNormalization", {"axis": 3}),
    (layer("LeakyReLU", "r", alpha={"type": "ndarray", "value": 0.25}), "LeakyReLU",
     {"negative_slope": 0.25}),
    (layer("ThresholdedReLU", "r", theta=0.5), "ReLU", {"threshold": 0.5}),
    (layer("CuDNNGRU", "g", units=3), "GRU", {"units": 3, "reset_after": True}),
    (layer("GRU", "g", units=3, implementation=1), "GRU", {"units": 3, "reset_after": False}),
    (layer("RandomHeight", "r", factor=0.1), "Identity", {}),
    (
        layer("Dense", "d", units=2, kernel_initializer={
            "class_name": "GlorotUniform", "config": {"seed": None, "dtype": "float32"}}),
        "Dense",
        {"units": 2, "kernel_initializer": {"class_name": "GlorotUniform",
                                            "config": {"seed": None}}},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("made", "class_name", "expected"), KERAS2)
def test_keras_2(made, class_name, expected):
    assert upgraded_layer(made) == (class_name, {"name": made["config"]["name"], **expected})


def test_nothing_is_changed_in_a_file_of_keras_3():
    config = sequential(layer("InputLayer", "in", batch_shape=[None, 4]), layer("Dense", "d"))
    found = upgrade(config, keras_version="3.10.0")
    assert found.config is config
    assert (found.changes, found.generation) == ([], 3)


def test_the_config_that_came_in_is_left_alone():
    config = sequential(layer("Dense", "d", output_dim=3, batch_input_shape=[None, 4]))
    before = copy.deepcopy(config)
    upgrade(config, keras_version="1.2")
    assert config == before


def test_generation_is_seen_without_a_version():
    assert upgrade(sequential(layer("Convolution2D", "c", nb_filter=3))).generation == 1
    assert upgrade(sequential(layer("Dense", "d", units=3))).generation == 2
    modern = layer("InputLayer", "in", batch_shape=[None, 4])
    assert upgrade(sequential(modern)).generation == 3


def test_a_bare_list_becomes_a_sequential_with_its_input():
    config = {
        "class_name": "Sequential",
        "config": [layer("Dense", "d", output_dim=3, batch_input_shape=[None, 4])],
    }
    found = upgrade(config, keras_version="1.2.1")
    entry, dense = found.config["config"]["layers"]
    assert entry["config"]["batch_shape"] == [None, 4]
    assert dense["config"] == {"name": "d", "units": 3}
    assert any("input layer" in change for change in found.changes)


def test_changes_are_short_sentences():
    layers = [layer("DepthwiseConv2D", f"d{i}", groups=1, kernel_size=[1, 1]) for i in range(3)]
    found = upgrade(sequential(*layers), keras_version="2.4.0")
    assert found.changes == ["Dropped DepthwiseConv2D's 'groups' in 3 layers ('d0' …)."]


def test_modules_of_keras_archives():
    made = layer("Dense", "d", units=2, activation="relu")
    made.update(module="keras.src.layers.core.dense", registered_name="Dense")
    made["config"]["kernel_initializer"] = {
        "module": "keras.src.initializers.initializers",
        "class_name": "GlorotUniform",
        "config": {"seed": None},
        "registered_name": "GlorotUniform",
    }
    inner = {
        "module": "keras.src.engine.functional",
        "class_name": "Functional",
        "registered_name": "Functional",
        "config": {
            "name": "f",
            "layers": [
                layer("InputLayer", "in", batch_input_shape=[None, 4]) | {"name": "in"},
                made | {"name": "d", "inbound_nodes": [[["in", 0, 0, {}]]]},
            ],
            "input_layers": [["in", 0, 0]],
            "output_layers": [["d", 0, 0]],
        },
    }
    found = upgrade(inner, keras_version="2.13.1").config
    assert found["module"] == "keras.src.models.functional"
    assert (found["config"]["input_layers"], found["config"]["output_layers"]) == (
        ["in", 0, 0],
        ["d", 0, 0],
    )
    dense = found["config"]["layers"][1]
    assert (dense["module"], dense["registered_name"]) == ("keras.layers", None)
    assert dense["config"]["kernel_initializer"]["module"] == "keras.initializers"


def test_classes_of_others_are_left():
    made = layer("Mine", "x", width=3)
    made.update(module="my.package", registered_name="my>Mine")
    assert upgrade(sequential(made), keras_version="2.13").config["config"]["layers"][0] == {
        **made,
        "config": {"name": "x", "width": 3},
    }


def test_hard_sigmoid_keeps_its_slope():
    _, config = upgraded_layer(layer("LSTM", "l", units=2, recurrent_activation="hard_sigmoid"))
    assert config["recurrent_activation"]["config"] == LEGACY_HARD_SIGMOID


@pytest.mark.parametrize(
    ("dtype", "version"),
    [
        ({"class_name": "Policy", "config": {"name": "mixed_float16"}}, "2.9.0"),
        ({"class_name": "PolicyV1", "config": {"name": "mixed_bfloat16"}}, "2.4.0"),
        ({"module": "keras", "class_name": "DTypePolicy", "config": {"name": "bfloat16"}}, "3.4"),
        ("float16", "2.4.0"),
    ],
)
def test_low_precision_becomes_float32(dtype, version):
    config = sequential(layer("Dense", "d", units=2, dtype=dtype))
    found = upgrade(config, keras_version=version)
    assert found.config["config"]["layers"][0]["config"]["dtype"] == "float32"
    assert found.changes == ["Turned low precision into float32 in 'd'."]
    kept = upgrade(config, keras_version=version, float32=False)
    assert kept.config["config"]["layers"][0]["config"]["dtype"] != "float32"


@pytest.mark.parametrize("version", ["2.9.0", "3.5.0"])
def test_low_precision_inside_wrappers_becomes_float32(version):
    low = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "mixed_float16"}}
    if version < "3":
        low = {"class_name": "Policy", "config": {"name": "mixed_float16"}}
    cell = {"class_name": "LSTMCell", "config": {"units": 2, "dtype": low}}
    rnn = layer("RNN", "r", cell={"class_name": "StackedRNNCells", "config": {"cells": [cell]}})
    conv = layer("Conv2D", "c", filters=2, kernel_size=[3, 3], dtype=low)
    frame = sequential(conv, layer("Flatten", "f"))
    config = sequential(
        layer("TimeDistributed", "one", layer=conv),
        layer("TimeDistributed", "many", layer=frame),
        layer("Bidirectional", "both", layer=rnn, backward_layer=rnn),
    )
    # As from a file: no part of it is another.
    before = json.dumps(config)
    config = json.loads(before)
    assert "mixed_float16" in before
    found = upgrade(config, keras_version=version)
    assert "mixed_float16" not in json.dumps(found.config)
    assert json.dumps(found.config).count('"float32"') >= 4
    assert any("low precision" in change for change in found.changes)
    assert json.dumps(config) == before


def test_quantised_layers_stay_so_and_compute_in_float32():
    low = {
        "module": "keras.dtype_policies",
        "class_name": "QuantizedDTypePolicy",
        "config": {"mode": "int8", "source_name": "mixed_float16"},
        "registered_name": None,
    }
    found = upgrade(sequential(layer("Dense", "d", units=2, dtype=low)), keras_version="3.8")
    dtype = found.config["config"]["layers"][0]["config"]["dtype"]
    assert dtype["config"] == {"mode": "int8", "source_name": "float32"}
    low["config"]["source_name"] = "float32"
    same = sequential(layer("Dense", "d", units=2, dtype=low))
    assert upgrade(same, keras_version="3.8").config is same


def test_locally_connected_layers_are_kept_or_refused_by_their_kind_of_weights():
    def made(**config):
        settings = {"filters": 2, "kernel_size": [3, 3], "kernel_initializer": NORMAL, **config}
        return upgrade(sequential(layer("LocallyConnected2D", "l", **settings)))

    found = made(implementation=1)
    kept = found.config["config"]["layers"][0]
    assert (kept["module"], kept["registered_name"]) == (None, "kvis>LocallyConnected2D")
    assert kept["config"] == {"name": "l", "filters": 2, "kernel_size": [3, 3]}
    assert found.changes == ["Kept Keras 2's locally connected layers in 'l'."]
    assert found.unsupported == []
    assert made(implementation=3).unsupported == ["l (LocallyConnected2D, implementation 3)"]


def op(function, node, name="op"):
    """The layer, or operation, that a wrapped TensorFlow function becomes."""
    made = layer("TFOpLambda", name, function=function) | {"name": name, "inbound_nodes": [node]}
    if function.endswith("getitem"):
        made["class_name"] = "SlicingOpLambda"
    config = {
        "class_name": "Functional",
        "config": {
            "name": "f",
            "layers": [
                layer("InputLayer", "x", batch_input_shape=[None, 4, 4, 3]) | {"name": "x"},
                made,
            ],
            "input_layers": [["x", 0, 0]],
            "output_layers": [["op", 0, 0]],
        },
    }
    found = upgrade(config, keras_version="2.9.0")
    new = found.config["config"]["layers"][1]
    return new["class_name"], {k: v for k, v in new["config"].items() if k != "name"}, found


@pytest.mark.parametrize(
    ("function", "node", "class_name", "config"),
    [
        ("math.truediv", ["x", 0, 0, {"y": 4.0}], "Rescaling", {"scale": 0.25, "offset": 0.0}),
        ("math.subtract", ["x", 0, 0, {"y": 1.0}], "Rescaling", {"scale": 1.0, "offset": -1.0}),
        ("math.multiply", ["x", 0, 0, {"y": 2}], "Rescaling", {"scale": 2, "offset": 0.0}),
        (
            "math.subtract",
            ["_CONSTANT_VALUE", -1, 1.0, {"y": ["x", 0, 0]}],
            "Rescaling",
            {"scale": -1.0, "offset": 1.0},
        ),
        (
            "nn.bias_add",
            ["x", 0, 0, {"bias": [1.0, 2.0, 3.0], "data_format": "NHWC"}],
            "Rescaling",
            {"scale": 1.0, "offset": [1.0, 2.0, 3.0]},
        ),
        ("__operators__.add", ["x", 0, 0, {"y": ["x", 0, 0]}], "Add", {}),
        ("math.maximum", ["x", 0, 0, {"y": 0.5}], "Maximum", {}),
        ("nn.relu", ["x", 0, 0, {"name": None}], "Activation", {"activation": "relu"}),
        ("concat", [["x", 0, 0, {"axis": -1}], ["x", 0, 0]], "Concatenate", {"axis": -1}),
        ("math.reduce_mean", ["x", 0, 0, {"axis": [1, 2]}], "Mean",
         {"axis": [1, 2], "keepdims": False}),
        ("reshape", ["x", 0, 0, {"shape": [-1, 48]}], "Reshape", {"target_shape": [48]}),
        ("image.resize", ["x", 0, 0, {"size": [8, 9], "method": "nearest"}], "Resizing",
         {"height": 8, "width": 9, "interpolation": "nearest"}),
    ],
)  # fmt: skip
def test_operations(function, node, class_name, config):
    new_class, new_config, found = op(function, node)
    assert (new_class, new_config) == (class_name, config)
    assert found.unsupported == []


@pytest.mark.parametrize(
    ("function", "node"),
    [
        ("image.rgb_to_grayscale", ["x", 0, 0, {}]),
        ("math.truediv", ["x", 0, 0, {"y": 0.0}]),
        ("nn.softmax", ["x", 0, 0, {"axis": 1}]),
    ],
)
def test_operations_that_are_not_in_the_table_are_named(function, node):
    class_name, _, found = op(function, node)
    assert class_name == "TFOpLambda"
    assert found.unsupported == [f"op ({function})"]


# --- replacing layers --------------------------------------------------------------------------


def with_lambda():
    inner = sequential(layer("Lambda", "scale", function=["code", None, None]))
    inner["config"]["name"] = "inner"
    return sequential(inner, layer("Lambda", "other"), layer("Dense", "d", units=2))


def test_lambdas_are_named_and_left():
    found = upgrade(with_lambda(), keras_version="2.4.0")
    assert found.lambdas == ["inner/scale", "other"]
    assert dict(iterate_layers(found.config))["inner/scale"]["class_name"] == "Lambda"


@pytest.mark.parametrize("name", ["inner/scale", "scale"])
def test_replace_layer(name):
    config = upgrade(with_lambda(), keras_version="2.4.0").config
    before = copy.deepcopy(config)
    new = replace_layer(config, name, {"class_name": "Rescaling", "config": {"scale": 0.5}})
    assert config == before
    assert lambda_layers(new) == ["other"]
    replaced = dict(iterate_layers(new))["inner/scale"]
    assert replaced["class_name"] == "Rescaling"
    assert replaced["config"] == {"scale": 0.5, "name": "scale"}


def test_replace_keeps_the_connections():
    made = layer("Lambda", "l") | {"name": "l", "inbound_nodes": [[["x", 0, 0, {}]]]}
    config = {"class_name": "Functional", "config": {"name": "f", "layers": [made]}}
    new = replace_layer(config, "l", {"class_name": "Identity"})
    assert new["config"]["layers"][0]["inbound_nodes"] == [[["x", 0, 0, {}]]]


def test_replace_unknown_or_ambiguous():
    config = sequential(layer("Lambda", "a"), with_lambda()["config"]["layers"][0], layer("A", "b"))
    with pytest.raises(UnknownNameError, match="Known: a, inner"):
        replace_layer(config, "zzz", {"class_name": "Identity"})
    twice = sequential(
        sequential(layer("Lambda", "x")) | {"name": "p"},
        sequential(layer("Lambda", "x")) | {"name": "q"},
    )
    with pytest.raises(UnknownNameError, match="p/x"):
        replace_layer(twice, "x", {"class_name": "Identity"})


@pytest.mark.parametrize(
    "config",
    [
        {
            "class_name": "Functional",
            "config": {"name": "f", "layers": [layer("Dense", "d")], "input_layers": 3},
        },
        sequential({"class_name": 5, "config": {}}),
    ],
)
def test_what_no_keras_wrote_is_one_error(config):
    with pytest.raises(ModelError):
        upgrade(config, keras_version="2.4.0")
