"""What every term of the objective has in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from kvis_cli.models.live.reader import ModelReader, Tap

Arguments = dict[str, np.ndarray]


@dataclass(frozen=True)
class View:
    """What a loss sees of a batch, all of it tensors of one traced step.

    Attributes
    ----------
    images
        ``(B, …, C)``: the pictures in their unit range, before the input modifiers.
    inputs
        What the model got: after the input modifiers, in its own range.
    outputs
        The model's outputs; empty where the pass stopped at a layer.
    taps
        The layer tensors that the losses asked for.
    channels_first
        Whether `inputs` is ``(B, C, …)``.
    """

    images: Any
    inputs: Any
    outputs: list[Any]
    taps: dict[Tap, Any]
    channels_first: bool = False


class Loss:
    """A term that is minimised: one number per picture.

    Attributes
    ----------
    name
        How histories and messages call it.
    taps
        The layers that it reads.
    needs_outputs
        Whether the model has to run to its end.
    is_objective
        Whether it says what is wanted, not what the picture should look like. The best picture is
        chosen by the objectives.
    """

    name = "loss"
    taps: tuple[Tap, ...] = ()
    needs_outputs = False
    is_objective = False

    def arguments(self, rows: Sequence[int]) -> Arguments:
        """Return what the loss needs to know of the pictures numbered `rows`, batch axis first."""
        del rows
        return {}

    def reading(
        self, reader: ModelReader, arguments: dict[str, Any]
    ) -> AbstractContextManager[Any]:
        """Entered around the model's pass while a step is traced."""
        del reader, arguments
        return nullcontext()

    def __call__(self, view: View, arguments: dict[str, Any]) -> Any:
        """Return the loss of each picture, ``(B,)``."""
        raise NotImplementedError


class UserLoss(Loss):
    """A loss of your own: ``function(view) -> (B,)``.

    Parameters
    ----------
    function
        Gets a `View` and returns a loss per picture, ``(B,)``.
    name
        Of the term in histories; by default the function's.
    taps
        The layer calls that the function reads.
    needs_outputs
        Whether the function reads the model's outputs.
    """

    def __init__(
        self,
        function: Callable[[View], Any],
        *,
        name: str = "",
        taps: Sequence[Tap] = (),
        needs_outputs: bool = False,
    ) -> None:
        self.function = function
        self.name = name or getattr(function, "__name__", "user loss")
        self.taps = tuple(taps)
        self.needs_outputs = needs_outputs

    def __call__(self, view: View, arguments: dict[str, Any]) -> Any:
        """Return the loss of each picture, ``(B,)``."""
        return self.function(view)


@dataclass(frozen=True)
class Weighted:
    """A loss and how much it counts."""

    loss: Loss
    weight: float


def weighted(losses: Sequence[Weighted | tuple[Any, float] | Loss]) -> list[Weighted]:
    """Pairs, losses and plain functions as `Weighted`; those of weight 0 are left out.

    Parameters
    ----------
    losses
        `Weighted`, ``(loss, weight)`` pairs, or losses alone, which weigh 1. A loss is a `Loss` or
        a function of a `View`.

    Returns
    -------
    list of Weighted
        In the same order, without those of weight 0.

    Raises
    ------
    UsageError
        When nothing is left to optimise.

    Examples
    --------
    >>> from kvis_cli.lazy import tf
    >>> def dark(view):
    ...     return tf.reduce_mean(view.images, axis=(1, 2, 3))
    >>> [(term.loss.name, term.weight) for term in weighted([(dark, 0.5)])]
    [('dark', 0.5)]
    """
    from kvis_cli.errors import UsageError

    found = []
    for entry in losses:
        if isinstance(entry, Weighted):
            loss, weight = entry.loss, entry.weight
        elif isinstance(entry, tuple):
            loss, weight = entry
        else:
            loss, weight = entry, 1.0
        if not isinstance(loss, Loss):
            loss = UserLoss(loss)
        if weight:
            found.append(Weighted(loss, float(weight)))
    if not found:
        raise UsageError(
            "There is nothing to optimise.",
            "All weights of the losses are zero.",
            "Give the activation a weight, e.g. --act 1.",
        )
    return found
