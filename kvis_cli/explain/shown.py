"""Explanations that show themselves: pictures, files, notebooks."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, SupportsIndex, overload

import numpy as np

from kvis_cli.explanation import Explanation
from kvis_cli.images.drawing import Look, draw
from kvis_cli.images.fitting import Placement
from kvis_cli.paths import write_bytes_atomic
from kvis_cli.render.arrays import as_picture
from kvis_cli.render.grid import Sheet, render_sheet
from kvis_cli.render.png import encode_png, provenance, with_metadata
from kvis_cli.shown import shown_html

# Longest side of a picture on a sheet.
_CELL = 320


@dataclass(frozen=True)
class ShownExplanation(Explanation):
    """An `Explanation` with its photo.

    Attributes
    ----------
    photo
        uint8 ``(H, W, 3)``: what the map is drawn over; None for pictures made from the model
        alone.
    placement
        Where the model's input lies on the photo.
    model
        The model's name.

    Examples
    --------
    >>> from kvis_cli import Explainer
    >>> explainer = Explainer("sample_models/shapes.keras", labels="sample_models/labels.txt")
    >>> [heat] = explainer.cam("sample_models/images/house.png", class_="house")
    >>> heat.caption, heat.picture("contour").shape
    ('house 1.000', (384, 384, 3))
    """

    photo: np.ndarray | None = field(default=None, repr=False)
    placement: Placement | None = field(default=None, repr=False)
    model: str = ""

    @classmethod
    def of(
        cls,
        explanation: Explanation,
        *,
        model: str,
        photo: np.ndarray | None = None,
        placement: Placement | None = None,
    ) -> ShownExplanation:
        """Return an explanation with its photo."""
        fields = {name: getattr(explanation, name) for name in Explanation.__dataclass_fields__}
        return cls(**fields, photo=photo, placement=placement, model=model)

    @property
    def raw(self) -> np.ndarray:
        """float32: the map itself, unscaled; see `Explanation.map`."""
        return self.map

    @property
    def caption(self) -> str:
        """``tabby 0.39`` or ``tabby 14.2``: the probability where there is one, else the score."""
        number = "" if not np.isfinite(self.score) else f"{self.score:.3g}"
        if self.probability is not None:
            number = f"{self.probability:.3f}"
        return f"{self.target.label} {number}".strip()

    def picture(self, view: str = "overlay", **look: Any) -> np.ndarray:
        """Draw the map over its photo, as the commands do.

        Parameters
        ----------
        view
            ``overlay``, ``heatmap``, ``contour``, ``mask``, ``glow`` or ``side-by-side``.
        **look
            Fields of `kvis_cli.images.drawing.Look`: ``alpha``, ``colormap``, ``level``,
            ``percentile``, ``box``, ``colorbar``.

        Returns
        -------
        numpy.ndarray
            uint8 ``(H, W, 3)``, of the photo's size. A picture made from the model alone is
            returned as it is, ``(H, W)`` or ``(H, W, 3)``.
        """
        if self.photo is None or self.placement is None:
            if self.optimized is not None:
                return as_picture(self.optimized.pixels)
            return as_picture(np.clip(np.rint(self.map), 0, 255).astype(np.uint8))
        return draw(self, self.photo, self.placement, Look(view=view, **look)).pixels

    def overlay(self, alpha: float = 0.5, colormap: str | None = None) -> np.ndarray:
        """Draw the map over its photo.

        Parameters
        ----------
        alpha
            Strength of the heat, 0 (photo only) to 1.
        colormap
            A palette; None for jet, and coolwarm for maps with a sign.

        Returns
        -------
        numpy.ndarray
            uint8 ``(H, W, 3)``.
        """
        return self.picture(alpha=alpha, colormap=colormap)

    def save(self, path: str | Path, view: str = "overlay", **look: Any) -> Path:
        """Write the picture as a PNG file that says what it shows.

        Parameters
        ----------
        path
            The file; its folder is made where it is missing.
        view
            A view of `picture`.
        **look
            Fields of `kvis_cli.images.drawing.Look`, as for `picture`.

        Returns
        -------
        pathlib.Path
            The file that was written.

        Raises
        ------
        OutputError
            When the file cannot be written.
        """
        about = {
            "model": self.model,
            "method": self.method,
            "layer": self.layer,
            "target": self.target.label,
            "score": float(self.score) if np.isfinite(self.score) else None,
            "probability": self.probability,
            "warnings": list(self.warnings),
        }
        png = encode_png(self.picture(view, **look))
        return write_bytes_atomic(path, with_metadata(png, provenance(about)))

    def _repr_png_(self) -> bytes:
        return encode_png(self.picture())

    def _repr_html_(self) -> str:
        source = base64.b64encode(self._repr_png_()).decode()
        facts = " · ".join(filter(None, (self.caption, self.method, self.layer)))
        lines = [f"<figcaption>{shown_html(facts)}</figcaption>"]
        for warning in (*self.warnings, *filter(None, [self.caution])):
            lines.append(f'<div style="color:#a40">{shown_html(warning)}</div>')
        alt = html.escape(facts, quote=True)
        picture = f'<img alt="{alt}" src="data:image/png;base64,{source}">'
        return f'<figure style="margin:0">{picture}{"".join(lines)}</figure>'


class Explanations(list[ShownExplanation]):
    """Several explanations; a notebook shows them as a captioned sheet.

    Examples
    --------
    >>> from kvis_cli.explanation import Target
    >>> raw = np.eye(2, dtype=np.float32)
    >>> heat = ShownExplanation(raw, "heatmap", "gradcam", Target("tabby", "281-tabby"), 1.5)
    >>> Explanations([heat, heat]).sheet(columns=2).dtype
    dtype('uint8')
    """

    def sheet(self, columns: int | None = None, **look: Any) -> np.ndarray:
        """Draw all pictures side by side.

        Parameters
        ----------
        columns
            How many in a row; None for a nearly square sheet.
        **look
            As for `ShownExplanation.picture`.

        Returns
        -------
        numpy.ndarray
            uint8 ``(H, W, 3)``.
        """
        pictures = [_small(e.picture(**look)) for e in self]
        columns = columns or max(1, int(np.ceil(np.sqrt(len(pictures)))))
        captions = [f"{e.caption} · {e.method}" for e in self]
        rows = [pictures[i : i + columns] for i in range(0, len(pictures), columns)]
        notes = [captions[i : i + columns] for i in range(0, len(captions), columns)]
        return render_sheet(Sheet(rows, notes, title=self[0].model))

    @overload
    def __getitem__(self, index: SupportsIndex) -> ShownExplanation: ...
    @overload
    def __getitem__(self, index: slice) -> Explanations: ...
    def __getitem__(self, index: SupportsIndex | slice) -> ShownExplanation | Explanations:
        found = super().__getitem__(index)
        return Explanations(found) if isinstance(found, list) else found

    def _repr_png_(self) -> bytes | None:
        return encode_png(self.sheet()) if self else None

    def _repr_html_(self) -> str:
        return '<div style="display:flex;flex-wrap:wrap;gap:1em">{}</div>'.format(
            "".join(e._repr_html_() for e in self)
        )


def joined(found: Iterable[ShownExplanation]) -> Explanations:
    """Return explanations as a list that shows itself."""
    return Explanations(found)


def _small(picture: np.ndarray) -> np.ndarray:
    from kvis_cli.render.resize import fit_size, resize_photo

    if picture.ndim == 2:
        picture = np.repeat(picture[..., np.newaxis], 3, -1)
    shape = picture.shape[:2]
    size = fit_size(shape, (_CELL, _CELL))
    return resize_photo(picture, size) if size < shape else picture
