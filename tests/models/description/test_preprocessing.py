"""Preprocessing is exact both ways and says what it does."""

from __future__ import annotations

import numpy as np
import pytest

from kvis_cli.errors import SpecError, UnknownNameError
from kvis_cli.models.description.preprocessing import PRESETS, Preprocessing, parse

PIXELS = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3)).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("none", PIXELS),
        ("unit", PIXELS / 255),
        ("signed", PIXELS / 127.5 - 1),
        ("caffe", PIXELS[..., ::-1] - [103.939, 116.779, 123.68]),
        ("torch", (PIXELS / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]),
    ],
)
def test_presets_are_the_papers(name, expected):
    np.testing.assert_allclose(PRESETS[name].apply(PIXELS), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", [name for name in PRESETS if name != "standardize"])
def test_presets_equal_those_of_keras_applications(tf, name):
    import keras

    peers = {
        "signed": keras.applications.mobilenet.preprocess_input,
        "caffe": keras.applications.vgg16.preprocess_input,
        "torch": keras.applications.densenet.preprocess_input,
        "none": keras.applications.efficientnet.preprocess_input,
    }
    if name == "unit":
        np.testing.assert_array_equal(PRESETS[name].apply(PIXELS), PIXELS / np.float32(255))
        return
    np.testing.assert_allclose(
        PRESETS[name].apply(PIXELS), peers[name](PIXELS.copy()), rtol=1e-5, atol=2e-5
    )


@pytest.mark.parametrize(
    "preprocessing",
    [
        *(p for p in PRESETS.values() if not p.per_image),
        Preprocessing("custom", (104.0, 117.0, 123.0), (2.0,), "bgr"),
    ],
    ids=lambda p: p.name,
)
def test_invert_undoes_apply(preprocessing):
    back = preprocessing.invert(preprocessing.apply(PIXELS))
    np.testing.assert_allclose(back, PIXELS, atol=1e-3)
    low, high = preprocessing.input_range()
    black = preprocessing.apply(np.zeros((1, 1, 3), np.float32))
    np.testing.assert_allclose(black[0, 0], np.broadcast_to(low, 3), rtol=1e-6)
    assert (np.asarray(high) > np.asarray(low)).all()
    assert parse(preprocessing.to_spec()).apply(PIXELS) == pytest.approx(
        preprocessing.apply(PIXELS)
    )


def test_grey_pictures_ignore_the_colour_order():
    grey = PIXELS[..., :1]
    assert Preprocessing("x", (1.0,), (2.0,), "bgr").apply(grey) == pytest.approx((grey - 1) / 2)


def test_text_and_mappings_mean_the_same():
    assert parse("color=bgr;mean=104,117,123;std=1") == parse(
        {"mean": [104, 117, 123], "std": 1, "color": "bgr"}
    )


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("signd", UnknownNameError),
        ({"men": 1}, UnknownNameError),
        ({"std": 0}, SpecError),
        ({"mean": "abc"}, SpecError),
        ({"mean": []}, SpecError),
        ({"color": "bgra"}, UnknownNameError),
    ],
)
def test_wrong_values_are_refused(value, error):
    with pytest.raises(error):
        parse(value)


def test_standardize_is_the_per_image_standardization_of_tensorflow(tf):
    blank = np.full((1, 4, 5, 3), 7, np.uint8)
    pictures = np.concatenate([np.random.default_rng(1).integers(0, 255, (3, 4, 5, 3)), blank])
    expected = tf.image.per_image_standardization(tf.constant(pictures, tf.float32))
    made = PRESETS["standardize"].apply(pictures)
    np.testing.assert_allclose(made, expected, rtol=1e-5, atol=1e-5)
    # A batch is as good as each alone, and every picture has its own statistics.
    np.testing.assert_allclose(PRESETS["standardize"].apply(pictures[1]), made[1], rtol=1e-6)
    assert not made[3].any()
