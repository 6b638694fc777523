"""Parameter counts of Keras layers, from their configs and input shapes, without Keras."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from kvis_cli.models.graph.shapes import (
    Config,
    Shape,
    channel_axis,
    is_known,
    output_shapes,
    rnn_cells,
)

Counter = Callable[[Config, list[Shape]], int]

_COUNTERS: dict[str, Counter] = {}


def count_parameters(class_name: str, config: Config, inputs: Sequence[Shape | None]) -> int | None:
    """Count the weights of one layer, trained or not.

    Returns
    -------
    int or None
        None when the class is not one of Keras', or a size that it needs is unknown.
    """
    counter = _COUNTERS.get(class_name)
    if counter is None:
        return 0 if is_known(class_name) or class_name == "InputLayer" else None
    known = [shape for shape in inputs if shape is not None]
    try:
        return int(counter(config, known))
    except (ArithmeticError, AttributeError, LookupError, MemoryError, TypeError, ValueError):
        return None


def _counts(*names: str) -> Callable[[Counter], Counter]:
    def register(counter: Counter) -> Counter:
        for name in names:
            _COUNTERS[name] = counter
        return counter

    return register


def _size(value: int | None) -> int:
    if value is None:
        raise ValueError("unknown size")
    return value


def _channels(config: Config, shape: Shape) -> int:
    return _size(shape[channel_axis(config, len(shape))])


def _volume(config: Config, rank: int) -> int:
    size = config["kernel_size"]
    sizes = size if isinstance(size, (list, tuple)) else [size] * (rank - 2)
    # A string among them would be repeated, not multiplied.
    return math.prod(int(length) for length in sizes)


def _bias(config: Config, units: int) -> int:
    return units if config.get("use_bias", True) else 0


@_counts("Conv1D", "Conv2D", "Conv3D", "Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose")
def _conv(config: Config, inputs: list[Shape]) -> int:
    filters = int(config["filters"])
    per_filter = _channels(config, inputs[0]) // int(config.get("groups") or 1)
    return _volume(config, len(inputs[0])) * per_filter * filters + _bias(config, filters)


@_counts("DepthwiseConv1D", "DepthwiseConv2D")
def _depthwise(config: Config, inputs: list[Shape]) -> int:
    out = _channels(config, inputs[0]) * int(config.get("depth_multiplier") or 1)
    return _volume(config, len(inputs[0])) * out + _bias(config, out)


@_counts("SeparableConv1D", "SeparableConv2D")
def _separable(config: Config, inputs: list[Shape]) -> int:
    out = _channels(config, inputs[0]) * int(config.get("depth_multiplier") or 1)
    filters = int(config["filters"])
    return _volume(config, len(inputs[0])) * out + out * filters + _bias(config, filters)


@_counts("LocallyConnected1D", "LocallyConnected2D")
def _locally_connected(config: Config, inputs: list[Shape]) -> int:
    out = output_shapes("LocallyConnected2D", config, inputs)[0]
    if out is None:
        raise ValueError("unknown output shape")
    # A kernel, and a bias, for every position.
    outputs = math.prod(_size(size) for size in out[1:])
    window = _volume(config, len(inputs[0])) * _channels(config, inputs[0])
    return outputs * window + _bias(config, outputs)


@_counts("Dense")
def _dense(config: Config, inputs: list[Shape]) -> int:
    units = int(config["units"])
    return _size(inputs[0][-1]) * units + _bias(config, units)


@_counts("EinsumDense")
def _einsum_dense(config: Config, inputs: list[Shape]) -> int:
    left, right = config["equation"].replace(" ", "").split("->")
    source, kernel = left.split(",")
    out = output_shapes("EinsumDense", config, inputs)[0]
    if out is None:
        raise ValueError("unknown output shape")
    sizes: dict[str, int | None] = {}
    for names, shape in ((source, inputs[0]), (right, out)):
        names = names.replace("...", "")
        sizes.update(zip(names, shape[len(shape) - len(names) :], strict=True))
    bias = math.prod(_size(sizes[axis]) for axis in config.get("bias_axes") or "")
    return math.prod(_size(sizes[axis]) for axis in kernel) + (
        bias if config.get("bias_axes") else 0
    )


@_counts("Embedding")
def _embedding(config: Config, inputs: list[Shape]) -> int:
    return int(config["input_dim"]) * int(config["output_dim"])


def _axes_size(config: Config, shape: Shape) -> int:
    axes = config.get("axis", -1)
    axes = axes if isinstance(axes, (list, tuple)) else [axes]
    return math.prod(_size(shape[axis]) for axis in axes)


@_counts("BatchNormalization", "SyncBatchNormalization")
def _batch_normalization(config: Config, inputs: list[Shape]) -> int:
    arrays = 2 + bool(config.get("center", True)) + bool(config.get("scale", True))
    renorm = 3 if config.get("renorm") else 0
    return (arrays + renorm) * _axes_size(config, inputs[0])


@_counts("LayerNormalization")
def _layer_normalization(config: Config, inputs: list[Shape]) -> int:
    arrays = bool(config.get("center", True)) + bool(config.get("scale", True))
    return arrays * _axes_size(config, inputs[0])


@_counts("GroupNormalization")
def _group_normalization(config: Config, inputs: list[Shape]) -> int:
    return _layer_normalization(config, inputs)


@_counts("RMSNormalization")
def _rms_normalization(config: Config, inputs: list[Shape]) -> int:
    return _axes_size(config, inputs[0])


@_counts("Normalization")
def _normalization(config: Config, inputs: list[Shape]) -> int:
    if config.get("mean") is not None:
        return 0
    axes = config.get("axis", -1)
    if axes is None:
        return 3
    # Mean, variance, and how many batches they were taken over.
    return 2 * _axes_size(config, inputs[0]) + 1


@_counts("PReLU")
def _prelu(config: Config, inputs: list[Shape]) -> int:
    sizes = list(inputs[0][1:])
    for axis in config.get("shared_axes") or ():
        sizes[axis - 1] = 1
    return math.prod(_size(size) for size in sizes)


@_counts("LSTM")
def _lstm(config: Config, inputs: list[Shape]) -> int:
    units = int(config["units"])
    return 4 * (units * (_size(inputs[0][-1]) + units) + _bias(config, units))


@_counts("CuDNNLSTM")
def _cudnn_lstm(config: Config, inputs: list[Shape]) -> int:
    return _lstm(config, inputs) + 4 * int(config["units"])


@_counts("GRU")
def _gru(config: Config, inputs: list[Shape]) -> int:
    units = int(config["units"])
    # With reset_after the recurrent kernel has a bias of its own.
    biases = 2 if config.get("reset_after", True) else 1
    return 3 * (units * (_size(inputs[0][-1]) + units) + biases * _bias(config, units))


@_counts("SimpleRNN")
def _simple_rnn(config: Config, inputs: list[Shape]) -> int:
    units = int(config["units"])
    return units * (_size(inputs[0][-1]) + units) + _bias(config, units)


@_counts("RNN")
def _rnn(config: Config, inputs: list[Shape]) -> int:
    total, size = 0, inputs[0][-1]
    for cell in rnn_cells(config):
        name = cell["class_name"].removesuffix("Cell")
        total += _size(count_parameters(name, cell["config"], [(None, None, size)]))
        size = int(cell["config"]["units"])
    return total


@_counts("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")
def _conv_lstm(config: Config, inputs: list[Shape]) -> int:
    frame = (inputs[0][0], *inputs[0][2:])
    filters = int(config["filters"])
    volume = _volume(config, len(frame))
    return 4 * (volume * filters * (_channels(config, frame) + filters) + _bias(config, filters))


@_counts("Bidirectional")
def _bidirectional(config: Config, inputs: list[Shape]) -> int:
    layers = [config["layer"], config.get("backward_layer") or config["layer"]]
    return sum(_of(layer, inputs[0]) for layer in layers)


@_counts("TimeDistributed")
def _time_distributed(config: Config, inputs: list[Shape]) -> int:
    return _of(config["layer"], (inputs[0][0], *inputs[0][2:]))


@_counts("SpectralNormalization")
def _spectral(config: Config, inputs: list[Shape]) -> int:
    inner = config["layer"]
    # One power-iteration vector, as long as the kernel's last axis.
    return _of(inner, inputs[0]) + int(inner["config"].get("filters") or inner["config"]["units"])


def _of(layer: Config, shape: Shape) -> int:
    if "layers" in layer["config"]:
        from kvis_cli.models.graph.architecture import Architecture

        return _size(Architecture.from_config(layer, input_shapes=[shape]).params)
    return _size(count_parameters(layer["class_name"], layer["config"], [shape]))


@_counts("MultiHeadAttention")
def _multi_head_attention(config: Config, inputs: list[Shape]) -> int:
    query = inputs[0]
    value = inputs[1] if len(inputs) > 1 else query
    key = inputs[2] if len(inputs) > 2 else value
    heads, key_dim = int(config["num_heads"]), int(config["key_dim"])
    value_dim = int(config.get("value_dim") or key_dim)
    out = config.get("output_shape")
    if out is None:
        out_size = _size(query[-1])
    else:
        out_size = math.prod(int(n) for n in out) if isinstance(out, (list, tuple)) else int(out)
    total = 0
    for source, size in ((query, key_dim), (key, key_dim), (value, value_dim)):
        total += _size(source[-1]) * heads * size + _bias(config, heads * size)
    total += heads * value_dim * out_size + _bias(config, out_size)
    if config.get("use_gate"):
        total += _size(query[-1]) * heads * value_dim + _bias(config, heads * value_dim)
    return total


@_counts("LayerScale")
def _layer_scale(config: Config, inputs: list[Shape]) -> int:
    return int(config["projection_dim"])


@_counts("Attention", "AdditiveAttention")
def _attention(config: Config, inputs: list[Shape]) -> int:
    if "use_scale" not in config:
        return 0
    if config.get("score_mode") is None:
        return _size(inputs[0][-1]) if config["use_scale"] else 0
    return int(bool(config["use_scale"])) + int(config["score_mode"] == "concat")
