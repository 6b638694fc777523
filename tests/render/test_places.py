"""Where everything on a sheet, a bar and a label stands, to the pixel."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from kvis_cli.render.box import draw_box
from kvis_cli.render.caption import INK, draw_block, layout, with_note
from kvis_cli.render.colorbar import ColorBar, render_colorbar, with_colorbar
from kvis_cli.render.contour import draw_level_lines
from kvis_cli.render.grid import Sheet, atlas, dead_cell, render_sheet, silent_cell
from kvis_cli.render.overlay import Style

RED = np.full((100, 200, 3), (255, 0, 0), np.uint8)
BLUE = np.full((200, 200, 3), (10, 20, 250), np.uint8)
GREY = np.full((320, 480, 3), 100, np.uint8)
HEAT = ColorBar(Style(), limit=2.0)


def test_a_whole_sheet():
    """20 pixels around, 10 between, text of 14; labels left, heads above, captions 3 below."""
    found = render_sheet(
        Sheet(
            rows=[[RED, BLUE], [BLUE]],
            captions=[["one", "two"], ["three"]],
            row_labels=["upper", "low"],
            column_labels=["first", "second"],
            title="A title",
            bars=[HEAT, HEAT],
            cell=(200, 200),
        )
    )
    title, head, note = layout("A title", 18), layout("second", 14), layout("three", 13)
    rows = [layout(text, 14) for text in ("upper", "low")]
    left = 20 + max(block.width for block in rows) + 10
    top = 20 + title.height + 10 + head.height + 5
    first, second = top, top + 200 + note.height + 5 + 10
    right = left + 200 + 10 + 200
    bottom = second + 200 + note.height + 5
    bar = render_colorbar(HEAT, 360, size=13)

    wanted = Image.new("RGB", (right + 2 * (20 + bar.shape[1]) + 20, bottom + 20), "white")
    draw_block(wanted, (left, 20), title)
    for column, text in enumerate(("first", "second")):
        place = (left + 210 * column, 20 + title.height + 10)
        draw_block(wanted, place, layout(text, 14), width=200, align="center")
    for block, y in zip(rows, (first, second), strict=True):
        draw_block(wanted, (left - 10 - block.width, y + (200 - block.height) // 2), block)
    wanted.paste(Image.fromarray(RED), (left, first + 50))
    wanted.paste(Image.fromarray(BLUE), (left + 210, first))
    wanted.paste(Image.fromarray(BLUE), (left, second))
    for x, y, text in ((left, first, "one"), (left + 210, first, "two"), (left, second, "three")):
        draw_block(wanted, (x, y + 203), layout(text, 13), width=200, align="center")
    wanted.paste(Image.fromarray(bar), (right + 20, top))
    wanted.paste(Image.fromarray(bar), (right + 20 + bar.shape[1] + 20, top))
    np.testing.assert_array_equal(found, np.asarray(wanted))


def test_a_bare_sheet():
    found = render_sheet(Sheet(rows=[[RED, None], [None, BLUE]], cell=(200, 200)), margin=7, gap=3)
    assert found.shape == (7 + 100 + 3 + 200 + 7, 7 + 200 + 3 + 200 + 7, 3)
    np.testing.assert_array_equal(found[7:107, 7:207], RED)
    np.testing.assert_array_equal(found[110:310, 210:410], BLUE)
    assert (found[:7] == 255).all() and (found[:, :7] == 255).all()


@pytest.mark.parametrize(("height", "size", "title"), [(200, 13, ""), (300, 20, "Score")])
def test_a_bar(height, size, title):
    """The strip under the title, half a line of text below its first tick and above its last."""
    found = render_colorbar(ColorBar(Style(), limit=2.0, title=title), height, size=size)
    labels = [layout(text, size) for text in ("2", "1", "0")]
    line = labels[0].height
    top = line // 2 + (layout(title, size).height + size // 2 if title else 0)
    length = height - top - line // 2
    strip = max(14, size)
    dark = (found == INK).all(-1)
    for share, block in zip((0, 0.5, 1), labels, strict=True):
        y = top + round(share * (length - 1))
        assert dark[y, strip : strip + 4].all()
        assert not dark[y, strip + 4 : strip + 7].any()
        alone = Image.new("RGB", (block.width, line), "white")
        draw_block(alone, (0, 0), block)
        shown = found[y - line // 2 : y - line // 2 + line, strip + 7 : strip + 7 + block.width]
        np.testing.assert_array_equal(shown, np.asarray(alone)[: len(shown)])
    outline = (found[:, :strip] == 150).all(-1)
    assert outline[top].all() and outline[top + length - 1].all()
    assert outline[top : top + length, [0, strip - 1]].all()
    assert not outline[top + 1 : top + length - 1, 1 : strip - 1].any()
    widest = strip + 8 + max(block.width for block in labels)
    assert found.shape == (height, max(widest, layout(title, size).width if title else 0) + 1, 3)
    # Light, hot colours above, and the photo's grey below.
    middle = found[top + 1 : top + length - 1, strip // 2].astype(int)
    assert np.abs(np.diff(middle, axis=0)).max() < 30
    assert len(np.unique(middle, axis=0)) > length // 3


def test_a_bar_beside_a_picture():
    for height, size in ((240, 11), (480, 20), (2400, 48)):
        picture = np.full((height, 50, 3), 9, np.uint8)
        found = with_colorbar(picture, HEAT)
        bar = render_colorbar(HEAT, height, size=size)
        assert found.shape == (height, 50 + size + bar.shape[1] + size, 3)
        np.testing.assert_array_equal(found[:, :50], picture)
        np.testing.assert_array_equal(found[:, 50 + size : -size], bar)
        assert (found[:, 50 : 50 + size] == 255).all() and (found[:, -size:] == 255).all()


def test_a_note_is_on_a_dark_band_below():
    found = with_note(GREY, "the map is blank")
    size, pad = 320 // 18, 320 // 18 // 3
    block = layout("the map is blank", size)
    band = block.height + 2 * pad
    wanted = Image.fromarray(GREY)
    dark = round(100 + (20 - 100) * 200 / 255), round(100 + (24 - 100) * 200 / 255)
    wanted.paste((dark[0], dark[0], dark[1]), (0, 320 - band, 480, 320))
    draw_block(wanted, (pad, 320 - band + pad), block, (255, 255, 255))
    np.testing.assert_allclose(found.astype(int), np.asarray(wanted).astype(int), atol=1)


def test_a_box_is_black_white_black():
    picture = np.full((300, 400, 3), 100, np.uint8)
    drawn = draw_box(picture, (100, 50, 200, 150))
    wanted = picture.copy()
    # Two pixels of white on a ring of four black ones.
    wanted[50:150, 100:200] = 0
    wanted[51:149, 101:199] = 255
    wanted[53:147, 103:197] = 0
    wanted[54:146, 104:196] = 100
    np.testing.assert_array_equal(drawn, wanted)
    large = draw_box(np.full((1200, 1200, 3), 100, np.uint8), (100, 50, 900, 850))[400, 100:120, 0]
    assert large.tolist() == [0] + [255] * 10 + [0] + [100] * 8
    for box in ((5, 5, 6, 6), (0, 0, 2, 1), (398, 298, 400, 300)):
        left, top, _, _ = box
        changed = np.nonzero((draw_box(picture, box) != 100).any(-1))
        assert top in changed[0] and left in changed[1]


def test_a_level_line_is_light_on_dark():
    """3 of 5 pixels where the picture's shorter side is 320."""
    line = np.array([[240.5, 20.0], [240.5, 300.0]])
    found = draw_level_lines(GREY, [line])
    light = (found[160] == (255, 235, 60)).all(-1)
    changed = (found[160] != 100).any(-1)
    assert light.sum() == 3 and np.flatnonzero(light).tolist() == [239, 240, 241]
    assert changed.sum() == 5 and np.flatnonzero(changed).tolist() == [238, 239, 240, 241, 242]
    assert not (draw_level_lines(GREY, []) != 100).any()
    # 14 thirds of a pixel where the shorter side is 280: 2 · 280 / 160 + 1, in thirds.
    third = draw_level_lines(GREY[:280], [np.array([[240.5, 20.0], [240.5, 260.0]])])[140, :, 0]
    edges = np.flatnonzero(third != 100)
    outer = (1 - third[[edges[0], edges[-1]]] / 100).sum()
    assert len(edges) - 2 + outer == pytest.approx(14 / 3, abs=0.05)
    small = draw_level_lines(GREY[:100, :100], [line[::-1] * 0 + [[50.5, 9.0], [50.5, 90.0]]])
    # Never thinner than 2.5 of 4 pixels.
    assert (small[50] != 100).any(-1).sum() in (4, 5, 6)


@pytest.mark.parametrize("x", [240.0, 3.0, 477.0])
def test_the_label_of_a_level_line(x):
    line = np.array([[x, 150.0], [x, 300.0]])
    bare, found = (draw_level_lines(GREY, [line], label) for label in ("", "50 %"))
    block, margin = layout("50 %", 12), 4
    wide, high = block.width + 8, block.height + 8
    left = int(np.clip(x - wide / 2, 0, 480 - wide))
    top = int(150 - high / 2)
    wanted = Image.fromarray(bare)
    draw = ImageDraw.Draw(wanted)
    draw.rectangle((left, top, left + wide - 1, top + high - 1), fill=(255, 235, 60))
    draw_block(wanted, (left + margin, top + margin), block)
    np.testing.assert_array_equal(found, np.asarray(wanted))
    tiny = GREY[:40, :40]
    few = [line * 0 + [[20, 5.0], [20, 35.0]]]
    np.testing.assert_array_equal(
        draw_level_lines(tiny, few, "50 %"), draw_level_lines(tiny, few, "")
    )


def test_marks_of_an_atlas():
    cross, ring = dead_cell(48).astype(int), silent_cell(48).astype(int)
    for cell in (cross, ring):
        assert cell.min() == 112 and cell.max() == 176
        np.testing.assert_array_equal(cell, cell[:, ::-1])
    rows, columns = np.indices((48, 48))
    diagonal = np.minimum(abs(rows - columns), abs(rows + columns - 47))
    assert (cross[diagonal == 0] > 150).all() and (cross[diagonal > 3] == 112).all()
    radius = np.hypot(rows - 23.5, columns - 23.5)
    assert (ring[(radius < 5) | (radius > 9)] == 112).all()
    assert (ring[23:25, 16:18] > 140).all()


def test_a_text_in_a_cell_of_an_atlas():
    grey = np.full((60, 60, 3), 90, np.uint8)
    found = atlas([grey, None, grey], (1, 3), 60, 4, captions=["7", "", "12"])
    assert found.shape == (60, 188, 3)
    block = layout("7", 10)
    wanted = Image.fromarray(grey)
    draw_block(wanted, (3, 60 - block.height - 1), block, (255, 255, 255), outline=(0, 0, 0))
    np.testing.assert_array_equal(found[:, :60], np.asarray(wanted))
    np.testing.assert_array_equal(found[:, 64:124], dead_cell(60))
    assert not found[:, 60:64].any() and not found[:, 124:128].any()
