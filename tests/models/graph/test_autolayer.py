"""The layer for a class activation map, and layer addresses."""

from __future__ import annotations

import json

import pytest

from kvis_cli.errors import UnknownNameError, UsageError
from kvis_cli.models.files.read import read_model_file
from kvis_cli.models.graph.autolayer import cam_candidates, choose_cam_layer, resolve
from kvis_cli.models.graph.from_config import read_architecture
from kvis_cli.models.legacy.upgrade import upgrade


def layer(class_name, name, *inputs, **config):
    node = [[[before, 0, 0, {}] for before in inputs]] if inputs else []
    config = {"name": name, **config}
    return {"class_name": class_name, "name": name, "config": config, "inbound_nodes": node}


def image(name="img", shape=(None, 16, 16, 3)):
    return layer("InputLayer", name, batch_shape=list(shape))


def conv(name, before, rank=2, **config):
    settings = {"filters": 4, "kernel_size": [3] * rank, "padding": "same", **config}
    return layer(f"Conv{rank}D", name, before, **settings)


def graph(layers, outputs, inputs=("img",)):
    config = {
        "name": "m",
        "layers": layers,
        "input_layers": [[name, 0, 0] for name in inputs],
        "output_layers": [[name, 0, 0] for name in outputs],
    }
    return read_architecture({"class_name": "Functional", "config": config})


def chosen(architecture, output=0):
    return choose_cam_layer(architecture, output).call.path


GAP = "GlobalAveragePooling2D"


def test_after_the_addition_and_its_activation():
    found = graph(
        [
            image(),
            conv("a", "img"),
            conv("b", "a"),
            layer("Add", "sum", "a", "b"),
            layer("Activation", "relu", "sum", activation="relu"),
            layer(GAP, "gap", "relu"),
            layer("Dense", "out", "gap", units=3),
        ],
        ["out"],
    )
    assert chosen(found) == "relu"


def test_a_branch_is_never_chosen():
    found = graph(
        [
            image(),
            conv("stem", "img"),
            conv("left", "stem"),
            conv("right", "stem"),
            layer(GAP, "g1", "left"),
            layer(GAP, "g2", "right"),
            layer("Concatenate", "cat", "g1", "g2", axis=-1),
        ],
        ["cat"],
    )
    assert chosen(found) == "stem"


def test_walks_back_over_pooling_but_not_to_a_branch():
    found = graph(
        [
            image(),
            conv("c", "img"),
            layer("MaxPooling2D", "pool", "c", pool_size=[2, 2]),
            layer("Dropout", "drop", "pool", rate=0.5),
            layer("Flatten", "flat", "drop"),
            layer("Dense", "out", "flat", units=2),
        ],
        ["out"],
    )
    choice = choose_cam_layer(found)
    assert choice.call.path == "c"
    assert "16×16" in choice.reason
    assert "drop" in choice.reason


def test_maps_of_one_pixel_are_passed_over():
    found = graph(
        [
            image(),
            conv("c", "img"),
            layer(GAP, "gap", "c", keepdims=True),
            conv("preds", "gap", kernel_size=[1, 1]),
            layer("Reshape", "flat", "preds", target_shape=[4]),
        ],
        ["flat"],
    )
    assert chosen(found) == "c"


def test_a_strip_one_pixel_high_is_passed_over():
    found = graph(
        [
            image(shape=(None, 3, 16, 3)),
            conv("c", "img", padding="same"),
            conv("strip", "c", padding="valid"),
            layer("Flatten", "flat", "strip"),
        ],
        ["flat"],
    )
    assert chosen(found) == "c"


def test_numbers_beside_the_picture_do_not_count():
    found = graph(
        [
            image(),
            image("age", (None, 1)),
            conv("c", "img"),
            layer(GAP, "gap", "c"),
            layer("Concatenate", "cat", "gap", "age", axis=-1),
            layer("Dense", "out", "cat", units=2),
        ],
        ["out"],
        ("img", "age"),
    )
    assert chosen(found) == "c"


def test_each_output_has_its_own():
    found = graph(
        [
            image(),
            conv("c", "img"),
            conv("d", "c"),
            layer(GAP, "near", "c"),
            layer(GAP, "far", "d"),
        ],
        ["near", "far"],
    )
    assert [chosen(found, 0), chosen(found, 1)] == ["c", "d"]
    with pytest.raises(UsageError):
        choose_cam_layer(found, 2)


def test_segmentation_is_explained_before_its_head():
    found = graph(
        [
            image(),
            conv("down", "img", strides=[2, 2]),
            layer("UpSampling2D", "up", "down", size=[2, 2]),
            conv("head", "up", kernel_size=[1, 1]),
            layer("Softmax", "soft", "head"),
        ],
        ["soft"],
    )
    assert chosen(found) == "down"


@pytest.mark.parametrize(("rank", "shape"), [(1, (None, 32, 3)), (3, (None, 8, 8, 8, 1))])
def test_other_ranks(rank, shape):
    found = graph(
        [
            image(shape=shape),
            conv("c", "img", rank),
            layer(f"MaxPooling{rank}D", "p", "c"),
            layer(f"GlobalMaxPooling{rank}D", "g", "p"),
        ],
        ["g"],
    )
    assert chosen(found) == "c"


def test_the_picture_comes_before_a_sequence_made_from_it():
    found = graph(
        [
            image(),
            conv("c", "img"),
            layer("Reshape", "tokens", "c", target_shape=[256, 4]),
            layer("LSTM", "lstm", "tokens", units=3),
        ],
        ["lstm"],
    )
    assert chosen(found) == "c"


def test_channels_first():
    found = graph(
        [
            image(shape=(None, 3, 16, 16)),
            conv("c", "img", data_format="channels_first"),
            layer("ReLU", "r", "c"),
            layer(GAP, "g", "r", data_format="channels_first", keepdims=True),
        ],
        ["g"],
    )
    assert chosen(found) == "r"


@pytest.mark.parametrize(
    "layers",
    [
        [layer("Flatten", "flat", "img"), layer("Dense", "out", "flat", units=2)],
        [
            layer("Rescaling", "scale", "img", scale=2.0),
            layer("RandomFlip", "flip", "scale"),
            layer("BatchNormalization", "bn", "flip"),
            layer("Flatten", "out", "bn"),
        ],
    ],
)
def test_no_feature_map_is_said(layers):
    with pytest.raises(UsageError, match="no spatial layer"):
        choose_cam_layer(graph([image(), *layers], ["out"]))


def test_a_subclassed_model_is_said():
    with pytest.raises(UsageError, match="subclassed"):
        choose_cam_layer(read_architecture({"class_name": "Net", "config": {}}))


def test_candidates_are_the_feature_maps_that_matter():
    found = graph(
        [
            image(),
            layer("Rescaling", "scale", "img", scale=1.0),
            conv("c", "scale"),
            conv("unused", "scale"),
            layer(GAP, "gap", "c"),
        ],
        ["gap"],
    )
    assert {call.path for call in cam_candidates(found)} == {"c"}


# --- addresses ---------------------------------------------------------------------------------


@pytest.fixture
def twins():
    """Two nested models with a layer of the same name, and one called twice."""

    def part(name, *extra):
        layers = [image("x"), conv("c", "x", filters=3), *extra]
        config = {
            "name": name,
            "layers": layers,
            "input_layers": [["x", 0, 0]],
            "output_layers": [[layers[-1]["name"], 0, 0]],
        }
        return {"class_name": "Functional", "name": name, "config": config}

    left, right = part("left", layer("ReLU", "only", "c")), part("right")
    left["inbound_nodes"] = [[["img", 0, 0, {}]], [["left", 1, 0, {}]]]
    right["inbound_nodes"] = [[["left", 2, 0, {}]]]
    config = {
        "name": "m",
        "layers": [image(), left, right, layer(GAP, "gap", "right")],
        "input_layers": [["img", 0, 0]],
        "output_layers": [["gap", 0, 0]],
    }
    config["layers"][3]["inbound_nodes"] = [[["right", 1, 0, {}]]]
    return read_architecture({"class_name": "Functional", "config": config})


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("gap", "gap"),
        ("right/c", "right/c"),
        ("left/only", "left/only"),
        ("left@1/only", "left@1/only"),
        ("left/only@1", "left@1/only"),
        ("right", "right/c"),
        ("-1", "gap"),
        (0, "img"),
        ("1", "left/c"),
    ],
)
def test_addresses(twins, address, path):
    assert resolve(twins, address).path == path


def test_ambiguous_name_lists_the_paths(twins):
    with pytest.raises(UnknownNameError, match=r"left/c.*right/c"):
        resolve(twins, "c")


def test_unknown_name_offers_the_close_one(twins):
    with pytest.raises(UnknownNameError) as caught:
        resolve(twins, "gab", model="m.keras")
    assert "Did you mean 'gap'?" in str(caught.value)
    assert "`kvis layers m.keras` lists all 7." in str(caught.value)
    with pytest.raises(UnknownNameError, match="0 to 6"):
        resolve(twins, 7)


# --- known answers -----------------------------------------------------------------------------

REAL = {
    "checkpoints/fer2013_mini_XCEPTION.102-0.66.hdf5": "conv2d_7",
    "models/mobilenet_v1_025_224.h5": "conv_pw_13_relu",
    "models/mobilenet_v1_025_224.keras": "conv_pw_13_relu",
    "models/person_mobilenet_96_keras24.h5": "activation_26",
    "models/resnet8_cifar10_keras24.h5": "activation_6",
    "models/squeezenet_v10_227.keras": "conv_final",
    "models/steering_keras12.h5": "convolution2d_4",
    "models/teachable_machine_waste.h5": "sequential_1/model1/out_relu",
}


@pytest.mark.parametrize("name", REAL)
def test_real_files(real_data, name):
    file = read_model_file(real_data / name)
    config = upgrade(file.config, keras_version=file.keras_version).config
    assert chosen(read_architecture(config)) == REAL[name]


# From the list of right layers for keras.applications: last tensor after its activation, addition
# or concatenation, with the number of channels that it must have.
APPLICATIONS = {
    "ConvNeXtTiny": ("add_17", 768),
    "DenseNet121": ("relu", 1024),
    "EfficientNetB0": ("top_activation", 1280),
    "EfficientNetV2B0": ("top_activation", 1280),
    "InceptionResNetV2": ("conv_7b_ac", 1536),
    "InceptionV3": ("mixed10", 2048),
    "MobileNet": ("conv_pw_13_relu", 1024),
    "MobileNetV2": ("out_relu", 1280),
    "MobileNetV3Small": ("activation", 576),
    "NASNetMobile": ("activation", 1056),
    "ResNet50": ("conv5_block3_out", 2048),
    "ResNet50V2": ("post_relu", 2048),
    "VGG16": ("block5_conv3", 512),
    "Xception": ("block14_sepconv2_act", 2048),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", APPLICATIONS)
def test_applications(tf, name):
    import keras

    keras.backend.clear_session()
    model = getattr(keras.applications, name)(weights=None)
    call = choose_cam_layer(read_architecture(json.loads(model.to_json()))).call
    expected, channels = APPLICATIONS[name]
    if expected == "activation":
        assert call.class_name == "Activation"
        activations = [c for c in model.layers if isinstance(c, keras.layers.Activation)]
        spatial = [c for c in activations if len(c.output.shape) == 4 and c.output.shape[1] != 1]
        assert call.name == spatial[-1].name
    else:
        assert call.path == expected
    assert call.filters == channels
