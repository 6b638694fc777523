"""Legible text in pictures: fitted to a width, in a font that has its characters."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from kvis_cli.render import fonts
from kvis_cli.shown import shown_picture

Colour = tuple[int, int, int]
Align = Literal["left", "center", "right"]
INK: Colour = (32, 32, 36)


def can_render(text: str) -> bool:
    """Whether a font of this machine has every character of `text`."""
    return fonts.system_fonts().face_for(text) is not None


def font_for(text: str, size: float = 14) -> ImageFont.FreeTypeFont | None:
    """Return a font with every character of `text` at `size` pixels, None where there is none."""
    face = fonts.system_fonts().face_for(text)
    return face.at(size) if face else None


@dataclass(frozen=True)
class TextBlock:
    """Text already broken into lines that fit. Sizes are in pixels."""

    lines: tuple[str, ...]
    font: ImageFont.FreeTypeFont
    width: int
    line_height: int
    ascent: int

    @property
    def height(self) -> int:
        """Height in pixels."""
        return self.line_height * len(self.lines)


def layout(
    text: str, size: float = 14, *, max_width: int | None = None, max_lines: int = 1
) -> TextBlock:
    """Break `text` into at most `max_lines` lines of `max_width` pixels.

    What does not fit is cut and ends in an ellipsis. A character that no font of this machine has
    loses its accent or becomes ``?``, never an empty box; ask `can_render` first where there is a
    better way out.
    """
    text = unicodedata.normalize("NFC", shown_picture(text))
    face = fonts.system_fonts().face_for(text)
    if face is None:
        text = _without_missing(text)
        face = fonts.system_fonts().face_for(text) or fonts.Face(None)
    font = face.at(size)
    ellipsis = "…" if face.covers("…") else "..."
    lines: list[str] = []
    for paragraph in text.split("\n"):
        lines += _break(paragraph.strip(), font, max_width, max_lines - len(lines), ellipsis)
        if len(lines) >= max_lines:
            break
    ascent, descent = font.getmetrics()
    width = max((int(np.ceil(font.getlength(line))) for line in lines), default=0)
    return TextBlock(tuple(lines), font, width, ascent + descent, ascent)


def draw_block(
    image: Image.Image,
    xy: tuple[int, int],
    block: TextBlock,
    color: Colour = INK,
    *,
    width: int | None = None,
    align: Align = "left",
    outline: Colour | None = None,
) -> None:
    """Draw `block` with its upper left corner at `xy`, aligned within `width` pixels."""
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(block.lines):
        spare = (block.width if width is None else width) - block.font.getlength(line)
        x = xy[0] + {"left": 0.0, "center": spare / 2, "right": spare}[align]
        y = xy[1] + number * block.line_height + block.ascent
        stroke = 0 if outline is None else max(1, round(block.font.size / 10))
        draw.text(
            (round(x), y),
            line,
            fill=color,
            font=block.font,
            anchor="ls",
            stroke_width=stroke,
            stroke_fill=outline,
        )


def render_text(
    text: str,
    size: float = 14,
    color: Colour = INK,
    *,
    background: Colour = (255, 255, 255),
    max_width: int | None = None,
    max_lines: int = 1,
    align: Align = "left",
) -> np.ndarray:
    """`text` as a picture of its own, uint8 RGB. See `layout`."""
    block = layout(text, size, max_width=max_width, max_lines=max_lines)
    image = Image.new("RGB", (max(1, block.width), max(1, block.height)), background)
    draw_block(image, (0, 0), block, color, align=align)
    return np.asarray(image)


def with_note(picture: np.ndarray, text: str) -> np.ndarray:
    """`picture` with `text` on a dark band along its lower edge, at the same size.

    For what the user must read before believing the picture, e.g. that the map is blank.

    Parameters
    ----------
    picture
        uint8 ``(H, W, 3)``; not changed.
    text
        Cut where it does not fit.

    Returns
    -------
    numpy.ndarray
        uint8, the picture's shape.

    Examples
    --------
    >>> picture = np.full((60, 120, 3), 255, np.uint8)
    >>> noted = with_note(picture, "blank map: all values are zero")
    >>> noted.shape, bool((noted[:20] == 255).all()), bool((noted[-1] < 255).any())
    ((60, 120, 3), True, True)
    """
    height, width = picture.shape[:2]
    size = min(max(10, height // 18), 28)
    pad = max(2, size // 3)
    block = layout(text, size, max_width=max(1, width - 2 * pad), max_lines=3)
    band = min(height, block.height + 2 * pad)
    image = Image.fromarray(np.ascontiguousarray(picture)).convert("RGB")
    dark = Image.new("RGB", (width, band), (20, 20, 24))
    image.paste(dark, (0, height - band), Image.new("L", dark.size, 200))
    draw_block(image, (pad, height - band + pad), block, (255, 255, 255))
    return np.asarray(image)


def _without_missing(text: str) -> str:
    known = fonts.system_fonts().covered(text + "".join(map(_base, text)))
    if len(known) > 1 and fonts.system_fonts().face_for("".join(known)) is None:
        # Several fonts would be needed: keep what the first, Pillow's own, has.
        known = {c for c in known if fonts.Face(None).covers(c)}
    result = ""
    for character in text:
        if character in known or character.isspace():
            result += character
        elif _base(character) in known:
            result += _base(character)
        elif fonts.visible(character) and not result.endswith("?"):
            result += "?"
    return result


def _base(character: str) -> str:
    """Return the letter without its accent."""
    return unicodedata.normalize("NFKD", character)[0]


def _break(
    text: str,
    font: ImageFont.FreeTypeFont,
    max_width: int | None,
    max_lines: int,
    ellipsis: str,
) -> list[str]:
    def longest(tail: str) -> int:
        """How many leading characters fit before `tail`."""
        low, high = 0, len(text)
        while low < high:
            middle = (low + high + 1) // 2
            fits = max_width is None or font.getlength(text[:middle].rstrip() + tail) <= max_width
            low, high = (middle, high) if fits else (low, middle - 1)
        return low

    lines: list[str] = []
    while len(lines) < max_lines:
        if max_width is None or font.getlength(text) <= max_width:
            return [*lines, text]
        if len(lines) == max_lines - 1:
            return [*lines, text[: longest(ellipsis)].rstrip() + ellipsis]
        keep = max(1, longest(""))
        breaks = [n for n in range(1, keep + 1) if text[n - 1] in " _-/,;" or text[n] == " "]
        # A break far to the left wastes the line: cut inside the word then, as scripts without
        # blanks need anyway.
        if breaks and breaks[-1] * 3 >= keep:
            keep = breaks[-1]
        lines.append(text[:keep].rstrip())
        text = text[keep:].lstrip()
    return lines
