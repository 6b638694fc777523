"""Views: a photo and a map in one picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from PIL import Image

from kvis_cli.errors import UnknownNameError, UsageError
from kvis_cli.render import colormaps
from kvis_cli.render.caption import with_note
from kvis_cli.render.contour import draw_level_lines, level_lines
from kvis_cli.render.defaults import ALPHA, LEVEL
from kvis_cli.render.resize import resize_map
from kvis_cli.render.scale import MAP_KINDS, MapKind, Scaled, format_value, scale_map

BlendMode = Literal["weighted", "constant"]
# Contrast that is left of the photo behind a glow.
_PALE = 0.35
BLEND_MODES: tuple[BlendMode, ...] = ("weighted", "constant")


@dataclass(frozen=True)
class Style:
    """How a map is shown.

    Attributes
    ----------
    alpha
        Strength of the heat over the photo, 0 (photo only) to 1.
    colormap
        A name of `colormaps.names()`; None takes jet for heat maps and coolwarm for signed ones. A
        sequential palette cannot show a sign, so signed maps keep coolwarm then; a diverging one
        shows a heat map in its positive half.
    kind
        ``heatmap`` or ``signed``.
    limit
        Shared raw value of the palette's end; None takes the map's own.
    percentile
        Take the map's own limit at this percentile of its values above zero instead of the largest.
    mode
        ``weighted``: the heat's opacity grows with the heat, so the photo stays clear where the map
        is cold. ``constant``: the same opacity everywhere.
    level
        Share of the limit, 0 to 1, for the contour line and the mask.
    """

    alpha: float = ALPHA
    colormap: str | None = None
    kind: MapKind = "heatmap"
    limit: float | None = None
    percentile: float | None = None
    mode: BlendMode = "weighted"
    level: float = LEVEL

    def __post_init__(self) -> None:
        for name, value in (("alpha", self.alpha), ("level", self.level)):
            if not 0 <= value <= 1:
                raise UsageError(f"The {name} {value} is not between 0 and 1.")
        if self.kind not in MAP_KINDS:
            raise UnknownNameError.of("kind of map", self.kind, MAP_KINDS)
        if self.mode not in BLEND_MODES:
            raise UnknownNameError.of("blend mode", self.mode, BLEND_MODES)
        if self.colormap is not None:
            colormaps.lut(self.colormap)

    def palette(self) -> str:
        """Return the palette that the map is shown with."""
        if self.kind == "signed":
            if self.colormap is not None and colormaps.is_diverging(self.colormap):
                return self.colormap
            return colormaps.DEFAULT_DIVERGING
        return self.colormap or colormaps.DEFAULT_SEQUENTIAL

    def paint(self, index: np.ndarray) -> np.ndarray:
        """Colours (uint8 RGB) of table indices (uint8) that stand for 0 to 1."""
        return np.asarray(self.painted(index))

    def painted(self, index: np.ndarray) -> Image.Image:
        """Return the same as a picture of Pillow's, without a copy."""
        name = self.palette()
        if self.kind == "heatmap" and colormaps.is_diverging(name):
            index = 128 + index // 2
        return colormaps.colorize_index(index, name)

    def scaled(self, raw: np.ndarray) -> Scaled:
        """Return the map in [0, 1], still at its own size."""
        return scale_map(raw, self.kind, limit=self.limit, percentile=self.percentile)


def overlay(
    photo: np.ndarray,
    raw: np.ndarray,
    *,
    alpha: float = 0.5,
    colormap: str | None = None,
    limit: float | None = None,
    kind: MapKind = "heatmap",
    mode: BlendMode = "weighted",
) -> np.ndarray:
    """Lay a map over a photo, at the photo's own size.

    Parameters
    ----------
    photo
        uint8 RGB, ``(H, W, 3)``.
    raw
        Raw map of any size, ``(h, w)``.
    alpha
        How opaque the map is where it is strongest, 0..1.
    colormap
        A name of `kvis_cli.render.colormaps`; None takes the kind's own.
    limit
        The raw value at the end of the palette; None takes the map's own.
    kind
        ``heatmap`` for maps from 0 upward, ``signed`` for maps of both signs.
    mode
        ``weighted``, where weak values let the photo through, or ``constant``.

    Returns
    -------
    numpy.ndarray
        uint8 RGB, the photo's shape. The photo itself, bit for bit, with ``alpha=0`` or, in the
        weighted mode, wherever the map is zero.

    Examples
    --------
    >>> photo = np.full((4, 4, 3), 100, np.uint8)
    >>> picture = overlay(photo, np.array([[0.0, 0.0], [0.0, 5.0]]), colormap="gray")
    >>> picture[0, 0].tolist(), picture[3, 3].tolist()
    ([100, 100, 100], [178, 178, 178])
    """
    style = Style(alpha=alpha, colormap=colormap, limit=limit, kind=kind, mode=mode)
    return overlay_view(photo, raw, style)


def overlay_view(photo: np.ndarray, raw: np.ndarray, style: Style) -> np.ndarray:
    """Return the coloured map over the photo."""
    index = _index(raw, style, photo.shape[:2])
    if style.kind == "signed":
        # Both middle entries are zero, as in the palette.
        heat, full = (np.abs(np.arange(256) - 127.5) - 0.5) / 127, 0.4
    else:
        heat, full = np.arange(256) / 255, 0.6
    opacity = style.alpha * (_emphasis(heat, full) if style.mode == "weighted" else np.ones(256))
    mask = Image.fromarray(index).point(np.rint(255 * opacity).astype(int).tolist())
    return np.asarray(Image.composite(style.painted(index), _image(photo), mask))


def glow_view(photo: np.ndarray, raw: np.ndarray, style: Style) -> np.ndarray:
    """Return the map as light over a dimmed grey photo; a signed map as colour over a pale one.

    Fine-grained maps, as gradients are, would drown in the photo's own colours. Below an alpha of
    0.5 these come back, down to the photo itself at 0.
    """
    index = _index(raw, style, photo.shape[:2])
    grey = np.asarray(_image(photo).convert("L"), np.float32)
    if style.kind == "signed":
        dim = 255 - (255 - grey) * _PALE
        mask = Image.fromarray(index).point([min(255, 2 * abs(i - 128)) for i in range(256)])
    else:
        dim = grey * _PALE
        mask = Image.fromarray(index)
    base = Image.fromarray(dim.astype(np.uint8)).convert("RGB")
    glow = Image.composite(style.painted(index), base, mask)
    return np.asarray(Image.blend(_image(photo), glow, min(1.0, 2 * style.alpha)))


def heatmap_view(photo: np.ndarray, raw: np.ndarray, style: Style) -> np.ndarray:
    """Return the coloured map alone, at the photo's size."""
    return style.paint(_index(raw, style, photo.shape[:2]))


def contour_view(photo: np.ndarray, raw: np.ndarray, style: Style) -> np.ndarray:
    """Return the photo with a line where the map crosses `level` of its limit, and what that is."""
    scaled = style.scaled(raw)
    if scaled.blank:
        return photo.copy()
    lines = level_lines(_strength(scaled.values, style), style.level, photo.shape[:2])
    label = f"{style.level:.0%} = {format_value(style.level * scaled.limit)}"
    return draw_level_lines(photo, lines, label)


def mask_view(photo: np.ndarray, raw: np.ndarray, style: Style) -> np.ndarray:
    """Return the photo where the map reaches `level` of its limit, fading to dark elsewhere."""
    strength = resize_map(_strength(style.scaled(raw).values, style), photo.shape[:2])
    shown = np.clip(strength / max(style.level, 1e-6), 0, 1) ** 2 * 255
    dark = np.zeros_like(photo)
    mask = Image.fromarray(shown.astype(np.uint8))
    return np.asarray(Image.composite(_image(photo), _image(dark), mask))


def side_by_side_view(photo: np.ndarray, raw: np.ndarray, style: Style) -> np.ndarray:
    """Return the photo and, to its right, the overlay."""
    gap = np.full((photo.shape[0], max(4, photo.shape[1] // 50), 3), 255, np.uint8)
    return np.hstack([photo, gap, overlay_view(photo, raw, style)])


View = Callable[[np.ndarray, np.ndarray, Style], np.ndarray]
VIEWS: dict[str, View] = {
    "overlay": overlay_view,
    "glow": glow_view,
    "heatmap": heatmap_view,
    "contour": contour_view,
    "mask": mask_view,
    "side-by-side": side_by_side_view,
}


# Views that write on the photo: nothing may be drawn over their lines and words.
WRITTEN_VIEWS = ("contour",)
# Palettes of views that have one of their own.
_VIEW_COLORMAPS = {"glow": "inferno"}


def in_view(style: Style, name: str) -> Style:
    """`style` with the palette of the view called `name`, unless it names one."""
    own = _VIEW_COLORMAPS.get(name)
    return style if style.colormap or own is None else replace(style, colormap=own)


def render_view(
    name: str, photo: np.ndarray, raw: np.ndarray, style: Style | None = None
) -> np.ndarray:
    """Show `raw` with `photo` in the view called `name`, one of `VIEWS`.

    Parameters
    ----------
    name
        A key of `VIEWS`.
    photo
        uint8 RGB, ``(H, W, 3)``.
    raw
        Raw map of any size, ``(h, w)``.
    style
        How the map is drawn; None for the defaults.

    Returns
    -------
    numpy.ndarray
        uint8 RGB at the photo's size; ``side-by-side`` is wider. A blank map is noted in the
        picture.

    Examples
    --------
    >>> photo = np.zeros((60, 80, 3), np.uint8)
    >>> raw = np.array([[0.0, 1.0], [2.0, 3.0]])
    >>> render_view("heatmap", photo, raw).shape
    (60, 80, 3)
    """
    if name not in VIEWS:
        raise UnknownNameError.of("view", name, VIEWS)
    style = in_view(style or Style(), name)
    picture = VIEWS[name](photo, raw, style)
    blank = style.scaled(raw).blank
    return with_note(picture, f"blank map: {blank}") if blank else picture


def _emphasis(heat: np.ndarray, full: float) -> np.ndarray:
    """Opacity of a heat in [0, 1]: none at zero, soon visible, full from `full` on."""
    ramp = np.clip(heat / full, 0, 1)
    return ramp * ramp * (3 - 2 * ramp)


def _index(raw: np.ndarray, style: Style, size: tuple[int, ...]) -> np.ndarray:
    """Table indices at the photo's size; scaled before resizing, where the map is small."""
    steps = style.scaled(raw).values * np.float32(255) + np.float32(0.5)
    return resize_map(steps, (size[0], size[1])).astype(np.uint8)


def _strength(values: np.ndarray, style: Style) -> np.ndarray:
    return np.abs(2 * values - 1) if style.kind == "signed" else values


def _image(photo: np.ndarray) -> Image.Image:
    if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3:
        raise ValueError(f"A photo is uint8 (H, W, 3), not {photo.dtype} {photo.shape}.")
    return Image.fromarray(np.ascontiguousarray(photo))
