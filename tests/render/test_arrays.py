"""Curves, montages and tiles: which values stand where, and maps over them in the same places."""

from __future__ import annotations

import numpy as np
import pytest

from kvis_cli.render.arrays import (
    INKS,
    PIXEL_INKS,
    as_picture,
    atlas_cells,
    map_over,
    picture_of,
)


def test_slices_of_a_volume_read_like_text():
    volume = np.arange(5 * 4 * 6, dtype=np.float32).reshape(5, 4, 6, 1)
    found = picture_of(volume)
    # 3 columns and 2 rows of slices, each enlarged 24 times so that its shorter side has 96.
    assert found.shape == (2 * 96, 3 * 144, 3)
    values = np.round(255 * volume[..., 0] / volume.max())
    for number in range(5):
        top, left = number // 3 * 96, number % 3 * 144
        place = found[top : top + 96, left : left + 144, 0]
        np.testing.assert_array_equal(place, np.kron(values[number], np.ones((24, 24))))
    assert not found[96:, 288:].any()


@pytest.mark.parametrize("shape", [(3, 40, 50), (40, 50, 3)])
def test_pictures_with_channels_at_either_end(shape):
    array = np.random.default_rng(0).normal(size=shape)
    last = array if shape[-1] == 3 else np.moveaxis(array, 0, -1)
    wanted = np.round(255 * (last - last.min()) / (last.max() - last.min()))
    found = picture_of(array.astype(np.float32)[None])
    np.testing.assert_allclose(found, np.kron(wanted, np.ones((3, 3, 1))), atol=1)


def test_a_matrix_with_many_columns_is_a_grey_picture():
    found = picture_of(np.arange(20 * 17).reshape(20, 17))
    assert found.shape == (120, 102, 3)
    assert found[0, 0].tolist() == [0, 0, 0] and found[-1, -1].tolist() == [255, 255, 255]
    assert picture_of(np.ones((20, 17))).max() == 0


def test_curves_have_a_colour_per_channel_and_a_height_per_value():
    """12 pixels of margin above and below; the sixth channel has the first one's colour."""
    levels = np.array([0, 1, 2, 3, 4, 5.0])
    found = picture_of(np.tile(levels, (10, 1)))
    assert found.shape == (240, 640, 3)
    for channel, level in enumerate(levels):
        y = round(240 - 12 - level / 5 * (240 - 24))
        ink = (found[y - 2 : y + 3, 320] == INKS[channel % 5]).all(-1)
        assert ink.sum() == 2, channel
    drawn = np.flatnonzero((found != 255).any(axis=(0, 2)))
    assert abs(drawn.min() - 32) <= 1 and abs(drawn.max() - 608) <= 1
    # The first channel is drawn last.
    same = picture_of(np.zeros((10, 2)))
    assert (same[227:230] == INKS[0]).all(-1).any() and not (same == INKS[1]).all(-1).any()


def test_a_map_lies_over_the_slices_that_it_is_of():
    raw = np.zeros((5, 2, 3), np.float32)
    raw[3, 1, 2] = 1
    found = map_over(raw, (5, 4, 6, 1), 192, 432)
    assert found.shape == (192, 432)
    y, x = np.unravel_index(found.argmax(), found.shape)
    # The fourth slice is the first of the second row; the value is in its lower right.
    assert 96 + 48 < y < 192 and 96 < x < 144
    assert found[96:, :144].max() == pytest.approx(1) and found[:96].max() < 1e-6
    # Fewer slices in the map than in the array are blended.
    halved = map_over(np.float32([[[0]], [[1]]]), (4, 8, 8, 1), 192, 192)
    means = [halved[:96, :96].mean(), halved[:96, 96:].mean(), halved[96:, :96].mean()]
    np.testing.assert_allclose(means, [0, 0.25, 0.75], atol=1e-6)


def test_a_map_over_a_signal_is_the_same_at_every_height():
    found = map_over(np.float32([0, 1, 0, 0]), (40, 2), 240, 640)
    assert found.shape == (240, 640)
    np.testing.assert_array_equal(found, np.tile(found[0], (240, 1)))
    assert abs(int(found[0].argmax()) - 240) <= 1


def test_an_optimized_input_with_other_channels_is_tiles():
    pixels = np.random.default_rng(0).integers(1, 256, (6, 5, 7), np.uint8)
    found = as_picture(pixels)
    # 3 columns and rows, one black line between them.
    assert found.shape == (3 * 6 + 2, 3 * 5 + 2)
    for channel in range(7):
        top, left = channel // 3 * 7, channel % 3 * 6
        np.testing.assert_array_equal(found[top : top + 6, left : left + 5], pixels[..., channel])
    assert not found[6].any() and not found[:, 5].any()
    volume = as_picture(np.full((4, 6, 5, 3), 9, np.uint8))
    assert volume.shape == (13, 11, 3) and not volume[6].any()
    grey = np.full((6, 5, 1), 3, np.uint8)
    assert as_picture(grey).shape == (6, 5) and as_picture(pixels[..., :3]).shape == (6, 5, 3)


@pytest.mark.parametrize("shape", [(16, 1), (16,), (16, 7)])
def test_an_optimized_signal_is_curves(shape):
    found = as_picture(np.full(shape, 255, np.uint8))
    assert found.shape == (192, 512, 3)
    assert (found[96, :2] == 220).all() and (found[94, 0] == 255).all()
    # 255 is two pixels below the upper edge, 0 as far above the lower one, the line is two thick.
    assert np.flatnonzero((found[:, 256] != 255).any(-1)).tolist() == [2, 3, 96]
    low = as_picture(np.zeros(shape, np.uint8))
    assert np.flatnonzero((low[:, 256] != 255).any(-1)).tolist() == [96, 189, 190]
    assert np.flatnonzero((found[2] != 255).any(-1))[[0, -1]].tolist() == [2, 509]
    last = 0 if len(shape) == 1 else (shape[1] - 1) % 5
    assert (found[2, 256] == PIXEL_INKS[last]).all()


def test_cells_of_an_atlas():
    cells, side = atlas_cells(np.full((2, 16, 1), 128, np.uint8), 64)
    assert side == 64 and [c.shape for c in cells] == [(64, 64, 3)] * 2
    assert (cells[0] != (255, 255, 255)).any(-1).sum(0).max() <= 2
    cells, side = atlas_cells(np.full((2, 9, 9, 3), 5, np.uint8), 64)
    assert side == 64 and cells[0].shape == (9, 9, 3)
    cells, side = atlas_cells(np.full((1, 30, 30, 7), 5, np.uint8), 64)
    assert side == 92 and cells[0].shape == (92, 92) and (cells[0][:30, :30] == 5).all()
    cells, side = atlas_cells(np.full((1, 4, 6, 2), 5, np.uint8), 64)
    # 4 × 13 pixels in the middle of a cell.
    assert side == 64 and cells[0].shape == (64, 64)
    rows, columns = np.nonzero(cells[0])
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (30, 33, 25, 37)
