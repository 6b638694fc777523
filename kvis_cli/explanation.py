"""The results that engines return and that renderers, stores and reports take."""

from __future__ import annotations

import re
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
        As shown: ``tabby``, ``water_ouzel + scorpion``, ``block3_conv1 · filter 12``.
    name
        For file names: ``281-tabby``, ``20+71``; only letters, digits and ``._+-``.
    units
        The unit indices and their weights in the explained score.

    Examples
    --------
    >>> Target("tabby", "281-tabby", ((281, 1.0),)).units
    ((281, 1.0),)
    """

    label: str
    name: str
    units: tuple[tuple[int, float], ...] = ()

    @property
    def asked(self) -> str:
        """The class as ``--class`` names it, a rank resolved: ``281``, ``20+71``; else empty.

        What a class is contrasted with does not belong to it.
        """
        found = re.match(r"[0-9]+(\+[0-9]+)*(?![0-9+])", self.name)
        return found[0] if found else ""


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

    Examples
    --------
    >>> axis = GridAxis(cells=7, size=224, step=32.0, first=16.0, extent=200.0)
    >>> axis.offset, axis.is_even
    (0.0, True)
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
        """Return what `to_json` gave of a map of a `shape`.

        Parameters
        ----------
        said
            The mapping that `to_json` returned.
        shape
            Cells of the map along each axis.

        Returns
        -------
        MapGrid
            An equal grid.

        Raises
        ------
        KeyError, TypeError, ValueError
            For anything else.

        Examples
        --------
        >>> grid = MapGrid((GridAxis(7, 224, 32.0, 16.0, 200.0),), exact=True)
        >>> MapGrid.from_json(grid.to_json(), (7,)) == grid
        True
        """
        axes = []
        parts = (said["stride"], said["offset"], said["extent"], said["size"])
        for cells, step, offset, extent, size in zip(shape, *parts, strict=True):
            first = offset + size / 2 - (cells - 1) / 2 * step
            axes.append(GridAxis(cells, int(size), float(step), first, extent))
        return cls(tuple(axes), bool(said["exact"]), bool(said["applied"]))


UNRESPONSIVE = {
    "silent": "nothing in the pictures that were tried changes the activation: the filter is "
    "silent",
    "dead": "no input changes the activation: the filter is dead",
}
"""The warning for a filter that nothing changed, and for one proven to be constant."""


@dataclass(frozen=True)
class Optimized:
    """How an optimised picture came about, and what it is to the model.

    Attributes
    ----------
    place
        Its position among the pictures asked for.
    pixels
        uint8 ``(…, C)``: the picture as it is saved.
    inputs
        float32 ``(…, C)``: the picture as a model input, channels last.
    score_saved
        The score of `pixels`, which are rounded to 8 bits.
    recipe
        The settings of the last phase, those that are set.
    units
        The unit indices and their weights in what was maximised.
    run
        Which of several runs for the same target it is, from 0.
    steps
        How many steps each phase took.
    history
        Term -> its values ``(steps,)`` in the last phase, its last steps without effect where the
        picture had stopped before; ``total`` is their sum.
    probabilities
        The model's own outputs of the target's units for `pixels`, where they are probabilities.
    state
        A key of `UNRESPONSIVE`; empty for a picture that was changed.
    film
        uint8 pictures taken while it was optimised, where an animation is wanted.
    """

    place: int
    pixels: np.ndarray
    inputs: np.ndarray
    score_saved: float
    recipe: Mapping[str, Any]
    units: tuple[tuple[int, float], ...] = ()
    run: int = 0
    steps: tuple[int, ...] = ()
    history: Mapping[str, np.ndarray] = field(default_factory=dict)
    probabilities: tuple[float, ...] = ()
    state: Literal["", "silent", "dead"] = ""
    film: tuple[np.ndarray, ...] = ()

    @property
    def loss(self) -> dict[str, np.ndarray]:
        """`history` for the steps that the picture took."""
        return {name: values[: max(1, self.steps[-1])] for name, values in self.history.items()}


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
    caution
        What holds for every map of the method and direction.
    modifier
        The gradient modifier, of a saliency map.
    channels
        How the channels of a saliency map were joined; ``keep``: the map still has them, last.
    percentile
        Where the palette ends; None: at the largest value.
    optimized
        For pictures of activation maximization.
    warnings
        What the user must know before believing the picture. Never empty for a blank map.
    grid
        Where the map's cells lie on the input; None where that is not known or is every pixel.
    variant
        What else tells this result from others of the same method: a modifier, a direction.

    Examples
    --------
    >>> heat = Explanation(
    ...     map=np.eye(2, dtype=np.float32),
    ...     kind="heatmap",
    ...     method="gradcam",
    ...     target=Target("tabby", "281-tabby", ((281, 1.0),)),
    ...     score=14.2,
    ... )
    >>> heat.map.shape, heat.target.label, heat.warnings
    ((2, 2), 'tabby', ())
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
    caution: str = ""
    modifier: str = ""
    channels: str = ""
    percentile: float | None = None
    optimized: Optimized | None = None
