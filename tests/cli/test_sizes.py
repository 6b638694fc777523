"""Sizes are height × width wherever they are said: with a model that is not square."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from PIL import Image

# Height, width; the photo is of yet other proportions.
INPUT, MAPS, PHOTO = (18, 30), (16, 28), (44, 26)


@pytest.fixture(scope="module")
def model(tf, tmp_path_factory):
    import keras

    keras.utils.set_random_seed(5)
    network = keras.Sequential(
        [
            keras.Input((*INPUT, 3)),
            keras.layers.Conv2D(4, 3, activation="relu", name="maps"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3, activation="softmax", name="classes"),
        ]
    )
    path = tmp_path_factory.mktemp("sizes") / "wide.keras"
    network.save(path)
    return path


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "tall.png"
    Image.fromarray(np.random.default_rng(3).integers(0, 256, (*PHOTO, 3), np.uint8)).save(path)
    return path


def check(text, *wanted):
    """All sizes that a text says, and none of them the wrong way round."""
    said = {(int(a), int(b)) for a, b in re.findall(r"(\d+) ?[×x] ?(\d+)", text)}
    assert said >= set(wanted), text
    assert not said & {size[::-1] for size in (INPUT, MAPS, PHOTO)}, text


def test_layers_and_cam(kvis, model, photo, tmp_path):
    out = tmp_path / "out"
    check(kvis("layers", model).out, INPUT, MAPS)
    check(kvis("cam", model, photo, "-o", out, "--grid", "--box").err, INPUT, MAPS)
    (line,) = (out / "manifest.jsonl").read_text().splitlines()
    row = json.loads(line)
    assert row["grid"]["size"] == list(INPUT)
    # left, top, right, bottom
    assert row["placed"] == [0, 0, PHOTO[1], PHOTO[0]]


@pytest.mark.slow
def test_other_commands(kvis, model, photo, tmp_path):
    out = tmp_path / "out"
    check(kvis("saliency", model, photo, "-o", out).err, INPUT)
    check(kvis("maximize", model, "--class", "1", "--steps", "2", "-o", out).err, INPUT)
    check(kvis("filters", model, "-l", "maps", "--steps", "2", "--size", "9", "-o", out).err, INPUT)


def test_errors(kvis, model, photo, tmp_path):
    said = kvis("cam", model, photo, "--size", "40x20").err
    check(said.replace("--size 40x20 (width x height)", ""), INPUT)
    assert "(height × width)" in said
    np.save(tmp_path / "turned.npy", np.zeros((*INPUT[::-1], 3), np.float32))
    said = kvis("saliency", model, tmp_path / "turned.npy", "-o", tmp_path / "out").err
    assert "30×18×3; the model takes 18×30×3" in said
    said = kvis("saliency", model, photo, "-m", "occlusion", "--patch", "40").err
    check(said, INPUT)


@pytest.mark.slow
def test_a_job_and_its_report(kvis, model, photo, tmp_path):
    job = tmp_path / "job.yaml"
    values = {
        "models": [str(model)],
        "images": [{"path": str(photo), "box": [100, 100, 120, 120]}],
        "output": str(tmp_path / "out"),
        "tasks": ["cam"],
        "report": ["html", "markdown"],
    }
    job.write_text(json.dumps(values))
    said = kvis("run", job).err
    check(said, INPUT, PHOTO)
    for name in ("report.html", "report.md"):
        text = (tmp_path / "out" / name).read_text()
        check(re.sub(r"data:[^\"]+|<style.*?</style>", "", text, flags=re.S), PHOTO)
