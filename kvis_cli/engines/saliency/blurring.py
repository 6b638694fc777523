"""Blurring of inputs while a function is traced."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kvis_cli.engines.saliency.layout import spatial_axes
from kvis_cli.engines.saliency.smoothing import gaussian_matrix
from kvis_cli.lazy import np, tf


def blur_matrices(shape: Any, shares: Sequence[float] | np.ndarray, axis: int | None) -> list[Any]:
    """Per spatial axis of inputs of `shape` the blurs ``(s, length, length)``.

    Parameters
    ----------
    shape
        With its batch axis.
    shares
        Standard deviations as shares of the axis' length.
    axis
        The channel axis, which is left alone.
    """
    return [
        tf.constant(np.stack([gaussian_matrix(shape[a], s * shape[a]) for s in shares]))
        for a in spatial_axes(len(shape), axis)
    ]


def blurred(inputs: Any, matrices: list[Any], axis: int | None) -> Any:
    """``(B, s, …)``: each input with each blur; `axis` as for `blur_matrices`."""
    names = "abcdefg"[: len(inputs.shape) - 1]
    points = tf.repeat(inputs[:, tf.newaxis], matrices[0].shape[0], axis=1)
    for at, matrix in zip(spatial_axes(len(inputs.shape), axis), matrices, strict=True):
        old = names[at - 1]
        points = tf.einsum(f"zs{names},sy{old}->zs{names.replace(old, 'y')}", points, matrix)
    return points
