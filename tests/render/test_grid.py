from dataclasses import replace

import numpy as np
import pytest

from kvis_cli.render import grid
from kvis_cli.render.caption import layout
from kvis_cli.render.colorbar import MID_GREY, ColorBar, render_colorbar, with_colorbar
from kvis_cli.render.colormaps import lut
from kvis_cli.render.grid import Sheet, atlas, dead_cell, render_sheet
from kvis_cli.render.overlay import Style, in_view, render_view

RED = np.zeros((100, 200, 3), np.uint8)
RED[:] = 255, 0, 0
BLUE = np.zeros((200, 200, 3), np.uint8)
BLUE[:] = 10, 20, 250


def noise_cells(count, side):
    """Pictures without a black pixel."""
    return list(np.random.default_rng(0).integers(1, 256, (count, side, side, 3), dtype=np.uint8))


def box(sheet, colour):
    """Height, width and upper left corner of what has exactly `colour`."""
    rows, columns = np.nonzero((sheet == colour).all(axis=-1))
    return (
        rows.max() - rows.min() + 1,
        columns.max() - columns.min() + 1,
        rows.min(),
        columns.min(),
    )


def test_the_atlas_of_the_book_is_547_pixels_square():
    cells = noise_cells(64, 64)
    sheet = atlas(cells)
    assert sheet.shape == (547, 547, 3)
    for number, cell in enumerate(cells):
        y, x = number // 8 * 69, number % 8 * 69
        np.testing.assert_array_equal(sheet[y : y + 64, x : x + 64], cell)
    # The images have no black pixel: all that is black is the lines between them.
    assert (sheet == 0).all(axis=-1).sum() == 547**2 - 512**2


def test_atlas_of_another_shape_with_too_few_images():
    cells = noise_cells(4, 10)
    sheet = atlas(cells, grid=(2, 3), cell=10, margin=2)
    assert sheet.shape == (22, 34, 3)
    np.testing.assert_array_equal(sheet[12:22, 0:10], cells[3])
    assert not sheet[12:22, 10:].any()
    assert atlas(cells[:1], grid=(1, 1), cell=10).shape == (10, 10, 3)
    assert not atlas([], grid=(2, 2), cell=4, margin=1).any()


def test_atlas_takes_grey_and_resizes():
    grey = np.full((5, 5), 77, np.uint8)
    sheet = atlas([grey], grid=(1, 1), cell=12)
    assert (sheet == 77).all()


def test_dead_filters_are_marked_and_captions_stay_in_their_cell():
    cells = noise_cells(3, 64)
    plain = atlas([cells[0], None, cells[2]], grid=(1, 3))
    np.testing.assert_array_equal(plain[:, 69:133], dead_cell(64))
    named = atlas([cells[0], None, cells[2]], grid=(1, 3), captions=["0", "", "2"])
    np.testing.assert_array_equal(named[:, 64:138], plain[:, 64:138])
    assert (named[40:, :64] != plain[40:, :64]).any()
    np.testing.assert_array_equal(named[:40], plain[:40])


def test_dead_cell_is_grey_with_both_diagonals():
    cell = dead_cell(64)
    assert np.ptp(cell, axis=-1).max() == 0
    background = cell[2, 32]
    for k in range(64):
        assert (cell[k, k] > background).all()
        assert (cell[k, 63 - k] > background).all()
    assert (cell[0:10, 25:40] == background).all()


def test_atlas_refusals():
    with pytest.raises(ValueError, match="5 images do not fit"):
        atlas(noise_cells(5, 4), grid=(2, 2))
    with pytest.raises(ValueError, match="0×2"):
        atlas([], grid=(0, 2))


def test_pictures_keep_their_size_and_aspect_ratio():
    sheet = render_sheet(Sheet([[RED, BLUE]]), margin=20, gap=10)
    assert box(sheet, (255, 0, 0)) == (100, 200, 20 + 50, 20)
    assert box(sheet, (10, 20, 250)) == (200, 200, 20, 20 + 200 + 10)
    assert sheet.shape == (240, 450, 3)
    assert (sheet[:20] == 255).all()
    assert (sheet[-20:] == 255).all()


def test_large_pictures_shrink_and_small_ones_keep_square_pixels():
    large = np.zeros((600, 1200, 3), np.uint8)
    large[:] = 255, 0, 0
    assert box(render_sheet(Sheet([[large]])), (255, 0, 0))[:2] == (240, 480)
    assert box(render_sheet(Sheet([[large, BLUE]])), (255, 0, 0))[:2] == (160, 320)
    assert box(render_sheet(Sheet([[large, BLUE]])), (10, 20, 250))[:2] == (200, 200)
    checks = np.zeros((8, 8, 3), np.uint8)
    checks[::2, ::2] = checks[1::2, 1::2] = 255, 0, 0
    sheet = render_sheet(Sheet([[checks]]))
    inside = sheet[20:-20, 20:-20]
    np.testing.assert_array_equal(inside, checks.repeat(20, 0).repeat(20, 1))
    assert box(render_sheet(Sheet([[large]], cell=(50, 50))), (255, 0, 0))[:2] == (25, 50)


def test_what_is_written_takes_room_and_never_covers_a_picture():
    bare = render_sheet(Sheet([[BLUE, BLUE], [BLUE]]))
    full = render_sheet(
        Sheet(
            [[BLUE, BLUE], [BLUE]],
            captions=[["tabby 0.39", "a long label that needs two lines of caption"], ["кошка"]],
            row_labels=["cat.jpg", "ouzel1.jpg"],
            column_labels=["gradcam", "layercam"],
            title="mobilenet",
            bars=[ColorBar(Style(), 0.5)],
        )
    )
    for sheet in (bare, full):
        assert (sheet == (10, 20, 250)).all(axis=-1).sum() == 3 * 200 * 200
    assert full.shape[0] > bare.shape[0]
    assert full.shape[1] > bare.shape[1]
    assert (full[:18] == 255).all()
    assert (full[:, :18] == 255).all()
    assert (full[:, -18:] == 255).all()
    assert (full[-18:] == 255).all()


def test_every_kind_of_colours_has_its_bar():
    ink = np.zeros((1, 1, 3), np.uint8)
    heat, signed = ColorBar(Style()), ColorBar(Style(kind="signed"))
    sheets = [render_sheet(Sheet([[ink]], bars=bars)) for bars in ([], [heat], [heat, signed])]
    bare, one, two = (sheet.shape[1] for sheet in sheets)
    wide = [render_colorbar(bar, 160, size=13).shape[1] for bar in (heat, signed)]
    assert [one - bare, two - one] == [20 + width for width in wide]
    drawn = sheets[2][20:180, one:]
    np.testing.assert_array_equal(
        drawn[:, : wide[1]], render_colorbar(signed, drawn.shape[0], size=13)
    )


def test_empty_places_and_ragged_rows():
    sheet = render_sheet(Sheet([[None, BLUE], [BLUE]]))
    assert box(sheet[:225], (10, 20, 250))[3] == 230
    assert (sheet[120, 100] != 255).all()
    with pytest.raises(ValueError, match="at least one"):
        render_sheet(Sheet([]))


def test_a_very_long_sheet_stays_bounded(monkeypatch):
    monkeypatch.setattr(grid, "_LARGEST_SHEET", 1_000_000)
    picture = np.zeros((320, 320, 3), np.uint8)
    sheet = render_sheet(Sheet([[picture] * 5] * 20), gap=0, margin=0)
    assert sheet.shape == (2000, 500, 3)


def test_colour_bar_runs_from_the_end_of_the_palette_to_its_start():
    style = Style(colormap="viridis")
    bar = render_colorbar(ColorBar(style, 0.5, "Grad-CAM", view="heatmap"), 600)
    assert bar.shape[0] == 600
    column = bar[:, 5]
    table = lut("viridis")
    first = np.flatnonzero((column == table[254]).all(axis=-1))[0]
    last = np.flatnonzero((column == table[1]).all(axis=-1))[-1]
    assert first < 60
    assert last > 580
    middle = column[(first + last) // 2].astype(int)
    assert np.abs(middle - table[128]).max() <= 4


@pytest.mark.parametrize("height", [96, 1500])
def test_colour_bar_beside_a_picture_leaves_it_as_it_is(height):
    picture = np.random.default_rng(1).integers(0, 255, (height, 50, 3), np.uint8)
    bar = ColorBar(Style(colormap="viridis"), 0.25, view="heatmap")
    found = with_colorbar(picture, bar)
    assert found.shape[0] == height
    np.testing.assert_array_equal(found[:, :50], picture)
    beside = np.int32(found[:, 50:])
    # Both ends of the palette are there, but for the line around the bar.
    for end in lut("viridis")[[0, -1]]:
        assert np.abs(beside - end).max(axis=-1).min() <= 12


VIEWED = ("overlay", "glow", "heatmap", "side-by-side")


@pytest.mark.parametrize("view", VIEWED)
@pytest.mark.parametrize("kind", ["heatmap", "signed"])
@pytest.mark.parametrize("mode", ["weighted", "constant"])
@pytest.mark.parametrize("alpha", [0.3, 0.8])
def test_colours_of_the_bar_are_those_of_the_picture(view, kind, mode, alpha):
    """Over mid grey, a value has the same colour in the picture and in the bar."""
    style = in_view(Style(alpha=alpha, kind=kind, mode=mode, percentile=99), view)
    limit, length = 2.5, 601
    strip = render_colorbar(ColorBar(style, limit, view=view), length, size=13)[:, 5].astype(int)
    line = layout("0", 13).line_height
    top = line // 2
    length -= top + line // 2
    grey = np.full((4, 4, 3), MID_GREY, np.uint8)
    low = -1 if kind == "signed" else 0
    for value in np.linspace(low, 1, 9):
        # The last corner fixes the limit of the map; the picture is read in the first.
        raw = np.full((4, 4), value * limit)
        raw[3, 3] = limit
        picture = render_view(view, grey, raw, replace(style, percentile=None))
        row = top + round((1 - value) / (1 - low) * (length - 1))
        row = int(np.clip(row, top + 1, top + length - 2))
        assert np.abs(strip[row] - picture[0, -4]).max() <= 3


def test_views_without_colours_have_no_bar_on_a_sheet():
    from kvis_cli.jobs.results.row import ResultRow
    from kvis_cli.jobs.results.sheets import color_bars
    from kvis_cli.spec.cam import CamSpec

    rows = [ResultRow(map="heatmap", method="gradcam", limit=1.0)]
    assert [len(color_bars(CamSpec(view=v), rows)) for v in ("overlay", "contour", "mask")] == [
        1,
        0,
        0,
    ]
    assert color_bars(CamSpec(view="heatmap"), rows)[0].view == "heatmap"


def test_colour_bar_ticks():
    assert ColorBar(Style(), 3.2e-7).ticks() == [(0, "0"), (0.5, "1.6e-07"), (1, "3.2e-07")]
    assert ColorBar(Style()).ticks() == [(0, "0"), (1, "max")]
    assert ColorBar(Style(kind="signed"), 2).ticks() == [(0, "-2"), (0.5, "0"), (1, "2")]
