"""Recurrent layers."""

from __future__ import annotations

from kvis_cli.models.graph.layers.convolution import windowed_space
from kvis_cli.models.graph.layers.rules import (
    Config,
    Infer,
    Shape,
    count_parameters,
    dimensions,
    parameter_rule,
    role,
    shape_rule,
    shapes_rule,
)
from kvis_cli.models.graph.layers.sizes import (
    bias_size,
    channels,
    join,
    kernel_volume,
    known,
    split,
)


@shapes_rule("SimpleRNN", "GRU", "CuDNNGRU")
def _recurrent_shapes(config: Config, inputs: list[Shape], infer: Infer) -> list[Shape]:
    return _with_states(config, inputs[0], 1)


@shapes_rule("LSTM", "CuDNNLSTM")
def _lstm_shapes(config: Config, inputs: list[Shape], infer: Infer) -> list[Shape]:
    return _with_states(config, inputs[0], 2)


def _with_states(config: Config, shape: Shape, states: int) -> list[Shape]:
    batch, steps, units = shape[0], shape[1], int(config["units"])
    out = (batch, steps, units) if config.get("return_sequences") else (batch, units)
    return [out, *([(batch, units)] * states if config.get("return_state") else [])]


def rnn_cells(config: Config) -> list[Config]:
    """Return the serialised cells of an ``RNN`` layer, first to last."""
    cell = config["cell"]
    if isinstance(cell, list):
        return cell
    return list(cell["config"]["cells"]) if "cells" in cell["config"] else [cell]


@shape_rule("RNN")
def _rnn_shape(config: Config, inputs: list[Shape]) -> Shape | None:
    units = int(rnn_cells(config)[-1]["config"]["units"])
    if config.get("return_state"):
        return None
    steps = (inputs[0][1],) if config.get("return_sequences") else ()
    return (inputs[0][0], *steps, units)


@shape_rule("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")
def _conv_lstm_shape(config: Config, inputs: list[Shape]) -> Shape:
    frame = (inputs[0][0], *inputs[0][2:])
    batch, spatial, _ = split(config, frame)
    out = join(config, batch, windowed_space(config, spatial), int(config["filters"]))
    return (batch, inputs[0][1], *out[1:]) if config.get("return_sequences") else out


@parameter_rule("LSTM")
def _lstm_parameters(config: Config, inputs: list[Shape]) -> int:
    units = int(config["units"])
    return 4 * (units * (known(inputs[0][-1]) + units) + bias_size(config, units))


@parameter_rule("CuDNNLSTM")
def _cudnn_lstm_parameters(config: Config, inputs: list[Shape]) -> int:
    return _lstm_parameters(config, inputs) + 4 * int(config["units"])


@parameter_rule("GRU")
def _gru_parameters(config: Config, inputs: list[Shape]) -> int:
    units = int(config["units"])
    # With reset_after the recurrent kernel has a bias of its own.
    biases = 2 if config.get("reset_after", True) else 1
    return 3 * (units * (known(inputs[0][-1]) + units) + biases * bias_size(config, units))


@parameter_rule("SimpleRNN")
def _simple_rnn_parameters(config: Config, inputs: list[Shape]) -> int:
    units = int(config["units"])
    return units * (known(inputs[0][-1]) + units) + bias_size(config, units)


@parameter_rule("RNN")
def _rnn_parameters(config: Config, inputs: list[Shape]) -> int:
    total, size = 0, inputs[0][-1]
    for cell in rnn_cells(config):
        name = cell["class_name"].removesuffix("Cell")
        total += known(count_parameters(name, cell["config"], [(None, None, size)]))
        size = int(cell["config"]["units"])
    return total


@parameter_rule("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")
def _conv_lstm_parameters(config: Config, inputs: list[Shape]) -> int:
    frame = (inputs[0][0], *inputs[0][2:])
    filters = int(config["filters"])
    volume = kernel_volume(config, len(frame))
    return 4 * (volume * filters * (channels(config, frame) + filters) + bias_size(config, filters))


role("feature", *dimensions("ConvLSTM"), "GRU", "LSTM", "RNN", "SimpleRNN")
