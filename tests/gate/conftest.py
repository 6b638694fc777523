"""Finished maps without a model: rows, photos and arrays as a run leaves them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kvis_cli.gate.answers import MapAnswer
from kvis_cli.jobs.results.row import ResultRow

CLASSES = ("star", "house")
SETTINGS = {"kind": "cam", "method": "gradcam", "seed": 0, "version": 4}


@pytest.fixture
def answer(tmp_path: Path) -> Callable[..., MapAnswer]:
    """Make an answer: a map of an image of 60×40 pixels, on disk."""

    def make(number: int, raw: np.ndarray, *, model: str = "model", **more) -> MapAnswer:
        asked = number % len(CLASSES)
        label = CLASSES[asked]
        image = tmp_path / f"{label}-{number}.png"
        if not image.exists():
            pixels = np.random.default_rng(number).integers(0, 256, (40, 60, 3), np.uint8)
            Image.fromarray(pixels).save(image)
        name = f"{model}_{number}"
        np.savez(tmp_path / f"{name}.npz", map=raw.astype(np.float32))
        fields = {
            "image": str(image),
            "image_name": image.stem,
            "image_sha256": hashlib.sha256(str(number).encode()).hexdigest(),
            "method": "gradcam",
            "target": label,
            "asked": str(asked),
            "file": f"{name}.png",
            "raw": f"{name}.npz",
            "map": "heatmap",
            "probability": 0.9,
            "score": 5.0,
            "top": [[label, 0.9]],
            "placed": [0, 0, 60, 40],
        }
        return MapAnswer(ResultRow(**{**fields, **more}), tmp_path, SETTINGS)

    return make


def blob(number: int, shape: tuple[int, int] = (12, 12)) -> np.ndarray:
    """A heat map with one hot place, another for every number."""
    rng = np.random.default_rng(number)
    centre = rng.uniform(3, 9, 2)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    spread = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2
    return np.maximum(np.exp(-spread / 8) - 0.05, 0) + 0.01 * rng.random(shape)
