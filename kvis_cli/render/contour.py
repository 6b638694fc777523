"""Level lines of a map: marching squares, drawn as smooth lines with what they stand for."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from kvis_cli.render.caption import draw_block, layout
from kvis_cli.render.resize import Size, resize_map

# Beyond this a finer grid moves no line by a pixel that could be seen.
MAX_GRID = 320
_SUPERSAMPLE = 3
_INK, _LINE = (0, 0, 0), (255, 235, 60)
# Pairs of edges (0 top, 1 right, 2 bottom, 3 left) that a line joins, by which corners are inside:
# 8 top left, 4 top right, 2 bottom right, 1 bottom left. Of the saddles, 5 and 10, the corners that
# are inside are joined here, and apart as 16 and 17.
_PAIRS: dict[int, tuple[tuple[int, int], ...]] = {
    1: ((2, 3),),
    2: ((1, 2),),
    3: ((1, 3),),
    4: ((0, 1),),
    5: ((0, 3), (1, 2)),
    6: ((0, 2),),
    7: ((0, 3),),
    8: ((0, 3),),
    9: ((0, 2),),
    10: ((0, 1), (2, 3)),
    11: ((0, 1),),
    12: ((1, 3),),
    13: ((1, 2),),
    14: ((2, 3),),
    16: ((0, 1), (2, 3)),
    17: ((0, 3), (1, 2)),
}


def level_lines(values: np.ndarray, level: float, size: Size) -> list[np.ndarray]:
    """Return the lines on which a map has a value, by marching squares.

    The map is enlarged as it is for every other view, bilinearly with half-pixel centres, so lines
    and colours agree. On a saddle the mean of the four corners decides which of them are joined.

    Parameters
    ----------
    values
        ``(h, w)``.
    level
        The value; a map that is nowhere below or nowhere above it has no line.
    size
        Height and width of the picture that the map covers, in pixels.

    Returns
    -------
    list of numpy.ndarray
        Polylines ``(n, 2)`` of x and y in pixels, the longest first. A closed line ends where it
        begins; the others leave the picture.

    Examples
    --------
    >>> raw = np.zeros((9, 9))
    >>> raw[3:6, 3:6] = 1
    >>> [line] = level_lines(raw, 0.5, (9, 9))
    >>> bool((line[0] == line[-1]).all()), float(line.min()), float(line.max())
    (True, 3.0, 6.0)
    """
    factor = max(1.0, max(size) / MAX_GRID)
    grid = (max(2, round(size[0] / factor)), max(2, round(size[1] / factor)))
    # One more on each side, so that lines reach the border.
    field = np.pad(resize_map(values, grid), 1, mode="edge")
    ends = _segments(field, level)
    scale = np.array([size[1] / grid[1], size[0] / grid[0]])
    lines = [(_crossings(field, level, chain) - 0.5) * scale for chain in _chains(ends)]
    return sorted(lines, key=_length, reverse=True)


def draw_level_lines(photo: np.ndarray, lines: list[np.ndarray], label: str = "") -> np.ndarray:
    """Return a photo with level lines over it, and a label at the longest.

    Parameters
    ----------
    photo
        uint8 RGB ``(H, W, 3)``; not changed.
    lines
        Of `level_lines`.
    label
        What the lines stand for; left out where the picture is too small for it.

    Returns
    -------
    numpy.ndarray
        uint8 RGB, the photo's shape.
    """
    canvas = Image.fromarray(np.ascontiguousarray(photo))
    width = max(1.5, min(photo.shape[:2]) / 160)
    for colour, thickness in ((_INK, 2 * width + 1), (_LINE, width + 1)):
        canvas.paste(colour, mask=_strokes(lines, canvas.size, thickness))
    if lines and label:
        _draw_label(canvas, lines[0], label)
    return np.asarray(canvas)


def _segments(field: np.ndarray, level: float) -> np.ndarray:
    """``(n, 2)`` numbers of the grid's edges that lines join."""
    inside = field >= level
    corners = inside[:-1, :-1] * 8 + inside[:-1, 1:] * 4 + inside[1:, 1:] * 2 + inside[1:, :-1]
    centre = (field[:-1, :-1] + field[:-1, 1:] + field[1:, 1:] + field[1:, :-1]) / 4 >= level
    corners = np.where((corners == 5) & ~centre, 16, corners)
    corners = np.where((corners == 10) & ~centre, 17, corners)
    height, width = field.shape
    found = []
    for case, pairs in _PAIRS.items():
        rows, columns = np.nonzero(corners == case)
        across = rows * width + columns
        down = height * width + across
        edges = (across, down + 1, across + width, down)
        found += [np.stack([edges[a], edges[b]], axis=1) for a, b in pairs]
    return np.concatenate(found)


def _crossings(field: np.ndarray, level: float, edges: np.ndarray) -> np.ndarray:
    """Return the points ``(n, 2)``, x and y, where the level crosses numbered edges of the grid."""
    vertical, place = np.divmod(edges, field.size)
    rows, columns = np.divmod(place, field.shape[1])
    first = field[rows, columns]
    second = field[rows + vertical, columns + (1 - vertical)]
    share = (level - first) / (second - first)
    return np.stack([columns + share * (1 - vertical), rows + share * vertical], axis=1)


def _chains(segments: np.ndarray) -> list[np.ndarray]:
    """Segments that share an edge joined, as lists of edges."""
    neighbours: dict[int, list[int]] = {}
    for a, b in segments.tolist():
        neighbours.setdefault(a, []).append(b)
        neighbours.setdefault(b, []).append(a)
    # Open lines from their ends, then what is closed from anywhere.
    starts = [edge for edge, others in neighbours.items() if len(others) == 1]
    chains = []
    for start in (*starts, *list(neighbours)):
        if not neighbours[start]:
            continue
        chain = [start]
        while neighbours[chain[-1]]:
            step = neighbours[chain[-1]].pop()
            neighbours[step].remove(chain[-1])
            chain.append(step)
        chains.append(np.array(chain))
    return chains


def _length(line: np.ndarray) -> float:
    return float(np.hypot(*np.diff(line, axis=0).T).sum())


def _strokes(lines: list[np.ndarray], size: tuple[int, int], thickness: float) -> Image.Image:
    """Cover 0…255 of lines of a thickness in pixels."""
    large = (size[0] * _SUPERSAMPLE, size[1] * _SUPERSAMPLE)
    mask = Image.new("L", large)
    draw = ImageDraw.Draw(mask)
    for line in lines:
        path = [(x, y) for x, y in (line * _SUPERSAMPLE).tolist()]
        draw.line(path, fill=255, width=round(thickness * _SUPERSAMPLE))
    return mask.reduce(_SUPERSAMPLE)


def _draw_label(canvas: Image.Image, line: np.ndarray, label: str) -> None:
    size = max(12, min(canvas.size) // 28)
    block = layout(label, size)
    margin = size // 3
    wide, high = block.width + 2 * margin, block.height + 2 * margin
    if wide > 0.8 * canvas.width or high > 0.3 * canvas.height:
        return
    x, y = line[line[:, 1].argmin()]
    left = int(np.clip(x - wide / 2, 0, canvas.width - wide))
    top = int(np.clip(y - high / 2, 0, canvas.height - high))
    ImageDraw.Draw(canvas).rectangle((left, top, left + wide - 1, top + high - 1), fill=_LINE)
    draw_block(canvas, (left + margin, top + margin), block)
