"""Output shapes of Keras layers, from their configs and input shapes, without Keras.

Shapes include the batch dimension; an unknown size is None inside a shape, and an unknown shape
is None. One small function per kind of layer, found by class name in a registry; configs may
come from Keras 2 or 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

Shape = tuple[int | None, ...]
Config = dict[str, Any]
Rule = Callable[[Config, list[Shape]], Shape | None]
MultiRule = Callable[[Config, list[Shape]], list[Shape] | None]

_RULES: dict[str, Rule] = {}
_MULTI_RULES: dict[str, MultiRule] = {}


def output_shapes(
    class_name: str, config: Config, inputs: Sequence[Shape | None]
) -> list[Shape | None]:
    """Infer the shapes of all outputs of one layer call.

    Parameters
    ----------
    class_name
        Keras' class name, such as ``"Conv2D"``.
    config
        The layer's own config.
    inputs
        The shapes of the tensors that it is called on.

    Returns
    -------
    list of shapes
        One entry per output tensor; ``[None]`` when the class or an input shape is not known.
    """
    known = [tuple(shape) for shape in inputs if shape is not None]
    if len(known) < len(inputs) and class_name not in _FROM_ONE_INPUT:
        return [None]
    try:
        if class_name in _MULTI_RULES:
            found = _MULTI_RULES[class_name](config, known)
            return [None] if found is None else [*found]
        if class_name in _RULES:
            return [_RULES[class_name](config, known)]
    except (ArithmeticError, AttributeError, LookupError, MemoryError, TypeError, ValueError):
        # A config that Keras itself would refuse: the shape stays unknown.
        return [None]
    return [None]


def is_known(class_name: str) -> bool:
    """Whether there is a rule for `class_name`."""
    return class_name in _RULES or class_name in _MULTI_RULES


def known_classes() -> set[str]:
    """The names of Keras' layers that there are rules for."""
    return {*_RULES, *_MULTI_RULES}


def spatial_axes(config: Config, rank: int) -> tuple[int, ...]:
    """The axes between batch and channels of a tensor that this layer puts out."""
    if config.get("data_format") == "channels_first":
        return tuple(range(2, rank))
    return tuple(range(1, rank - 1))


def channel_axis(config: Config, rank: int) -> int:
    """The channel axis of a tensor that this layer puts out."""
    return 1 if config.get("data_format") == "channels_first" else rank - 1


def _rule(*names: str) -> Callable[[Rule], Rule]:
    def register(rule: Rule) -> Rule:
        for name in names:
            _RULES[name] = rule
        return rule

    return register


def _each(value: Any, n: int) -> list[Any]:
    """A scalar or sequence setting as one value per spatial dimension."""
    values = list(value) if isinstance(value, (list, tuple)) else [value] * n
    if len(values) != n:
        raise ValueError(f"{len(values)} values for {n} dimensions")
    if not all(item is None or isinstance(item, (int, list, tuple)) for item in values):
        raise ValueError("a size that is not a whole number")
    return values


def _split(config: Config, shape: Shape) -> tuple[int | None, list[int | None], int | None]:
    axes = spatial_axes(config, len(shape))
    return shape[0], [shape[a] for a in axes], shape[channel_axis(config, len(shape))]


def _join(
    config: Config, batch: int | None, spatial: Sequence[int | None], channels: int | None
) -> Shape:
    if config.get("data_format") == "channels_first":
        return (batch, channels, *spatial)
    return (batch, *spatial, channels)


def _windowed(
    size: int | None, window: int, stride: int, dilation: int, padding: str
) -> int | None:
    """The length of one dimension after a strided window."""
    if size is None:
        return None
    if padding in ("same", "causal"):
        return -(-size // stride)
    return (size - dilation * (window - 1) - 1) // stride + 1


# --- layers that keep the shape ----------------------------------------------------------------


@_rule(
    "Activation", "ActivityRegularization", "AlphaDropout", "AutoContrast", "BatchNormalization",
    "CutMix", "Dropout", "ELU", "Equalization", "GaussianDropout", "GaussianNoise",
    "CustomScaleLayer", "GroupNormalization", "Identity", "LayerNormalization", "LayerScale",
    "LeakyReLU",
    "Masking", "Normalization", "PReLU", "RMSNormalization", "RandAugment", "RandomBrightness",
    "RandomColorDegeneration", "RandomColorJitter", "RandomContrast", "RandomElasticTransform",
    "RandomErasing", "RandomFlip", "RandomGaussianBlur", "RandomGrayscale", "RandomHue",
    "RandomInvert", "RandomPerspective", "RandomPosterization", "RandomRotation",
    "RandomSaturation", "RandomSharpness", "RandomShear", "RandomTranslation", "RandomZoom",
    "ReLU", "Rescaling", "Softmax", "Solarization", "SpatialDropout1D", "SpatialDropout2D",
    "SpatialDropout3D", "SyncBatchNormalization",
    "ThresholdedReLU", "UnitNormalization",
    # keras.ops nodes of one tensor
    "Absolute", "Cast", "Ceil", "Celu", "Clip", "Cos", "Elu", "Erf", "Exp", "Floor", "Gelu",
    "HardSigmoid", "HardSilu", "HardTanh", "Log", "LogSoftmax", "LogSigmoid", "Negative", "Relu",
    "Relu6", "Reciprocal", "Round", "Rsqrt", "Selu", "Sigmoid", "Sign", "Silu", "Sin",
    "Softplus", "Softsign", "Sqrt", "Square", "StopGradient", "Tanh",
)  # fmt: skip
def _same(config: Config, inputs: list[Shape]) -> Shape | None:
    return inputs[0]


@_rule("Lambda")
def _lambda(config: Config, inputs: list[Shape]) -> Shape:
    """What it computes is code. Without a stated shape it is taken to keep its input's."""
    stated = config.get("output_shape")
    return inputs[0] if stated is None else (inputs[0][0], *(int(size) for size in stated))


# --- convolutions ------------------------------------------------------------------------------


@_rule("Conv1D", "Conv2D", "Conv3D")
@_rule("SeparableConv1D", "SeparableConv2D", "LocallyConnected1D", "LocallyConnected2D")
def _conv(config: Config, inputs: list[Shape]) -> Shape:
    batch, spatial, _ = _split(config, inputs[0])
    return _join(config, batch, _conv_spatial(config, spatial), int(config["filters"]))


@_rule("DepthwiseConv1D", "DepthwiseConv2D")
def _depthwise(config: Config, inputs: list[Shape]) -> Shape:
    batch, spatial, channels = _split(config, inputs[0])
    multiplier = int(config.get("depth_multiplier") or 1)
    out = None if channels is None else channels * multiplier
    return _join(config, batch, _conv_spatial(config, spatial), out)


def _conv_spatial(config: Config, spatial: list[int | None]) -> list[int | None]:
    n = len(spatial)
    return [
        _windowed(size, k, s, d, config.get("padding", "valid"))
        for size, k, s, d in zip(
            spatial,
            _each(config["kernel_size"], n),
            _each(config.get("strides", 1), n),
            _each(config.get("dilation_rate", 1), n),
            strict=True,
        )
    ]


@_rule("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose")
def _conv_transpose(config: Config, inputs: list[Shape]) -> Shape:
    batch, spatial, _ = _split(config, inputs[0])
    n = len(spatial)
    extra = config.get("output_padding")
    out: list[int | None] = []
    for size, k, s, d, p in zip(
        spatial,
        _each(config["kernel_size"], n),
        _each(config.get("strides", 1), n),
        _each(config.get("dilation_rate", 1), n),
        _each(extra, n),
        strict=True,
    ):
        window = (k - 1) * d + 1
        if size is None:
            out.append(None)
        elif config.get("padding", "valid") == "same":
            pad = window // 2
            out.append(size * s if p is None else (size - 1) * s + window - 2 * pad + p)
        else:
            out.append(size * s + max(window - s, 0) if p is None else (size - 1) * s + window + p)
    return _join(config, batch, out, int(config["filters"]))


# --- pooling, padding, cropping, upsampling ----------------------------------------------------


@_rule(
    "MaxPooling1D", "MaxPooling2D", "MaxPooling3D",
    "AveragePooling1D", "AveragePooling2D", "AveragePooling3D",
)  # fmt: skip
def _pool(config: Config, inputs: list[Shape]) -> Shape:
    batch, spatial, channels = _split(config, inputs[0])
    n = len(spatial)
    windows = _each(config.get("pool_size", 2), n)
    strides = _each(config.get("strides") or windows, n)
    out = [
        _windowed(size, w, s, 1, config.get("padding", "valid"))
        for size, w, s in zip(spatial, windows, strides, strict=True)
    ]
    return _join(config, batch, out, channels)


@_rule(
    "GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAveragePooling3D",
    "GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalMaxPooling3D",
)  # fmt: skip
def _global_pool(config: Config, inputs: list[Shape]) -> Shape:
    batch, spatial, channels = _split(config, inputs[0])
    if config.get("keepdims"):
        return _join(config, batch, [1] * len(spatial), channels)
    return (batch, channels)


@_rule(
    "AdaptiveAveragePooling1D", "AdaptiveAveragePooling2D", "AdaptiveAveragePooling3D",
    "AdaptiveMaxPooling1D", "AdaptiveMaxPooling2D", "AdaptiveMaxPooling3D",
)  # fmt: skip
def _adaptive_pool(config: Config, inputs: list[Shape]) -> Shape:
    batch, spatial, channels = _split(config, inputs[0])
    return _join(config, batch, _each(config["output_size"], len(spatial)), channels)


@_rule("ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D")
def _pad(config: Config, inputs: list[Shape]) -> Shape:
    return _resized(config, inputs[0], config["padding"], +1)


@_rule("Cropping1D", "Cropping2D", "Cropping3D")
def _crop(config: Config, inputs: list[Shape]) -> Shape:
    return _resized(config, inputs[0], config["cropping"], -1)


def _resized(config: Config, shape: Shape, amounts: Any, sign: int) -> Shape:
    batch, spatial, channels = _split(config, shape)
    # 1-D layers keep one pair, the others a list of pairs.
    pairs = [amounts] if len(spatial) == 1 and isinstance(amounts, (list, tuple)) else amounts
    out = [
        None if size is None else size + sign * sum(_each(pair, 2))
        for size, pair in zip(spatial, _each(pairs, len(spatial)), strict=True)
    ]
    return _join(config, batch, out, channels)


@_rule("UpSampling1D", "UpSampling2D", "UpSampling3D")
def _upsample(config: Config, inputs: list[Shape]) -> Shape:
    batch, spatial, channels = _split(config, inputs[0])
    factors = _each(config.get("size", 2), len(spatial))
    out = [None if s is None else s * f for s, f in zip(spatial, factors, strict=True)]
    return _join(config, batch, out, channels)


@_rule("Resizing", "RandomCrop", "CenterCrop")
def _resize(config: Config, inputs: list[Shape]) -> Shape:
    shape = list(inputs[0])
    rows, columns = spatial_axes(config, len(shape))[-2:]
    if len(shape) == 3:
        rows, columns = (1, 2) if config.get("data_format") == "channels_first" else (0, 1)
    shape[rows], shape[columns] = config["height"], config["width"]
    return tuple(shape)


# --- dense, reshaping --------------------------------------------------------------------------


@_rule("Dense")
def _dense(config: Config, inputs: list[Shape]) -> Shape:
    return (*inputs[0][:-1], int(config["units"]))


@_rule("EinsumDense")
def _einsum_dense(config: Config, inputs: list[Shape]) -> Shape | None:
    left, right = config["equation"].replace(" ", "").split("->")
    source = left.split(",")[0]
    shape = inputs[0]
    sizes: dict[str, int | None] = {}
    if "..." in source:
        rest = source.replace("...", "")
        lead, shape = shape[: len(shape) - len(rest)], shape[len(shape) - len(rest) :]
        sizes.update(zip(rest, shape, strict=True))
    else:
        lead = ()
        sizes.update(zip(source, shape, strict=True))
    given = config["output_shape"]
    given = list(given) if isinstance(given, (list, tuple)) else [given]
    named = right.replace("...", "")
    sizes.update(zip(named[-len(given) :], given, strict=True))
    return (*lead, *(sizes[name] for name in named))


@_rule("Flatten")
def _flatten(config: Config, inputs: list[Shape]) -> Shape:
    return (inputs[0][0], _product(inputs[0][1:]))


@_rule("Reshape")
def _reshape(config: Config, inputs: list[Shape]) -> Shape:
    if "newshape" in config:
        # The operation states the batch, too; the layer does not.
        sizes = list(config["newshape"])
        return tuple(None if size == -1 else size for size in sizes)
    target = [int(size) for size in config["target_shape"]]
    if -1 in target:
        total, rest = _product(inputs[0][1:]), -math.prod(target)
        free = target.index(-1)
        size = None if total is None else total // rest
        return (inputs[0][0], *target[:free], size, *target[free + 1 :])
    return (inputs[0][0], *target)


@_rule("Permute")
def _permute(config: Config, inputs: list[Shape]) -> Shape:
    return (inputs[0][0], *(inputs[0][axis] for axis in config["dims"]))


@_rule("RepeatVector")
def _repeat(config: Config, inputs: list[Shape]) -> Shape:
    return (inputs[0][0], int(config["n"]), inputs[0][1])


@_rule("Embedding")
def _embedding(config: Config, inputs: list[Shape]) -> Shape:
    return (*inputs[0], int(config["output_dim"]))


def _product(sizes: Sequence[int | None]) -> int | None:
    known = [size for size in sizes if size is not None]
    return math.prod(known) if len(known) == len(sizes) else None


# --- merging -----------------------------------------------------------------------------------


@_rule(
    "Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract",
    # keras.ops nodes of two tensors, or a tensor and a constant
    "Divide", "TrueDivide", "FloorDivide", "Power", "Mod", "Equal", "NotEqual", "Greater",
    "GreaterEqual", "Less", "LessEqual", "LogicalAnd", "LogicalOr", "Where",
)  # fmt: skip
def _broadcast(config: Config, inputs: list[Shape]) -> Shape:
    rank = max(len(shape) for shape in inputs)
    out: list[int | None] = []
    for axis in range(-rank, 0):
        sizes = [shape[axis] for shape in inputs if len(shape) >= -axis]
        fixed = {size for size in sizes if size not in (1, None)}
        if len(fixed) > 1:
            raise ValueError("shapes do not broadcast")
        out.append(fixed.pop() if fixed else None if None in sizes else 1)
    return tuple(out)


@_rule("Concatenate")
def _concatenate(config: Config, inputs: list[Shape]) -> Shape:
    out = list(inputs[0])
    axis = config.get("axis", -1)
    sizes = [shape[axis] for shape in inputs]
    out[axis] = None if None in sizes else sum(size for size in sizes if size is not None)
    for other in inputs[1:]:
        for i, size in enumerate(other):
            if out[i] is None and i != axis % len(out):
                out[i] = size
    return tuple(out)


@_rule("Dot")
def _dot(config: Config, inputs: list[Shape]) -> Shape:
    first, second = list(inputs[0]), list(inputs[1])
    axes = config["axes"]
    a, b = axes if isinstance(axes, (list, tuple)) else (axes, axes)
    del first[a], second[b]
    out = (*first, *second[1:])
    return out if len(out) > 1 else (*out, 1)


# --- keras.ops nodes that move or remove axes --------------------------------------------------


@_rule("Amax", "Amin", "Max", "Mean", "Min", "Prod", "Std", "Sum", "Var")
def _reduce(config: Config, inputs: list[Shape]) -> Shape:
    shape, axes = inputs[0], config.get("axis")
    if axes is None:
        axes = list(range(len(shape)))
    gone = {axis % len(shape) for axis in (axes if isinstance(axes, (list, tuple)) else [axes])}
    if config.get("keepdims"):
        return tuple(1 if i in gone else size for i, size in enumerate(shape))
    return tuple(size for i, size in enumerate(shape) if i not in gone)


@_rule("Transpose")
def _transpose(config: Config, inputs: list[Shape]) -> Shape:
    shape, axes = inputs[0], config.get("axes")
    return tuple(shape[axis] for axis in (axes or reversed(range(len(shape)))))


@_rule("ExpandDims")
def _expand(config: Config, inputs: list[Shape]) -> Shape:
    shape, axes = list(inputs[0]), config["axis"]
    axes = list(axes) if isinstance(axes, (list, tuple)) else [axes]
    rank = len(shape) + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        shape.insert(axis, 1)
    return tuple(shape)


@_rule("Squeeze")
def _squeeze(config: Config, inputs: list[Shape]) -> Shape:
    shape, axes = inputs[0], config.get("axis")
    if axes is None:
        return tuple(size for size in shape if size != 1)
    gone = {axis % len(shape) for axis in (axes if isinstance(axes, (list, tuple)) else [axes])}
    return tuple(size for i, size in enumerate(shape) if i not in gone)


@_rule("Stack")
def _stack(config: Config, inputs: list[Shape]) -> Shape:
    shape = list(inputs[0])
    axis = config.get("axis", 0)
    shape.insert(axis if axis >= 0 else len(shape) + 1 + axis, len(inputs))
    return tuple(shape)


@_rule("GetItem")
def _getitem(config: Config, inputs: list[Shape]) -> Shape:
    key = config["key"]
    if isinstance(key, dict) and key.get("class_name") == "__tuple__":
        key = key["items"]
    items = list(key) if isinstance(key, list) else [key]
    taken = sum(item is not None and not _is_ellipsis(item) for item in items)
    rest, out = list(inputs[0]), []
    for item in items:
        if _is_ellipsis(item):
            keep = len(rest) - taken
            out += rest[:keep]
            del rest[:keep]
        elif item is None:
            out.append(1)
        else:
            size = rest.pop(0)
            taken -= 1
            if isinstance(item, dict):
                cut = item["config"]
                bounds = slice(cut["start"], cut["stop"], cut["step"])
                out.append(None if size is None else len(range(*bounds.indices(size))))
    return (*out, *rest)


def _is_ellipsis(item: Any) -> bool:
    return isinstance(item, dict) and item.get("class_name") == "__ellipsis__"


# --- recurrent ---------------------------------------------------------------------------------


def _state_shapes(class_name: str, config: Config, batch: int | None) -> list[Shape]:
    state = (batch, int(config["units"]))
    return [state, state] if class_name == "LSTM" else [state]


def _recurrent(class_name: str) -> MultiRule:
    def rule(config: Config, inputs: list[Shape]) -> list[Shape]:
        batch, steps, units = inputs[0][0], inputs[0][1], int(config["units"])
        out = (batch, steps, units) if config.get("return_sequences") else (batch, units)
        states = _state_shapes(class_name, config, batch) if config.get("return_state") else []
        return [out, *states]

    return rule


for _name in ("LSTM", "GRU", "SimpleRNN"):
    _MULTI_RULES[_name] = _recurrent(_name)
_MULTI_RULES["CuDNNLSTM"] = _MULTI_RULES["LSTM"]
_MULTI_RULES["CuDNNGRU"] = _MULTI_RULES["GRU"]


def rnn_cells(config: Config) -> list[Config]:
    """The serialised cells of an ``RNN`` layer, first to last."""
    cell = config["cell"]
    if isinstance(cell, list):
        return cell
    return list(cell["config"]["cells"]) if "cells" in cell["config"] else [cell]


@_rule("RNN")
def _rnn(config: Config, inputs: list[Shape]) -> Shape | None:
    units = int(rnn_cells(config)[-1]["config"]["units"])
    if config.get("return_state"):
        return None
    steps = (inputs[0][1],) if config.get("return_sequences") else ()
    return (inputs[0][0], *steps, units)


@_rule("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")
def _conv_lstm(config: Config, inputs: list[Shape]) -> Shape:
    frame = (inputs[0][0], *inputs[0][2:])
    batch, spatial, _ = _split(config, frame)
    out = _join(config, batch, _conv_spatial(config, spatial), int(config["filters"]))
    return (batch, inputs[0][1], *out[1:]) if config.get("return_sequences") else out


def _bidirectional(config: Config, inputs: list[Shape]) -> list[Shape] | None:
    inner = config["layer"]
    shapes = output_shapes(inner["class_name"], inner["config"], inputs[:1])
    if shapes[0] is None:
        return None
    out, states = shapes[0], [shape for shape in shapes[1:] if shape is not None]
    mode = config.get("merge_mode", "concat")
    if mode is None:
        return [out, out, *states, *states]
    if mode == "concat":
        out = (*out[:-1], None if out[-1] is None else 2 * out[-1])
    return [out, *states, *states]


def _time_distributed(config: Config, inputs: list[Shape]) -> list[Shape] | None:
    inner = config["layer"]
    frame = (inputs[0][0], *inputs[0][2:])
    shapes = wrapped_output_shapes(inner, frame)
    if any(shape is None for shape in shapes):
        return None
    return [(shape[0], inputs[0][1], *shape[1:]) for shape in shapes if shape is not None]


def wrapped_output_shapes(layer: Config, shape: Shape) -> list[Shape | None]:
    """The output shapes of a serialised layer, or whole model, called on one tensor."""
    if "layers" in layer["config"]:
        from kvis_cli.models.graph.architecture import Architecture

        inner = Architecture.from_config(layer, input_shapes=[shape])
        return [output.shape for output in inner.outputs]
    return output_shapes(layer["class_name"], layer["config"], [shape])


def _spectral(config: Config, inputs: list[Shape]) -> list[Shape] | None:
    shapes = wrapped_output_shapes(config["layer"], inputs[0])
    return [shape for shape in shapes if shape is not None] or None


_MULTI_RULES["Bidirectional"] = _bidirectional
_MULTI_RULES["TimeDistributed"] = _time_distributed
_MULTI_RULES["SpectralNormalization"] = _spectral


# --- attention ---------------------------------------------------------------------------------


@_rule("MultiHeadAttention")
def _multi_head_attention(config: Config, inputs: list[Shape]) -> Shape:
    out = config.get("output_shape")
    if out is None:
        return inputs[0]
    rank = len(config.get("attention_axes") or [1])
    sizes = out if isinstance(out, (list, tuple)) else [out]
    return (*inputs[0][: 1 + rank], *sizes)


@_rule("GroupedQueryAttention", "GroupQueryAttention")
def _grouped_attention(config: Config, inputs: list[Shape]) -> Shape:
    return inputs[0]


@_rule("Attention", "AdditiveAttention")
def _attention(config: Config, inputs: list[Shape]) -> Shape:
    return (*inputs[0][:-1], inputs[1][-1])


@_rule("CategoryEncoding", "Hashing", "Discretization", "IntegerLookup", "StringLookup")
def _preprocessing(config: Config, inputs: list[Shape]) -> Shape | None:
    if config.get("output_mode", "int") == "int":
        return inputs[0]
    tokens = config.get("num_tokens") or config.get("max_tokens")
    return None if tokens is None else (*inputs[0][:-1], int(tokens))


@_rule("TextVectorization")
def _text_vectorization(config: Config, inputs: list[Shape]) -> Shape:
    if config.get("output_mode", "int") == "int":
        return (inputs[0][0], config.get("output_sequence_length"))
    return (inputs[0][0], config.get("max_tokens"))


# Their output depends on the first tensor alone, so masks and states may be unknown.
_FROM_ONE_INPUT = {"LSTM", "GRU", "SimpleRNN", "Bidirectional", "TimeDistributed"}
