"""keras-vis' helpers: values, and the mistakes that are not inherited."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from kvis_cli.errors import UnknownNameError, UsageError
from kvis_cli.keras_vis.utils import utils


def test_deprocess_has_mean_and_deviation_of_the_range():
    array = np.random.default_rng(0).normal(3, 2, (40, 40, 3))
    found = utils.deprocess_input(array, (0, 1))
    assert found.mean() == pytest.approx(0.5, abs=1e-3)
    assert found.std() == pytest.approx(0.1, abs=1e-3)
    np.testing.assert_allclose(utils.deprocess_input(array, (0, 255)), 255 * found, rtol=1e-5)


def test_normalize_and_random_array():
    found = utils.normalize(np.array([2.0, 4.0, 3.0]), 0, 10)
    np.testing.assert_allclose(found, [0, 10, 5], atol=1e-5)
    noise = utils.random_array((50, 50), mean=10, std=3, seed=1)
    assert noise.mean() == pytest.approx(10)
    assert noise.std() == pytest.approx(3, rel=1e-5)
    # Uniform noise of that deviation ends at sqrt(3) of it.
    assert np.abs(noise - 10).max() < 3 * 1.8
    np.testing.assert_array_equal(noise, utils.random_array((50, 50), 10, 3, seed=1))


def test_stitch_images_places():
    images = [np.full((2, 3, 3), i + 1, np.uint8) for i in range(5)]
    sheet = utils.stitch_images(images, margin=1, cols=2)
    assert sheet.shape == (8, 7, 3)
    assert sheet[0, 0, 0] == 1
    assert sheet[0, 4, 0] == 2
    assert sheet[3, 0, 0] == 3
    assert sheet[6, 0, 0] == 5
    assert sheet[2].max() == 0
    assert sheet[:, 3].max() == 0
    assert sheet[6, 4, 0] == 0
    assert utils.stitch_images([]) is None
    assert utils.stitch_images([np.ones((2, 2))], cols=3).shape == (2, 16)
    with pytest.raises(UsageError):
        utils.stitch_images([np.ones((2, 2)), np.ones((3, 2))])


def test_load_img(tmp_path):
    path = tmp_path / "wide.png"
    pixels = np.zeros((10, 20, 3), np.uint8)
    pixels[:, 10:] = (255, 0, 0)
    Image.fromarray(pixels).save(path)
    np.testing.assert_array_equal(utils.load_img(path), pixels)
    assert utils.load_img(path, target_size=(5, 8)).shape == (5, 8, 3)
    # keras-vis cast 0..1 to bytes here: a black picture.
    grey = utils.load_img(path, grayscale=True, target_size=(5, 8))
    assert grey.shape == (5, 8)
    assert grey.max() == 76


def test_labels_text_and_order(tmp_path):
    assert utils.lookup_imagenet_labels(20) == ["water_ouzel"]
    assert utils.lookup_imagenet_labels(np.array([20, 71])) == ["water_ouzel", "scorpion"]
    assert utils.get_imagenet_label([20, 71]) == "water_ouzel, scorpion"
    with pytest.raises(UsageError):
        utils.lookup_imagenet_labels([1000])
    grey = np.full((40, 80), 255, np.uint8)
    drawn = utils.draw_text(grey, "Step 3", position=(5, 5))
    assert drawn.shape == (40, 80, 3)
    assert drawn.min() < 100
    assert grey.min() == 255
    assert utils.bgr2rgb(np.array([[[1, 2, 3]]])).tolist() == [[[3, 2, 1]]]


def test_small_helpers():
    assert utils.listify((1, 2)) == [1, 2]
    assert utils.listify(range(2)) == [0, 1]
    assert utils.listify(np.array([3, 4])) == [3, 4]
    assert utils.listify(5) == [5]
    assert utils.listify(None) == [None]
    assert utils.listify("ab") == ["ab"]
    assert utils.add_defaults_to_kwargs({"a": 1, "b": 2}, b=3) == {"a": 1, "b": 3}
    assert list(utils.reverse_enumerate("abc")) == [(2, "c"), (1, "b"), (0, "a")]
    assert utils.get_img_shape(np.zeros((2, 5, 6, 3))) == (2, 3, 5, 6)
    assert utils.get_img_shape(np.zeros((2, 3, 5, 6)), "channels_first") == (2, 3, 5, 6)
    array = np.arange(24).reshape(1, 2, 3, 4)
    np.testing.assert_array_equal(array[utils.slicer[:, 1, ...]], array[..., 1])
    assert utils.get_identifier("square", {"square": np.square}, "modifier") is np.square
    with pytest.raises(UnknownNameError):
        # keras-vis looked among all that its module had imported.
        utils.get_identifier("np", {"np": np, "square": np.square}, "modifier")


def test_overlay_and_layers(tf):
    import keras

    from kvis_cli.keras_vis.visualization import get_num_filters, overlay

    first = np.full((2, 2, 3), 200, np.uint8)
    second = np.full((2, 2, 3), 100, np.uint8)
    assert overlay(first, second, 0.7)[0, 0, 0] == 170
    heat = np.full((2, 2, 3), 0.5)
    assert overlay(first, heat, 0.5)[0, 0, 0] == 163
    assert overlay(heat, first, 0.5).dtype == np.uint8
    for wrong in ((first, second[:1], 0.5), (first, second, 1.2)):
        with pytest.raises(ValueError, match="alpha|shapes"):  # noqa: RUF043
            overlay(*wrong)

    x = keras.Input((8, 8, 3))
    y = keras.layers.Conv2D(5, 3, name="maps")(x)
    model = keras.Model(x, keras.layers.Dense(4, "softmax")(keras.layers.Flatten()(y)))
    assert get_num_filters(model.get_layer("maps")) == 5
    assert get_num_filters(model.layers[-1]) == 4
    assert utils.find_layer_idx(model, "maps") == 1
    with pytest.raises(UnknownNameError):
        utils.find_layer_idx(model, "map")
    model.layers[-1].activation = keras.activations.linear
    changed = utils.apply_modifications(model)
    image = np.random.default_rng(0).random((1, 8, 8, 3)).astype(np.float32)
    np.testing.assert_allclose(changed(image), model(image), atol=1e-6)
    assert changed.layers[-1] is not model.layers[-1]
    assert float(np.sum(changed(image))) != pytest.approx(1)
