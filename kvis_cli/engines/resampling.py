"""Bilinear enlarging."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def enlarged(maps: Any, size: Any, repeat: int = 1) -> Any:
    """Resize maps ``(C, *space)``, linear with half-pixel centres, borders repeated.

    As one matrix product per axis, the last axis first while the maps are still small. `repeat`
    gives every position of the last axis that many times.
    """
    rank = maps.shape.rank - 1
    for axis in range(rank, 0, -1):
        matrix = _interpolation(tf.shape(maps)[axis], size[axis - 1])
        if axis == rank:
            matrix = tf.repeat(matrix, repeat, axis=0)
            maps = tf.tensordot(maps, matrix, [[axis], [1]])
        elif axis == rank - 1:
            maps = tf.matmul(matrix, maps)
        else:
            turned = tf.tensordot(maps, matrix, [[axis], [1]])
            order = [*range(axis), rank, *range(axis, rank)]
            maps = tf.transpose(turned, order)
    return maps


def _interpolation(count: Any, wanted: Any) -> Any:
    """``(wanted, count)``: what each of `count` cells gives to each of `wanted` positions."""
    before, after = tf.cast(count, tf.float32), tf.cast(wanted, tf.float32)
    centres = (tf.range(after) + 0.5) * before / after - 0.5
    centres = tf.clip_by_value(centres, 0.0, before - 1.0)
    return tf.nn.relu(1.0 - tf.abs(centres[:, tf.newaxis] - tf.range(before)))
