"""Convolutions."""

from __future__ import annotations

import math

from kvis_cli.models.graph.layers.rules import (
    Config,
    Shape,
    dimensions,
    output_shapes,
    parameter_rule,
    role,
    shape_rule,
)
from kvis_cli.models.graph.layers.sizes import (
    bias_size,
    channels,
    each,
    join,
    kernel_volume,
    known,
    split,
    windowed,
)


@shape_rule("Conv1D", "Conv2D", "Conv3D")
@shape_rule("SeparableConv1D", "SeparableConv2D", "LocallyConnected1D", "LocallyConnected2D")
def _conv_shape(config: Config, inputs: list[Shape]) -> Shape:
    batch, spatial, _ = split(config, inputs[0])
    return join(config, batch, windowed_space(config, spatial), int(config["filters"]))


@shape_rule("DepthwiseConv1D", "DepthwiseConv2D")
def _depthwise_shape(config: Config, inputs: list[Shape]) -> Shape:
    batch, spatial, channels = split(config, inputs[0])
    multiplier = int(config.get("depth_multiplier") or 1)
    out = None if channels is None else channels * multiplier
    return join(config, batch, windowed_space(config, spatial), out)


def windowed_space(config: Config, spatial: list[int | None]) -> list[int | None]:
    """Return the spatial sizes behind a convolution."""
    n = len(spatial)
    return [
        windowed(size, k, s, d, config.get("padding", "valid"))
        for size, k, s, d in zip(
            spatial,
            each(config["kernel_size"], n),
            each(config.get("strides", 1), n),
            each(config.get("dilation_rate", 1), n),
            strict=True,
        )
    ]


@shape_rule("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose")
def _conv_transpose_shape(config: Config, inputs: list[Shape]) -> Shape:
    batch, spatial, _ = split(config, inputs[0])
    n = len(spatial)
    extra = config.get("output_padding")
    out: list[int | None] = []
    for size, k, s, d, p in zip(
        spatial,
        each(config["kernel_size"], n),
        each(config.get("strides", 1), n),
        each(config.get("dilation_rate", 1), n),
        each(extra, n),
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
    return join(config, batch, out, int(config["filters"]))


@parameter_rule(
    "Conv1D", "Conv2D", "Conv3D", "Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"
)
def _conv_parameters(config: Config, inputs: list[Shape]) -> int:
    filters = int(config["filters"])
    per_filter = channels(config, inputs[0]) // int(config.get("groups") or 1)
    return kernel_volume(config, len(inputs[0])) * per_filter * filters + bias_size(config, filters)


@parameter_rule("DepthwiseConv1D", "DepthwiseConv2D")
def _depthwise_parameters(config: Config, inputs: list[Shape]) -> int:
    out = channels(config, inputs[0]) * int(config.get("depth_multiplier") or 1)
    return kernel_volume(config, len(inputs[0])) * out + bias_size(config, out)


@parameter_rule("SeparableConv1D", "SeparableConv2D")
def _separable_parameters(config: Config, inputs: list[Shape]) -> int:
    out = channels(config, inputs[0]) * int(config.get("depth_multiplier") or 1)
    filters = int(config["filters"])
    return kernel_volume(config, len(inputs[0])) * out + out * filters + bias_size(config, filters)


@parameter_rule("LocallyConnected1D", "LocallyConnected2D")
def _locally_connected_parameters(config: Config, inputs: list[Shape]) -> int:
    out = output_shapes("LocallyConnected2D", config, inputs)[0]
    if out is None:
        raise ValueError("unknown output shape")
    # A kernel, and a bias, for every position.
    outputs = math.prod(known(size) for size in out[1:])
    window = kernel_volume(config, len(inputs[0])) * channels(config, inputs[0])
    return outputs * window + bias_size(config, outputs)


role(
    "feature",
    *dimensions("Conv", "Conv_Transpose", "DepthwiseConv", "LocallyConnected", "SeparableConv"),
)
