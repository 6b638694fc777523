"""Losses on symbolic tensors as one functional model, built once per input and set of losses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from kvis_cli.engines.activation_maximization import regularizers
from kvis_cli.engines.activation_maximization.losses import Weighted
from kvis_cli.engines.activation_maximization.published import (
    KerasVisLPNorm,
    KerasVisTotalVariation,
)
from kvis_cli.errors import UsageError
from kvis_cli.keras_vis.losses import AnyLoss, Loss, input_of
from kvis_cli.models.live.session import LiveModel, live_model
from kvis_cli.shown import said

_ATTRIBUTE = "__kvis__"
_MOST_MODELS = 16
WeightedLosses = Sequence[tuple[AnyLoss, float]]


def name_of(loss: AnyLoss) -> str:
    """How callbacks call a loss."""
    return loss.name if isinstance(loss, Loss) else getattr(loss, "__name__", "Unnamed Loss")


def named_losses(terms: list[Weighted], values: list[float]) -> list[tuple[str, float]]:
    """Return the losses under keras-vis' names, in its order: activation, Lp norm, variation."""
    named = []
    for term, value in zip(terms, values, strict=True):
        loss, name, place = term.loss, term.loss.name, 0
        if isinstance(loss, regularizers.LPNorm):
            name, place = f"L-{loss.p} Norm Loss", 1
        elif isinstance(loss, regularizers.TotalVariation):
            name, place = f"TV({loss.beta}) Loss", 2
        elif isinstance(loss, KerasVisLPNorm):
            place = 1
        elif isinstance(loss, KerasVisTotalVariation):
            place = 2
        named.append((place, name, value))
    return [(name, value) for _, name, value in sorted(named, key=lambda entry: entry[0])]


def checked(losses: WeightedLosses) -> list[tuple[AnyLoss, float]]:
    """Return the losses that count.

    Parameters
    ----------
    losses
        ``(loss, weight)`` pairs.

    Returns
    -------
    list of tuple
        Those whose weight is neither 0 nor None.

    Raises
    ------
    UsageError
        When there are none.
    """
    kept = [(loss, float(weight)) for loss, weight in losses if weight]
    if not kept:
        raise UsageError(
            "There is nothing to explain.",
            "All weights of the losses are zero or None." if losses else "There are no losses.",
            "Give (loss, weight) pairs, e.g. [(ActivationMaximization(layer, 3), -1)].",
        )
    return kept


def loss_model(input_tensor: Any, losses: Sequence[AnyLoss]) -> LiveModel:
    """Return the model ``input -> (1, number of losses)``, with the losses' layers shared.

    Parameters
    ----------
    input_tensor
        The model, or its symbolic input, with which loss models are kept.
    losses
        `Loss` objects, or functions from the symbolic input to a symbolic number.

    Returns
    -------
    LiveModel
        The same one for the same losses, so that nothing is compiled again.

    Raises
    ------
    UsageError
        For a loss that is not a function of the input.
    """
    input_tensor = input_of(input_tensor)
    store = input_tensor.__dict__.setdefault(_ATTRIBUTE, {})
    key = tuple(_key(loss) for loss in losses)
    if key not in store:
        if len(store) >= _MOST_MODELS:
            store.pop(next(iter(store)))
        try:
            values = [
                keras.ops.mean(loss.build_loss() if isinstance(loss, Loss) else loss(input_tensor))
                for loss in losses
            ]
            row = keras.ops.reshape(keras.ops.stack(values), (1, len(values)))
            model = keras.Model(input_tensor, row)
        except ValueError as error:
            raise UsageError(
                "The losses cannot be computed from this input.",
                said(error),
                "input_tensor and the layers of the losses have to belong to one model.",
            ) from error
        store[key] = (model, losses)
    return live_model(store[key][0])


def _key(loss: AnyLoss) -> Any:
    from kvis_cli.keras_vis.losses import ActivationMaximization
    from kvis_cli.keras_vis.regularizers import LPNorm, TotalVariation

    if isinstance(loss, ActivationMaximization):
        given = loss.filter_indices
        indices = None if given is None else tuple(int(i) for i in np.ravel(np.asarray(given)))
        return ("activation", id(loss.layer), loss.layer.output.name, indices, loss.score)
    if isinstance(loss, LPNorm):
        return ("lp", id(loss.img_input), loss.p)
    if isinstance(loss, TotalVariation):
        return ("tv", id(loss.img_input), loss.beta)
    return loss
