"""A colour bar with the raw values that its ends stand for."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageDraw

from kvis_cli.render.caption import INK, draw_block, layout
from kvis_cli.render.overlay import VIEWS, Style
from kvis_cli.render.scale import format_value

# The photo that a bar lies over.
MID_GREY = 128


@dataclass(frozen=True)
class ColorBar:
    """What the colours of a sheet mean.

    Attributes
    ----------
    style
        The style of the pictures on the sheet.
    limit
        The raw value of the palette's end. None: each picture has its own, so the ends are only
        named "max" and, for signed maps, "-max".
    title
        Above the bar, e.g. ``Grad-CAM`` or ``∂score/∂pixel``.
    view
        The view of the pictures, one of `kvis_cli.render.overlay.VIEWS`: the bar is drawn by it,
        over mid grey, so that its colours are those of the pictures.
    """

    style: Style
    limit: float | None = None
    title: str = ""
    view: str = "overlay"

    def ticks(self) -> list[tuple[float, str]]:
        """Positions along the bar, 0 (bottom) to 1 (top), and what stands beside them."""
        top = "max" if self.limit is None else format_value(self.limit)
        if self.style.kind == "heatmap":
            if self.limit is None:
                return [(0, "0"), (1, top)]
            return [(0, "0"), (0.5, format_value(self.limit / 2)), (1, top)]
        return [(0, f"-{top}"), (0.5, "0"), (1, top)]


def render_colorbar(bar: ColorBar, height: int, *, size: int = 13) -> np.ndarray:
    """Return the bar, upright, with its ticks and title.

    Parameters
    ----------
    bar
        The style and the end of its scale.
    height
        Of the whole picture, in pixels.
    size
        Of the text, in pixels.

    Returns
    -------
    numpy.ndarray
        uint8 RGB on white, `height` high and as wide as it needs.

    Examples
    --------
    >>> render_colorbar(ColorBar(Style(), limit=2.5), height=120).shape[0]
    120
    """
    labels = [(position, layout(text, size)) for position, text in bar.ticks()]
    title = layout(bar.title, size, max_width=120, max_lines=3) if bar.title else None
    line = labels[0][1].line_height
    top = (title.height + size // 2 if title else 0) + line // 2
    strip, tick = max(14, size), 4
    length = max(height - top - line // 2, 2)
    wide = strip + tick + 4 + max(block.width for _, block in labels)
    image = Image.new("RGB", (max(wide, title.width if title else 0) + 1, height), "white")
    image.paste(Image.fromarray(_ramp(bar, length, strip)), (0, top))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, top, strip - 1, top + length - 1), outline=(150, 150, 150))
    for position, block in labels:
        y = top + round((1 - position) * (length - 1))
        draw.line((strip, y, strip + tick - 1, y), fill=INK)
        draw_block(image, (strip + tick + 3, y - line // 2), block)
    if title:
        draw_block(image, (0, 0), title)
    return np.asarray(image)


def with_colorbar(picture: np.ndarray, bar: ColorBar) -> np.ndarray:
    """`picture` (uint8 RGB) with the bar to its right, its text as large as the picture allows."""
    height = picture.shape[0]
    size = int(np.clip(height // 24, 11, 48))
    room = np.full((height, size, 3), 255, np.uint8)
    return np.hstack([picture, room, render_colorbar(bar, height, size=size), room])


def _ramp(bar: ColorBar, length: int, width: int) -> np.ndarray:
    """Return what the view draws of a map that falls from its limit, over mid grey."""
    low = -1 if bar.style.kind == "signed" else 0
    values = np.linspace(1, low, length, dtype=np.float32)[:, None].repeat(width, axis=1)
    grey = np.full((length, width, 3), MID_GREY, np.uint8)
    view = VIEWS["overlay" if bar.view == "side-by-side" else bar.view]
    return view(grey, values, replace(bar.style, limit=1.0, percentile=None))
