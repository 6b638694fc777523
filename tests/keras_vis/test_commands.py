"""The functions and the commands give the same pixels for the same settings."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from kvis_cli.keras_vis.utils import utils


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

    from kvis_cli.keras_vis.visualization import visualize_cam
    from kvis_cli.render.colormaps import DEFAULT_SEQUENTIAL, colorize

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

    from kvis_cli.keras_vis.visualization import visualize_saliency

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

    from kvis_cli.keras_vis.visualization import visualize_activation

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


def rounded(map_):
    assert map_.dtype == np.float32
    return np.rint(map_).astype(np.uint8)


def test_explain_maximize_gives_the_pictures_of_the_command(kvis, tf, tiny_model, tmp_path):
    import keras

    from kvis_cli import explain

    out = tmp_path / "out"
    ran = kvis(
        "maximize", tiny_model, "--class", "1,0+2", "--steps", 9, "--tv", 0.5, "--runs", 2,
        "--raw", "--seed", 4, "-o", out,
    )  # fmt: skip
    assert ran.code == 0, ran.err
    settings = {"class_": [1, "0+2"], "steps": 9, "tv": 0.5, "runs": 2, "seed": 4}
    for model in (tiny_model, keras.models.load_model(tiny_model)):
        found = explain.maximize(model, **settings)
        assert [(e.target.name, e.variant) for e in found] == [
            ("1", "run1"), ("1", "run2"), ("0+2", "run1"), ("0+2", "run2"),
        ]  # fmt: skip
        for one in found:
            [path] = out.glob(f"*_{one.target.name}_{one.variant}.png")
            raw = np.load(path.with_suffix(".npz"))
            np.testing.assert_array_equal(one.extras["inputs"], raw["inputs"])
            assert one.score == raw["score"]
            np.testing.assert_array_equal(one.extras["loss"]["total"], raw["loss total"])
            np.testing.assert_array_equal(rounded(one.map), np.asarray(Image.open(path)))
            assert one.kind == "image"
            assert one.extras["steps"] == [9]
    [single] = explain.maximize(tiny_model, class_=1, steps=9)
    model = keras.models.load_model(tiny_model)
    outputs = model(rounded(single.map)[np.newaxis].astype(np.float32))
    # The probability is that of the picture as a file would have it.
    assert single.probability == pytest.approx(float(outputs[0, 1]), rel=1e-4)


def test_explain_filters_gives_the_pictures_of_the_atlas(kvis, tf, tiny_model, tmp_path):
    from kvis_cli import explain

    out = tmp_path / "out"
    ran = kvis(
        "filters", tiny_model, "--layer", "second", "--filters", "1,4", "--grid", "2x1", "--size",
        24, "--margin", 0, "--steps", 6, "--raw", "-o", out,
    )  # fmt: skip
    assert ran.code == 0, ran.err
    found = explain.filters(tiny_model, layer="second", filters="1,4", size=24, steps=6)
    raw = np.load(next(out.glob("*.npz")))
    sheet = np.asarray(Image.open(next(out.glob("*.png"))))
    assert [e.target.units for e in found] == [((1, 1.0),), ((4, 1.0),)]
    for i, one in enumerate(found):
        np.testing.assert_array_equal(one.extras["inputs"], raw["inputs"][i])
        assert one.score == raw["scores"][i]
        assert one.layer == "second"
        if not one.warnings:
            np.testing.assert_array_equal(rounded(one.map), sheet[:, 24 * i : 24 * (i + 1)])
    assert any(not one.warnings for one in found)
    kernels = explain.filters(tiny_model, layer="first", weights=True)
    assert len(kernels) == 4
    assert kernels[0].map.shape == (3, 3, 3)
    assert np.isnan(kernels[0].score)


def test_explain_takes_losses_of_ones_own(tf, tiny_model):
    """A loss that draws the picture to a grey value does so, and is told in the history."""
    from kvis_cli import explain

    def grey(view):
        return tf.reduce_mean(tf.square(view.images - 0.25), axis=(1, 2, 3))

    settings = {"class_": 1, "steps": 40, "preset": "atlas"}
    [plain] = explain.maximize(tiny_model, **settings)
    [drawn] = explain.maximize(tiny_model, **settings, losses=[(grey, 1e4)])
    assert set(drawn.extras["loss"]) - set(plain.extras["loss"]) == {"grey"}
    assert np.abs(drawn.map - 64).mean() < 0.3 * np.abs(plain.map - 64).mean()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda e, m: e.maximize(m, class_=1, gif="a.gif"), "'gif' is about pictures"),
        (lambda e, m: e.cam(m, np.zeros((16, 16, 3)), colormap="jet"), "'colormap' is about"),
        (lambda e, m: e.filters(m, layer="first", grid="2x2"), "'grid' is about pictures"),
        (lambda e, m: e.maximize(m, class_=1, losses=["sharpness"]), "'sharpness'"),
        (lambda e, m: e.maximize(m, class_=1, stepz=4), "stepz"),
        (lambda e, m: e.maximize(m), "nothing to maximize"),
    ],
)
def test_explain_refuses_what_would_do_nothing(tf, tiny_model, call, said):
    from kvis_cli import explain
    from kvis_cli.errors import KvisError

    with pytest.raises(KvisError, match=said):
        call(explain, tiny_model)
