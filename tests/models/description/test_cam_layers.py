"""Which layers --layer means, and where plain CAM is defined."""

import pytest

from kvis_cli.errors import UnknownNameError, UsageError
from kvis_cli.models.description.cam_layers import cam_layers, check_linear_head, stages
from kvis_cli.models.description.info import describe_model
from kvis_cli.models.request import ModelSpec


@pytest.fixture(scope="module")
def infos(tf, tmp_path_factory):
    """Cards of small models, by how they end."""
    import keras

    layers = keras.layers
    folder = tmp_path_factory.mktemp("models")

    def body():
        inputs = keras.Input((16, 16, 3))
        x = layers.Conv2D(4, 3, use_bias=False, name="conv_1")(inputs)
        x = layers.BatchNormalization(name="bn_1")(x)
        x = layers.ReLU(name="relu_1")(x)
        x = layers.MaxPooling2D(name="pool")(x)
        a = layers.Conv2D(5, 3, padding="same", activation="relu", name="branch")(x)
        b = layers.Conv2D(5, 1, name="shortcut")(x)
        x = layers.Add(name="add")([a, b])
        x = layers.Activation("relu", name="a+b")(x)
        return inputs, x

    def save(name, head):
        inputs, x = body()
        keras.Model(inputs, head(x)).save(folder / f"{name}.keras")

    pooled = layers.GlobalAveragePooling2D
    save("dense", lambda x: layers.Dense(3, activation="softmax")(layers.Dropout(0.1)(pooled()(x))))
    save("logits", lambda x: layers.Activation("sigmoid")(layers.Dense(3)(pooled()(x))))
    save(
        "pointwise",
        lambda x: layers.Softmax()(
            layers.Flatten()(layers.Conv2D(3, 1, name="point")(pooled(keepdims=True)(x)))
        ),
    )
    save("window", lambda x: layers.Dense(3)(layers.Flatten()(layers.AveragePooling2D(7)(x))))
    save(
        "part",
        lambda x: layers.Dense(3)(layers.Flatten()(layers.AveragePooling2D(3, name="some")(x))),
    )
    save("maps", lambda x: layers.Softmax()(pooled()(x)))
    save(
        "hidden",
        lambda x: layers.Dense(3)(layers.Dense(4, activation="relu", name="mid")(pooled()(x))),
    )
    save("flat", lambda x: layers.Dense(3, name="wide")(layers.Flatten()(x)))
    save("maximum", lambda x: layers.Dense(3)(layers.GlobalMaxPooling2D(name="most")(x)))
    save("squashed", lambda x: layers.Dense(3, activation="tanh", name="tanh")(pooled()(x)))
    return {p.stem: describe_model(ModelSpec(path=str(p))) for p in folder.glob("*.keras")}


def test_the_stages_are_what_everything_passes_after_its_activation(infos):
    assert [call.path for call in stages(infos["dense"])] == ["relu_1", "a+b"]


def test_one_entry_of_the_option(infos):
    info = infos["dense"]
    paths = [[[c.path for c, _ in group] for group in cam_layers(info, text)] for text in (
        "auto", "conv_1", "a+b", "relu_1 + add", "all-spatial",
    )]  # fmt: skip
    assert paths == [[["a+b"]], [["conv_1"]], [["a+b"]], [["relu_1", "add"]], [["relu_1"], ["a+b"]]]
    with pytest.raises(UnknownNameError, match="relu_2"):
        cam_layers(info, "relu_1+relu_2")
    with pytest.raises(UnknownNameError, match="'relu_1\\+'"):
        cam_layers(info, "relu_1+")


@pytest.mark.parametrize("name", ["dense", "logits", "pointwise", "window", "maps"])
def test_plain_cam_behind_pooling_and_one_linear_layer(infos, name):
    info = infos[name]
    check_linear_head(info.architecture, 0, info.cam_layer("auto")[0])


@pytest.mark.parametrize(
    ("name", "said"),
    [("hidden", "'mid'"), ("flat", "no global average pooling"), ("maximum", "'most'"),
     ("squashed", "'tanh'"), ("part", "'some'")],
)  # fmt: skip
def test_plain_cam_elsewhere(infos, name, said):
    info = infos[name]
    with pytest.raises(UsageError) as caught:
        check_linear_head(info.architecture, 0, info.cam_layer("a+b")[0])
    assert said in str(caught.value)


def test_plain_cam_of_an_earlier_layer(infos):
    info = infos["dense"]
    with pytest.raises(UsageError, match="'a\\+b'"):
        check_linear_head(info.architecture, 0, info.cam_layer("pool")[0])


def test_a_single_position_is_refused(infos):
    with pytest.raises(UsageError, match="1×1"):
        cam_layers(infos["pointwise"], "point")
