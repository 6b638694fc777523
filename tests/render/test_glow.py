"""The view for fine-grained maps: light over a dimmed photo."""

from __future__ import annotations

import numpy as np
import pytest

from kvis_cli.render.overlay import Style, in_view, render_view

PHOTO = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
GREY = PHOTO @ np.array([0.299, 0.587, 0.114])


def test_a_cold_map_leaves_a_dim_grey_photo():
    cold = np.zeros((20, 30), np.float32)
    cold[0, 0] = 1
    shown = render_view("glow", PHOTO, cold, Style())
    assert (np.ptp(shown[5:].astype(int), axis=2) == 0).all()
    np.testing.assert_allclose(shown[5:, :, 0], 0.35 * GREY[5:], atol=1.5)


def test_hot_places_take_the_palette_and_hide_the_photo():
    hot = np.ones((20, 30), np.float32)
    shown = render_view("glow", PHOTO, hot, Style())
    assert (shown == [252, 255, 164]).all()
    assert in_view(Style(), "glow").palette() == "inferno"
    assert in_view(Style(colormap="hot"), "glow").palette() == "hot"


@pytest.mark.parametrize("sign", [1, -1])
def test_signs_have_their_colours_over_a_pale_photo(sign):
    raw = np.zeros((20, 30), np.float32)
    raw[:5] = sign
    shown = render_view("glow", PHOTO, raw, Style(kind="signed")).astype(int)
    red_over_blue = shown[:5, :, 0] - shown[:5, :, 2]
    assert (sign * red_over_blue > 50).all()
    np.testing.assert_allclose(shown[5:, :, 1], 255 - 0.35 * (255 - GREY[5:]), atol=2)


def test_alpha_leads_back_to_the_photo():
    raw = np.random.default_rng(1).random((20, 30)).astype(np.float32)
    np.testing.assert_array_equal(render_view("glow", PHOTO, raw, Style(alpha=0)), PHOTO)
    half, full = (render_view("glow", PHOTO, raw, Style(alpha=a)).astype(int) for a in (0.25, 0.5))
    np.testing.assert_allclose(half, (PHOTO + full) / 2, atol=1)
