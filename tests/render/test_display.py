import numpy as np
import pytest

from kvis_cli.render.display import to_rgb


def test_uint8_rgb_is_not_touched():
    photo = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    assert to_rgb(photo) is photo


def test_grey_becomes_three_equal_channels():
    grey = np.arange(20, dtype=np.uint8).reshape(4, 5)
    for array in (grey, grey[..., None]):
        np.testing.assert_array_equal(to_rgb(array), np.stack([grey] * 3, axis=-1))


@pytest.mark.parametrize(
    ("value", "dtype", "value_range", "expected"),
    [
        (0.5, np.float32, (0, 1), 128),
        (0.0, np.float64, (-1, 1), 128),
        (300.0, np.float32, (0, 255), 255),
        (-7.0, np.float16, (0, 255), 0),
        (254.6, np.float32, (0, 255), 255),
        (65535, np.uint16, None, 255),
        (257, np.uint16, None, 1),
        (True, np.bool_, None, 255),
        (-128, np.int8, None, 0),
        (4095, np.uint16, (0, 4095), 255),
        (10, np.uint8, (0, 20), 128),
    ],
)
def test_ranges(value, dtype, value_range, expected):
    assert (to_rgb(np.full((2, 2, 3), value, dtype), value_range) == expected).all()


def test_alpha_is_laid_on_the_background():
    colour = np.zeros((1, 3, 4), np.uint8)
    colour[0, :, 0] = 200
    colour[0, :, 3] = 0, 128, 255
    expected = [[255, 255, 255], [227, 127, 127], [200, 0, 0]]
    np.testing.assert_allclose(to_rgb(colour)[0], expected, atol=1)
    assert to_rgb(colour, background=0)[0, 0].tolist() == [0, 0, 0]
    grey = np.array([[[40, 0], [40, 255]]], np.uint8)
    assert to_rgb(grey)[0].tolist() == [[255] * 3, [40] * 3]


@pytest.mark.parametrize(
    ("array", "value_range", "message"),
    [
        (np.zeros((2, 2), np.float32), None, "needs a value range"),
        (np.zeros((2, 2, 5), np.uint8), None, "not an image"),
        (np.zeros(3, np.uint8), None, "not an image"),
        (np.full((2, 2), np.nan), (0, 1), "not finite"),
        (np.zeros((2, 2)), (1, 1), "empty"),
    ],
)
def test_what_cannot_be_shown_is_refused(array, value_range, message):
    with pytest.raises(ValueError, match=message):
        to_rgb(array, value_range)
