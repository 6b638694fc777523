"""The table of CAM methods, importable without TensorFlow.

Importing the package `kvis_cli.engines.cam` fills it.

Notation: ``A`` are the layer's feature maps, ``K`` channels over ``N`` positions; ``S`` is the
explained score and ``G = ∂S/∂A``. A map is unscaled float32.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from kvis_cli.engines.cam.reduction import Reduction
from kvis_cli.lazy import tf

if TYPE_CHECKING:
    from kvis_cli.engines.cam.settings import MakeEngine


@dataclass(frozen=True)
class Readings:
    """What the gradient methods are functions of; tensors with the channels last.

    Attributes
    ----------
    features
        ``A``: ``(B, 1, *space, K)``.
    gradient
        ``G``: ``(B, T, *space, K)``; its mean when there are noise samples.
    second, third
        Means of ``G²`` and ``G³`` over noise samples; None without, where they are powers of `G`.

    Examples
    --------
    >>> readings = Readings(tf.ones((1, 1, 2, 2, 3)), tf.ones((1, 1, 2, 2, 3)))
    >>> readings.space, readings.over_space(readings.features).numpy().ravel().tolist()
    ([2, 3], [4.0, 4.0, 4.0])
    """

    features: Any
    gradient: Any
    second: Any = None
    third: Any = None

    @property
    def space(self) -> list[int]:
        """The axes of the positions."""
        return list(range(2, len(self.features.shape) - 1))

    def map(self, change: Callable[[Any], Any]) -> Readings:
        """Return the same readings with every tensor changed."""
        parts = (self.features, self.gradient, self.second, self.third)
        return Readings(*(None if part is None else change(part) for part in parts))

    def over_space(self, tensor: Any) -> Any:
        """Return the sum over all positions, kept as axes of size one."""
        return tf.reduce_sum(tensor, axis=self.space, keepdims=True)


Weighted = Callable[[Readings], Any]
"""``Readings -> (B, T, *space, K)``: the feature maps, weighted."""


@dataclass(frozen=True)
class CamMethod:
    """A registered method.

    Attributes
    ----------
    name
        What users type.
    paper
        Authors, year, arXiv number or DOI.
    cost
        Passes through the model per image, in words.
    about
        What it is, in a sentence.
    formula
        As the documentation shows it.
    gradient
        Whether it needs gradients.
    deterministic
        Whether two runs give the same map whatever the seed.
    weighted
        For methods that are functions of `Readings`.
    reduction
        How weighted feature maps become a map: ``sum`` over channels and ReLU, ``signed`` sum,
        ``eigen``, their first principal component with the sign of their sum, or ``response``,
        that with the sign of its larger part.
    contrast
        Whether the gradient is that of the score minus the most similar classes' scores.
    make
        For methods with an engine of their own.
    at_input
        Whether the map has the input's size.
    reads_layer
        Whether it is a map of a chosen layer.
    needs_linear_head
        Whether it is defined only where global average pooling and one Dense layer follow.
    directed
        Whether it tells what raises the score from what lowers it.
    percentile
        Where the palette ends: maps of fine lines have a few extreme pixels.
    options
        The fields of `CamSettings` that the method reads, of those that not all methods read;
        None: perhaps all of them.
    """

    name: str
    paper: str
    cost: str
    about: str
    formula: str
    gradient: bool = True
    deterministic: bool = True
    weighted: Weighted | None = None
    reduction: Reduction = "sum"
    contrast: bool = False
    make: MakeEngine | None = None
    at_input: bool = False
    reads_layer: bool = True
    needs_linear_head: bool = False
    directed: bool = True
    percentile: float | None = None
    options: tuple[str, ...] | None = None

    @property
    def signed(self) -> bool:
        """Whether its values may be negative."""
        return self.reduction == "signed"


CAM_METHODS: dict[str, CamMethod] = {}
_ONE = "1 forward + 1 backward to the layer, shared"


def _described(function: Callable[..., Any]) -> tuple[str, str]:
    """Return the first paragraph of a docstring, and as formulae its other text in backticks."""
    text = inspect.getdoc(function) or ""
    about, _, rest = text.partition("\n\n")
    formula = rest.split("\n\n")[0]
    return " ".join(about.split()), " ".join(formula.replace("``", "").split())


def weighting(
    name: str, paper: str, cost: str = _ONE, **facts: Any
) -> Callable[[Weighted], Weighted]:
    """Enter a function of `Readings` into `CAM_METHODS`; its docstring is the description.

    Parameters
    ----------
    name
        What users type.
    paper
        Authors, year, arXiv number or DOI.
    cost
        Passes through the model per image, in words.
    **facts
        Further fields of `CamMethod`.

    Returns
    -------
    Callable[[Weighted], Weighted]
        A decorator; the function stays as it is.

    Examples
    --------
    >>> @weighting("doubled", "an example")
    ... def doubled(r):
    ...     "Twice the features."
    ...     return 2 * r.features
    >>> CAM_METHODS.pop("doubled").about
    'Twice the features.'
    """

    def enter(function: Weighted) -> Weighted:
        about, formula = _described(function)
        method = CamMethod(name, paper, cost, about, formula, weighted=function, **facts)
        reads = (
            "noise_samples",
            "noise",
            *(("eigen_smooth",) if method.reduction == "sum" else ()),
        )
        CAM_METHODS[name] = replace(method, options=reads)
        return function

    return enter


def engine(name: str, paper: str, cost: str, **facts: Any) -> Callable[[MakeEngine], MakeEngine]:
    """Enter a method with an engine of its own into `CAM_METHODS`."""

    def enter(make: MakeEngine) -> MakeEngine:
        about, formula = _described(make)
        CAM_METHODS[name] = CamMethod(name, paper, cost, about, formula, make=make, **facts)
        return make

    return enter
