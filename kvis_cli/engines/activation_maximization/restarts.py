"""Start pictures and a backward rule for filters that respond to no start picture."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

if TYPE_CHECKING:
    from kvis_cli.engines.activation_maximization.input_space import InputSpace
    from kvis_cli.models.live.reader import ModelReader, Tap

# Photos: about the covariance of red, green and blue in the unit range.
_COLOURS = 0.06 * np.array([[1.0, 0.93, 0.85], [0.93, 1.0, 0.93], [0.85, 0.93, 1.0]])
_NOISES = 24
_ANGLES = 8


def through_the_silent(local: Any, gradient: Any) -> Any:
    """Let a fifth of the gradient through rectifiers that do not respond.

    A filter that is silent for a picture, or a unit before it, has no gradient to start along.
    """
    return 0.8 * local(gradient) + 0.2 * gradient


def probes(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Pictures of many kinds: flat colours, edges and bars, noise like photos.

    Parameters
    ----------
    shape
        ``(H, W, C)`` of one picture.
    rng
        Of the noise.

    Returns
    -------
    numpy.ndarray
        float32 ``(N, H, W, C)`` in the unit range; the same N for every shape.
    """
    height, width, channels = shape
    pictures = [np.broadcast_to(_tuned(c, channels), shape) for c in product((0, 0.5, 1), repeat=3)]
    rows, columns = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    pairs = [((0, 0, 0), (1, 1, 1)), ((1, 0, 0), (0, 1, 1)), ((0, 0, 1), (1, 1, 0))]
    for number in range(_ANGLES):
        angle = 2 * np.pi * number / _ANGLES
        across = columns * np.cos(angle) + rows * np.sin(angle)
        for pattern in (across > 0, np.abs(across) < 0.15, np.sin(16 * across) > 0):
            for low, high in pairs:
                edge = np.where(pattern[..., None], _tuned(high, channels), _tuned(low, channels))
                pictures.append(edge)
    pictures += [_photo_like(shape, rng) for _ in range(_NOISES)]
    return np.stack(pictures).astype(np.float32)


def _tuned(colour: tuple[float, ...], channels: int) -> np.ndarray:
    """Return a colour for pictures of any number of channels."""
    values = np.array(colour)
    return values if channels == 3 else np.resize(values, channels)


def _photo_like(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Noise with the 1/f spectrum of photos and colours that vary together as theirs do."""
    height, width, channels = shape
    radius = np.hypot(*np.meshgrid(np.fft.fftfreq(height), np.fft.fftfreq(width), indexing="ij"))
    falling = 1 / np.maximum(radius, 1 / max(height, width))
    planes = []
    for _ in range(max(3, channels)):
        plane = np.fft.ifft2(np.fft.fft2(rng.standard_normal((height, width))) * falling).real
        planes.append(plane / (plane.std() + 1e-12))
    colours = np.stack(planes, -1)
    colours[..., :3] = colours[..., :3] @ np.linalg.cholesky(_COLOURS).T
    colours[..., 3:] *= np.sqrt(_COLOURS[0, 0])
    return np.clip(0.5 + rng.normal(0, 0.15) + colours[..., :channels], 0, 1)


def responses(
    reader: ModelReader,
    tap: Tap,
    space: InputSpace,
    images: np.ndarray,
    *,
    channels_first: bool = False,
    batch_size: int = 16,
) -> np.ndarray:
    """Return the mean activation of every channel of a layer for every picture.

    Parameters
    ----------
    reader
        The model.
    tap
        The layer call whose channels are measured.
    space
        From the unit range to model inputs.
    images
        float32 ``(N, H, W, C)`` in the unit range.
    channels_first
        Whether the layer's maps are ``(B, K, *space)``.
    batch_size
        Pictures at once.

    Returns
    -------
    numpy.ndarray
        float32 ``(N, K)``.
    """

    @tf.function(autograph=False)
    def respond(batch: Any) -> Any:
        maps = reader.forward(space.to_inputs(batch), [tap], stop=True).taps[0]
        rank = maps.shape.rank
        axes = list(range(2, rank)) if channels_first else list(range(1, rank - 1))
        return tf.reduce_mean(tf.cast(maps, tf.float32), axis=axes)

    found = []
    for start in range(0, len(images), batch_size):
        part = images[start : start + batch_size]
        missing = min(batch_size, len(images)) - len(part)
        filled = np.concatenate([part, part[-1:].repeat(missing, 0)]) if missing > 0 else part
        found.append(respond(tf.constant(filled)).numpy()[: len(part)])
    return np.concatenate(found)
