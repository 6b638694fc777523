"""Every family of keras.applications is recognised by its layers, whatever its file is called."""

from __future__ import annotations

import json

import numpy as np
import pytest

from kvis_cli.models.description.evidence.fingerprint import chosen_by, known_preprocessing
from kvis_cli.models.graph.from_config import read_architecture

pytestmark = pytest.mark.slow

# One of each family: class, module with Keras' own `preprocess_input`.
FAMILIES = [
    ("ConvNeXtTiny", "convnext"),
    ("DenseNet121", "densenet"),
    ("EfficientNetB0", "efficientnet"),
    ("EfficientNetV2B0", "efficientnet_v2"),
    ("EfficientNetV2S", "efficientnet_v2"),
    ("InceptionResNetV2", "inception_resnet_v2"),
    ("InceptionV3", "inception_v3"),
    ("MobileNet", "mobilenet"),
    ("MobileNetV2", "mobilenet_v2"),
    ("MobileNetV3Large", "mobilenet_v3"),
    ("MobileNetV3Small", "mobilenet_v3"),
    ("NASNetMobile", "nasnet"),
    ("ResNet50", "resnet"),
    ("ResNet101V2", "resnet_v2"),
    ("VGG16", "vgg16"),
    ("VGG19", "vgg19"),
    ("Xception", "xception"),
]


def guessed(model):
    architecture = read_architecture(json.loads(model.to_json()))
    return known_preprocessing([(c.class_name, c.name) for c in architecture.calls])


@pytest.mark.parametrize(("name", "module"), FAMILIES)
def test_scales_as_keras_does(tf, name, module):
    import keras

    choice = guessed(getattr(keras.applications, name)(weights=None, include_top=False))
    assert choice.certain
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 5, 5, 3)).astype(np.float32)
    wanted = getattr(keras.applications, module).preprocess_input(pixels.copy())
    np.testing.assert_allclose(
        choice.preprocessing.apply(pixels), np.asarray(wanted), atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("name", ["MobileNetV3Small", "MobileNetV3Large"])
def test_without_its_own_scaling(tf, name):
    import keras

    make = getattr(keras.applications, name)
    choice = guessed(make(weights=None, include_top=False, include_preprocessing=False))
    assert choice.preprocessing.name == "signed"


def test_behind_augmentation_and_inside_another_model(tf):
    import keras

    layers = keras.layers
    base = keras.applications.VGG16(weights=None, include_top=False, input_shape=(48, 48, 3))
    front = keras.Sequential([keras.Input((48, 48, 3)), layers.RandomFlip()], name="front")
    model = keras.Sequential([front, base, layers.Flatten(), layers.Dense(2)])
    assert guessed(model).preprocessing.name == "caffe"
    scaled = keras.Sequential([front, layers.Rescaling(1 / 255), base, layers.Flatten()])
    choice = guessed(scaled)
    assert (choice.preprocessing.name, choice.certain) == ("none", True)


def test_nothing_to_go_by_is_said(tf):
    import keras

    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3)])
    assert guessed(model) is None
    choice = chosen_by(None)
    assert (choice.preprocessing.name, choice.certain) == ("unit", False)
    assert "guess" in choice.warning and choice.rival is not None
