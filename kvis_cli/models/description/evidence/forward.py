"""A forward pass through the first layers of a model in NumPy, without TensorFlow.

Only what stands in front of the first normalisation of ordinary networks is known here. A layer
that is not known ends the pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from kvis_cli.lazy import np
from kvis_cli.models.graph.architecture import LayerCall
from kvis_cli.models.graph.layers.sizes import each

Arrays = list["np.ndarray"]
Rule = Callable[[Mapping[str, Any], Arrays, Arrays], "np.ndarray"]
# Above, im2col of a convolution takes more time and memory than one product per kernel tap.
_FEW_CHANNELS = 16


class NotKnown(Exception):
    """A layer that this module does not compute, or not in this form."""


def run_layer(call: LayerCall, inputs: Arrays, weights: Arrays) -> np.ndarray:
    """Return the output of one layer.

    Parameters
    ----------
    call
        The layer.
    inputs
        float32 ``(N, …, C)`` each.
    weights
        As Keras 3 orders them.

    Returns
    -------
    numpy.ndarray
        float32 ``(N, …, C)``.

    Raises
    ------
    NotKnown
        For any other layer, data format or number of weights.
    """
    config = call.config
    rule = _RULES.get(call.class_name)
    if rule is None or config.get("data_format") == "channels_first":
        raise NotKnown(call.class_name)
    try:
        return rule(config, inputs, weights)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise NotKnown(call.class_name) from error


def cost_of(call: LayerCall, inputs: Arrays, weights: Arrays) -> float:
    """Return about how many multiplications `run_layer` makes."""
    size = float(inputs[0].size) if inputs else 0.0
    if not weights or call.class_name not in _STRIDED:
        return size
    filters = weights[0].shape[-1] if call.class_name != "DepthwiseConv2D" else 1
    taps = math.prod(weights[0].shape[:2]) if weights[0].ndim == 4 else 1
    strides = math.prod(each(call.config.get("strides", 1), 2)) if weights[0].ndim == 4 else 1
    extra = weights[1].shape[-1] if call.class_name == "SeparableConv2D" else 0
    return size * (taps * filters + extra) / strides


_STRIDED = ("Conv2D", "DepthwiseConv2D", "SeparableConv2D", "Dense")


# --- layers ---


def _conv(config: Mapping[str, Any], inputs: Arrays, weights: Arrays) -> np.ndarray:
    kernel = weights[0]
    if kernel.ndim != 4 or inputs[0].ndim != 4:
        raise NotKnown("Conv2D")
    groups = int(config.get("groups") or 1)
    if groups > 1:
        parts = zip(np.split(inputs[0], groups, -1), np.split(kernel, groups, -1), strict=True)
        made = np.concatenate([_convolve(config, x, k) for x, k in parts], -1)
    else:
        made = _convolve(config, inputs[0], kernel)
    return _finished(config, made, weights[1:])


def _convolve(config: Mapping[str, Any], x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    rows, columns, channels, filters = kernel.shape
    if x.shape[-1] != channels:
        raise NotKnown("Conv2D")
    taps = _taps(config, x, rows, columns)
    if channels < _FEW_CHANNELS:
        n, height, width, _ = taps[0].shape
        columns_ = np.concatenate(taps, -1).reshape(n * height * width, -1)
        return (columns_ @ kernel.reshape(-1, filters)).reshape(n, height, width, filters)
    flat = kernel.reshape(-1, channels, filters)
    made = taps[0] @ flat[0]
    for tap, matrix in zip(taps[1:], flat[1:], strict=True):
        made += tap @ matrix
    return made


def _depthwise(config: Mapping[str, Any], inputs: Arrays, weights: Arrays) -> np.ndarray:
    return _finished(config, _each_channel(config, inputs[0], weights[0]), weights[1:])


def _each_channel(config: Mapping[str, Any], x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    rows, columns, channels, multiplier = kernel.shape
    if x.shape[-1] != channels:
        raise NotKnown("DepthwiseConv2D")
    flat = kernel.reshape(-1, channels, multiplier)
    taps = _taps(config, x, rows, columns)
    made = taps[0][..., np.newaxis] * flat[0]
    for tap, matrix in zip(taps[1:], flat[1:], strict=True):
        made += tap[..., np.newaxis] * matrix
    return made.reshape(*made.shape[:3], channels * multiplier)


def _separable(config: Mapping[str, Any], inputs: Arrays, weights: Arrays) -> np.ndarray:
    made = _each_channel(config, inputs[0], weights[0]) @ weights[1][0, 0]
    return _finished(config, made, weights[2:])


def _taps(config: Mapping[str, Any], x: np.ndarray, rows: int, columns: int) -> Arrays:
    """Return what each tap of a kernel sees: ``(N, H', W', C)`` for every row and column."""
    dilation, stride = each(config.get("dilation_rate", 1), 2), each(config.get("strides", 1), 2)
    windows = [(size - 1) * d + 1 for size, d in zip((rows, columns), dilation, strict=True)]
    x = _padded(config, x, windows, stride, 0.0)
    height, width = (
        (size - window) // step + 1
        for size, window, step in zip(x.shape[1:3], windows, stride, strict=True)
    )
    if height < 1 or width < 1:
        raise NotKnown("a kernel larger than its input")
    return [
        x[
            :,
            i * dilation[0] : i * dilation[0] + (height - 1) * stride[0] + 1 : stride[0],
            j * dilation[1] : j * dilation[1] + (width - 1) * stride[1] + 1 : stride[1],
        ]
        for i in range(rows)
        for j in range(columns)
    ]


def _padded(
    config: Mapping[str, Any], x: np.ndarray, windows: list[int], stride: Any, value: float
) -> np.ndarray:
    if config.get("padding", "valid") != "same":
        return x
    pads = []
    for size, window, step in zip(x.shape[1:3], windows, stride, strict=True):
        total = max((math.ceil(size / step) - 1) * step + window - size, 0)
        pads.append((total // 2, total - total // 2))
    if not any(map(any, pads)):
        return x
    return np.pad(x, [(0, 0), *pads, (0, 0)], constant_values=value)


def _max_pool(config: Mapping[str, Any], inputs: Arrays, weights: Arrays) -> np.ndarray:
    del weights
    config = _pooling(config)
    padded = _padded(config, inputs[0], each(config["pool_size"], 2), config["strides"], -np.inf)
    taps = _taps({**config, "padding": "valid"}, padded, *each(config["pool_size"], 2))
    made = taps[0].copy()
    for tap in taps[1:]:
        np.maximum(made, tap, out=made)
    return made


def _average_pool(config: Mapping[str, Any], inputs: Arrays, weights: Arrays) -> np.ndarray:
    del weights
    config = _pooling(config)
    rows, columns = each(config["pool_size"], 2)
    total = sum(_taps(config, inputs[0], rows, columns))
    # Where it is padded, the mean is over what is there.
    there = sum(_taps(config, np.ones_like(inputs[0][:1, ..., :1]), rows, columns))
    return np.asarray(total / there, np.float32)


def _pooling(config: Mapping[str, Any]) -> dict[str, Any]:
    strides = config.get("strides") or config["pool_size"]
    return {**config, "strides": each(strides, 2), "dilation_rate": 1}


def _dense(config: Mapping[str, Any], inputs: Arrays, weights: Arrays) -> np.ndarray:
    return _finished(config, inputs[0] @ weights[0], weights[1:])


def _finished(config: Mapping[str, Any], made: np.ndarray, biases: Arrays) -> np.ndarray:
    if biases:
        made = made + biases[0]
    return activate(config.get("activation"), made)


def _zero_padding(config: Mapping[str, Any], inputs: Arrays, weights: Arrays) -> np.ndarray:
    del weights
    padding = config["padding"]
    if isinstance(padding, int):
        padding = ((padding, padding), (padding, padding))
    elif isinstance(padding[0], int):
        padding = ((padding[0], padding[0]), (padding[1], padding[1]))
    return np.pad(inputs[0], [(0, 0), *map(tuple, padding), (0, 0)])


def _rescaling(config: Mapping[str, Any], inputs: Arrays, weights: Arrays) -> np.ndarray:
    del weights
    scale, offset = (
        np.asarray(config.get(k, d), np.float32) for k, d in (("scale", 1), ("offset", 0))
    )
    return np.asarray(inputs[0] * scale + offset, np.float32)


def normalised(config: Mapping[str, Any], x: np.ndarray, weights: Arrays) -> np.ndarray:
    """Return a BatchNormalization's output in inference."""
    weights = list(weights)
    scale = weights.pop(0) if config.get("scale", True) else 1.0
    shift = weights.pop(0) if config.get("center", True) else 0.0
    mean, variance = weights
    factor = scale / np.sqrt(variance + float(config.get("epsilon", 1e-3)))
    return np.asarray((x - mean) * factor + shift, np.float32)


def _relu(config: Mapping[str, Any], inputs: Arrays, weights: Arrays) -> np.ndarray:
    del weights
    slope = config.get("negative_slope", 0.0)
    if config.get("threshold") or np.ndim(slope):
        raise NotKnown("ReLU")
    made = np.where(inputs[0] > 0, inputs[0], float(slope or 0.0) * inputs[0])
    top = config.get("max_value")
    return made if top is None else np.minimum(made, float(top))


def _leaky(config: Mapping[str, Any], inputs: Arrays, weights: Arrays) -> np.ndarray:
    del weights
    slope = config.get("negative_slope", config.get("alpha", 0.3))
    return np.where(inputs[0] > 0, inputs[0], float(slope) * inputs[0])


def activate(activation: Any, x: np.ndarray) -> np.ndarray:
    """Return an activation of a config, by name, applied to an array.

    Parameters
    ----------
    activation
        A name, or a config with one.
    x
        Any shape.

    Returns
    -------
    numpy.ndarray
        The shape of `x`.

    Raises
    ------
    NotKnown
        For another activation.
    """
    if isinstance(activation, dict):
        activation = (activation.get("config") or {}).get("name", activation.get("class_name"))
    name = str(activation or "linear").lower()
    function = _ACTIVATIONS.get(name)
    if function is None:
        raise NotKnown(name)
    return function(x)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(x, -60, 60)))


def _erf(x: np.ndarray) -> np.ndarray:
    """Abramowitz and Stegun 7.1.26: within 1.5e-7."""
    t = 1 / (1 + 0.3275911 * abs(x))
    series = np.polyval((1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592, 0.0), t)
    return np.asarray(np.sign(x) * (1 - series * np.exp(-x * x)), np.float32)


def _softmax(x: np.ndarray) -> np.ndarray:
    made = np.exp(x - x.max(-1, keepdims=True))
    return made / made.sum(-1, keepdims=True)


_ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "tanh": lambda x: np.tanh(x),
    "sigmoid": _sigmoid,
    "softmax": _softmax,
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "selu": lambda x: 1.05070098 * np.where(x > 0, x, 1.67326324 * np.expm1(np.minimum(x, 0))),
    "swish": lambda x: x * _sigmoid(x),
    "silu": lambda x: x * _sigmoid(x),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.2 * x),
    "softplus": lambda x: np.logaddexp(0, x),
    "gelu": lambda x: x * (1 + _erf(x / np.sqrt(2))) / 2,
}


def _several(inputs: Arrays) -> Arrays:
    """Return the inputs of a layer; the operation of that name may have one, and a number."""
    if len(inputs) < 2:
        raise NotKnown("an operation of a tensor and a number")
    return inputs


def _same(config: Mapping[str, Any], inputs: Arrays, weights: Arrays) -> np.ndarray:
    del config, weights
    return inputs[0]


_RULES: dict[str, Rule] = {
    "Conv2D": _conv,
    "DepthwiseConv2D": _depthwise,
    "SeparableConv2D": _separable,
    "Dense": _dense,
    "MaxPooling2D": _max_pool,
    "AveragePooling2D": _average_pool,
    "GlobalAveragePooling2D": lambda config, inputs, _: inputs[0].mean(
        (1, 2), keepdims=bool(config.get("keepdims"))
    ),
    "GlobalMaxPooling2D": lambda config, inputs, _: inputs[0].max(
        (1, 2), keepdims=bool(config.get("keepdims"))
    ),
    "Flatten": lambda _, inputs, __: inputs[0].reshape(len(inputs[0]), -1),
    "ZeroPadding2D": _zero_padding,
    "Rescaling": _rescaling,
    "BatchNormalization": lambda config, inputs, weights: normalised(config, inputs[0], weights),
    "ReLU": _relu,
    "LeakyReLU": _leaky,
    "Softmax": lambda _, inputs, __: _softmax(inputs[0]),
    "Activation": lambda config, inputs, _: activate(config.get("activation"), inputs[0]),
    "Add": lambda _, inputs, __: np.asarray(sum(_several(inputs)), np.float32),
    "Concatenate": lambda config, inputs, _: np.concatenate(inputs, int(config.get("axis", -1))),
    "Multiply": lambda _, inputs, __: math.prod(_several(inputs)[1:], start=inputs[0]),
    **dict.fromkeys(
        (
            "Dropout",
            "SpatialDropout2D",
            "GaussianNoise",
            "GaussianDropout",
            "ActivityRegularization",
            "RandomFlip",
            "RandomRotation",
            "RandomZoom",
            "RandomTranslation",
            "RandomContrast",
            "RandomBrightness",
        ),
        _same,
    ),
}
