"""What a channel can be at most and at least, for every input: a proof that it is dead.

Intervals are pushed from the input to a layer (interval arithmetic, Moore 1966), per channel and
for all positions at once. They are wide behind many layers, so little is proven there that is not
plain from the weights; what is proven holds for every input.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kvis_cli.models.graph.architecture import LayerCall

Interval = tuple[np.ndarray, np.ndarray]
LayerOf = Callable[[str], Any]

_RISING: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "tanh": np.tanh,
    "sigmoid": lambda x: 0.5 * (1 + np.tanh(x / 2)),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "softplus": lambda x: np.logaddexp(0, x),
}
_KEEP = (
    "Dropout", "SpatialDropout", "MaxPooling", "AveragePooling", "GlobalMaxPooling",
    "GlobalAveragePooling", "UpSampling", "Cropping", "Identity", "InputLayer",
)  # fmt: skip


def constant_channels(call: LayerCall, layer_of: LayerOf, low: Any, high: Any) -> np.ndarray | None:
    """Return the channels of a layer that have the same value whatever the input is.

    Parameters
    ----------
    call
        The layer.
    layer_of
        From a layer's path to the layer, for its weights.
    low
        The least value of the model's input: a number, or one per channel.
    high
        The largest value, likewise.

    Returns
    -------
    numpy.ndarray or None
        bool ``(K,)``; None where a layer on the way is not known here.
    """
    found = channel_bounds(call, layer_of, low, high)
    return None if found is None else np.asarray(found[0] == found[1])


def channel_bounds(call: LayerCall, layer_of: LayerOf, low: Any, high: Any) -> Interval | None:
    """Return what the channels of a layer lie between.

    Parameters
    ----------
    call
        The layer.
    layer_of
        From a layer's path to the layer, for its weights.
    low
        The least value of the model's input: a number, or one per channel.
    high
        The largest value, likewise.

    Returns
    -------
    tuple of numpy.ndarray or None
        The least and the largest value ``(K,)``; None where a layer on the way is not known here.
    """
    known: dict[int, Interval | None] = {}
    pending = [call]
    while pending:
        current = pending[-1]
        missing = [c for c in current.inputs if id(c) not in known]
        if id(current) in known or not missing:
            pending.pop()
            if id(current) not in known:
                before = [known[id(c)] for c in current.inputs]
                known[id(current)] = _bounds(current, before, layer_of, low, high)
        else:
            pending.extend(missing)
    return known[id(call)]


def _bounds(
    call: LayerCall, before: list[Interval | None], layer_of: LayerOf, low: Any, high: Any
) -> Interval | None:
    if call.channels_first or any(one is None for one in before):
        return None
    intervals = [one for one in before if one is not None]
    if not intervals:
        channels = (call.output_shape or (None,))[-1]
        if channels is None:
            return None
        one, other = (np.broadcast_to(np.asarray(e, np.float64), (channels,)) for e in (low, high))
        return np.minimum(one, other), np.maximum(one, other)
    name = call.class_name
    if name == "Add":
        return sum(i[0] for i in intervals), sum(i[1] for i in intervals)  # type: ignore[return-value]
    last = len(call.output_shape or ()) - 1
    if name == "Concatenate" and call.config.get("axis", -1) in (-1, last):
        return tuple(np.concatenate(edges) for edges in zip(*intervals, strict=True))  # type: ignore[return-value]
    if len(intervals) != 1:
        return None
    found = _of_layer(call, intervals[0], layer_of)
    return None if found is None else _activated(call, found)


def _of_layer(call: LayerCall, given: Interval, layer_of: LayerOf) -> Interval | None:
    name, config = call.class_name, call.config
    least, most = given
    if name.startswith(_KEEP) or name in ("Activation", "ReLU", "LeakyReLU"):
        return given
    if name.startswith("ZeroPadding"):
        return np.minimum(least, 0), np.maximum(most, 0)
    if name == "Rescaling":
        scale = np.asarray(config.get("scale", 1), np.float64)
        return _affine(least, most, scale, np.asarray(config.get("offset", 0), np.float64))
    if name == "BatchNormalization":
        layer = layer_of(call.layer_path)
        spread = np.sqrt(np.asarray(layer.moving_variance, np.float64) + layer.epsilon)
        scale = (np.asarray(layer.gamma, np.float64) if layer.scale else 1.0) / spread
        offset = -np.asarray(layer.moving_mean, np.float64) * scale
        return _affine(least, most, scale, offset + (np.asarray(layer.beta) if layer.center else 0))
    if name in ("Conv1D", "Conv2D", "Conv3D", "Dense") and config.get("groups", 1) == 1:
        if name != "Dense" and config.get("padding") != "valid":
            least, most = np.minimum(least, 0), np.maximum(most, 0)
        layer = layer_of(call.layer_path)
        kernel = np.asarray(layer.kernel, np.float64)
        kernel = kernel.reshape(-1, *kernel.shape[-2:])
        bias = np.asarray(layer.bias, np.float64) if layer.use_bias else 0.0
        up, down = np.maximum(kernel, 0).sum(0), np.minimum(kernel, 0).sum(0)
        return least @ up + most @ down + bias, most @ up + least @ down + bias
    return None


def _affine(least: np.ndarray, most: np.ndarray, scale: Any, offset: Any) -> Interval:
    one, other = least * scale + offset, most * scale + offset
    return np.minimum(one, other), np.maximum(one, other)


def _activated(call: LayerCall, given: Interval) -> Interval | None:
    name, config = call.class_name, call.config
    if name == "ReLU":
        plain = not config.get("negative_slope") and not config.get("threshold")
        top = config.get("max_value")
        if not plain:
            return None
        return tuple(np.clip(edge, 0, top) for edge in given)  # type: ignore[return-value]
    if name == "LeakyReLU":
        slope = float(config.get("negative_slope", config.get("alpha", 0.3)) or 0)
        return tuple(np.where(e > 0, e, slope * e) for e in given)  # type: ignore[return-value]
    activation = config.get("activation") or "linear"
    rising = _RISING.get(activation) if isinstance(activation, str) else None
    return None if rising is None else (rising(given[0]), rising(given[1]))
