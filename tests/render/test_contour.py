"""Level lines where a formula says they are."""

from __future__ import annotations

import numpy as np
import pytest

from kvis_cli.render.contour import draw_level_lines, level_lines
from kvis_cli.render.overlay import Style, render_view
from kvis_cli.render.resize import resize_map


def distance_map(size, x, y):
    rows, columns = np.indices(size)
    return np.hypot(columns + 0.5 - x, rows + 0.5 - y)


@pytest.mark.parametrize("size", [(200, 260), (1500, 1100)])
def test_the_line_of_a_cone_is_a_circle(size):
    x, y, radius = size[1] * 0.45, size[0] * 0.52, min(size) * 0.3
    (line,) = level_lines(-distance_map(size, x, y), -radius, size)
    np.testing.assert_array_equal(line[0], line[-1])
    found = np.hypot(line[:, 0] - x, line[:, 1] - y)
    assert np.abs(found - radius).max() < 0.5
    # All around, once.
    angles = np.unwrap(np.arctan2(line[:, 1] - y, line[:, 0] - x))
    assert abs(abs(angles[-1] - angles[0]) - 2 * np.pi) < 1e-3


def test_the_line_of_an_enlarged_map_is_that_of_the_colours():
    raw = np.exp(-(distance_map((7, 7), 3.2, 4.1) ** 2) / 4)
    size = (224, 224)
    shown = resize_map(raw, size)
    lines = level_lines(raw, 0.5, size)
    for line in lines:
        inside = line[(line > 0.5).all(1) & (line < 223.5).all(1)]
        columns, rows = (inside - 0.5).T
        x, y = columns.astype(int), rows.astype(int)
        fx, fy = columns - x, rows - y
        value = (1 - fy) * ((1 - fx) * shown[y, x] + fx * shown[y, x + 1]) + fy * (
            (1 - fx) * shown[y + 1, x] + fx * shown[y + 1, x + 1]
        )
        assert np.abs(value - 0.5).max() < 0.01


def test_no_line_where_the_map_does_not_cross_the_level():
    """A crease, where the slope of a bilinear map jumps, is no level line."""
    raw = np.zeros((7, 7))
    raw[4, 1] = raw[5, 2] = 1.0
    raw[2:4, 5] = 0.4
    size = (400, 400)
    photo = np.full((*size, 3), 128, np.uint8)
    changed = (draw_level_lines(photo, level_lines(raw, 0.5, size)) != 128).any(-1)
    shown = resize_map(raw, size)
    assert changed.any()
    # The slope is at least 1 / 60 a pixel where the line is: nothing far from the level is drawn.
    assert np.abs(shown[changed] - 0.5).max() < 0.12


def test_lines_of_a_saddle_do_not_cross():
    raw = np.float32([[1, 0], [0, 1]])
    low, high = (level_lines(raw, level, (100, 100)) for level in (0.4, 0.6))
    assert len(low) == len(high) == 2
    # Below the centre's value the high corners are joined: both lines bend around the low corners.
    assert all(abs(line[:, 0].mean() - line[:, 1].mean()) > 20 for line in low)
    assert all(abs(line[:, 0].mean() - line[:, 1].mean()) < 20 for line in high)


@pytest.mark.parametrize("level", [0.0, 1.5])
def test_a_constant_map_has_no_line(level):
    assert level_lines(np.ones((5, 5)), level, (50, 50)) == []


def test_lines_reach_the_border_of_the_picture():
    raw = np.tile(np.linspace(0, 1, 9), (9, 1))
    (line,) = level_lines(raw, 0.5, (90, 90))
    assert line[:, 1].min() <= 0
    assert line[:, 1].max() >= 90
    np.testing.assert_allclose(line[:, 0], 45, atol=0.1)


def test_the_label_says_level_and_raw_value():
    raw = 8 * np.exp(-(distance_map((7, 7), 3.5, 3.5) ** 2) / 4)
    photo = np.full((300, 300, 3), 90, np.uint8)
    labelled = render_view("contour", photo, raw, Style(level=0.25))
    plain = draw_level_lines(photo, level_lines(raw / raw.max(), 0.25, (300, 300)))
    extra = np.abs(labelled.astype(int) - plain).sum(-1) > 0
    rows, columns = np.nonzero(extra)
    assert 12 <= np.ptp(rows) <= 40
    assert 40 <= np.ptp(columns) <= 200
    # Too small for words: the line alone.
    small = np.full((40, 40, 3), 90, np.uint8)
    np.testing.assert_array_equal(
        render_view("contour", small, raw, Style(level=0.25)),
        draw_level_lines(small, level_lines(raw / raw.max(), 0.25, (40, 40))),
    )
