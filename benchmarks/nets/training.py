"""Trains small classifiers with a known preprocessing, and keeps them."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kvis_cli.models.description.preprocessing import PRESETS

CACHE = Path(__file__).parent / ".cache"
# How far from chance to perfection a network has to come.
LEARNED = 0.25
IMAGES, EPOCHS, BATCH = 2400, 14, 48

Data = Callable[[int, int], tuple[np.ndarray, np.ndarray]]
Build = Callable[[int, int, int], Any]


@dataclass(frozen=True)
class Case:
    """One network to train.

    Attributes
    ----------
    preprocess
        Name of what it is trained with: one of kvis' presets.
    grey
        Whether it takes one channel.
    data
        From a number of pictures and a seed to uint8 ``(n, h, w, 3)`` and labels.
    build
        From size, channels and classes to an untrained Keras model.
    optimizer
        ``adam`` or ``sgd``.
    seed
        Of the pictures and the weights.
    """

    preprocess: str
    grey: bool
    data: Data
    build: Build
    optimizer: str
    seed: int

    @property
    def name(self) -> str:
        """For the file."""
        parts = (self.data.__name__, self.build.__name__, "grey" if self.grey else "colour")
        return "-".join((*parts, self.preprocess, self.optimizer, str(self.seed)))


@dataclass(frozen=True)
class Net:
    """A trained network: its file, and the share of new pictures that it gets right."""

    case: Case
    path: Path
    accuracy: float

    def pictures(self, count: int) -> np.ndarray:
        """Return pictures that it was not trained on, uint8 ``(count, h, w, C)``."""
        return _pictures(self.case, count, 1_000_000 + self.case.seed)[0]


def trained(cases: Sequence[Case], *, tell: Callable[[str], None] = print) -> list[Net]:
    """Return the networks of some cases; what is not in the cache is trained."""
    CACHE.mkdir(exist_ok=True)
    found = []
    for number, case in enumerate(cases, 1):
        path = CACHE / f"{case.name}-{_version(case)}.keras"
        about = path.with_suffix(".json")
        if not about.is_file():
            tell(f"{number}/{len(cases)} training {case.name}")
            accuracy = _train(case, path)
            about.write_text(json.dumps({"accuracy": accuracy}))
        net = Net(case, path, json.loads(about.read_text())["accuracy"])
        if learned(net):
            found.append(net)
        else:
            tell(f"left out, it learned nothing ({net.accuracy:.2f}): {case.name}")
    return found


def learned(net: Net) -> bool:
    """Whether a network is right clearly more often than by chance."""
    classes = int(net.case.data(40, net.case.seed)[1].max()) + 1
    return net.accuracy >= (1 + LEARNED * (classes - 1)) / classes


def _version(case: Case) -> str:
    text = "".join(inspect.getsource(part) for part in (case.data, case.build, _train))
    text += repr((IMAGES, EPOCHS, BATCH))
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def _pictures(case: Case, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    pixels, labels = case.data(count, seed)
    if case.grey:
        grey = pixels @ np.array([0.299, 0.587, 0.114])
        pixels = np.round(grey).astype(np.uint8)[..., np.newaxis]
    return pixels, labels


def _train(case: Case, path: Path) -> float:
    import keras

    keras.utils.set_random_seed(case.seed)
    prepare = PRESETS[case.preprocess].apply
    x, y = _pictures(case, IMAGES, case.seed)
    x_new, y_new = _pictures(case, 400, 2_000_000 + case.seed)
    classes = int(y.max()) + 1
    # Without a normalisation, large inputs need small steps, as everybody finds out.
    best = 0.0
    for factor in (1.0, 0.1, 0.01):
        keras.backend.clear_session()
        model = case.build(x.shape[1], x.shape[-1], classes)
        optimizer = (
            keras.optimizers.Adam(1e-3 * factor * 2)
            if case.optimizer == "adam"
            else keras.optimizers.SGD(0.02 * factor, momentum=0.9)
        )
        model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(prepare(x), y, batch_size=BATCH, epochs=EPOCHS, verbose=0)
        accuracy = float(model.evaluate(prepare(x_new), y_new, verbose=0)[1])
        if accuracy > best:
            best = accuracy
            model.save(path)
        if best >= 0.6:
            break
    return best
