"""The registry of saliency methods, importable without TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kvis_cli.engines.saliency.batch import Attribution, Batch
from kvis_cli.errors import UnknownNameError

if TYPE_CHECKING:
    from kvis_cli.engines.saliency.score import ScoreFunction
    from kvis_cli.engines.saliency.settings import SaliencySettings

Explain = Callable[[Batch], Attribution]
Make = Callable[["ScoreFunction", "SaliencySettings"], Explain]


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
    about
        What it is, in a sentence.
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
    deterministic
        Whether two runs give the same map whatever the seed.
    unsigned
        Whether its values are never negative, whatever the modifier.
    caution
        What the user must know before believing it.
    options
        The fields of `SaliencySettings` that the method reads; None: perhaps all of them.
    """

    name: str
    paper: str
    cost: str
    about: str
    make: Make
    modifier: str = "absolute"
    gradient: bool = True
    pointwise: bool = False
    backprop: str | None = None
    deterministic: bool = True
    unsigned: bool = False
    caution: str = ""
    options: tuple[str, ...] | None = None


SALIENCY_METHODS: dict[str, SaliencyMethod] = {}


def register(name: str, paper: str, cost: str, about: str, **facts: Any) -> Callable[[Make], Make]:
    """Enter a factory into `SALIENCY_METHODS`."""

    def enter(make: Make) -> Make:
        SALIENCY_METHODS[name] = SaliencyMethod(name, paper, cost, about, make, **facts)
        return make

    return enter


def find_method(name: str) -> SaliencyMethod:
    """Return a method by name.

    Parameters
    ----------
    name
        A key of `SALIENCY_METHODS`.

    Returns
    -------
    SaliencyMethod
        What is registered under the name.

    Raises
    ------
    UnknownNameError
        For a name that is not registered.

    Examples
    --------
    >>> import kvis_cli.engines.saliency
    >>> find_method("smoothgrad").deterministic
    False
    """
    if name not in SALIENCY_METHODS:
        raise UnknownNameError.of("saliency method", name, SALIENCY_METHODS)
    return SALIENCY_METHODS[name]
