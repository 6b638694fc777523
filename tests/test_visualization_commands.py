"""The functions and the commands give the same pixels for the same settings."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from kvis_cli.utils import utils


@pytest.fixture
def small(tmp_path):
    """A PNG of the size of the tiny model's input, so that nothing is resized."""
    path = tmp_path / "small.png"
    pixels = np.random.default_rng(11).integers(0, 256, (16, 16, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def written(kvis, *arguments):
    ran = kvis(*arguments, "--json", "--raw", "--view", "heatmap", "--preprocess", "none")
    assert ran.code == 0, ran.err
    return json.loads(ran.out)["results"]


def pictures(folder):
    return sorted(p for p in folder.rglob("*.png"))


@pytest.mark.parametrize("index", [0, 2])
def test_cam(kvis, tf, tiny_model, small, tmp_path, index):
    import keras

    from kvis_cli.render.colormaps import DEFAULT_SEQUENTIAL, colorize
    from kvis_cli.visualization import visualize_cam

    out = tmp_path / "out"
    written(kvis, "cam", tiny_model, small, "--class", index, "-o", out)
    model = keras.models.load_model(tiny_model)
    found = visualize_cam(model, "classes", index, utils.load_img(small))
    [picture] = pictures(out)
    expected = np.asarray(Image.open(picture))
    if found.any():
        np.testing.assert_array_equal(expected, colorize(found, DEFAULT_SEQUENTIAL))
    else:
        assert not np.load(next(out.rglob("*.npz")))["map"].any()


@pytest.mark.parametrize("backprop", [None, "guided", "deconv"])
def test_saliency(kvis, tf, tiny_model, small, tmp_path, backprop):
    import keras

    from kvis_cli.visualization import visualize_saliency

    out = tmp_path / "out"
    more = ["--backprop", backprop] if backprop else []
    written(kvis, "saliency", tiny_model, small, "--class", 1, "-o", out, *more)
    model = keras.models.load_model(tiny_model)
    found = visualize_saliency(model, -1, 1, utils.load_img(small), backprop_modifier=backprop)
    raw = np.load(next(out.rglob("*.npz")))["map"]
    np.testing.assert_array_equal(found, (raw / np.float64(raw.max())).astype(np.float32))


def test_explain_gives_the_raw_maps_of_the_commands(kvis, tf, tiny_model, small, tmp_path):
    import keras

    from kvis_cli import explain

    out = tmp_path / "out"
    rows = written(
        kvis, "cam", tiny_model, small, "--class", "1,2", "--method", "gradcam,layercam", "-o", out
    )
    for model in (keras.models.load_model(tiny_model), tiny_model):
        found = explain.cam(
            model, small, class_=["1", "2"], method=["gradcam", "layercam"], preprocess="none"
        )
        assert [e.method for e in found] == ["gradcam", "layercam"] * 2
        raw = {np.load(p)["map"].tobytes() for p in out.rglob("*.npz")}
        assert {e.map.tobytes() for e in found} == raw
        scores = sorted(row["score"] for row in rows)
        assert sorted(e.score for e in found) == pytest.approx(scores, rel=1e-5)


@pytest.mark.parametrize("preset", ["quality", "atlas"])
def test_maximize(kvis, tf, tiny_model, tmp_path, preset):
    import keras

    from kvis_cli.visualization import visualize_activation

    out = tmp_path / "out"
    ran = kvis(
        "maximize", tiny_model, "--class", 1, "--preset", preset, "--steps", 12,
        "--preprocess", "none", "-o", out,
    )  # fmt: skip
    assert ran.code == 0, ran.err
    [picture] = pictures(out)
    model = keras.models.load_model(tiny_model)
    found = visualize_activation(model, "classes", 1, preset=preset, max_iter=12)
    np.testing.assert_array_equal(found, np.asarray(Image.open(picture)))
