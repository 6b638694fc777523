"""Pooling, padding, cropping, upsampling, resizing."""

from __future__ import annotations

from typing import Any

from kvis_cli.models.graph.layers.rules import Config, Shape, dimensions, role, shape_rule
from kvis_cli.models.graph.layers.sizes import each, join, spatial_axes, split, windowed


@shape_rule(
    "MaxPooling1D", "MaxPooling2D", "MaxPooling3D",
    "AveragePooling1D", "AveragePooling2D", "AveragePooling3D",
)  # fmt: skip
def _pool_shape(config: Config, inputs: list[Shape]) -> Shape:
    batch, spatial, channels = split(config, inputs[0])
    n = len(spatial)
    windows = each(config.get("pool_size", 2), n)
    strides = each(config.get("strides") or windows, n)
    out = [
        windowed(size, w, s, 1, config.get("padding", "valid"))
        for size, w, s in zip(spatial, windows, strides, strict=True)
    ]
    return join(config, batch, out, channels)


@shape_rule(
    "GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAveragePooling3D",
    "GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalMaxPooling3D",
)  # fmt: skip
def _global_pool_shape(config: Config, inputs: list[Shape]) -> Shape:
    batch, spatial, channels = split(config, inputs[0])
    if config.get("keepdims"):
        return join(config, batch, [1] * len(spatial), channels)
    return (batch, channels)


@shape_rule(
    "AdaptiveAveragePooling1D", "AdaptiveAveragePooling2D", "AdaptiveAveragePooling3D",
    "AdaptiveMaxPooling1D", "AdaptiveMaxPooling2D", "AdaptiveMaxPooling3D",
)  # fmt: skip
def _adaptive_pool_shape(config: Config, inputs: list[Shape]) -> Shape:
    batch, spatial, channels = split(config, inputs[0])
    return join(config, batch, each(config["output_size"], len(spatial)), channels)


@shape_rule("ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D")
def _pad_shape(config: Config, inputs: list[Shape]) -> Shape:
    return _resized(config, inputs[0], config["padding"], +1)


@shape_rule("Cropping1D", "Cropping2D", "Cropping3D")
def _crop_shape(config: Config, inputs: list[Shape]) -> Shape:
    return _resized(config, inputs[0], config["cropping"], -1)


def _resized(config: Config, shape: Shape, amounts: Any, sign: int) -> Shape:
    batch, spatial, channels = split(config, shape)
    # 1-D layers keep one pair, the others a list of pairs.
    pairs = [amounts] if len(spatial) == 1 and isinstance(amounts, (list, tuple)) else amounts
    out = [
        None if size is None else size + sign * sum(each(pair, 2))
        for size, pair in zip(spatial, each(pairs, len(spatial)), strict=True)
    ]
    return join(config, batch, out, channels)


@shape_rule("UpSampling1D", "UpSampling2D", "UpSampling3D")
def _upsample_shape(config: Config, inputs: list[Shape]) -> Shape:
    batch, spatial, channels = split(config, inputs[0])
    factors = each(config.get("size", 2), len(spatial))
    out = [None if s is None else s * f for s, f in zip(spatial, factors, strict=True)]
    return join(config, batch, out, channels)


@shape_rule("Resizing", "RandomCrop", "CenterCrop")
def _resize_shape(config: Config, inputs: list[Shape]) -> Shape:
    shape = list(inputs[0])
    rows, columns = spatial_axes(config, len(shape))[-2:]
    if len(shape) == 3:
        rows, columns = (1, 2) if config.get("data_format") == "channels_first" else (0, 1)
    shape[rows], shape[columns] = config["height"], config["width"]
    return tuple(shape)


role(
    "passive",
    *dimensions(
        "AdaptiveAveragePooling",
        "AdaptiveMaxPooling",
        "AveragePooling",
        "Cropping",
        "GlobalAveragePooling",
        "GlobalMaxPooling",
        "MaxPooling",
        "UpSampling",
        "ZeroPadding",
    ),
)
role("preparing", "CenterCrop", "Resizing")
role("in_front", "CenterCrop", "Cropping2D", "Resizing", "ZeroPadding2D")
