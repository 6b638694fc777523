"""Terms of the objective that other packages bring, by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kvis_cli import plugins
from kvis_cli.engines.activation_maximization.losses import Loss, UserLoss
from kvis_cli.errors import UnknownNameError, UsageError

Term = tuple[Loss, float]


def parse_term(text: str) -> Term:
    """``NAME`` or ``NAME:WEIGHT`` as a loss and its weight.

    Parameters
    ----------
    text
        ``NAME`` or ``NAME:WEIGHT``; the name is that of an entry point.

    Returns
    -------
    loss, weight
        The weight is 1 where none is given.

    Raises
    ------
    UnknownNameError
        For a name that no installed package has.
    UsageError
        For a weight that is not a number, and for an entry that is not a loss.
    """
    name, colon, number = text.partition(":")
    try:
        weight = float(number) if colon else 1.0
    except ValueError:
        raise UsageError(
            f"'{number}' is not the weight of a loss.", "", f"Write {name}:0.5."
        ) from None
    found = plugins.loss(name)
    if found is None:
        raise UnknownNameError.of(
            "loss", name, plugins.loss_names(), hint="Packages add them as kvis.losses."
        )
    made = found() if isinstance(found, type) else found
    if isinstance(made, Loss):
        return made, weight
    if not callable(made):
        raise UsageError(
            f"The entry point '{name}' of {plugins.LOSSES} is not a loss.",
            f"It is {type(made).__name__}.",
            "It has to be a Loss, or a function of a View.",
        )
    return UserLoss(made, name=name), weight


def terms(given: Sequence[Any]) -> list[Term]:
    """Names, losses and functions, alone or with weights, as losses with weights."""
    found = []
    for entry in given:
        loss, weight = entry if isinstance(entry, tuple) else (entry, 1.0)
        if isinstance(loss, str):
            loss, own = parse_term(loss)
            weight *= own
        found.append((loss if isinstance(loss, Loss) else UserLoss(loss), float(weight)))
    return found
