"""Gaussian smoothing of maps, and blurring of inputs while a function is traced."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kvis_cli.lazy import np, tf


def gaussian_matrix(length: int, sigma: float) -> np.ndarray:
    """Return the smoothing along one axis as a float32 matrix ``(length, length)``.

    Rows add up to 1: at the border the kernel is cut and scaled, so that a constant stays one.

    Parameters
    ----------
    length
        Of the axis.
    sigma
        Standard deviation in cells.

    Returns
    -------
    numpy.ndarray
        float32 ``(length, length)``; row i are the weights of the smoothed position i.

    Examples
    --------
    >>> matrix = gaussian_matrix(5, 1.0)
    >>> matrix.sum(1).round(6).tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0]
    """
    at = np.arange(length)
    weights = np.exp(-0.5 * ((at[:, None] - at[None, :]) / max(sigma, 1e-6)) ** 2)
    return np.asarray(weights / weights.sum(1, keepdims=True), np.float32)


def smooth(maps: np.ndarray, sigma: float, axes: tuple[int, ...]) -> np.ndarray:
    """Smooth `maps` by a Gaussian of `sigma` cells along `axes`.

    Parameters
    ----------
    maps
        Any shape.
    sigma
        Standard deviation in cells.
    axes
        The axes that are smoothed.

    Returns
    -------
    numpy.ndarray
        float32 of the shape of `maps`.

    Examples
    --------
    >>> smooth(np.ones((3, 4), np.float32), 1.0, (0, 1)).round(6).tolist()[0]
    [1.0, 1.0, 1.0, 1.0]
    """
    for axis in axes:
        matrix = gaussian_matrix(maps.shape[axis], sigma)
        maps = np.moveaxis(np.moveaxis(maps, axis, -1) @ matrix.T, -1, axis)
    return np.asarray(maps, np.float32)


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

    Returns
    -------
    list of tf.Tensor
        float32 ``(s, length, length)`` each; a row is the weights of one blurred position.
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


def spatial_shape(shape: Any, channel_axis: int | None) -> tuple[int, ...]:
    """Return the shape of an input without its batch and channel axes."""
    return tuple(int(shape[axis]) for axis in spatial_axes(len(shape), channel_axis))


def spatial_axes(rank: int, channel_axis: int | None) -> list[int]:
    """Return the axes of an input of `rank` dimensions that are neither batch nor channels."""
    channel = None if channel_axis is None else channel_axis % rank
    return [axis for axis in range(1, rank) if axis != channel]
