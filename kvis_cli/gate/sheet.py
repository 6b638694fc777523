"""Old and new side by side: the photo, both maps over it, and their difference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kvis_cli.errors import KvisError
from kvis_cli.explanation import Explanation, Kind, MapGrid, Target
from kvis_cli.images.drawing import Look, draw
from kvis_cli.images.fitting import Placement
from kvis_cli.images.photo import read_photo
from kvis_cli.metrics import meet
from kvis_cli.render.colorbar import ColorBar
from kvis_cli.render.grid import Sheet, render_sheet
from kvis_cli.render.resize import fit_size, resize_photo

CELL = 320
MAX_ROWS = 40
# A difference over a pale grey photo: blue and red of the photo would pass for it.
CHANGED = Look(view="glow", limit=1.0)


@dataclass(frozen=True)
class Seen:
    """A map over its photo, small enough for a sheet.

    Attributes
    ----------
    raw
        The map, ``(H, W)``.
    placement
        Where it lies on the photo, in pixels of the whole photo.
    signed
        Whether values below zero have a meaning.
    caption
        Under the picture.
    grid
        Where its cells lie on the input; None where they are stretched over it.
    """

    raw: np.ndarray
    placement: Placement
    signed: bool
    caption: str = ""
    grid: MapGrid | None = None


def difference(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the second map minus the first, each divided by its largest magnitude.

    Parameters
    ----------
    first
        ``(H, W)``, over the same area.
    second
        ``(H, W)``, over the same area.

    Returns
    -------
    numpy.ndarray
        float64 on their common grid, -2 to 2; of heat maps -1 to 1. Red is heat that came, blue is
        heat that went.
    """
    maps = []
    for raw in meet(first, second):
        finite = np.nan_to_num(raw, nan=0.0, posinf=0.0, neginf=0.0)
        largest = np.abs(finite).max()
        maps.append(finite / largest if largest > 0 else finite)
    return np.asarray(maps[1] - maps[0])


def small_photo(path: Path) -> tuple[np.ndarray, float]:
    """Return a photo at the size of a cell, and how much smaller it is; grey where it is gone."""
    try:
        pixels = read_photo(path).pixels
    except KvisError:
        return np.full((CELL // 2, CELL // 2, 3), 128, np.uint8), 0.0
    size = fit_size(pixels.shape[:2], (CELL, CELL))
    if size >= pixels.shape[:2]:
        return pixels, 1.0
    return resize_photo(pixels, size), size[0] / pixels.shape[0]


def drawn(seen: Seen, photo: np.ndarray, scale: float, look: Look | None = None) -> np.ndarray:
    """Draw a map over its small photo.

    Parameters
    ----------
    seen
        The map.
    photo
        From `small_photo`. A photo that is gone has the scale 0: the map lies over all of it.
    scale
        From `small_photo`. A photo that is gone has the scale 0: the map lies over all of it.
    look
        How; None for an overlay that ends at the map's own largest value.

    Returns
    -------
    numpy.ndarray
        uint8 RGB, of the small photo's size.
    """
    place = seen.placement
    edges = (place.left, place.top, place.right, place.bottom)
    height, width = photo.shape[:2]
    if scale == 0 or place.right <= place.left or place.bottom <= place.top:
        edges, scale = (0, 0, width, height), 1.0
    left, top, right, bottom = (round(edge * scale) for edge in edges)
    placement = Placement(left, top, max(right, left + 1), max(bottom, top + 1))
    kind: Kind = "signed" if seen.signed else "heatmap"
    explanation = Explanation(
        seen.raw.astype(np.float32), kind, "", Target("", ""), 0.0, grid=seen.grid
    )
    return draw(explanation, photo, placement, look or Look()).pixels


@dataclass(frozen=True)
class Row:
    """A row of a sheet: a photo, its maps, and the difference of two of them.

    Attributes
    ----------
    image
        The photo.
    label
        Under the photo.
    seen
        The maps, from left to right; None leaves a place empty.
    changed
        The difference, on a scale from -1 to 1; None where there is none.
    """

    image: Path
    label: str
    seen: Sequence[Seen | None]
    changed: Seen | None


def pictures_of(row: Row) -> tuple[list[np.ndarray | None], np.ndarray | None]:
    """Draw a row.

    Parameters
    ----------
    row
        The row.

    Returns
    -------
    pictures, changed
        uint8 RGB: the photo and the maps over it, None for an empty place; the difference.
    """
    photo, scale = small_photo(row.image)
    found: list[np.ndarray | None] = [photo]
    found += [drawn(seen, photo, scale) if seen else None for seen in row.seen]
    return found, drawn(row.changed, photo, scale, CHANGED) if row.changed else None


def sheets(rows: Sequence[Row], columns: Sequence[str], title: str) -> Iterator[np.ndarray]:
    """Yield sheets of at most 40 rows each.

    Parameters
    ----------
    rows
        At least one.
    columns
        Above the pictures: photo, maps, and the difference where there is any.
    title
        Above everything.

    Yields
    ------
    numpy.ndarray
        uint8 RGB.
    """
    for at in range(0, len(rows), MAX_ROWS):
        part = rows[at : at + MAX_ROWS]
        pictures: list[list[np.ndarray | None]] = []
        captions = []
        for row in part:
            line, changed = pictures_of(row)
            if len(columns) > len(line):
                line.append(changed)
            pictures.append(line)
            last = row.changed.caption if row.changed else ""
            captions.append([row.label, *(seen.caption if seen else "" for seen in row.seen), last])
        bar = ColorBar(CHANGED.style("signed"), 1.0, title="difference", view=CHANGED.view)
        bars = [bar] if any(row.changed for row in part) else []
        yield render_sheet(
            Sheet(pictures, captions=captions, column_labels=columns, title=title, bars=bars)
        )
