"""What a picture starts from. Each picture has its own random numbers, so batches do not matter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

SeedKind = Literal["noise", "grey", "book", "keras-vis", "spectrum"]


def generator(seed: int, *key: int) -> np.random.Generator:
    """Random numbers that belong to one picture: the run's seed and the picture's own numbers."""
    return np.random.default_rng([seed, *key])


def seed_image(
    kind: SeedKind,
    shape: Sequence[int],
    rng: np.random.Generator,
    value_range: tuple[float, float] = (0.0, 255.0),
) -> np.ndarray:
    """Return a start picture.

    Parameters
    ----------
    kind
        ``noise``: mid grey ± 0.05, normal, in the unit range; ``grey``: exactly mid grey;
        ``spectrum``: noise with the 1/f spectrum of photos, deviation 0.1;
        ``book``: uniform noise · 20 + 128, as model inputs ("Deep Learning with Python");
        ``keras-vis``: uniform noise, standardised, around the middle of `value_range` with a
        twentieth of it as deviation, as model inputs.
    shape
        ``(…, C)`` of one picture.
    rng
        From `generator`.
    value_range
        Lowest and highest model input, for ``keras-vis``.

    Returns
    -------
    numpy.ndarray
        float32.
    """
    shape = tuple(shape)
    if kind == "grey":
        return np.full(shape, 0.5, np.float32)
    if kind == "noise":
        return (0.5 + 0.05 * rng.standard_normal(shape)).astype(np.float32)
    if kind == "book":
        return (rng.random(shape) * 20 + 128).astype(np.float32)
    if kind == "spectrum":
        axes = tuple(range(len(shape) - 1))
        spectrum = np.fft.fftn(rng.standard_normal(shape), axes=axes)
        radius = np.sqrt(
            sum(f**2 for f in np.meshgrid(*(np.fft.fftfreq(n) for n in shape[:-1]), indexing="ij"))
        )
        spectrum /= np.maximum(radius, 1 / max(shape[:-1]))[..., np.newaxis]
        noise = np.fft.ifftn(spectrum, axes=axes).real
        return np.clip(0.5 + 0.1 * noise / (noise.std() + 1e-12), 0, 1).astype(np.float32)
    low, high = value_range
    noise = rng.random(shape)
    noise = (noise - noise.mean()) / (noise.std() + 1e-7)
    return (noise * 0.05 * (high - low) + (low + high) / 2).astype(np.float32)
