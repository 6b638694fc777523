"""A map over its photo as one picture."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from kvis_cli.explanation import Explanation
from kvis_cli.images.fitting import Placement
from kvis_cli.render.box import draw_box, hot_box
from kvis_cli.render.caption import with_note
from kvis_cli.render.colorbar import ColorBar, with_colorbar
from kvis_cli.render.defaults import ALPHA, LEVEL
from kvis_cli.render.overlay import WRITTEN_VIEWS, Style, in_view, render_view
from kvis_cli.render.scale import MAP_KINDS, MapKind, limit_of
from kvis_cli.render.unseen import mark_unseen


@dataclass(frozen=True)
class Look:
    """How maps are drawn over photos.

    Attributes
    ----------
    view
        How map and photo are combined: a name of `kvis_cli.render.overlay.render_view`.
    alpha, colormap, level, limit
        See `kvis_cli.render.overlay.Style`.
    percentile
        Where the palette ends; None leaves it to the method.
    box
        Whether the hottest region gets a box.
    colorbar
        Whether a colour bar stands beside the photo.
    """

    view: str = "overlay"
    alpha: float = ALPHA
    colormap: str | None = None
    level: float = LEVEL
    limit: float | None = None
    percentile: float | None = None
    box: bool = False
    colorbar: bool = False

    def style(self, kind: MapKind, percentile: float | None = None) -> Style:
        """Return the style of maps of a kind; `percentile` is the method's own."""
        style = Style(
            alpha=self.alpha,
            colormap=self.colormap,
            kind=kind,
            limit=self.limit,
            percentile=percentile if self.percentile is None else self.percentile,
            level=self.level,
        )
        return in_view(style, self.view)


@dataclass(frozen=True)
class Drawn:
    """A picture of a map.

    Attributes
    ----------
    pixels
        uint8 ``(H, W, 3)``.
    style
        With the limit that was used.
    box
        The hottest region, left, top, right, bottom in pixels; None where none was wanted or found.
    """

    pixels: np.ndarray
    style: Style
    box: tuple[int, int, int, int] | None = None


def draw(explanation: Explanation, photo: np.ndarray, placement: Placement, look: Look) -> Drawn:
    """Draw a map over its photo.

    Parameters
    ----------
    explanation
        A ``heatmap`` or ``signed`` map.
    photo
        uint8 ``(H, W, 3)``.
    placement
        Where the model's input lies on the photo.
    look
        How.

    Returns
    -------
    Drawn
        The pixels, uint8 ``(H, W, 3)`` or wider, with the style and the box that were used.

    Examples
    --------
    >>> from kvis_cli.explanation import Target
    >>> heat = Explanation(np.eye(2, dtype=np.float32), "heatmap", "gradcam", Target("a", "a"), 1.0)
    >>> photo = np.zeros((60, 80, 3), np.uint8)
    >>> draw(heat, photo, Placement(0, 0, 80, 60), Look(view="heatmap")).pixels.shape
    (60, 80, 3)
    """
    values = strongest_channels(explanation)
    style = look.style(kind_of(explanation), explanation.percentile)
    if look.limit is None and style.kind in MAP_KINDS:
        # The end of the palette is the map's own, wherever on the photo it is drawn.
        own = limit_of(values, style.kind, style.percentile)
        style = replace(style, limit=own or None)
    height, width = photo.shape[:2]
    raw = placement.to_photo(values, height, width, explanation.grid)
    unseen = placement.unseen(height, width)
    if unseen is not None and look.view in WRITTEN_VIEWS:
        photo, unseen = mark_unseen(photo, unseen), None
    picture = render_view(look.view, photo, raw, style)
    if unseen is not None:
        # Of photo and overlay side by side, the overlay.
        left = picture.shape[1] - width
        marked = mark_unseen(picture[:, left:], unseen)
        picture = np.hstack([picture[:, :left], marked]) if left else marked
    box = None
    if look.box:
        box = hot_box(raw, (height, width), style.level)
        picture = draw_box(picture, box) if box else picture
    scaled = style.scaled(raw)
    # Why a map is blank is already noted in it, and no colour of it means anything.
    if explanation.warnings and not scaled.blank:
        picture = with_note(picture, explanation.warnings[0])
    if look.colorbar and not scaled.blank:
        picture = with_colorbar(picture, ColorBar(style, scaled.limit, view=look.view))
    return Drawn(picture, style, box)


def kind_of(explanation: Explanation) -> MapKind:
    """How an explanation's map is to be coloured."""
    return "signed" if explanation.kind == "signed" else "heatmap"


def strongest_channels(explanation: Explanation) -> np.ndarray:
    """Return the map to draw: of a map that kept its channels, the strongest of each pixel."""
    raw = explanation.map
    if explanation.channels != "keep" or raw.ndim < 3:
        return raw
    strongest = np.abs(raw).argmax(-1)[..., None]
    return np.take_along_axis(raw, strongest, -1)[..., 0]
