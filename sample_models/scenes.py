"""Random scenes with a ground-truth mask, for training the sample models and measuring maps.

A scene is one object of a known class on a cluttered background, or a scatter of apples among
decoys. Classes differ by outline and inner drawing alone: backgrounds, colours, textures, sizes,
places and rotations come from the same distributions for all of them. Everything follows from the
random generator handed in, and from nothing else; the same generator state gives the same scene at
every rendering size.

Needs numpy and Pillow only.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from sample_models.silhouettes import SILHOUETTES, Part, Polygon, distractor

CLASSES: tuple[str, ...] = tuple(SILHOUETTES)
SIZE = 96
MAX_APPLES = 9
AREA_SHARE = (0.07, 0.24)
MARK_SHARE = 0.16  # side of the corner mark over the side of the scene
# The class that carries the mark in the training of `shapes_shortcut.keras`.
MARKED_CLASS = CLASSES.index("star")

_SUPERSAMPLING = 4

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
_Canvas = NDArray[np.float32]
_Colour = NDArray[np.float32]
_Window = tuple[slice, slice]
Box = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Scene:
    """One picture with what is true about it.

    Attributes
    ----------
    image : ndarray of uint8, shape (size, size, 3)
        RGB, 0..255.
    mask : ndarray of bool, shape (size, size)
        Every pixel that an object of the class touches, be it in part.
    class_index : int
        Index into `CLASSES`.
    boxes : tuple of (left, top, right, bottom)
        One box per object in pixels, right and bottom exclusive.
    background : ndarray of uint8, shape (size, size, 3)
        The same picture without the objects of the mask; equals `image` outside `mask`.
    mark_mask : ndarray of bool, shape (size, size)
        The corner mark; all False where there is none.
    """

    image: Pixels
    mask: Mask
    class_index: int
    boxes: tuple[Box, ...]
    background: Pixels
    mark_mask: Mask


def draw_scene(
    rng: np.random.Generator,
    class_index: int | None = None,
    *,
    mark: bool = False,
    size: int = SIZE,
) -> Scene:
    """Draw one object of a class over clutter.

    Parameters
    ----------
    rng : numpy.random.Generator
        The only source of chance.
    class_index : int, optional
        Index into `CLASSES`; drawn evenly when left out.
    mark : bool
        Put the chequered mark into one of the four corners, over everything else.
    size : int
        Side of the picture in pixels.

    Returns
    -------
    Scene
    """
    drawn = int(rng.integers(len(CLASSES)))
    index = drawn if class_index is None else class_index
    canvas = _background(rng, size)
    for _ in range(int(rng.integers(3, 8))):
        _add_distractor(rng, canvas, rng.uniform(0.05, 0.16))
    share = np.exp(rng.uniform(*np.log(AREA_SHARE)))
    parts = _pose(rng, SILHOUETTES[CLASSES[index]](rng), share)
    low, high = _extent(parts)
    place = rng.uniform(0.01 - low, 0.99 - high)
    painted, coverage = _add_object(rng, canvas, _moved(parts, place))
    return _finish(rng, canvas, painted, [coverage], index, mark)


def draw_apples(rng: np.random.Generator, count: int | None = None, *, size: int = SIZE) -> Scene:
    """Draw a scatter of apples that do not overlap, among decoys of the other classes.

    Unlike in `draw_scene`, the apples are red to green, as apples are; decoys and background may
    be of any colour, these included.

    Parameters
    ----------
    rng : numpy.random.Generator
        The only source of chance.
    count : int, optional
        How many apples, 0..9; drawn evenly when left out. The number of decoys does not depend on
        it.
    size : int
        Side of the picture in pixels.

    Returns
    -------
    Scene
        `boxes` has one box per apple, `mask` holds all apples, `background` keeps the decoys.
    """
    drawn = int(rng.integers(MAX_APPLES + 1))
    apples = drawn if count is None else count
    decoys = int(rng.integers(5))
    kinds = [0] * apples + list(rng.integers(1, len(CLASSES), decoys))
    objects = [
        _pose(rng, SILHOUETTES[CLASSES[kind]](rng), rng.uniform(0.016, 0.026)) for kind in kinds
    ]
    placed = _scatter(rng, objects)
    canvas = _background(rng, size)
    for _ in range(int(rng.integers(1, 5))):
        _add_distractor(rng, canvas, rng.uniform(0.04, 0.09))
    for decoy in placed[apples:]:
        canvas, _ = _add_object(rng, canvas, decoy)
    painted, coverages = canvas, []
    for apple in placed[:apples]:
        painted, coverage = _add_object(rng, painted, apple, _apple_colour)
        coverages.append(coverage)
    return _finish(rng, canvas, painted, coverages, CLASSES.index("apple"), mark=False)


def make_scenes(
    n: int,
    seed: int,
    *,
    marked_classes: Collection[int] = (),
    first: int = 0,
    size: int = SIZE,
) -> tuple[Pixels, Mask, NDArray[np.int64]]:
    """Draw ``n`` scenes of all classes; scene ``i`` depends on ``(seed, i)`` alone.

    Parameters
    ----------
    n, seed : int
        How many, and which series.
    marked_classes : collection of int
        Classes whose scenes carry the corner mark.
    first : int
        Index of the first scene in the series.
    size : int
        Side of the pictures in pixels.

    Returns
    -------
    images : ndarray of uint8, shape (n, size, size, 3)
    masks : ndarray of bool, shape (n, size, size)
    labels : ndarray of int64, shape (n,)
    """
    scenes = []
    for i in range(first, first + n):
        index = _class_of(seed, i)
        rng = scene_rng(seed, i)
        scenes.append(draw_scene(rng, index, mark=index in marked_classes, size=size))
    return _stack(scenes, size)


def make_marked_scenes(
    n: int, seed: int, *, first: int = 0, size: int = SIZE
) -> tuple[Pixels, Mask, NDArray[np.int64]]:
    """Draw scenes of all classes that all carry the mark; masks are those of the mark.

    Shapes and types are those of `make_scenes`.
    """
    scenes = [
        draw_scene(scene_rng(seed, i), _class_of(seed, i), mark=True, size=size)
        for i in range(first, first + n)
    ]
    images, _, labels = _stack(scenes, size)
    return images, np.array([s.mark_mask for s in scenes]).reshape(n, size, size), labels


def make_apples(
    n: int, seed: int, *, first: int = 0, size: int = SIZE
) -> tuple[Pixels, Mask, NDArray[np.int64]]:
    """Draw ``n`` scatters of apples; the third array counts the apples of each (0..9).

    Shapes and types are those of `make_scenes`.
    """
    scenes = [draw_apples(scene_rng(seed, i), size=size) for i in range(first, first + n)]
    images, masks, _ = _stack(scenes, size)
    return images, masks, np.array([len(s.boxes) for s in scenes], dtype=np.int64)


def scene_rng(seed: int, index: int) -> np.random.Generator:
    """Random generator of scene ``index`` in the series ``seed``."""
    return np.random.default_rng([seed, index])


def _class_of(seed: int, index: int) -> int:
    return int(np.random.default_rng([seed, index, 1]).integers(len(CLASSES)))


def _stack(scenes: list[Scene], size: int) -> tuple[Pixels, Mask, NDArray[np.int64]]:
    n = len(scenes)
    images = np.array([s.image for s in scenes], dtype=np.uint8).reshape(n, size, size, 3)
    masks = np.array([s.mask for s in scenes], dtype=bool).reshape(n, size, size)
    return images, masks, np.array([s.class_index for s in scenes], dtype=np.int64)


def _finish(
    rng: np.random.Generator,
    background: _Canvas,
    painted: _Canvas,
    coverages: list[_Canvas],
    class_index: int,
    mark: bool,
) -> Scene:
    size = len(painted)
    mask = np.zeros((size, size), dtype=bool)
    boxes = []
    for coverage in coverages:
        touched = coverage > 0
        mask |= touched
        ys, xs = np.nonzero(touched)
        box = (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
        boxes.append((int(box[0]), int(box[1]), int(box[2]), int(box[3])))
    # Grain lies over background and object alike, so that neither is told by it.
    grain = _noise(rng, SIZE, size) * np.float32(rng.uniform(0, 0.04))
    mark_mask = np.zeros((size, size), dtype=bool)
    # Drawn even when unused: the mark must not change the rest of the scene.
    corner = int(rng.integers(4))
    if mark:
        side = round(MARK_SHARE * size)
        rows = slice(0, side) if corner in (0, 1) else slice(size - side, size)
        columns = slice(0, side) if corner in (0, 2) else slice(size - side, size)
        mark_mask[rows, columns] = True
    pictures = []
    for canvas in (painted, background):
        pixels = np.clip((canvas + grain[..., None]) * 255 + 0.5, 0, 255).astype(np.uint8)
        if mark:
            pixels[rows, columns] = _mark(side)
        pictures.append(pixels)
    # An object under the mark is not visible there.
    return Scene(
        image=pictures[0],
        mask=mask & ~mark_mask,
        class_index=class_index,
        boxes=tuple(boxes),
        background=pictures[1],
        mark_mask=mark_mask,
    )


def _mark(side: int) -> Pixels:
    """Chequered tag of 3x3 fields, yellow and magenta, in a white frame."""
    position = (np.arange(side) + 0.5) / side
    frame = (position < 0.09) | (position > 0.91)
    field = np.clip((position - 0.09) / 0.82 * 3, 0, 2.99).astype(int)
    tag = np.where(
        ((field[:, None] + field) % 2 == 0)[..., None], [255, 225, 0], [225, 0, 130]
    ).astype(np.uint8)
    tag[frame[:, None] | frame] = 255
    return tag


# --- geometry ---------------------------------------------------------------------------------


def _pose(rng: np.random.Generator, parts: list[Part], share: float) -> list[Part]:
    """Mirror, rotate and scale so that the union of the parts covers ``share`` of the scene."""
    mirror = [1.0 if rng.random() < 0.5 else -1.0, 1.0]
    turn = rng.uniform(-np.pi / 3, np.pi / 3)
    matrix = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    scale = np.sqrt(share / _unit_area(parts))
    return [Part(part.outline * mirror @ matrix * scale, part.tone) for part in parts]


def _unit_area(parts: list[Part]) -> float:
    """Area of the union of the parts, which lie within -1.2..1.2, rasterised on 96x96 fields."""
    raster = Image.new("1", (96, 96))
    pen = ImageDraw.Draw(raster)
    for part in parts:
        pen.polygon((40 * part.outline + 48).ravel().tolist(), fill=1)
    return float(np.asarray(raster).sum()) / 40**2


def _extent(parts: list[Part]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    corners = np.concatenate([part.outline for part in parts])
    return corners.min(axis=0), corners.max(axis=0)


def _moved(parts: list[Part], place: NDArray[np.float64]) -> list[Part]:
    return [Part(part.outline + place, part.tone) for part in parts]


def _scatter(rng: np.random.Generator, objects: list[list[Part]]) -> list[list[Part]]:
    """Place objects at random within the unit square so that their circles do not overlap."""
    radii = [
        max(float(np.linalg.norm(part.outline, axis=1).max()) for part in parts)
        for parts in objects
    ]
    while True:
        places: list[NDArray[np.float64]] = []
        for radius in radii:
            for _ in range(60):
                place = rng.uniform(radius, 1 - radius, 2)
                gaps = (
                    np.hypot(*(place - other)) - radius - its
                    for other, its in zip(places, radii, strict=False)
                )
                if all(gap > -0.01 for gap in gaps):
                    places.append(place)
                    break
            else:
                break
        if len(places) == len(objects):
            return [_moved(p, place) for p, place in zip(objects, places, strict=True)]


def _window(outlines: list[Polygon], size: int) -> _Window:
    """Rows and columns of the pixels that the outlines may touch, one pixel at least."""
    corners = np.concatenate(outlines) * size
    low = np.clip(np.floor(corners.min(axis=0)).astype(int), 0, size - 1)
    high = np.clip(np.ceil(corners.max(axis=0)).astype(int) + 1, low + 1, size)
    return slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))


def _coverage(outlines: list[Polygon], window: _Window, size: int) -> _Canvas:
    """Share of each pixel of the window that the union of the outlines covers, 0..1."""
    rows, columns = window
    fine = size * _SUPERSAMPLING
    shape = (columns.stop - columns.start, rows.stop - rows.start)
    raster = Image.new("L", (shape[0] * _SUPERSAMPLING, shape[1] * _SUPERSAMPLING))
    pen = ImageDraw.Draw(raster)
    corner = np.array([columns.start, rows.start]) * _SUPERSAMPLING
    for outline in outlines:
        pen.polygon((outline * fine - corner).ravel().tolist(), fill=255)
    return np.asarray(raster.reduce(_SUPERSAMPLING), dtype=np.float32) / np.float32(255)


# --- paint ------------------------------------------------------------------------------------


def _grid(window: _Window, size: int) -> tuple[_Canvas, _Canvas]:
    axis: _Canvas = ((np.arange(size) + 0.5) / size).astype(np.float32)
    return axis[None, window[1]], axis[window[0], None]


def _colour(rng: np.random.Generator) -> _Colour:
    rgb = colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.15, 0.95), rng.uniform(0.25, 1.0))
    return np.array(rgb, dtype=np.float32)


def _apple_colour(rng: np.random.Generator) -> _Colour:
    hue = rng.uniform(-0.05, 0.28) % 1
    rgb = colorsys.hsv_to_rgb(hue, rng.uniform(0.75, 1.0), rng.uniform(0.75, 1.0))
    return np.array(rgb, dtype=np.float32)


def _noise(rng: np.random.Generator, cells: int, size: int) -> _Canvas:
    """Smooth noise in about -1..1 with ``cells`` independent values along each side."""
    values = rng.uniform(-1, 1, (cells, cells)).astype(np.float32)
    if cells == size:
        return values
    smooth = Image.fromarray(values).resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(smooth, dtype=np.float32)


def _waves(rng: np.random.Generator, window: _Window, size: int) -> _Canvas:
    """A texture in -1..1: stripes, chequers, dots or cloud."""
    x, y = _grid(window, size)
    turn, pitch = rng.uniform(0, np.pi), rng.uniform(0.035, 0.11)
    u = (np.cos(turn) * x + np.sin(turn) * y) * np.float32(2 * np.pi / pitch)
    v = (np.cos(turn) * y - np.sin(turn) * x) * np.float32(2 * np.pi / pitch)
    kind = rng.integers(4)
    if kind == 0:
        return np.clip(3 * np.sin(u), -1, 1)
    if kind == 1:
        return np.clip(4 * np.sin(u) * np.sin(v), -1, 1)
    if kind == 2:
        return np.clip(4 * (np.sin(u) + np.sin(v)) - 4, -1, 1)
    return np.clip(1.5 * _noise(rng, int(rng.integers(6, 20)), size)[window], -1, 1)


def _paint(rng: np.random.Generator, window: _Window, size: int, colour: _Colour) -> _Canvas:
    """A colour, shaded towards one side, half of the time with a texture of a second colour."""
    x, y = _grid(window, size)
    turn = rng.uniform(0, 2 * np.pi)
    shade = 1 + np.float32(rng.uniform(0, 0.5)) * (
        np.cos(turn) * (x - 0.5) + np.sin(turn) * (y - 0.5)
    )
    paint = colour * shade[..., None]
    if rng.random() < 0.5:
        second = 0.5 * (colour + _colour(rng))
        amount = np.float32(rng.uniform(0.3, 0.9)) * (0.5 + 0.5 * _waves(rng, window, size))
        paint = paint + amount[..., None] * (second - colour)
    return np.clip(paint, 0, 1).astype(np.float32)


def _background(rng: np.random.Generator, size: int) -> _Canvas:
    """A gradient of three colours with clouds of a fourth and, at times, a pattern."""
    window = (slice(0, size), slice(0, size))
    x, y = _grid(window, size)
    first, second, third, fourth = (_colour(rng) for _ in range(4))
    turn = rng.uniform(0, 2 * np.pi)
    along = np.cos(turn) * (x - 0.5) + np.sin(turn) * (y - 0.5)
    if rng.random() < 0.3:
        cx, cy = rng.uniform(0.2, 0.8, 2)
        along = np.hypot(x - cx, y - cy) - 0.5
    along = np.clip(along + 0.5, 0, 1)[..., None].astype(np.float32)
    canvas = first * (1 - along) + second * along
    clouds = np.zeros((size, size), dtype=np.float32)
    for cells in (4, 9, 19, 41):
        clouds += np.float32(rng.uniform(0, 0.5)) * _noise(rng, cells, size)
    canvas = canvas + np.clip(clouds + 0.2, 0, 1)[..., None] * (third - canvas)
    if rng.random() < 0.4:
        amount = np.float32(rng.uniform(0.1, 0.35)) * (0.5 + 0.5 * _waves(rng, window, size))
        canvas = canvas + amount[..., None] * (fourth - canvas)
    return canvas.astype(np.float32)


def _add_distractor(rng: np.random.Generator, canvas: _Canvas, radius: float) -> None:
    """Paint one distractor anywhere, cut off by the border or not, into ``canvas``."""
    size = len(canvas)
    turn = rng.uniform(0, 2 * np.pi)
    matrix = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    outline = distractor(rng) * radius @ matrix + rng.uniform(0, 1, 2)
    window = _window([outline], size)
    coverage = _coverage([outline], window, size)[..., None]
    paint = _paint(rng, window, size, _colour(rng))
    canvas[window] += coverage * (paint - canvas[window])


def _add_object(
    rng: np.random.Generator,
    canvas: _Canvas,
    parts: list[Part],
    colour: Callable[[np.random.Generator], _Colour] = _colour,
) -> tuple[_Canvas, _Canvas]:
    """Paint an object over a copy of ``canvas``; returns the copy and the object's coverage."""
    size = len(canvas)
    outlines = [part.outline for part in parts]
    window = _window(outlines, size)
    behind = canvas[window]
    coverage = _coverage(outlines, window, size)
    around = (behind * coverage[..., None]).sum(axis=(0, 1)) / coverage.sum()
    candidates = [colour(rng) for _ in range(4)]
    body = next((c for c in candidates if np.abs(c - around).sum() > 0.7), None)
    if body is None:
        body = max(candidates, key=lambda c: float(np.abs(c - around).sum()))
    paints = {
        "body": _paint(rng, window, size, body),
        "accent": _paint(rng, window, size, _colour(rng)),
        "dark": body * np.float32(0.35),
        "light": 1 - (1 - body) * np.float32(0.3),
    }
    # Averaging the parts' paints first keeps seams between parts free of the background.
    fill = paints["body"]
    for part in parts:
        amount = _coverage([part.outline], window, size)[..., None]
        fill = fill + amount * (paints[part.tone] - fill)
    painted = canvas.copy()
    painted[window] += coverage[..., None] * (fill - behind)
    whole = np.zeros((size, size), dtype=np.float32)
    whole[window] = coverage
    return painted, whole
