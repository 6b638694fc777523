"""The networks on which the choice of a preprocessing is tested: other data, other layers."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from benchmarks.nets.training import Case
from sample_models.scenes import CLASSES, draw_scene, scene_rng

COLOUR = ("none", "unit", "signed", "caffe", "torch", "standardize")
GREY = ("none", "unit", "signed", "standardize")
_SCENE_CLASSES = tuple(CLASSES.index(name) for name in ("apple", "star", "house"))


@lru_cache(maxsize=8)
def scenes(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw scenes as the sample models know them, 32×32, of three classes."""
    labels = np.random.default_rng(seed).integers(0, len(_SCENE_CLASSES), count)
    pictures = [
        draw_scene(scene_rng(seed, i), _SCENE_CLASSES[label], size=32).image
        for i, label in enumerate(labels)
    ]
    return np.stack(pictures), labels


@lru_cache(maxsize=8)
def things(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw something like CIFAR: 28×28 photos of a thing before a textured ground, five kinds."""
    size = 28
    random = np.random.default_rng(seed)
    labels = random.integers(0, 5, count)
    rows, columns = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None]
    radius = np.maximum(np.hypot(rows, columns) * size, 1)
    slopes = random.uniform(0.9, 1.7, (count, 1, 1, 1))
    noise = random.standard_normal((2, count, 3, size, size))
    noise[:, :, 1:] = 0.85 * noise[:, :, :1] + 0.3 * noise[:, :, 1:]
    fields = np.fft.irfft2(np.fft.rfft2(noise) * radius**-slopes, s=(size, size))
    fields /= fields.std((-1, -2), keepdims=True)
    grounds = np.array(
        [[90, 130, 190], [110, 120, 80], [150, 140, 120], [70, 80, 70], [170, 180, 190]]
    )
    bodies = np.array([[190, 190, 180], [160, 110, 60], [60, 60, 70], [90, 140, 60], [170, 60, 50]])
    jitter = random.normal(0, 28, (2, count, 3)) + random.normal(0, 25, (2, count, 1))
    ground, body = grounds[labels] + jitter[0], bodies[labels] + jitter[1]
    yy, xx = np.mgrid[:size, :size].astype(np.float32)
    aspects = np.array([2.2, 1.4, 1.0, 1.2, 0.6])[labels] * random.uniform(0.8, 1.25, count)
    scale = random.uniform(5, 9, count)
    cy, cx = random.uniform(9, 19, (2, count, 1, 1))
    u = (xx - cx) / (scale * np.sqrt(aspects))[:, None, None]
    v = (yy - cy) / (scale / np.sqrt(aspects))[:, None, None]
    inside = np.clip((1.1 - np.hypot(u, v)) * 4, 0, 1)[..., None]
    texture = np.moveaxis(fields, 2, -1) * random.uniform(15, 45, (2, count, 1, 1, 1))
    shade = (1 + 0.25 * (xx - yy) / size)[None, ..., None]
    pictures = (body[:, None, None] + texture[1]) * shade * inside
    pictures += (ground[:, None, None] + texture[0]) * (1 - inside)
    return np.clip(pictures, 0, 255).astype(np.uint8), labels


def _model(size: int, channels: int, layers: list[Any]) -> Any:
    import keras

    return keras.Sequential([keras.Input((size, size, channels)), *layers])


def residual(size: int, channels: int, classes: int) -> Any:
    """Return a small residual network, its first normalisation behind a 7×7 convolution."""
    import keras
    from keras import layers as L

    x = inputs = keras.Input((size, size, channels))
    x = L.BatchNormalization()(L.Conv2D(16, 7, strides=2, padding="same", use_bias=False)(x))
    x = shortcut = L.ReLU()(x)
    x = L.ReLU()(L.BatchNormalization()(L.Conv2D(16, 3, padding="same")(x)))
    x = L.Add()([x, shortcut])
    x = L.Conv2D(32, 3, strides=2, padding="same", activation="relu")(x)
    x = L.Flatten()(x)
    return keras.Model(inputs, L.Dense(classes, activation="softmax")(x))


def separable(size: int, channels: int, classes: int) -> Any:
    """Return separable convolutions, normalised behind the second."""
    from keras import layers as L

    return _model(size, channels, [
        L.SeparableConv2D(20, 5, padding="same", activation="swish"), L.AveragePooling2D(2),
        L.SeparableConv2D(32, 3, padding="same"), L.BatchNormalization(),
        L.Activation("relu"), L.MaxPooling2D(), L.Flatten(), L.Dropout(0.2),
        L.Dense(classes, activation="softmax"),
    ])  # fmt: skip


def normalised_fourth(size: int, channels: int, classes: int) -> Any:
    """Return four convolutions, of which the fourth is normalised."""
    from keras import layers as L

    return _model(size, channels, [
        L.Conv2D(16, 3, activation="relu"), L.Conv2D(16, 3, activation="relu"), L.MaxPooling2D(),
        L.Conv2D(24, 3, activation="relu"), L.Conv2D(24, 3), L.BatchNormalization(),
        L.LeakyReLU(), L.Flatten(), L.Dense(classes, activation="softmax"),
    ])  # fmt: skip


def vgg_like(size: int, channels: int, classes: int) -> Any:
    """Return pairs of convolutions, a wide flat head, no normalisation."""
    from keras import layers as L

    return _model(size, channels, [
        L.Conv2D(12, 3, padding="same", activation="relu"), L.Conv2D(12, 3, activation="relu"),
        L.MaxPooling2D(), L.Conv2D(24, 3, padding="same", activation="relu"),
        L.Conv2D(24, 3, activation="relu"), L.MaxPooling2D(), L.Flatten(),
        L.Dense(64, activation="relu"), L.Dropout(0.4), L.Dense(classes, activation="softmax"),
    ])  # fmt: skip


def strided(size: int, channels: int, classes: int) -> Any:
    """Return strided convolutions with 5×5 kernels, no pooling, no normalisation."""
    from keras import layers as L

    return _model(size, channels, [
        L.Conv2D(20, 5, strides=2, padding="same", activation="relu"),
        L.Conv2D(32, 3, strides=2, padding="same", activation="relu"), L.Flatten(),
        L.Dense(classes, activation="softmax"),
    ])  # fmt: skip


def perceptron(size: int, channels: int, classes: int) -> Any:
    """Return one large convolution and two dense layers, leaky."""
    from keras import layers as L

    return _model(size, channels, [
        L.Conv2D(24, 3, padding="same"), L.LeakyReLU(), L.MaxPooling2D(4), L.Flatten(),
        L.Dense(64, activation="relu"), L.Dense(32, activation="relu"),
        L.Dense(classes, activation="softmax"),
    ])  # fmt: skip


NORMALISED = (residual, separable, normalised_fourth)
PLAIN = (vgg_like, strided, perceptron)


def cases(seeds: tuple[int, ...] = (100, 101, 102, 103)) -> list[Case]:
    """List the networks of the test: every preprocessing, four seeds."""
    found = []
    for n, seed in enumerate(seeds):
        for builds in (NORMALISED, PLAIN):
            for i, preprocess in enumerate(COLOUR):
                data, other = (scenes, things) if (i + n) % 2 else (things, scenes)
                build = builds[(i + n) % len(builds)]
                optimizer = ("sgd", "adam")[(i // 2 + n) % 2]
                found.append(Case(preprocess, False, data, build, optimizer, seed))
                if preprocess in GREY:
                    later = builds[(i + n + 1) % len(builds)]
                    found.append(Case(preprocess, True, other, later, optimizer, seed))
    return found
