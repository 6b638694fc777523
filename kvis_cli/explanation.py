"""The one thing that engines make and that renderers, stores and reports take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from kvis_cli.lazy import np

Kind = Literal["heatmap", "signed", "image"]


@dataclass(frozen=True)
class Target:
    """What a score stands for: a class, several at once, a regression output, a filter.

    Attributes
    ----------
    label
        For people: ``tabby``, ``water_ouzel + scorpion``, ``block3_conv1 · filter 12``.
    name
        For file names: ``281-tabby``, ``20+71``; only letters, digits and ``._+-``.
    units
        The unit indices and their weights in the explained score.
    """

    label: str
    name: str
    units: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class GridAxis:
    """The cells of a map along one axis of the input, in input pixels.

    Attributes
    ----------
    cells, size
        How many cells the map has, and how many pixels the input.
    step
        From the centre of a cell to that of the next.
    first
        The centre of the first cell; the centre of the first pixel is 0.5.
    extent
        How much of the input a cell sees (its theoretical receptive field).
    """

    cells: int
    size: int
    step: float
    first: float
    extent: float

    @property
    def offset(self) -> float:
        """How far the cells lie from where an evenly stretched map draws them."""
        return self.first + (self.cells - 1) / 2 * self.step - self.size / 2

    @property
    def is_even(self) -> bool:
        """Whether stretching the map over the input puts every cell in its place."""
        return self.offset == 0 and self.step * self.cells == self.size


@dataclass(frozen=True)
class MapGrid:
    """Where the cells of a map lie on the model's input.

    Attributes
    ----------
    axes
        Height and width; of other inputs, their axes.
    exact
        Whether only the sizes of windows and strides make it. Where padding moves windows it is
        what an untrained network sees; trained kernels undo a good part of it.
    applied
        Whether the map is to be drawn there, not stretched over the input.
    """

    axes: tuple[GridAxis, ...]
    exact: bool
    applied: bool = False

    def to_json(self) -> dict[str, Any]:
        """For manifests: a list per axis, in input pixels."""
        return {
            "stride": [axis.step for axis in self.axes],
            "offset": [axis.offset for axis in self.axes],
            "extent": [axis.extent for axis in self.axes],
            "size": [axis.size for axis in self.axes],
            "exact": self.exact,
            "applied": self.applied,
        }

    @classmethod
    def from_json(cls, said: Mapping[str, Any], shape: tuple[int, ...]) -> MapGrid:
        """What `to_json` gave of a map of a `shape`.

        Raises
        ------
        KeyError, TypeError, ValueError
            For anything else.
        """
        axes = []
        parts = (said["stride"], said["offset"], said["extent"], said["size"])
        for cells, step, offset, extent, size in zip(shape, *parts, strict=True):
            first = offset + size / 2 - (cells - 1) / 2 * step
            axes.append(GridAxis(cells, int(size), float(step), first, extent))
        return cls(tuple(axes), bool(said["exact"]), bool(said["applied"]))


@dataclass(frozen=True)
class Explanation:
    """A raw result, before any scaling for display.

    Attributes
    ----------
    map
        float32. ``heatmap`` (values ≥ 0) and ``signed``: the shape of the map's own grid, e.g.
        ``(7, 7)`` for a CAM or ``(224, 224)`` for a saliency map. ``image``: ``(H, W, C)`` in the
        0..255 display range, straight from the inverse of the preprocessing.
    kind
        How the map is to be read, and so how it is coloured.
    method
        Registry name: ``gradcam``, ``smoothgrad``, ``activation_maximization``.
    target
        What was explained.
    score
        The explained score (a logit unless the settings say otherwise) on this input.
    probability
        The model's own output for the target, where that is one number.
    layer
        Address of the layer that was read, empty when none was.
    extras
        Numbers that belong to the result: the completeness gap, the loss history.
    warnings
        What a person must know before believing the picture. Never empty for a blank map.
    grid
        Where the map's cells lie on the input; None where that is not known or is every pixel.
    variant
        What else tells this result from others of the same method: a modifier, a direction.
    """

    map: np.ndarray
    kind: Kind
    method: str
    target: Target
    score: float
    probability: float | None = None
    layer: str = ""
    extras: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    variant: str = ""
    grid: MapGrid | None = None
