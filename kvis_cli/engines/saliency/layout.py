"""Which axes of an input are places."""

from __future__ import annotations

from typing import Any


def spatial_shape(shape: Any, channel_axis: int | None) -> tuple[int, ...]:
    """The shape of an input without its batch and channel axes."""
    return tuple(int(shape[axis]) for axis in spatial_axes(len(shape), channel_axis))


def spatial_axes(rank: int, channel_axis: int | None) -> list[int]:
    """The axes of an input of `rank` dimensions that are neither batch nor channels."""
    channel = None if channel_axis is None else channel_axis % rank
    return [axis for axis in range(1, rank) if axis != channel]
