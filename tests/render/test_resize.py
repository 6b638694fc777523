import numpy as np
import pytest

from kvis_cli.render.resize import fit_size, resize_map, resize_photo


def half_pixel_bilinear(values, height, width):
    """Literal: sample at (i + 1/2)·h/H - 1/2, border repeated."""
    h, w = values.shape
    y = np.clip((np.arange(height) + 0.5) * h / height - 0.5, 0, h - 1)
    x = np.clip((np.arange(width) + 0.5) * w / width - 0.5, 0, w - 1)
    y0, x0 = np.floor(y).astype(int), np.floor(x).astype(int)
    y1, x1 = np.minimum(y0 + 1, h - 1), np.minimum(x0 + 1, w - 1)
    fy, fx = (y - y0)[:, None], (x - x0)[None]
    top = values[np.ix_(y0, x0)] * (1 - fx) + values[np.ix_(y0, x1)] * fx
    bottom = values[np.ix_(y1, x0)] * (1 - fx) + values[np.ix_(y1, x1)] * fx
    return top * (1 - fy) + bottom * fy


@pytest.mark.parametrize(
    ("source", "target"),
    [((7, 7), (224, 224)), ((7, 7), (400, 500)), ((3, 5), (100, 101)), ((1, 1), (9, 4))],
)
def test_enlarging_is_bilinear_with_half_pixel_centres(source, target):
    values = np.random.default_rng(1).normal(size=source)
    result = resize_map(values, target)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, half_pixel_bilinear(values, *target), atol=2e-6)


@pytest.mark.parametrize("cell", [(0, 0), (2, 4), (6, 6), (3, 0)])
@pytest.mark.parametrize("size", [(224, 224), (348, 500), (97, 61)])
def test_one_hot_cell_stays_where_it_is(cell, size):
    values = np.zeros((7, 7))
    values[cell] = 1
    result = resize_map(values, size)
    pitch = np.array(size) / 7
    centre = (np.array(cell) + 0.5) * pitch - 0.5
    # The peak, as the middle of all pixels that share it. A cell at the border is flat up to
    # its centre, so the last flat pixel is looked at.
    peak = np.argwhere(result == result.max())
    for axis in (0, 1):
        where = peak[:, axis]
        if cell[axis] == 0:
            assert 0 <= centre[axis] - where.max() < 1
        elif cell[axis] == 6:
            assert 0 <= where.min() - centre[axis] < 1
        else:
            assert abs(where.mean() - centre[axis]) <= 0.5
    rows, columns = np.indices(size)
    far = (np.abs(rows - centre[0]) >= pitch[0]) | (np.abs(columns - centre[1]) >= pitch[1])
    assert (result[far] == 0).all()


def test_a_constant_stays_exactly_constant_and_the_mean_survives_shrinking():
    assert (resize_map(np.full((7, 7), 0.5), (31, 53)) == 0.5).all()
    values = np.random.default_rng(2).random((200, 200))
    assert resize_map(values, (10, 10)).mean() == pytest.approx(values.mean(), abs=0.01)
    spot = np.zeros((200, 200))
    spot[100, 100] = 1
    assert resize_map(spot, (10, 10)).sum() > 0  # no cell is skipped


def test_same_size_changes_nothing():
    values = np.random.default_rng(3).normal(size=(5, 6)).astype(np.float32)
    np.testing.assert_array_equal(resize_map(values, (5, 6)), values)


def test_maps_have_two_dimensions():
    with pytest.raises(ValueError, match=r"\(2, 2, 3\)"):
        resize_map(np.zeros((2, 2, 3)), (4, 4))


def test_photo_resizing_takes_height_first_and_keeps_squares_when_asked():
    photo = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    assert resize_photo(photo, (20, 60)).shape == (20, 60, 3)
    squares = resize_photo(photo, (4, 6), smooth=False)
    np.testing.assert_array_equal(squares, photo.repeat(2, 0).repeat(2, 1))


def test_fit_size_keeps_the_aspect_ratio():
    assert fit_size((348, 500), (320, 320)) == (223, 320)
    assert fit_size((32, 32), (160, 200)) == (160, 160)
    assert fit_size((1, 5000), (100, 100)) == (1, 100)


def test_what_is_fitted_is_never_empty_and_never_larger():
    assert fit_size((10, 3000), (100, 100)) == (1, 100)
    assert fit_size((3000, 10), (100, 100)) == (100, 1)
    assert fit_size((30, 20), (60, 60)) == (60, 40)
