"""Gaussian smoothing of maps and inputs."""

from __future__ import annotations

from kvis_cli.lazy import np


def gaussian_matrix(length: int, sigma: float) -> np.ndarray:
    """The smoothing along one axis as a float32 matrix ``(length, length)``.

    Rows add up to 1: at the border the kernel is cut and scaled, so that a constant stays one.
    """
    at = np.arange(length)
    weights = np.exp(-0.5 * ((at[:, None] - at[None, :]) / max(sigma, 1e-6)) ** 2)
    return np.asarray(weights / weights.sum(1, keepdims=True), np.float32)


def smooth(maps: np.ndarray, sigma: float, axes: tuple[int, ...]) -> np.ndarray:
    """`maps` smoothed by a Gaussian of `sigma` cells along `axes`."""
    for axis in axes:
        matrix = gaussian_matrix(maps.shape[axis], sigma)
        maps = np.moveaxis(np.moveaxis(maps, axis, -1) @ matrix.T, -1, axis)
    return np.asarray(maps, np.float32)
