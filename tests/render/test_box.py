"""The box around the hottest region."""

import numpy as np
import pytest

from kvis_cli.render.box import draw_box, hot_box


def test_the_box_holds_the_region_of_the_largest_value_only():
    raw = np.zeros((20, 30), np.float32)
    raw[4:9, 3:7] = 1.0
    raw[12:18, 20:28] = 2.0
    raw[12, 20] = 3.0
    assert hot_box(raw, (20, 30)) == (20, 12, 28, 18)
    assert hot_box(raw, (20, 30), level=0.7) == (20, 12, 21, 13)
    assert hot_box(raw * 1e-20, (20, 30)) == (20, 12, 28, 18)
    assert hot_box(-raw, (20, 30)) is None
    assert hot_box(raw * 0, (20, 30)) is None
    assert hot_box(np.full((3, 3), np.nan), (20, 30)) is None


def test_signs_of_a_map():
    raw = np.full((10, 10), -5.0, np.float32)
    raw[2:4, 6:9] = 1.0
    assert hot_box(raw, (10, 10)) == (6, 2, 9, 4)


@pytest.mark.parametrize("size", [(400, 600), (1200, 1800)])
def test_a_large_picture_is_measured_to_the_pixel(size):
    height, width = size
    raw = np.zeros(size, np.float32)
    raw[height // 3 : height // 2 + 7, width // 5 + 1 : width // 2 + 3] = 1
    raw[height - 9 :, : width // 8] = 0.9
    wanted = (width // 5 + 1, height // 3, width // 2 + 3, height // 2 + 7)
    assert hot_box(raw, size) == wanted


def test_a_map_is_enlarged_first():
    raw = np.zeros((7, 7), np.float32)
    raw[3, 3] = 1
    left, top, right, bottom = hot_box(raw, (224, 224))
    # Half of the value is reached one half cell from the cell's centre, in each direction.
    assert (left, top, right, bottom) == (96, 96, 128, 128)


def test_the_outline_is_drawn_and_nothing_else():
    picture = np.full((60, 80, 3), 100, np.uint8)
    drawn = draw_box(picture, (20, 10, 50, 40))
    assert (picture == 100).all()
    changed = (drawn != 100).any(axis=-1)
    assert changed[10, 20:50].all() and changed[39, 20:50].all()
    assert changed[10:40, 20].all() and changed[10:40, 49].all()
    assert not changed[:10].any() and not changed[40:].any()
    assert not changed[16:34, 26:44].any()
