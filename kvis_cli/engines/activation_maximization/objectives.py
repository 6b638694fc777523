"""Objectives: what a picture is optimised for, outputs, filters, channels of a layer."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from kvis_cli.engines.activation_maximization.losses import Arguments, Loss, View
from kvis_cli.engines.activation_maximization.selected_filters import can_select, only_filters
from kvis_cli.engines.scores import ScoreKind, score_targets
from kvis_cli.errors import UsageError
from kvis_cli.models.live.reader import ModelReader, Tap

Units = Sequence[tuple[int, float]]


@dataclass(frozen=True)
class Goal:
    """What one picture is for.

    Attributes
    ----------
    units
        Unit indices and weights: one filter, or several at once. A negative weight asks for less.
    position
        Where in the feature map; empty for the mean over all of it.
    """

    units: tuple[tuple[int, float], ...]
    position: tuple[int, ...] = ()


def as_goals(units: Any) -> list[Goal]:
    """Return an index, indices (one a picture), lists of them or `Goal` objects as goals.

    Parameters
    ----------
    units
        An index, a sequence of indices or of sequences, `Goal` objects.

    Returns
    -------
    list of Goal
        One per picture.

    Examples
    --------
    >>> [goal.units for goal in as_goals([3, 7])]
    [((3, 1.0),), ((7, 1.0),)]
    """
    if isinstance(units, int | np.integer | Goal):
        units = [units]
    goals = []
    for entry in units:
        if isinstance(entry, Goal):
            goals.append(entry)
        elif isinstance(entry, int | np.integer):
            goals.append(Goal(((int(entry), 1.0),)))
        else:
            pairs = [e if isinstance(e, tuple) else (e, 1.0) for e in entry]
            goals.append(Goal(tuple((int(i), float(w)) for i, w in pairs)))
    return goals


class ActivationMaximization(Loss):
    """Minus the activation of a layer's units (Simonyan et al. 2013; Erhan et al. 2009).

    For a feature map the activation is its mean over all positions, or the value at one position;
    for a vector it is the unit itself. Several units of one picture are added with their weights.

    Parameters
    ----------
    layer
        The layer call that is read; None for the model's output, whose final softmax or sigmoid
        is left out unless `score` says otherwise.
    units
        One entry per picture: an index, a sequence of indices (all of them at once), pairs of
        index and weight, or a `Goal`.
    score
        For outputs: ``logit`` or ``probability``.
    output
        Which of the model's outputs.
    channels_first
        Whether the layer's tensor is ``(B, C, …)``.
    """

    name = "activation"
    is_objective = True

    def __init__(
        self,
        layer: Tap | str | None,
        units: Any,
        *,
        score: ScoreKind = "logit",
        output: int = 0,
        channels_first: bool = False,
    ) -> None:
        self.layer = Tap.of(layer) if isinstance(layer, str) else layer
        self.goals = as_goals(units)
        self.score: ScoreKind = score
        self.output = output
        self.channels_first = channels_first
        self.taps = (self.layer,) if self.layer else ()
        self.needs_outputs = self.layer is None
        self.channels: int | None = None
        self._selected = False
        if not self.goals:
            raise UsageError("There is no unit to optimise a picture for.")

    def bind(self, shape: tuple[int | None, ...]) -> None:
        """Check the goals against the shape of the tensor that they are about, batch included.

        Parameters
        ----------
        shape
            Of the tensor, batch included; None where a size is not known.

        Raises
        ------
        UsageError
            A unit or position that is not there, a tensor without channels.
        """
        where = f"layer '{self.layer}'" if self.layer else "the model's output"
        if len(shape) < 2:
            raise UsageError(
                f"{where[:1].upper()}{where[1:]} has no channels.",
                f"Its tensor has the shape {shape}.",
                "`kvis layers` shows the shapes of all layers.",
            )
        axis = 1 if self.channels_first and len(shape) > 2 else -1
        channels = shape[axis]
        if channels is None:
            raise UsageError(f"The number of channels of {where} is not known.")
        space = list(shape[1:])
        del space[axis - 1 if axis == 1 else -1]
        for goal in self.goals:
            for index, _ in goal.units:
                if not 0 <= index < channels:
                    noun = "Filter" if len(shape) > 2 else "Unit"
                    raise UsageError(
                        f"{noun} {index} is not in {where}.",
                        f"It has {channels}, counted from 0.",
                        f"Use 0 to {channels - 1}.",
                    )
            if goal.position and (
                len(goal.position) != len(space)
                or any(
                    n is not None and not 0 <= p < n
                    for p, n in zip(goal.position, space, strict=False)
                )
            ):
                raise UsageError(
                    f"The position {goal.position} is not in {where}.",
                    f"Its map has the size {'×'.join(str(n) for n in space) or 'of one value'}.",
                )
        self.channels = channels

    @property
    def single(self) -> bool:
        """Whether every picture is for exactly one unit."""
        return all(len(goal.units) == 1 for goal in self.goals)

    @property
    def placed(self) -> bool:
        """Whether some goals are about one position of the map."""
        return any(goal.position for goal in self.goals)

    def arguments(self, rows: Sequence[int]) -> Arguments:
        """Return the units and weights of pictures as tensors."""
        assert self.channels is not None
        weights = np.zeros((len(rows), self.channels), np.float32)
        for b, row in enumerate(rows):
            for index, weight in self.goals[row].units:
                weights[b, index] += weight
        found: Arguments = {"weights": weights}
        if self.single:
            found["filter"] = np.array([self.goals[r].units[0][0] for r in rows], np.int32)
            found["weight"] = np.array([self.goals[r].units[0][1] for r in rows], np.float32)
        if self.placed:
            rank = max(len(goal.position) for goal in self.goals)
            positions = [self.goals[r].position or (-1,) * rank for r in rows]
            found["position"] = np.array(positions, np.int32)
        return found

    def reading(
        self, reader: ModelReader, arguments: dict[str, Any]
    ) -> AbstractContextManager[Any]:
        """Compute the wanted filters only, where the layer is one for which that can be done."""
        self._selected = False
        if self.layer is None or "filter" not in arguments or self.layer.call:
            return nullcontext()
        layer = reader.operation(self.layer.path)
        if not can_select(layer):
            return nullcontext()
        self._selected = True
        return only_filters(layer, arguments["filter"])

    def __call__(self, view: View, arguments: dict[str, Any]) -> Any:
        """Return the negated activation of each picture, ``(B,)``."""
        if self.layer is None:
            weights = arguments["weights"][:, tf.newaxis]
            ranks = tf.fill(tf.shape(weights)[:2], -1)
            output = view.outputs[self.output]
            if self.placed:
                raise UsageError("A position is for layers; name the layer with --layer.")
            return -score_targets(output, weights, ranks, self.score).scores[:, 0]
        tensor = tf.cast(view.taps[self.layer], tf.float32)
        if self._selected:
            weights = arguments["weight"][:, tf.newaxis]
        else:
            weights = arguments["weights"]
            if self.channels_first and tensor.shape.rank > 2:
                tensor = tf.transpose(tensor, [0, *range(2, tensor.shape.rank), 1])
        space = list(range(1, tensor.shape.rank - 1))
        values = tf.reduce_mean(tensor, axis=space) if space else tensor
        if space and "position" in arguments:
            position = arguments["position"]
            at = tf.gather_nd(tensor, tf.maximum(position, 0), batch_dims=1)
            values = tf.where(position[:, :1] >= 0, at, values)
        return -tf.reduce_sum(values * weights, axis=-1)
