"""Sheets of many pictures: the captioned grid and the filter atlas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from kvis_cli.render.caption import INK, TextBlock, draw_block, layout
from kvis_cli.render.colorbar import ColorBar, render_colorbar
from kvis_cli.render.display import to_rgb
from kvis_cli.render.resize import Size, fit_size, resize_photo

Picture = np.ndarray
PAPER = (255, 255, 255)
_EMPTY = (240, 240, 242)
_LARGEST_CELL, _ENLARGE_TO, _SMALLEST_CELL = 320, 160, 64
_LARGEST_SHEET = 60_000_000


@dataclass(frozen=True)
class Sheet:
    """A grid of pictures and everything written around them.

    Attributes
    ----------
    rows
        Pictures, uint8 grey, RGB or RGBA of any size; None leaves the place empty. Rows may differ
        in length.
    captions
        Under the pictures, in the shape of `rows`; empty for none.
    row_labels, column_labels
        To the left of the rows and above the columns.
    title
        Above everything.
    bars
        Colour bars on the right, one for each kind of colours on the sheet.
    cell
        Largest height and width of a picture on the sheet, in pixels. Every column is as wide; a
        row is as high as its own pictures. None: the largest picture's size, at least 160 and
        at most 320 pixels (fewer on very long sheets).

    Examples
    --------
    >>> grey = np.full((100, 100, 3), 128, np.uint8)
    >>> sheet = Sheet([[grey, None]], column_labels=("gradcam", "smoothgrad"), title="house.png")
    >>> render_sheet(sheet).dtype
    dtype('uint8')
    """

    rows: Sequence[Sequence[Picture | None]]
    captions: Sequence[Sequence[str]] = ()
    row_labels: Sequence[str] = ()
    column_labels: Sequence[str] = ()
    title: str = ""
    bars: Sequence[ColorBar] = ()
    cell: Size | None = None

    def caption(self, row: int, column: int) -> str:
        """Return the caption at a place, empty where there is none."""
        line = self.captions[row] if row < len(self.captions) else ()
        return line[column] if column < len(line) else ""


def render_sheet(sheet: Sheet, *, size: int = 14, margin: int = 20, gap: int = 10) -> np.ndarray:
    """Draw a sheet on white.

    Every picture keeps its aspect ratio and is centred in its place; small ones are enlarged with
    their pixels kept square.

    Parameters
    ----------
    sheet
        Pictures in rows, with their labels and captions.
    size
        Of the text, in pixels.
    margin
        Around the sheet, in pixels.
    gap
        Between the places, in pixels.

    Returns
    -------
    numpy.ndarray
        uint8 RGB.
    """
    columns = max((len(row) for row in sheet.rows), default=0)
    if columns == 0:
        raise ValueError("A sheet needs at least one picture.")
    cell = sheet.cell or _common_cell(sheet.rows)
    width = cell[1]
    heights = [
        max((_fitted(p, cell)[0] for p in row if p is not None), default=min(cell))
        for row in sheet.rows
    ]

    title = layout(sheet.title, round(size * 1.3), max_width=columns * (width + gap), max_lines=2)
    labels = [layout(text, size, max_width=170, max_lines=3) for text in sheet.row_labels]
    heads = [layout(text, size, max_width=width, max_lines=2) for text in sheet.column_labels]
    notes = [
        [
            layout(sheet.caption(r, c), size - 1, max_width=width, max_lines=2)
            for c in range(len(row))
        ]
        for r, row in enumerate(sheet.rows)
    ]

    left = margin + (max(b.width for b in labels) + gap if any(sheet.row_labels) else 0)
    top = margin + (title.height + gap if sheet.title else 0)
    grid_top = top + (max(b.height for b in heads) + gap // 2 if any(sheet.column_labels) else 0)
    steps = [high + _written(line) + gap for high, line in zip(heights, notes, strict=True)]
    bottom = grid_top + sum(steps) - gap
    right = left + columns * (width + gap) - gap
    bar_height = min(max(120, bottom - grid_top), 360)
    bars = [render_colorbar(bar, bar_height, size=size - 1) for bar in sheet.bars]
    if bars:
        bottom = max(bottom, grid_top + bar_height)
    full_width = right + sum(2 * gap + bar.shape[1] for bar in bars) + margin
    full_width = max(full_width, left + title.width + margin)

    image = Image.new("RGB", (full_width, bottom + margin), PAPER)
    if sheet.title:
        draw_block(image, (left, margin), title)
    for column, head in enumerate(heads[:columns]):
        x = left + column * (width + gap)
        draw_block(image, (x, grid_top - gap // 2 - head.height), head, width=width, align="center")
    y = grid_top
    for number, row in enumerate(sheet.rows):
        height = heights[number]
        if number < len(labels):
            label = labels[number]
            x = left - gap - label.width
            draw_block(image, (x, y + (height - label.height) // 2), label, align="right")
        for column, picture in enumerate(row):
            x = left + column * (width + gap)
            _place(image, (x, y), picture, (height, width))
            note = notes[number][column]
            draw_block(image, (x, y + height + 3), note, width=width, align="center")
        y += steps[number]
    x = right
    for bar in bars:
        image.paste(Image.fromarray(bar), (x + 2 * gap, grid_top))
        x += 2 * gap + bar.shape[1]
    return np.asarray(image)


def atlas(
    images: Sequence[Picture | None],
    grid: tuple[int, int] = (8, 8),
    cell: int = 64,
    margin: int = 5,
    *,
    captions: Sequence[str] = (),
) -> np.ndarray:
    """Put square pictures edge to edge, as for the filters of a layer.

    Parameters
    ----------
    images
        uint8 pictures in reading order, resized to ``cell`` × ``cell`` where they are not; None
        is a dead filter, marked as such. Places without an image stay black.
    grid
        Rows and columns.
    cell
        Side of a place, in pixels.
    margin
        Width of the black lines between places, in pixels.
    captions
        Small texts in the lower left corners, in the order of `images`.

    Returns
    -------
    numpy.ndarray
        uint8 RGB, ``rows·cell + (rows-1)·margin`` high, likewise wide: 547 × 547 by default.

    Raises
    ------
    ValueError
        More images than places.

    Examples
    --------
    >>> cells = [np.full((8, 8, 3), 200, np.uint8), None]
    >>> atlas(cells, grid=(1, 2), cell=8, margin=1).shape
    (8, 17, 3)
    """
    rows, columns = grid
    if rows < 1 or columns < 1 or cell < 1 or margin < 0:
        raise ValueError(
            f"An atlas cannot have {rows}×{columns} places of {cell} pixels, {margin} apart."
        )
    if len(images) > rows * columns:
        raise ValueError(f"{len(images)} images do not fit into {rows}×{columns} places.")
    step = cell + margin
    sheet = np.zeros((rows * step - margin, columns * step - margin, 3), np.uint8)
    for number, picture in enumerate(images):
        y, x = number // columns * step, number % columns * step
        if picture is None:
            place = dead_cell(cell)
        else:
            place = resize_photo(to_rgb(picture), (cell, cell))
        if number < len(captions) and captions[number]:
            place = _with_corner_text(place, captions[number])
        sheet[y : y + cell, x : x + cell] = place
    return sheet


def dead_cell(cell: int) -> np.ndarray:
    """Return the mark of a dead filter.

    Mid grey with a diagonal cross. uint8 RGB, ``cell`` × ``cell``.
    """
    scale = 4  # drawn large and shrunk, for smooth lines
    side = cell * scale
    image = Image.new("RGB", (side, side), (112, 112, 112))
    draw = ImageDraw.Draw(image)
    width = max(scale, side // 24)
    draw.line((0, 0, side - 1, side - 1), fill=(176, 176, 176), width=width)
    draw.line((0, side - 1, side - 1, 0), fill=(176, 176, 176), width=width)
    return np.asarray(image.resize((cell, cell), Image.Resampling.BOX))


def silent_cell(cell: int) -> np.ndarray:
    """Return the mark of a filter that did not respond.

    Mid grey with a ring. uint8, as `dead_cell`.
    """
    scale = 4
    side = cell * scale
    image = Image.new("RGB", (side, side), (112, 112, 112))
    inset = side // 3
    ImageDraw.Draw(image).ellipse(
        (inset, inset, side - 1 - inset, side - 1 - inset),
        outline=(176, 176, 176),
        width=max(scale, side // 24),
    )
    return np.asarray(image.resize((cell, cell), Image.Resampling.BOX))


def _with_corner_text(place: np.ndarray, text: str) -> np.ndarray:
    size = max(9, place.shape[0] // 6)
    block = layout(text, size, max_width=place.shape[1] - 4)
    image = Image.fromarray(place)
    draw_block(
        image,
        (3, place.shape[0] - block.height - 1),
        block,
        (255, 255, 255),
        outline=(0, 0, 0),
    )
    return np.asarray(image)


def _written(blocks: Sequence[TextBlock]) -> int:
    """Height that the captions of one row take."""
    tallest = max((block.height for block in blocks if any(block.lines)), default=0)
    return tallest + 5 if tallest else 0


def _common_cell(rows: Sequence[Sequence[Picture | None]]) -> Size:
    shapes = [(p.shape[0], p.shape[1]) for row in rows for p in row if p is not None]
    if not shapes:
        return (160, 160)
    places = len(rows) * max(len(row) for row in rows)
    # Panoramas only, e.g. pictures side by side, may be wider: they are not high.
    largest = _LARGEST_CELL if any(s[1] < 2 * s[0] for s in shapes) else _LARGEST_CELL * 3 // 2
    longest = max(_SMALLEST_CELL, min(largest, int((_LARGEST_SHEET / places) ** 0.5)))
    shrunk = [fit_size(s, (longest, longest)) if max(s) > longest else s for s in shapes]
    height, width = max(s[0] for s in shrunk), max(s[1] for s in shrunk)
    if max(height, width) < _ENLARGE_TO:
        side = min(longest, _ENLARGE_TO)
        return fit_size((height, width), (side, side))
    return height, width


def _fitted(picture: Picture, cell: Size) -> Size:
    return fit_size((picture.shape[0], picture.shape[1]), cell)


def _place(image: Image.Image, xy: tuple[int, int], picture: Picture | None, cell: Size) -> None:
    height, width = cell
    if picture is None:
        ImageDraw.Draw(image).rectangle(
            (xy[0], xy[1], xy[0] + width - 1, xy[1] + height - 1), fill=_EMPTY
        )
        dash = layout("-", 16)
        centre = (xy[0], xy[1] + (height - dash.height) // 2)
        draw_block(image, centre, dash, INK, width=width, align="center")
        return
    size = _fitted(picture, cell)
    smooth = max(size) < 2 * max(picture.shape[:2])
    fitted = Image.fromarray(resize_photo(to_rgb(picture), size, smooth=smooth))
    image.paste(fitted, (xy[0] + (width - size[1]) // 2, xy[1] + (height - size[0]) // 2))
