"""The networks from which the bounds of the evidence are taken.

``python -m benchmarks.nets.calibration`` prints, per network, what the
evidence sees under each hypothesis, and fits what is fitted. The
networks that test the bounds are others, on other data (`benchmarks.preprocessing`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.nets.training import Case, Net, trained
from kvis_cli.models.description.evidence.bounds import signs
from kvis_cli.models.description.evidence.hypotheses import as_grey, central, hypotheses
from kvis_cli.models.description.evidence.moving_statistics import divergence
from kvis_cli.models.description.evidence.photos import generated_photos
from kvis_cli.models.description.evidence.photos_given import MOST
from kvis_cli.models.description.evidence.reading import first_normalisation, size_needed
from kvis_cli.models.description.evidence.responses import responses
from kvis_cli.models.description.evidence.weighing import GENERATED
from kvis_cli.models.description.evidence.weights import open_weights
from kvis_cli.models.description.info import describe_model
from kvis_cli.models.request import build_model_spec

SIZE = 24
COLOUR = ("none", "unit", "signed", "caffe", "torch", "standardize")
GREY = ("none", "unit", "signed", "standardize")


# --- data ---


def leaves(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw dead leaves: small discs, large ones, lying or standing bars."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 4, count)
    yy, xx = np.mgrid[:SIZE, :SIZE].astype(np.float32)
    pictures = random.uniform(0, 255, (count, 1, 1, 3)) * np.ones((1, SIZE, SIZE, 1))
    for _ in range(10):
        cy, cx = random.uniform(0, SIZE, (2, count, 1, 1))
        r = random.uniform(0.8, 1.2, (count, 1, 1))
        dy, dx = abs(yy - cy), abs(xx - cx)
        distance = np.hypot(dx, dy)
        shapes = (
            distance < 1.8 * r,
            distance < 6 * r,
            (dx < 9 * r) & (dy < 1.2 * r),
            (dy < 9 * r) & (dx < 1.2 * r),
        )
        inside = np.select([labels[:, None, None] == k for k in range(4)], shapes)[..., np.newaxis]
        grey = random.uniform(20, 235, (count, 1, 1, 1))
        colour = np.clip(grey + random.normal(0, 35, (count, 1, 1, 3)), 0, 255)
        pictures = np.where(inside, colour, pictures)
    pictures += random.normal(0, 4, pictures.shape)
    return np.clip(pictures, 0, 255).astype(np.uint8), labels


def strokes(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw bright strokes on black, like written signs: four directions of the main stroke."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 4, count)
    yy, xx = np.mgrid[:SIZE, :SIZE].astype(np.float32) - SIZE / 2
    pictures = np.zeros((count, SIZE, SIZE))
    for number in range(3):
        angle = labels[:, None, None] * np.pi / 4 + random.normal(0, 0.15, (count, 1, 1))
        if number:
            angle = random.uniform(0, np.pi, (count, 1, 1))
        cy, cx = random.uniform(-5, 5, (2, count, 1, 1))
        u = (xx - cx) * np.cos(angle) + (yy - cy) * np.sin(angle)
        v = (yy - cy) * np.cos(angle) - (xx - cx) * np.sin(angle)
        length = 8 if number == 0 else 4
        pictures = np.maximum(pictures, np.clip(1.9 - abs(v), 0, 1) * (abs(u) < length))
    colour = random.uniform(0.7, 1, (count, 1, 1, 3)) * 255
    return (pictures[..., np.newaxis] * colour).astype(np.uint8), labels


# --- networks ---


def _model(size: int, channels: int, layers: list[Any]) -> Any:
    import keras

    return keras.Sequential([keras.Input((size, size, channels)), *layers])


def bn_first_conv(size: int, channels: int, classes: int) -> Any:
    """Convolution, normalisation, ReLU, twice."""
    from keras import layers as L

    return _model(size, channels, [
        L.Conv2D(12, 3, padding="same", use_bias=False), L.BatchNormalization(), L.ReLU(),
        L.MaxPooling2D(), L.Conv2D(24, 3, padding="same", use_bias=False),
        L.BatchNormalization(), L.ReLU(), L.GlobalAveragePooling2D(),
        L.Dense(classes, activation="softmax"),
    ])  # fmt: skip


def bn_after_relu(size: int, channels: int, classes: int) -> Any:
    """Normalisation behind the activation, and a flat head."""
    from keras import layers as L

    return _model(size, channels, [
        L.Conv2D(16, 5, strides=2, activation="relu"), L.BatchNormalization(),
        L.Conv2D(24, 3, activation="relu"), L.BatchNormalization(), L.MaxPooling2D(),
        L.Flatten(), L.Dense(32, activation="relu"), L.Dense(classes, activation="softmax"),
    ])  # fmt: skip


def bn_third(size: int, channels: int, classes: int) -> Any:
    """Two convolutions before the first normalisation is reached."""
    from keras import layers as L

    return _model(size, channels, [
        L.Conv2D(12, 3, padding="same", activation="relu"), L.MaxPooling2D(),
        L.Conv2D(20, 3, padding="same", activation="relu"), L.Conv2D(24, 3, padding="same"),
        L.BatchNormalization(), L.ReLU(), L.GlobalAveragePooling2D(),
        L.Dense(classes, activation="softmax"),
    ])  # fmt: skip


def plain_flat(size: int, channels: int, classes: int) -> Any:
    """Convolutions and pooling, a flat head, no normalisation."""
    from keras import layers as L

    return _model(size, channels, [
        L.Conv2D(16, 3, activation="relu"), L.MaxPooling2D(), L.Conv2D(32, 3, activation="relu"),
        L.MaxPooling2D(), L.Flatten(), L.Dropout(0.3), L.Dense(48, activation="relu"),
        L.Dense(classes, activation="softmax"),
    ])  # fmt: skip


def plain_average(size: int, channels: int, classes: int) -> Any:
    """Convolutions alone, an averaging head."""
    from keras import layers as L

    return _model(size, channels, [
        L.Conv2D(16, 3, padding="same", activation="relu"),
        L.Conv2D(24, 3, strides=2, padding="same", activation="relu"),
        L.Conv2D(32, 3, strides=2, padding="same", activation="elu"),
        L.GlobalAveragePooling2D(), L.Dense(classes, activation="softmax"),
    ])  # fmt: skip


def plain_tanh(size: int, channels: int, classes: int) -> Any:
    """Saturating units, as LeNet has."""
    from keras import layers as L

    return _model(size, channels, [
        L.Conv2D(8, 5, activation="tanh"), L.AveragePooling2D(2),
        L.Conv2D(20, 5, activation="tanh"), L.AveragePooling2D(2), L.Flatten(),
        L.Dense(40, activation="tanh"), L.Dense(classes, activation="softmax"),
    ])  # fmt: skip


NORMALISED = (bn_first_conv, bn_after_relu, bn_third)
PLAIN = (plain_flat, plain_average, plain_tanh)


def cases() -> list[Case]:
    """List the networks of the calibration."""
    found = []
    for builds in (NORMALISED, PLAIN):
        for seed, build in enumerate(builds):
            for i, preprocess in enumerate(COLOUR):
                optimizer = ("adam", "sgd")[(i + seed) % 2]
                found.append(Case(preprocess, False, leaves, build, optimizer, seed))
                other = ("adam", "sgd")[(i + seed + 1) % 2]
                if preprocess not in ("caffe", "torch"):
                    found.append(Case(preprocess, False, strokes, build, other, 10 + seed))
                if preprocess in GREY:
                    found.append(Case(preprocess, True, leaves, build, other, 20 + seed))
    return found


# --- what the networks say ---


def divergences_of(net: Net, given: bool) -> dict[str, float]:
    """Return the divergence of each hypothesis from a network's first normalisation."""
    info = describe_model(build_model_spec({"path": str(net.path)}))
    layer = first_normalisation(info.architecture)
    size = info.image_input()
    assert layer is not None and info.file is not None and info.upgraded is not None
    height, width = size_needed(info.architecture, layer, size.height, size.width)
    photos = generated_photos(GENERATED, height, width)
    if size.channels == 1:
        photos = as_grey(photos)
    if given:
        photos = central(net.pictures(MOST), height, width)
    with open_weights(info.file, info.config, info.upgraded.generation) as read:
        return {
            h.name: divergence(info.architecture, layer, h.apply(photos), read) or 0.0
            for h in hypotheses(size.channels)
        }


def responses_of(net: Net) -> tuple[list[str], list[tuple[float, ...]]]:
    """Return the hypotheses, and how a network responds to pictures of its own under each."""
    info = describe_model(build_model_spec({"path": str(net.path)}))
    assert info.file is not None and info.upgraded is not None
    photos = net.pictures(MOST)
    names, found = [], []
    with open_weights(info.file, info.config, info.upgraded.generation) as read:
        for h in hypotheses(photos.shape[-1]):
            answer = responses(info.architecture, h.apply(photos), read)
            assert answer is not None
            names.append(h.name)
            found.append(answer.values())
    return names, found


def fit(data: list[tuple[np.ndarray, int]], ridge: float = 0.3) -> tuple[np.ndarray, ...]:
    """Fit the multinomial logistic regression; mean, deviation and weight of each sign."""
    every = np.concatenate([x for x, _ in data])
    mean, deviation = every.mean(0), every.std(0) + 1e-6
    weight = np.zeros(every.shape[1])
    for _ in range(30):
        gradient, curvature = ridge * weight, ridge * np.eye(len(weight))
        for x, truth in data:
            z = (x - mean) / deviation
            p = np.exp(z @ weight - (z @ weight).max())
            p /= p.sum()
            gradient = gradient - (z[truth] - p @ z)
            curvature = curvature + z.T @ (np.diag(p) - np.outer(p, p)) @ z
        weight = weight - np.linalg.solve(curvature, gradient)
    return mean, deviation, weight


def _left_out(found: list[tuple[str, np.ndarray, int]]) -> list[tuple[float, bool]]:
    """Fit without each kind of network and data in turn, and judge those."""
    results = []
    for kind in sorted({kind for kind, _, _ in found}):
        mean, deviation, weight = fit([(x, y) for k, x, y in found if k != kind])
        for k, x, truth in found:
            if k == kind:
                scores = (x - mean) / deviation @ weight
                p = np.exp(scores - scores.max())
                results.append((float(p.max() / p.sum()), bool(p.argmax() == truth)))
    return sorted(results, reverse=True)


def main() -> None:
    """Print what was measured, and the numbers that stand in the bounds."""
    nets = trained(cases())
    for net in nets:
        if net.case.build in NORMALISED:
            for given in (True, False):
                found = divergences_of(net, given)
                best = sorted(found, key=lambda name: found[name])[:3]
                mark = "right" if best[0] == net.case.preprocess else "WRONG"
                shown = " ".join(f"{name} {found[name]:.3g}" for name in best)
                print(f"{net.case.name:50s} {'given' if given else 'generated':9s} {mark} {shown}")
    data = []
    for net in nets:
        if net.case.build in PLAIN:
            names, values = responses_of(net)
            kind = f"{net.case.data.__name__} {net.case.build.__name__}"
            data.append((kind, signs(values), names.index(net.case.preprocess)))
    results = _left_out(data)
    for share in (0.3, 0.5, 0.7, 1.0):
        part = results[: max(1, round(share * len(results)))]
        right = sum(ok for _, ok in part)
        print(f"responses: the surest {share:.0%}, from {part[-1][0]:.2f}: {right} of {len(part)}")
    for row in zip(*fit([(x, y) for _, x, y in data]), strict=True):
        print("    (" + ", ".join(f"{value:.4g}" for value in row) + "),")


if __name__ == "__main__":
    main()
