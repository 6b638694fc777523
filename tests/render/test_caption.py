import numpy as np
import pytest
from PIL import ImageFont

from kvis_cli.render import caption, fonts
from kvis_cli.render.caption import layout, render_text, with_note

PRIVATE = "\ue123"  # in no font that draws letters


@pytest.fixture
def only_built_in(monkeypatch):
    """A machine without any font of its own."""
    book = fonts.FontBook([])
    monkeypatch.setattr(fonts, "system_fonts", lambda: book)
    return book


def missing_glyph(font, character):
    """Whether the font draws `character` as it draws one that no font has."""
    return bytes(font.getmask(character)) == bytes(font.getmask("\U0010fffe"))


def test_the_character_map_agrees_with_what_is_drawn():
    built_in = fonts.Face(None)
    font = built_in.at(40)
    for character in "aZ0~·…°é×–ßŁкЖΩ猫한ق①":
        assert built_in.covers(character) != missing_glyph(font, character), character


def test_the_character_maps_of_system_fonts_agree_with_what_is_drawn():
    faces = fonts.system_fonts().faces[1:6]
    if not faces:
        pytest.skip("no fonts are installed")
    for face in faces:
        font = face.at(40)
        for character in "aé×кЖΩ猫한ก①":
            drawn = not missing_glyph(font, character)
            assert (character in face.charmap) == drawn, (face.path, character)


def test_character_map_of_format_4_and_12():
    import struct

    # Format 12: U+0041..U+0043 are glyphs 1.., U+1F600 is glyph 9, U+0061 maps to glyph 0.
    groups = struct.pack(">9L", 0x41, 0x43, 1, 0x61, 0x61, 0, 0x1F600, 0x1F600, 9)
    sub12 = struct.pack(">HHLLL", 12, 0, 16 + len(groups), 0, 3) + groups
    table = struct.pack(">HHHHL", 0, 1, 3, 10, 12) + sub12
    twelve = fonts.Charmap.parse(table)
    assert [c in twelve for c in "@ABCDa😀"] == [False, True, True, True, False, False, True]
    # Format 4: A..B by delta, a..b through the glyph array (a is glyph 0), and the end segment.
    ends, starts = (0x42, 0x62, 0xFFFF), (0x41, 0x61, 0xFFFF)
    deltas, offsets = (0x10000 - 0x40, 0, 1), (0, 4, 0)
    body = struct.pack(">HHHH", 6, 0, 0, 0) + struct.pack(">3H", *ends) + b"\0\0"
    body += struct.pack(">3H", *starts) + struct.pack(">3H", *deltas) + struct.pack(">3H", *offsets)
    body += struct.pack(">2H", 0, 7)
    sub4 = struct.pack(">HHH", 4, 6 + len(body), 0) + body
    four = fonts.Charmap.parse(struct.pack(">HHHHL", 0, 1, 3, 1, 12) + sub4)
    assert [c in four for c in "@ABCab"] == [False, True, True, False, False, True]
    with pytest.raises(ValueError, match="Unicode"):
        fonts.Charmap.parse(struct.pack(">HH", 0, 0))


def test_ascii_needs_no_font_of_the_system(only_built_in):
    assert caption.can_render("tabby 0.39 (281) · 50 %")
    font = caption.font_for("tabby", 20)
    assert isinstance(font, ImageFont.FreeTypeFont)
    assert font.size == 20
    assert "faces" not in only_built_in.__dict__  # the folders were not even looked at


@pytest.mark.parametrize(
    ("text", "package"),
    [
        ("猫 0.5", "fonts-noto-cjk"),
        ("ねこ", "fonts-noto-cjk"),
        ("고양이", "fonts-noto-cjk"),
        ("قط", "fonts-noto-core"),
        ("हिन्दी", "fonts-noto-core"),
        ("Ждун", "fonts-dejavu-core"),
    ],
)
def test_without_a_font_the_caller_learns_what_to_install(only_built_in, text, package):
    if caption.can_render(text):
        pytest.skip("Pillow's own font has these characters")
    assert caption.font_for(text) is None
    assert fonts.suggest_package(text, only_built_in) == package
    lines = layout(text).lines
    assert "?" in lines[0]
    assert fonts.Face(None).covers("".join(lines))


def test_accents_are_dropped_before_letters_are(only_built_in):
    assert layout("café Łódź").lines == ("cafe ?odz",)


def test_nothing_to_install_for_what_can_be_drawn():
    assert fonts.suggest_package("tabby") is None


def test_a_character_that_no_font_has_is_never_a_box():
    assert not caption.can_render(PRIVATE)
    np.testing.assert_array_equal(render_text(f"a{PRIVATE}{PRIVATE}b"), render_text("a?b"))


def test_invisible_characters_and_composition_do_not_matter():
    assert fonts.visible("a \u200db\ufe0f\n\t") == "ab"
    assert fonts.visible("и\u0306") == "й"
    assert caption.can_render("tabby\u200b\n0.4")


def test_scripts_that_join_need_raqm(monkeypatch):
    assert fonts.needs_shaping("قط")
    assert fonts.needs_shaping("हिन्दी")
    assert not fonts.needs_shaping("кошка 猫 café")
    monkeypatch.setattr(fonts.features, "check", lambda name: False)
    assert fonts.FontBook([]).face_for("قط") is None
    assert fonts.suggest_package("قط", fonts.FontBook([])) == "libfribidi0"


def test_a_damaged_font_file_is_passed_over(tmp_path):
    (tmp_path / "NotoSans-Regular.ttf").write_bytes(b"\0\1\0\0" + b"\xff" * 40)
    (tmp_path / "empty.otf").write_bytes(b"")
    book = fonts.FontBook([tmp_path])
    assert len(book.faces) == 3
    assert book.face_for("猫") is None


def test_wide_text_is_cut_with_an_ellipsis_and_fits():
    text = "a very long class label, or several of them"
    for width in (40, 80, 123, 200):
        block = layout(text, 14, max_width=width)
        assert len(block.lines) == 1
        assert block.width <= width
        assert block.lines[0].endswith("…") or block.lines[0].endswith("...")
        assert text.startswith(block.lines[0].rstrip("…."))
    assert layout(text, 14, max_width=2000).lines == (text,)


def test_two_lines_break_at_a_blank_and_lose_nothing():
    text = "Egyptian_cat seen from above"
    block = layout(text, 14, max_width=110, max_lines=2)
    assert len(block.lines) == 2
    assert " ".join(block.lines) == text
    assert block.width <= 110
    assert block.height == 2 * block.line_height
    unbroken = layout("x" * 60, 14, max_width=100, max_lines=2)
    assert len(unbroken.lines) == 2
    assert unbroken.width <= 100


def test_rendered_text_has_its_colours_and_fills_its_box():
    picture = render_text("Mountain", 40, (255, 0, 0), background=(0, 0, 255))
    assert (picture[..., 1] == 0).all()
    ink = picture[..., 0] > 128
    assert ink.any(axis=0).mean() > 0.75
    assert (picture[0] == (0, 0, 255)).all()
    bigger = render_text("Mountain", 80)
    assert abs(bigger.shape[1] / picture.shape[1] - 2) < 0.1


def test_note_covers_the_lower_edge_only():
    photo = np.full((120, 200, 3), 90, np.uint8)
    noted = with_note(photo, "blank map")
    assert noted.shape == photo.shape
    np.testing.assert_array_equal(noted[:90], photo[:90])
    assert (noted[-10:] != 90).all(axis=-1).mean() > 0.9
    assert noted[-20:].max() > 250
    assert with_note(np.zeros((3, 2, 3), np.uint8), "blank map").shape == (3, 2, 3)
