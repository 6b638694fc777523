"""The registry of saliency methods."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kvis_cli.engines.saliency.batch import Attribution, Batch
from kvis_cli.engines.saliency.score import ScoreFunction
from kvis_cli.engines.saliency.settings import SaliencySettings

Explain = Callable[[Batch], Attribution]
Make = Callable[[ScoreFunction, SaliencySettings], Explain]


@dataclass(frozen=True)
class SaliencyMethod:
    """A registered method.

    Attributes
    ----------
    name
        What users type.
    paper
        Authors, year, arXiv number.
    cost
        Passes through the model per input, in words.
    make
        ``(score, settings) -> (batch -> attribution)``.
    modifier
        The gradient modifier that it is shown with unless another is asked for.
    gradient
        Whether it needs gradients, and so an input of real numbers.
    pointwise
        Whether it is made of the gradient at the input alone, and can be taken at a layer too.
    backprop
        The backprop modifier that makes the method what it is.
    unsigned
        Whether its values are never negative, whatever the modifier.
    caution
        What a person must know before believing it.
    """

    name: str
    paper: str
    cost: str
    make: Make
    modifier: str = "absolute"
    gradient: bool = True
    pointwise: bool = False
    backprop: str | None = None
    unsigned: bool = False
    caution: str = ""


SALIENCY_METHODS: dict[str, SaliencyMethod] = {}


def register(name: str, paper: str, cost: str, **facts: Any) -> Callable[[Make], Make]:
    """Enter a factory into `SALIENCY_METHODS`."""

    def enter(make: Make) -> Make:
        SALIENCY_METHODS[name] = SaliencyMethod(name, paper, cost, make, **facts)
        return make

    return enter
