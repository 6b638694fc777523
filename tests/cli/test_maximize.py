"""`kvis maximize` from options to pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kvis_cli.render.png import read_metadata
from kvis_cli.spec.maximize import parse_rescale, parse_stages


def rows(folder: Path) -> dict[str, dict]:
    found = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    return {row["file"]: row for row in found}


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


@pytest.fixture(scope="module")
def trained(tf, tmp_path_factory) -> Path:
    """Reads BGR minus a mean, tells red, green and blue pictures apart: logits have meaning."""
    import keras

    keras.utils.set_random_seed(1)
    inputs = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(6, 3, activation="relu", name="conv")(inputs)
    x = keras.layers.GlobalAveragePooling2D(name="mean")(x)
    model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax", name="classes")(x))
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 300)
    images = rng.uniform(0, 120, (300, 16, 16, 3))
    images[np.arange(300), :, :, labels] += 100
    model.fit(images[..., ::-1] - [104, 117, 123], labels, epochs=15, verbose=0)
    path = tmp_path_factory.mktemp("colours") / "colours.keras"
    model.save(path)
    return path


PREPROCESS = ("--preprocess", "color=bgr;mean=104,117,123;std=1")


def test_saved_picture_scores_what_is_said(kvis, trained, tmp_path, tf):
    import keras

    run = kvis("maximize", trained, *PREPROCESS, "--class", "0,2", "--steps", 40,
               "--out", tmp_path)  # fmt: skip
    assert run.code == 0, run.err
    model = keras.saving.load_model(trained)
    logits = keras.Model(model.input, model.get_layer("mean").output)
    kernel, bias = model.get_layer("classes").get_weights()
    found = rows(tmp_path)
    for index in (0, 2):
        row = found[f"maximize_{index}.png"]
        picture = pixels(tmp_path / row["file"])
        assert picture.shape == (16, 16, 3) and picture.dtype == np.uint8
        inputs = picture[np.newaxis, ..., ::-1].astype(np.float32) - [104, 117, 123]
        score = (logits(inputs).numpy() @ kernel + bias)[0, index]
        assert row["score_saved"] == pytest.approx(score, rel=1e-3)
        assert row["probabilities_saved"][0] == pytest.approx(
            float(model(inputs)[0, index]), abs=1e-4
        )
        assert row["score_saved"] >= 0.9 * row["score"] > 0
        assert row["probabilities_saved"][0] > 0.95
        # Class 0 is red and class 2 is blue, so the colours tell whether BGR was undone.
        assert picture[..., index].mean() > picture[..., 2 - index].mean() + (
            15 if index == 0 else 45
        )
        assert f"saved {row['score_saved']:.4g}, probability" in run.err
        # The file itself says what it is worth, and its pixels are compressed once.
        about = json.loads(read_metadata(tmp_path / row["file"])["kvis"])
        assert about["score_saved"] == row["score_saved"]
        assert about["probabilities_saved"] == row["probabilities_saved"]


def test_both_at_once_and_decrease(kvis, trained, tmp_path, tf):
    import keras

    model = keras.saving.load_model(trained)
    mean = keras.Model(model.input, model.get_layer("mean").output)
    kernel, bias = model.get_layer("classes").get_weights()

    def logits(path: Path) -> np.ndarray:
        inputs = pixels(path)[np.newaxis, ..., ::-1].astype(np.float32) - [104, 117, 123]
        return (mean(inputs).numpy() @ kernel + bias)[0]

    grey = (mean(np.float32([[[[23.5, 10.5, 4.5]] * 16] * 16])).numpy() @ kernel + bias)[0]
    common = ("maximize", trained, *PREPROCESS, "--steps", 60)
    assert kvis(*common, "--class", "0+2", "--out", tmp_path).code == 0
    both = logits(tmp_path / "maximize_0+2.png")
    saved = rows(tmp_path)["maximize_0+2.png"]["score_saved"]
    assert saved == pytest.approx(both[0] + both[2], rel=1e-3)
    assert saved > grey[0] + grey[2] + 1
    decrease = (*common, "--class", 1, "--direction", "decrease")
    assert kvis(*decrease, "--out", tmp_path / "less").code == 0
    less = logits(tmp_path / "less" / "maximize_1.png")
    saved = rows(tmp_path / "less")["maximize_1.png"]["score_saved"]
    assert saved == pytest.approx(-less[1], rel=1e-3)
    assert less[1] < grey[1] - 1


def test_layer_units_and_their_grid(kvis, trained, tmp_path, tf):
    import keras

    run = kvis(
        "maximize", trained, *PREPROCESS, "--layer", "conv", "--unit", "1,3-4", "--size", "24x20",
        "--steps", 12, "--grid", "--out", tmp_path,
    )  # fmt: skip
    assert run.code == 0, run.err
    assert (tmp_path / "maximize_conv_grid.png").is_file()
    found = rows(tmp_path)
    model = keras.saving.load_model(trained)
    conv = model.get_layer("conv")
    for unit in (1, 3, 4):
        row = found[f"maximize_conv_{unit}.png"]
        picture = pixels(tmp_path / row["file"])
        assert picture.shape == (20, 24, 3)
        inputs = picture[np.newaxis, ..., ::-1].astype(np.float32) - [104, 117, 123]
        assert row["score_saved"] == pytest.approx(
            float(conv(inputs)[..., unit].numpy().mean()), rel=1e-3, abs=1e-4
        )


def test_position_in_the_map(kvis, trained, tmp_path, tf):
    """One position sees 3×3 pixels: the rest of the picture stays what it was."""
    assert kvis(
        "maximize", trained, *PREPROCESS, "--layer", "conv", "--unit", 0, "--at", "5,6",
        "--steps", 10, "--parametrization", "pixel", "--jitter", 0, "--rotate", 0, "--rescale", 1,
        "--start", "grey", "--out", tmp_path,
    ).code == 0  # fmt: skip
    picture = pixels(tmp_path / "maximize_conv_0_at-5-6.png")
    changed = np.argwhere((picture != picture[0, 0]).any(-1))
    assert len(changed)
    assert (changed.min(0) >= (5, 6)).all() and (changed.max(0) <= (7, 8)).all()


def test_stages_start_from_the_raw_array(kvis, trained, tmp_path):
    """Two stages in one run, and by hand through the raw array: the same picture."""
    plain = ("maximize", trained, *PREPROCESS, "--class", 1, "--optimizer", "sgd", "--lr", 0.01,
             "--parametrization", "pixel", "--jitter", 0, "--rotate", 0, "--rescale", 1,
             "--patience", 0)  # fmt: skip
    assert kvis(*plain, "--stages", "steps=6,tv=0;steps=4,tv=3", "--out", tmp_path / "a").code == 0
    assert kvis(*plain, "--steps", 6, "--tv", 0, "--raw", "--out", tmp_path / "b").code == 0
    raw = tmp_path / "b" / "maximize_1.npz"
    assert kvis(*plain, "--steps", 4, "--tv", 3, "--seed-image", raw, "--out",
                tmp_path / "c").code == 0  # fmt: skip
    a, c = (pixels(tmp_path / n / "maximize_1.png") for n in "ac")
    np.testing.assert_allclose(a.astype(int), c.astype(int), atol=1)
    assert rows(tmp_path / "a")["maximize_1.png"]["steps"] == [6, 4]


def test_seed_image_is_the_start(kvis, trained, tmp_path, picture):
    run = kvis(
        "maximize", trained, *PREPROCESS, "--class", 1, "--seed-image", picture, "--steps", 1,
        "--lr", 1e-6, "--parametrization", "pixel", "--out", tmp_path,
    )  # fmt: skip
    assert run.code == 0, run.err
    start = Image.open(picture).resize((16, 16), Image.Resampling.BILINEAR)
    shown = pixels(tmp_path / "maximize_1.png")
    np.testing.assert_allclose(shown.astype(int), np.asarray(start).astype(int), atol=1)


@pytest.mark.parametrize("kind", ["gif", "png", "webp"])
def test_runs_differ_and_animation_shows_the_steps(kvis, trained, tmp_path, kind):
    run = kvis(
        "maximize", trained, *PREPROCESS, "--class", 0, "--runs", 2, "--steps", 10, "--gif",
        f"film.{kind}", "--gif-every", 5, "--verbose", "--patience", 0, "--out", tmp_path,
    )  # fmt: skip
    assert run.code == 0, run.err
    one, two = (pixels(tmp_path / f"maximize_0_run{n}.png") for n in (1, 2))
    assert (one != two).any()
    with Image.open(tmp_path / f"film_maximize_0_run1.{kind}") as film:
        assert film.n_frames == 3
        film.seek(2)
        last = np.asarray(film.convert("RGB")).astype(int)
    # The last frame is the picture itself, up to the palette of a GIF and the loss of WebP.
    assert np.abs(last - one).mean() < 12
    assert "step 10: total" in run.err and "log-probability" in run.err


@pytest.mark.parametrize(
    ("option", "name"),
    [("--l1", "l1"), ("--l2", "l2"), ("--grain", "blur"), ("--tv", "tv(2)"), ("--lp", "lp(6)")],
)
def test_a_heavy_regularizer_makes_its_term_smaller(kvis, trained, tmp_path, option, name):
    terms = []
    for weight in (1e-6, 1e4):
        out = tmp_path / str(weight)
        run = kvis("maximize", trained, *PREPROCESS, "--class", 0, "--steps", 30, option, weight,
                   "--parametrization", "pixel", "--rotate", 0, "--raw", "--out", out)  # fmt: skip
        assert run.code == 0, run.err
        with np.load(out / "maximize_0.npz") as raw:
            history = raw[f"loss {name}"]
        row = rows(out)["maximize_0.png"]
        assert row["loss"][name] == pytest.approx(history[row["steps"][0] - 1], rel=1e-5)
        terms.append(row["loss"][name])
    assert terms[1] < 0.7 * terms[0]


def test_regularizers_beside_a_preset_of_model_inputs(kvis, trained, tmp_path):
    """Their terms are about the picture in 0 to 1: what comes out of 4 steps goes into the 5th."""
    common = ("maximize", trained, *PREPROCESS, "--class", 0, "--preset", "chollet", "--l1", 1,
              "--l2", 2, "--raw")  # fmt: skip
    for steps in (4, 5):
        run = kvis(*common, "--steps", steps, "--out", tmp_path / str(steps))
        assert run.code == 0, run.err
    with np.load(tmp_path / "4" / "maximize_0.npz") as raw:
        picture = (raw["inputs"] + np.array([104, 117, 123])) / 255
    loss = rows(tmp_path / "5")["maximize_0.png"]["loss"]
    assert loss["l1"] == pytest.approx(np.abs(picture - 0.5).mean(), rel=1e-3)
    assert loss["l2"] == pytest.approx(np.square(picture - 0.5).mean(), rel=1e-3)
    assert loss["total"] == pytest.approx(
        loss["activation"] + loss["l1"] + 2 * loss["l2"], rel=1e-3
    )


def test_memory_that_ends_halves_the_batch(kvis, trained, tmp_path, tf, monkeypatch):
    """Batches above 2 do not fit: the same pictures and films, and it is said."""
    from kvis_cli.engines.activation_maximization.engine import ActivationMaximizer

    common = ("maximize", trained, *PREPROCESS, "--class", "0,1,2", "--steps", 12, "--gif", "a.gif",
              "--gif-every", 4)  # fmt: skip
    assert kvis(*common, "--out", tmp_path / "whole").code == 0
    step = ActivationMaximizer._step

    def limited(self, state, draws, arguments, number):
        if state[0].shape[0] > 2:
            raise tf.errors.ResourceExhaustedError(None, None, "no memory")
        return step(self, state, draws, arguments, number)

    monkeypatch.setattr(ActivationMaximizer, "_step", limited)
    run = kvis(*common, "--out", tmp_path / "tight")
    assert run.code == 0, run.err
    assert "out of memory: going on with batches of 2" in run.err
    for name in ("maximize_0", "maximize_1", "maximize_2"):
        whole, tight = (pixels(tmp_path / n / f"{name}.png") for n in ("whole", "tight"))
        np.testing.assert_array_equal(whole, tight)
        for folder in ("whole", "tight"):
            with Image.open(tmp_path / folder / f"a_{name}.gif") as film:
                assert film.n_frames == 4


def test_stretch_only_when_asked(kvis, trained, tmp_path):
    common = ("maximize", trained, *PREPROCESS, "--class", 0, "--steps", 8)
    assert kvis(*common, "--out", tmp_path / "a").code == 0
    assert kvis(*common, "--stretch", "--out", tmp_path / "b").code == 0
    plain, stretched = (pixels(tmp_path / n / "maximize_0.png") / 255 for n in "ab")
    assert stretched.mean() == pytest.approx(0.5, abs=0.02)
    literal = np.clip((plain - plain.mean()) / plain.std() * 0.1 + 0.5, 0, 1)
    np.testing.assert_allclose(stretched, literal, atol=0.01)


@pytest.mark.parametrize("preset", ["chollet", "keras-vis", "atlas", "quality"])
def test_every_preset_raises_the_score(kvis, trained, tmp_path, tf, preset):
    """The score that is told is the model's own for the raw result, and above that of grey."""
    import keras

    run = kvis("maximize", trained, *PREPROCESS, "--class", 2, "--preset", preset, "--steps", 12,
               "--raw", "--out", tmp_path)  # fmt: skip
    assert run.code == 0, run.err
    model = keras.saving.load_model(trained)
    pooled = keras.Model(model.input, model.get_layer("mean").output)
    kernel, bias = model.get_layer("classes").get_weights()
    with np.load(tmp_path / "maximize_2.npz") as raw:
        pictures = np.stack([raw["inputs"], np.full((16, 16, 3), 127.5) - [104, 117, 123]])
    score, grey = (pooled(pictures.astype(np.float32)).numpy() @ kernel + bias)[:, 2]
    assert rows(tmp_path)["maximize_2.png"]["score"] == pytest.approx(score, rel=1e-3)
    # In a few steps, keras-vis' weights go against the noise of its start more than for the class.
    assert score > grey + 5 or preset == "keras-vis"


@pytest.mark.parametrize("shape", [(24, 2), (8, 9, 10, 1), (12, 12, 5), (12, 12, 1), (7,)])
def test_inputs_of_other_kinds(kvis, tmp_path, tf, shape):
    """Curves, volumes, many channels, grey, plain vectors."""
    import keras

    keras.utils.set_random_seed(0)
    inputs = keras.Input(shape)
    x = inputs
    if len(shape) > 1:
        conv = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)[len(shape) - 2]
        x = keras.layers.Flatten()(conv(3, 3, activation="tanh", name="conv")(x))
    model = keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(x))
    path = tmp_path / "model.keras"
    model.save(path)
    run = kvis("maximize", path, "--preprocess", "unit", "--class", "0,1", "--steps", 10,
               "--raw", "--out", tmp_path)  # fmt: skip
    assert run.code == 0, run.err
    found = rows(tmp_path)
    for index in (0, 1):
        with np.load(tmp_path / f"maximize_{index}.npz") as raw:
            assert raw["inputs"].shape == shape
            score = float(model(raw["inputs"][np.newaxis])[0, index])
        start = float(model(np.full((1, *shape), 0.5, np.float32))[0, index])
        assert score > start
        assert found[f"maximize_{index}.png"]["probabilities_saved"][0] > start
        assert pixels(tmp_path / f"maximize_{index}.png").std() > 0


def test_binary_sigmoid_has_two_classes(kvis, tmp_path, tf):
    import keras

    inputs = keras.Input((8, 8, 3))
    x = keras.layers.GlobalAveragePooling2D()(inputs)
    dense = keras.layers.Dense(1, activation="sigmoid")
    model = keras.Model(inputs, dense(x))
    dense.set_weights([np.array([[6.0], [-6.0], [0.0]], np.float32), np.zeros(1, np.float32)])
    path = tmp_path / "binary.keras"
    model.save(path)
    run = kvis("maximize", path, "--preprocess", "unit", "--class", "0,1", "--out", tmp_path)
    assert run.code == 0, run.err
    no, yes = (pixels(tmp_path / f"maximize_{n}.png").mean((0, 1)) for n in (0, 1))
    assert yes[0] > 190 > 60 > yes[1] and no[1] > 190 > 60 > no[0]
    found = rows(tmp_path)
    for index, colour in ((0, no), (1, yes)):
        logit = 6 * (colour[0] - colour[1]) / 255
        probability = 1 / (1 + np.exp(-logit if index else logit))
        assert found[f"maximize_{index}.png"]["probabilities_saved"][0] == pytest.approx(
            probability, abs=1e-4
        )
        assert probability > 0.97


def test_a_model_of_zeros_has_nothing_to_show(kvis, tiny_model, tmp_path, tf):
    import keras

    model = keras.saving.load_model(tiny_model)
    model.set_weights([np.zeros_like(w) for w in model.get_weights()])
    model.save(tmp_path / "zeros.keras")
    for arguments in (("--class", "0"), ("--layer", "second", "--unit", "1")):
        run = kvis(
            "maximize", tmp_path / "zeros.keras", *arguments, "--steps", 3, "--out", tmp_path
        )
        assert run.code == 1
        assert "The gradient is zero everywhere" in " ".join(run.err.split())
    assert not list(tmp_path.glob("*.png"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "nothing to maximize"),
        (("--class", "3"), "Class 3 is not among"),
        (("--class", "top1"), "no photo"),
        (("--class", "0", "--layer", "conv"), "Both were given"),
        (("--layer", "conv"), "Which units"),
        (("--layer", "conv", "--unit", "9"), "Unit 9"),
        (("--class", "0", "--unit", "9"), "--unit is about a layer"),
        (("--class", "0", "--act", "0"), "nothing to optimise"),
        (("--class", "0", "--stages", "foo=1"), "foo=1"),
        (("--class", "0", "--gif", "a.mp4"), "a.mp4"),
        (("--class", "0", "--seed-image", "no.npz"), "no.npz"),
        (("--class", "0", "--rescale", "2,1"), "range of factors"),
        (("--class", "0", "--grain", "-1"), "--grain"),
        (
            ("--layer", "conv", "--unit", "1", "--size", "2"),
            "cannot be computed for a picture of 2",
        ),
    ],
)
def test_mistakes(kvis, trained, tmp_path, arguments, message):
    run = kvis("maximize", trained, *PREPROCESS, *arguments, "--out", tmp_path)
    assert run.code in (1, 2)
    assert message.replace("Unit 9", "9 is not in layer") in " ".join(run.err.split())


def test_stage_texts():
    assert parse_stages("tv=0,jitter=5%;tv=10") == [{"tv": "0", "jitter": "5%"}, {"tv": "10"}]
    with pytest.raises(ValueError, match="nope"):
        parse_stages("nope")
    assert parse_rescale("25%") == (0.8, 1.25)
    assert parse_rescale("0.9,1.2") == (0.9, 1.2)


@pytest.mark.slow
def test_real_classes_are_reached(kvis, real_data, tmp_path):
    model = real_data / "models" / "mobilenet_v1_025_224.keras"
    run = kvis("maximize", model, "--class", "20,281,294,1", "--steps", 64, "--out", tmp_path)
    assert run.code == 0, run.err
    for row in rows(tmp_path).values():
        assert row["probabilities_saved"][0] >= 0.9
        assert row["score_saved"] >= 0.9 * row["score"]
