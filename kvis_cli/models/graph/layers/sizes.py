"""Sizes that the rules of several families compute."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from kvis_cli.models.graph.layers.rules import Config, Shape


def spatial_axes(config: Config, rank: int) -> tuple[int, ...]:
    """Return the axes between batch and channels of a tensor that this layer puts out."""
    if config.get("data_format") == "channels_first":
        return tuple(range(2, rank))
    return tuple(range(1, rank - 1))


def channel_axis(config: Config, rank: int) -> int:
    """Return the channel axis of a tensor that this layer puts out."""
    return 1 if config.get("data_format") == "channels_first" else rank - 1


def each(value: Any, n: int) -> list[Any]:
    """Return a scalar or sequence setting as one value per spatial dimension."""
    values = list(value) if isinstance(value, (list, tuple)) else [value] * n
    if len(values) != n:
        raise ValueError(f"{len(values)} values for {n} dimensions")
    if not all(item is None or isinstance(item, (int, list, tuple)) for item in values):
        raise ValueError("a size that is not a whole number")
    return values


def split(config: Config, shape: Shape) -> tuple[int | None, list[int | None], int | None]:
    """Return a shape as batch, spatial sizes and channels."""
    axes = spatial_axes(config, len(shape))
    return shape[0], [shape[a] for a in axes], shape[channel_axis(config, len(shape))]


def join(
    config: Config, batch: int | None, spatial: Sequence[int | None], channels: int | None
) -> Shape:
    """Return the inverse of `split`."""
    if config.get("data_format") == "channels_first":
        return (batch, channels, *spatial)
    return (batch, *spatial, channels)


def windowed(size: int | None, window: int, stride: int, dilation: int, padding: str) -> int | None:
    """Return the length of one dimension after a strided window."""
    if size is None:
        return None
    if padding in ("same", "causal"):
        return -(-size // stride)
    return (size - dilation * (window - 1) - 1) // stride + 1


def product(sizes: Sequence[int | None]) -> int | None:
    """Return the product, None when a size is unknown."""
    known_sizes = [size for size in sizes if size is not None]
    return math.prod(known_sizes) if len(known_sizes) == len(sizes) else None


def known(value: int | None) -> int:
    """Return a size that has to be known; ValueError where it is not."""
    if value is None:
        raise ValueError("unknown size")
    return value


def channels(config: Config, shape: Shape) -> int:
    """Return the number of channels of a shape."""
    return known(shape[channel_axis(config, len(shape))])


def kernel_volume(config: Config, rank: int) -> int:
    """Return the number of positions that a kernel covers."""
    size = config["kernel_size"]
    sizes = size if isinstance(size, (list, tuple)) else [size] * (rank - 2)
    # A string among them would be repeated, not multiplied.
    return math.prod(int(length) for length in sizes)


def bias_size(config: Config, units: int) -> int:
    """Return the number of biases of a layer with `units` outputs."""
    return units if config.get("use_bias", True) else 0
