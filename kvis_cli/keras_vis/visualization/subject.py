"""What keras-vis' arguments mean: a layer and units of it, and arrays as model inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, SupportsIndex

import numpy as np
import tensorflow as tf

from kvis_cli.errors import InputError, UsageError
from kvis_cli.models.live.reader import Tap
from kvis_cli.models.live.session import Address, LiveModel

Indices = SupportsIndex | Sequence[int] | np.ndarray | None


@dataclass(frozen=True)
class Subject:
    """The layer whose units are explained.

    Attributes
    ----------
    layer
        Its call; None where it is the model's own output.
    output
        Which output that is.
    units
        How many units there are.
    channels_first
        Whether its maps are ``(B, C, …)``.
    """

    layer: Tap | None
    output: int
    units: int
    channels_first: bool = False

    @property
    def tensor_shape(self) -> tuple[int | None, ...]:
        """The shape of its tensor as far as units go, batch included."""
        if self.layer is None:
            return (None, self.units)
        return (None, self.units, None) if self.channels_first else (None, None, self.units)

    def pairs(self, indices: Indices) -> tuple[tuple[int, float], ...]:
        """Units with weights: the sum of those named, the mean of all for None.

        Parameters
        ----------
        indices
            A unit, a sequence of them, negative ones counted from the end, or None.

        Returns
        -------
        tuple
            ``(unit, weight)`` pairs.

        Raises
        ------
        UsageError
            For anything but integers, and for units that are not there.
        """
        if indices is None:
            return tuple((i, 1 / self.units) for i in range(self.units))
        wanted = np.atleast_1d(np.asarray(indices))
        if wanted.ndim != 1 or not wanted.size or not np.issubdtype(wanted.dtype, np.integer):
            raise UsageError(
                f"The filter indices are {indices!r}.", "", "Give an integer or several."
            )
        for index in wanted:
            if not -self.units <= index < self.units:
                where = f"layer '{self.layer}'" if self.layer else "the model's output"
                raise UsageError(
                    f"Unit {index} is not in {where}.",
                    f"It has {self.units}, counted from 0.",
                    f"Use 0 to {self.units - 1}.",
                )
        return tuple((int(index) % self.units, 1.0) for index in wanted)

    def weights(self, indices: Indices, batch: int) -> tuple[np.ndarray, np.ndarray]:
        """`pairs` as what engines take: float32 ``(batch, 1, units)`` and no ranks."""
        weights = np.zeros((batch, 1, self.units), np.float32)
        for index, weight in self.pairs(indices):
            weights[:, 0, index] += weight
        return weights, np.full((batch, 1), -1, np.int32)


def subject_of(live: LiveModel, layer: Address) -> Subject:
    """Return the subject that `layer` is."""
    call = live.call(layer)
    if call is None:
        name = live.address(layer)
        last = name == live.model.layers[-1].name
        return Subject(None if last else Tap.of(name), 0, _units_by_tracing(live, name))
    outputs = [endpoint.call for endpoint in live.architecture.outputs]
    output = next((i for i, c in enumerate(outputs) if c is not None and c.path == call.path), -1)
    tap = Tap(call.layer_path, call.call)
    units = call.filters
    if units is None:
        raise UsageError(
            f"The number of units of layer '{call.path}' is not known.",
            f"Its output has the shape {call.output_shape}.",
        )
    return Subject(None if output >= 0 else tap, max(output, 0), units, call.channels_first)


def _units_by_tracing(live: LiveModel, name: str) -> int:
    # A subclassed model says no shapes, but its weights do.
    layer = live.reader.operation(name)
    for attribute in ("units", "filters"):
        if isinstance(getattr(layer, attribute, None), int):
            return int(getattr(layer, attribute))
    raise UsageError(
        f"The number of units of layer '{name}' is not known.",
        f"'{live.model.name}' is a subclassed model, and the layer does not say it.",
        "Choose a Dense or convolutional layer.",
    )


def as_batch(live: LiveModel, seed: Any, *, any_size: bool = False) -> tuple[np.ndarray, bool]:
    """Return an array as model inputs ``(B, …)``, and whether it was a single one.

    A missing batch axis is added, and channels are moved to where the model has them.

    Parameters
    ----------
    live
        The model.
    seed
        The array.
    any_size
        Accept another size than the model's own; only the channels have to fit.

    Returns
    -------
    inputs, single
        Of the model's input type, and whether the batch has one input.

    Raises
    ------
    InputError
        For a shape that the model does not take.
    """
    array = np.asarray(seed)
    shape = live.input_shape
    if shape is not None:
        only = (1 if input_channels_first(live) else -1) if any_size else None
        if array.ndim == len(shape) - 1:
            array = array[np.newaxis]
        if array.ndim == len(shape) > 2 and not _fits(array.shape, shape, only):
            source, target = (-1, 1) if input_channels_first(live) else (1, -1)
            array = np.moveaxis(array, source, target)
        if array.ndim != len(shape) or not _fits(array.shape, shape, only):
            raise InputError(
                f"An input of the shape {np.shape(seed)} does not fit '{live.model.name}'.",
                f"The model takes {shape}.",
                "Resize the picture first, e.g. utils.load_img(path, target_size=(rows, columns)).",
            )
    return np.asarray(array, tf.as_dtype(live.input_dtype).as_numpy_dtype), len(array) == 1


def _fits(shape: tuple[int, ...], wanted: tuple[int | None, ...], only: int | None) -> bool:
    if only is not None:
        shape, wanted = (0, shape[only]), (0, wanted[only])
    return all(w is None or n == w for n, w in zip(shape[1:], wanted[1:], strict=True))


def input_channels_first(live: LiveModel) -> bool:
    """Whether the model takes ``(B, C, …)``."""
    shape = live.input_shape
    if shape is None or len(shape) < 3:
        return False
    stated = [c.config["data_format"] for c in live.architecture.calls if "data_format" in c.config]
    return stated[:1] == ["channels_first"]
