import numpy as np
import pytest

from kvis_cli.errors import UnknownNameError, UsageError
from kvis_cli.render import colormaps
from kvis_cli.render.overlay import VIEWS, Style, overlay, render_view

PHOTO = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
RAW = np.random.default_rng(1).random((7, 7)).astype(np.float32)
ONE_HOT = np.zeros((7, 7), np.float32)
ONE_HOT[3, 2] = 5


@pytest.mark.parametrize("mode", ["weighted", "constant"])
@pytest.mark.parametrize("kind", ["heatmap", "signed"])
def test_alpha_0_is_the_photo_bit_by_bit(mode, kind):
    np.testing.assert_array_equal(overlay(PHOTO, RAW - 0.3, alpha=0, mode=mode, kind=kind), PHOTO)


def test_constant_mode_is_the_textbook_blend():
    result = overlay(PHOTO, RAW, alpha=0.4, mode="constant", colormap="viridis")
    heat = render_view("heatmap", PHOTO, RAW, Style(colormap="viridis"))
    np.testing.assert_allclose(result, 0.6 * PHOTO.astype(float) + 0.4 * heat, atol=1.01)


def test_alpha_1_constant_is_the_heat_map_alone():
    result = overlay(PHOTO, RAW, alpha=1, mode="constant")
    np.testing.assert_array_equal(result, render_view("heatmap", PHOTO, RAW))


@pytest.mark.parametrize("kind", ["heatmap", "signed"])
def test_weighted_mode_leaves_the_photo_where_the_map_is_zero(kind):
    raw = ONE_HOT if kind == "heatmap" else -ONE_HOT
    result = overlay(PHOTO, raw, alpha=1, kind=kind)
    rows, columns = np.indices(PHOTO.shape[:2])
    near = (abs(rows - 29.5) < 60 / 7) & (abs(columns - 31.6) < 90 / 7)
    np.testing.assert_array_equal(result[~near], PHOTO[~near])
    assert (result[29:31, 31:33] != PHOTO[29:31, 31:33]).any(axis=-1).all()


def test_the_hottest_pixel_takes_the_end_of_the_palette():
    result = overlay(PHOTO, np.ones((7, 7)), alpha=1, colormap="hot")
    assert (result == 255).all()


def test_shared_limit_and_scale_invariance():
    np.testing.assert_array_equal(overlay(PHOTO, RAW), overlay(PHOTO, RAW * np.float32(2**-30)))
    heat = render_view("heatmap", PHOTO, np.ones((7, 7)), Style(colormap="gray", limit=4.0))
    assert (heat == 64).all()


def test_signed_maps_are_zero_centred():
    style = Style(kind="signed", colormap="rdbu")
    raw = np.zeros((1, 3))
    raw[0] = -1, 0, 1
    heat = render_view("heatmap", np.zeros((1, 3, 3), np.uint8), raw, style)
    table = colormaps.lut("rdbu")
    np.testing.assert_array_equal(heat[0], table[[0, 128, 255]])


def test_sequential_palette_gives_way_for_signed_maps_and_diverging_shows_its_warm_half():
    assert Style(kind="signed", colormap="viridis").palette() == "coolwarm"
    heat = render_view(
        "heatmap", np.zeros((1, 2, 3), np.uint8), np.array([[0.0, 1]]), Style(colormap="coolwarm")
    )
    table = colormaps.lut("coolwarm")
    np.testing.assert_array_equal(heat[0], table[[128, 255]])


def test_inputs_are_left_alone():
    photo, raw = PHOTO.copy(), RAW.copy()
    for name in VIEWS:
        render_view(name, photo, raw)
    np.testing.assert_array_equal(photo, PHOTO)
    np.testing.assert_array_equal(raw, RAW)


@pytest.mark.parametrize("name", VIEWS)
def test_every_view_is_uint8_rgb_of_the_photos_height(name):
    result = render_view(name, PHOTO, RAW)
    assert result.dtype == np.uint8
    assert result.shape[0] == 60
    assert result.shape[2] == 3
    assert name == "side-by-side" or result.shape == PHOTO.shape


def test_contour_lies_where_the_map_crosses_the_level():
    # A ramp from left to right crosses 1/2 in the middle column.
    photo = np.full((100, 200, 3), 128, np.uint8)
    ramp = np.linspace(0, 1, 200)[None].repeat(100, 0)
    # Below the label.
    changed = (render_view("contour", photo, ramp) != 128).any(axis=-1)[40:]
    columns = np.flatnonzero(changed.any(axis=0))
    assert abs(columns.mean() - 99.5) <= 1
    assert len(columns) <= 8
    moved = (render_view("contour", photo, ramp, Style(level=0.25)) != 128).any(axis=-1)[40:]
    assert abs(np.flatnonzero(moved.any(axis=0)).mean() - 0.25 * 199) <= 1


def test_mask_keeps_the_hot_part_and_hides_the_cold_one():
    raw = np.zeros((60, 90))
    raw[:, 45:] = 1
    result = render_view("mask", PHOTO, raw)
    np.testing.assert_array_equal(result[:, 45:], PHOTO[:, 45:])
    assert not result[:, :45].any()


def test_side_by_side_is_photo_then_overlay():
    result = render_view("side-by-side", PHOTO, RAW)
    np.testing.assert_array_equal(result[:, :90], PHOTO)
    np.testing.assert_array_equal(result[:, -90:], overlay(PHOTO, RAW))


def test_a_blank_map_is_said_in_the_picture():
    for raw in (np.zeros((7, 7)), np.full((7, 7), np.nan)):
        result = render_view("overlay", PHOTO, raw)
        np.testing.assert_array_equal(overlay(PHOTO, raw), PHOTO)
        np.testing.assert_array_equal(result[:20], PHOTO[:20])
        assert (result[-12:] != PHOTO[-12:]).mean() > 0.5


@pytest.mark.parametrize("alpha", [-0.1, 1.1, float("nan")])
def test_alpha_outside_0_to_1_is_refused(alpha):
    with pytest.raises(UsageError, match="alpha"):
        overlay(PHOTO, RAW, alpha=alpha)


def test_unknown_names_are_refused():
    with pytest.raises(UnknownNameError, match="side-by-side"):
        render_view("side_by_side", PHOTO, RAW)
    with pytest.raises(UnknownNameError, match="jet"):
        Style(colormap="jett")
    with pytest.raises(UnknownNameError, match="kind of map 'image'"):
        Style(kind="image")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="blend mode"):
        overlay(PHOTO, RAW, mode="mean")  # type: ignore[arg-type]


def test_a_photo_that_is_not_uint8_rgb_is_refused():
    with pytest.raises(ValueError, match="float64"):
        overlay(PHOTO / 255.0, RAW)
