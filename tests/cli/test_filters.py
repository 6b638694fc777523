"""`kvis filters` from options to atlases."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kvis_cli.render.png import read_metadata


def rows(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def cells(sheet: np.ndarray, count: int, columns: int, size: int, margin: int) -> np.ndarray:
    step = size + margin
    return np.stack(
        [
            sheet[i // columns * step :, i % columns * step :][:size, :size]
            for i in range(count)
        ]
    )  # fmt: skip


def test_several_layers_give_an_atlas_each(kvis, tiny_model, tmp_path, tf):
    run = kvis(
        "filters", tiny_model, "--layer", "first,second", "--grid", "3x2", "--size", 32,
        "--margin", 4, "--steps", 6, "--out", tmp_path,
    )  # fmt: skip
    assert run.code == 0, run.err
    assert run.out.split() == [
        str(tmp_path / "filters_first.png"), str(tmp_path / "filters_second.png")
    ]  # fmt: skip
    found = {row["layer"]: row for row in rows(tmp_path)}
    assert found["first"]["filters"] == [0, 1, 2, 3]
    assert found["second"]["filters"] == [0, 1, 2, 3, 4, 5]
    sheet = pixels(tmp_path / "filters_second.png")
    assert sheet.shape == (2 * 32 + 4, 3 * 32 + 2 * 4, 3)
    assert (sheet[32:36] == 0).all() and (sheet[:, 32:36] == 0).all()

    # The scores in the manifest are those of the cells in the file, by the model itself.
    import keras

    model = keras.saving.load_model(tiny_model)
    layer = keras.Sequential([keras.Input((32, 32, 3)), *model.layers[:3]])
    shown = cells(sheet, 6, 3, 32, 4)
    scores = layer(shown.astype(np.float32)).numpy().mean((1, 2))[range(6), range(6)]
    np.testing.assert_allclose(found["second"]["scores_saved"], scores, rtol=1e-4)
    assert "second" in read_metadata(tmp_path / "filters_second.png")["kvis"]


def test_same_seed_same_pixels_whatever_the_batch(kvis, tiny_model, tmp_path):
    sheets = []
    for name, batch, seed in (("a", 16, 0), ("b", 2, 0), ("c", 16, 1)):
        run = kvis(
            "filters", tiny_model, "--layer", "second", "--grid", "3x2", "--size", 16,
            "--steps", 5, "--batch-size", batch, "--seed", seed, "--out", tmp_path / name,
        )  # fmt: skip
        assert run.code == 0, run.err
        sheets.append(pixels(tmp_path / name / "filters_second.png"))
    np.testing.assert_array_equal(sheets[0], sheets[1])
    assert (sheets[0] != sheets[2]).any()


def test_order_captions_and_raw(kvis, tiny_model, tmp_path):
    common = ("filters", tiny_model, "--layer", "second", "--grid", "3x1", "--size", 16,
              "--steps", 4, "--filters", "1,4,2")  # fmt: skip
    assert kvis(*common, "--out", tmp_path / "a", "--raw").code == 0
    assert kvis(*common, "--out", tmp_path / "b", "--sort", "activation").code == 0
    assert kvis(*common, "--out", tmp_path / "c", "--captions").code == 0
    (a,), (b,) = rows(tmp_path / "a"), rows(tmp_path / "b")
    assert a["filters"] == [1, 4, 2]
    assert b["scores_saved"] == sorted(a["scores_saved"], reverse=True)
    score = dict(zip(a["filters"], a["scores_saved"], strict=True))
    assert [score[f] for f in b["filters"]] == b["scores_saved"]
    plain, written = (pixels(tmp_path / n / "filters_second.png") for n in "ac")
    assert (plain != written).any() and (plain[:4] == written[:4]).all()
    with np.load(tmp_path / "a" / "filters_second.npz") as raw:
        assert list(raw["filters"]) == [1, 4, 2]
        # The tiny model takes 0..255, so its inputs are the picture before rounding.
        shown = cells(plain, 3, 3, 16, 5)
        alive = [i for i, f in enumerate(a["filters"]) if f not in a["dead"] + a["silent"]]
        assert alive
        np.testing.assert_allclose(raw["inputs"][alive], shown[alive], atol=0.51)


@pytest.fixture(scope="module")
def half_dead(tf, tmp_path_factory) -> Path:
    import keras

    inputs = keras.Input((16, 16, 3))
    layer = keras.layers.Conv2D(4, 3, activation="relu", name="half")
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(layer(inputs)))
    kernel, bias = layer.get_weights()
    bias[1:3] = -1e9
    layer.set_weights([np.abs(kernel), bias])
    path = tmp_path_factory.mktemp("dead") / "dead.keras"
    model.save(path)
    return path


def test_dead_filters_are_marked(kvis, half_dead, tmp_path):
    run = kvis(
        "filters", half_dead, "--preprocess", "none", "--layer", "half", "--grid", "2x2",
        "--size", 24, "--margin", 0, "--steps", 4, "--out", tmp_path,
    )  # fmt: skip
    assert run.code == 0, run.err
    assert rows(tmp_path)[0]["dead"] == [1, 2]
    assert rows(tmp_path)[0]["silent"] == []
    assert "2 of 4 filters are dead, by their weights: 1, 2" in run.err
    from kvis_cli.render.grid import dead_cell

    shown = cells(pixels(tmp_path / "filters_half.png"), 4, 2, 24, 0)
    np.testing.assert_array_equal(shown[1], dead_cell(24))
    assert (shown[0] != dead_cell(24)).any()


def test_filters_that_are_silent_for_noise_are_found(kvis, tmp_path, tf):
    """Both answer to saturated colours only, and then at their ceiling: neither is dead."""
    import keras

    inputs = keras.Input((12, 12, 3))
    layer = keras.layers.Conv2D(2, 1, activation="relu6", name="ceiling")
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(layer(inputs)))
    kernel = np.zeros((1, 1, 3, 2), np.float32)
    kernel[0, 0, 0, 0] = kernel[0, 0, 2, 1] = 100
    layer.set_weights([kernel, np.float32([-85, -85])])
    model.save(tmp_path / "ceiling.keras")
    run = kvis(
        "filters", tmp_path / "ceiling.keras", "--preprocess", "unit", "--layer", "ceiling",
        "--grid", "2x1", "--size", 12, "--margin", 0, "--out", tmp_path,
    )  # fmt: skip
    assert run.code == 0, run.err
    (row,) = rows(tmp_path)
    assert row["dead"] == []
    shown = cells(pixels(tmp_path / "filters_ceiling.png"), 2, 2, 12, 0) / 255
    for index, channel in enumerate((0, 2)):
        score = np.clip(100 * shown[index, ..., channel] - 85, 0, 6).mean()
        assert row["scores_saved"][index] == pytest.approx(score, abs=1e-3)
        assert score > 5


@pytest.fixture(scope="module")
def picky(tf, tmp_path_factory) -> Path:
    """Filters that fire for one kind of picture each, and two that noise never reaches.

    0: saturated red; 1: a hard vertical edge; 2: one picture alone; 3: nothing within the range.
    """
    import keras

    inputs = keras.Input((16, 16, 3))
    first = keras.layers.Conv2D(4, 3, activation="relu", name="first")
    last = keras.layers.Conv2D(4, 3, activation="relu", name="picky")
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(last(first(inputs))))
    kernel = np.zeros((3, 3, 3, 4), np.float32)
    kernel[:, :, 0, 0] = 1
    kernel[:, :, 1:, 0] = -1
    kernel[:, 2, :, 1], kernel[:, 0, :, 1] = 1, -1
    chequered = np.indices((3, 3)).sum(0) % 2 * 2 - 1
    kernel[..., 0, 2], kernel[..., 1, 2] = chequered, -chequered
    kernel[..., 3] = 0.1
    first.set_weights([kernel, np.float32([-8.5, -8.5, -8.4, 0])])
    middle = np.zeros((3, 3, 4, 4), np.float32)
    middle[1, 1] = np.eye(4)
    last.set_weights([middle, np.float32([0, 0, 0, -2.8])])
    path = tmp_path_factory.mktemp("picky") / "picky.keras"
    model.save(path)
    return path


def test_silent_filters_are_shown_pictures_of_all_kinds(kvis, picky, tmp_path):
    arguments = (
        "filters", picky, "--preprocess", "unit", "--layer", "picky", "--grid", "2x2",
        "--size", 16, "--margin", 0, "--steps", 6,
    )  # fmt: skip
    run = kvis(*arguments, "--out", tmp_path / "a")
    assert run.code == 0, run.err
    (row,) = rows(tmp_path / "a")
    # The last lies above what three channels of 1 can give: its bound proves it dead.
    assert row["dead"] == [3]
    assert row["silent"] == [2]
    assert "1 of 4 filters are silent from these starts, which does not prove" in run.err
    assert all(score > 0 for score in row["scores"][:2])
    from kvis_cli.render.grid import dead_cell, silent_cell

    shown = cells(pixels(tmp_path / "a" / "filters_picky.png"), 4, 2, 16, 0)
    np.testing.assert_array_equal(shown[2], silent_cell(16))
    np.testing.assert_array_equal(shown[3], dead_cell(16))

    # A picture of the user's own that it responds to.
    own = np.zeros((16, 16, 3), np.uint8)
    board = np.indices((16, 16)).sum(0) % 2 == 1
    own[board, 0] = own[~board, 1] = 255
    Image.fromarray(own).save(tmp_path / "own.png")
    run = kvis(*arguments, "--images", tmp_path / "own.png", "--out", tmp_path / "b")
    assert run.code == 0, run.err
    (row,) = rows(tmp_path / "b")
    assert row["silent"] == []
    assert row["dead"] == [3]
    assert row["scores"][2] > 0
    # Another picture under the same name is another task.
    again = (*arguments, "--images", tmp_path / "own.png", "--out", tmp_path / "b")
    kvis(*again)
    before = rows(tmp_path / "b")[0]["task"]
    Image.fromarray(255 - own).save(tmp_path / "own.png")
    kvis(*again)
    assert rows(tmp_path / "b")[0]["task"] != before


def test_only_silent_filters_are_an_error_that_claims_no_more(kvis, picky, tmp_path):
    run = kvis(
        "filters", picky, "--preprocess", "unit", "--layer", "picky", "--filters", "2",
        "--size", 16, "--steps", 3, "--out", tmp_path,
    )  # fmt: skip
    assert run.code == 1
    assert "is silent from the starts that were tried" in run.err
    assert "--images photos/" in run.err


def test_bounds_hold_for_every_input(tf, picky):
    """What is said to be constant is; every other channel varies over random and extreme inputs."""
    import keras

    from kvis_cli.models.graph.bounds import constant_channels
    from kvis_cli.models.graph.from_config import read_architecture

    keras.utils.set_random_seed(3)
    x = inputs = keras.Input((12, 12, 3))
    x = keras.layers.Rescaling(2.0, offset=-1.0)(x)
    x = keras.layers.Conv2D(5, 3, padding="same", bias_initializer="random_normal")(x)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.ReLU(6.0)(x)
    y = keras.layers.Conv2D(6, 1, activation="tanh")(x)
    x = keras.layers.Concatenate()([x, y])
    x = keras.layers.MaxPooling2D()(x)
    x = keras.layers.Conv2D(7, 3, activation="relu", name="end")(x)
    model = keras.Model(inputs, x)
    norm, end = model.get_layer("norm"), model.get_layer("end")
    gamma, beta = np.ones(5), np.zeros(5)
    gamma[1], beta[1], beta[3] = 0, 2, -100
    norm.set_weights([gamma, beta, np.zeros(5), np.ones(5)])
    kernel, bias = end.get_weights()
    bias[2], kernel[..., 4] = -1e3, 0
    end.set_weights([kernel, bias])
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(model)))
    calls = {call.path: call for call in read_architecture(config).calls}

    rng = np.random.default_rng(0)
    seen = np.concatenate([rng.random((40, 12, 12, 3)), np.ones((1, 12, 12, 3))])
    seen = np.concatenate([seen, np.zeros((1, 12, 12, 3)), rng.integers(0, 2, (40, 12, 12, 3))])
    for name, wanted in (("re_lu", [1, 3]), ("end", [2, 4])):
        layer = next(c for path, c in calls.items() if path.startswith(name))
        constant = constant_channels(layer, model.get_layer, 0.0, 1.0)
        assert np.flatnonzero(constant).tolist() == wanted
        values = keras.Model(inputs, model.get_layer(layer.path).output).predict(seen, verbose=0)
        spread = np.ptp(values.reshape(-1, values.shape[-1]), axis=0)
        assert (spread[constant] < 1e-4).all()


def test_all_dead_is_an_error(kvis, half_dead, tmp_path):
    run = kvis(
        "filters", half_dead, "--preprocess", "none", "--layer", "half", "--filters", "1,2",
        "--steps", 3, "--size", 16, "--out", tmp_path,
    )  # fmt: skip
    assert run.code == 1
    assert "Every filter of half is dead" in run.err
    assert "whatever the input is" in run.err


@pytest.mark.parametrize("shape", [(32, 2), (10, 16, 16, 1), (16, 16, 5)])
def test_atlas_of_curves_volumes_and_many_channels(kvis, tmp_path, tf, shape):
    """Scores are those of the rounded values; slices and channels are there pixel by pixel."""
    import keras

    keras.utils.set_random_seed(1)
    conv = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)[len(shape) - 2]
    inputs = keras.Input(shape)
    layer = conv(3, 3, activation="tanh", name="conv")
    model = keras.Model(inputs, keras.layers.Flatten()(layer(inputs)))
    model.save(tmp_path / "model.keras")
    run = kvis(
        "filters", tmp_path / "model.keras", "--preprocess", "unit", "--layer", "conv", "--grid",
        "2x2", "--size", 16, "--steps", 20, "--raw", "--out", tmp_path,
    )  # fmt: skip
    assert run.code == 0, run.err
    (row,) = rows(tmp_path)
    with np.load(tmp_path / "filters_conv.npz") as raw:
        values = np.rint(raw["inputs"] * 255)
    axes = len(shape) - 1
    assert values.shape == (3, *(16,) * axes, shape[-1])
    scores = layer(values.astype(np.float32) / 255).numpy().mean(tuple(range(1, axes + 1)))
    np.testing.assert_allclose(row["scores_saved"], scores[range(3), range(3)], rtol=1e-4)
    assert min(row["scores_saved"]) > float(
        layer(np.full((1, *(16,) * axes, shape[-1]), 0.5)).numpy().max()
    )
    sheet = pixels(tmp_path / "filters_conv.png")
    planes = {1: 0, 2: shape[-1], 3: 16}[axes]
    columns = int(np.ceil(np.sqrt(planes)))
    side = max(16, columns * 17 - 1)
    assert sheet.shape == (2 * side + 5, 2 * side + 5, 3)
    shown = cells(sheet, 3, 2, side, 5)
    for index in range(3):
        top = (side - (-(-planes // columns) * 17 - 1)) // 2 if planes else 0
        for number in range(planes):
            plane = values[index, ..., number] if axes == 2 else values[index, number, ..., 0]
            y, x = top + number // columns * 17, number % columns * 17
            tile = shown[index][y : y + 16, x : x + 16]
            np.testing.assert_array_equal(
                tile, plane.astype(np.uint8)[..., np.newaxis].repeat(3, 2)
            )
        if axes == 1:
            # A curve per channel, from the values at its ends.
            for channel, colour in enumerate([(31, 119, 180), (214, 39, 40)]):
                if channel == 1:
                    y = round(11 * (1 - values[index, 0, channel] / 255)) + 2
                    assert (shown[index][max(0, y - 1) : y + 2, 2] == colour).all(-1).any()


def test_kernels_themselves(kvis, tiny_model, tmp_path, tf):
    import keras

    run = kvis(
        "filters", tiny_model, "--layer", "first", "--weights", "--grid", "2x2", "--size", 9,
        "--margin", 1, "--out", tmp_path,
    )  # fmt: skip
    assert run.code == 0, run.err
    kernel = keras.saving.load_model(tiny_model).get_layer("first").kernel.numpy()
    shown = cells(pixels(tmp_path / "filters_first_weights.png"), 4, 2, 9, 1)
    for index in range(4):
        k = kernel[..., index]
        expected = np.rint(127.5 + 127.5 * k / np.abs(k).max())
        np.testing.assert_array_equal(shown[index][::3, ::3], expected)
    run = kvis("filters", tiny_model, "--layer", "second", "--weights", "--out", tmp_path)
    assert run.code == 2 and "kernels of layer 'second'" in run.err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--layer", "second", "--filters", "512"), 2, "Filter 512 is not in layer 'second'"),
        (("--layer", "second", "--filters", "0-9"), 2, "goes beyond the layer"),
        (("--layer", "second", "--filters", "x"), 2, "names no units"),
        (("--layer", "secnod"), 2, "Did you mean 'second'"),
        (("--layer", "second", "--size", "3"), 2, "cannot be computed for a picture of 3×3"),
        (("--layer", "second", "--grid", "2x2", "--filters", "all"), 2, "do not fit into 2x2"),
        (("--layer", "second", "--grid", "two"), 2, "--grid"),
        (("--layer", "second", "--act", "0"), 2, "No such option"),
        (("--layer", "second", "--optimizer", "adamm"), 2, "Unknown optimizer 'adamm'"),
        (("--layer", "second", "--backprop", "guide"), 2, "Unknown backprop modifier 'guide'"),
        (("--layer", "second", "--jitter", "99px"), 2, "not an amount"),
        (("--layer", "tiny"), 2, "tiny"),
        ((), 2, "name at least one layer"),
    ],
)
def test_mistakes(kvis, tiny_model, tmp_path, arguments, code, message):
    run = kvis("filters", tiny_model, *arguments, "--out", tmp_path)
    assert run.code == code, run.err
    assert message in " ".join(run.err.split())


def test_size_that_would_do_is_named(kvis, tiny_model, tmp_path):
    run = kvis("filters", tiny_model, "--layer", "second", "--size", 3, "--out", tmp_path)
    assert "--size 6" in run.err


def test_missing_weights_say_which_file_goes_where(kvis, tmp_path, monkeypatch):
    """No cache, no network: the proxy points nowhere."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    run = kvis("filters", "--layer", "block3_conv1", "--out", tmp_path)
    assert run.code == 3
    assert "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5" in run.err


@pytest.mark.slow
def test_weights_file_and_the_book_atlas(kvis, tmp_path, tf):
    import keras

    keras.utils.set_random_seed(0)
    model = keras.applications.VGG16(weights=None, include_top=False)
    weights = tmp_path / "vgg.weights.h5"
    model.save_weights(weights)
    run = kvis(
        "filters", f"vgg16:{weights}", "--layer", "block1_conv1,block2_conv1", "--preset",
        "chollet", "--steps", 2, "--out", tmp_path,
    )  # fmt: skip
    assert run.code == 0, run.err
    dead = {row["layer"]: row["dead"] + row["silent"] for row in rows(tmp_path)}
    for layer in ("block1_conv1", "block2_conv1"):
        sheet = pixels(tmp_path / f"filters_{layer}.png")
        assert sheet.shape == (547, 547, 3)
        # The book's display: mean 0.5 and deviation 0.1 of every picture that is not dead.
        alive = next(f for f in range(64) if f not in dead[layer])
        first = cells(sheet, 64, 8, 64, 5)[alive] / 255
        assert first.mean() == pytest.approx(0.5, abs=0.01)
        assert first.std() == pytest.approx(0.1, abs=0.01)


BLOCKS = "block1_conv1,block2_conv1,block3_conv1,block4_conv1"


@pytest.mark.slow
def test_four_layers_of_vgg16_give_four_atlases_of_the_book(kvis, tmp_path, tf):
    run = kvis("filters", "vgg16:random", "--layer", BLOCKS, "--preset", "chollet", "--steps", 1,
               "--out", tmp_path)  # fmt: skip
    assert run.code == 0, run.err
    for row, layer in zip(rows(tmp_path), BLOCKS.split(","), strict=True):
        assert row["layer"] == layer and row["filters"] == list(range(64))
        sheet = pixels(tmp_path / row["file"])
        # 8 pictures of 64 and 7 lines of 5 between them.
        assert sheet.shape == (547, 547, 3)
        for line in range(7):
            assert not sheet[69 * line + 64 : 69 * line + 69].any()
            assert not sheet[:, 69 * line + 64 : 69 * line + 69].any()
        alive = [i for i in range(64) if i not in row["dead"] + row["silent"]]
        shown = cells(sheet, 64, 8, 64, 5)[alive] / 255
        np.testing.assert_allclose(shown.mean((1, 2, 3)), 0.5, atol=0.02)
        # Clipping at three deviations takes a little away.
        assert shown.std((1, 2, 3)).max() < 0.102


PEAK = """
import resource, sys
from kvis_cli.jobs.running.runner import run_job
from kvis_cli.spec.job import JobSpec
task = {"layer": sys.argv[2].split(","), "steps": 3, "filters": "0-31"}
run_job(JobSpec.model_validate(
    {"models": ["vgg16:random"], "out": sys.argv[1], "batch_size": 8, "tasks": [{"filters": task}]}
))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


@pytest.mark.slow
def test_memory_is_flat_over_layers(tmp_path):
    """Many layers need no more than the one that needs most."""

    def peak(layers: str) -> float:
        ran = subprocess.run(
            [sys.executable, "-c", PEAK, str(tmp_path / "out"), layers],
            capture_output=True, text=True, check=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )  # fmt: skip
        return float(ran.stdout.split()[-1])

    alone = peak("block4_conv1")
    many = peak("block4_conv1,block1_conv1,block3_conv3,block2_conv1,block4_conv3,block3_conv1")
    assert many < 1.15 * alone, (alone, many)


@pytest.mark.slow
def test_interrupt_keeps_finished_atlases(tiny_model, tmp_path):
    """SIGINT once the first atlas is there: exit 130, the atlas stays."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    process = subprocess.Popen(
        [sys.executable, "-m", "kvis_cli", "filters", str(tiny_model), "--layer", "first,second",
         "--size", "48", "--steps", "1000", "--grid", "3x2", "--out", str(tmp_path)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment,
        # Where the tests themselves run in the background, it would be inherited as ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    first = tmp_path / "filters_first.png"
    until = time.monotonic() + 180
    while not first.exists() and time.monotonic() < until and process.poll() is None:
        time.sleep(0.05)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert pixels(first).shape == (2 * 48 + 5, 3 * 48 + 10, 3)
    (row,) = rows(tmp_path)
    assert row["file"] == "filters_first.png" and row["status"] == "done"
    assert row["filters"] == [0, 1, 2, 3] and min(row["scores_saved"]) > 0


@pytest.mark.slow
@pytest.mark.parametrize("processes", [False, True])
def test_failure_at_a_later_layer_keeps_the_first(kvis, tiny_model, tmp_path, processes):
    """The second layer overflows; its atlas is missing, and a rerun does not take it for done."""
    import keras

    model = keras.saving.load_model(tiny_model)
    layer = model.get_layer("second")
    kernel, bias = layer.get_weights()
    layer.set_weights([np.full_like(kernel, 3e38), bias])
    model.save(tmp_path / "half.keras")
    job = tmp_path / "job.yaml"
    job.write_text(
        "models: [half.keras]\noutput: out\ntasks:\n- filters: {layer: [first, second], "
        "size: 16, steps: 3, grid: 3x2}\n"
    )
    options = ("--layer", "first,second", "--size", 16, "--steps", 3, "--grid", "3x2")
    for _ in range(2):
        if processes:
            run = kvis("run", job)
        else:
            run = kvis("filters", tmp_path / "half.keras", *options, "--out", tmp_path / "out")
        assert run.code == 1, run.err
        assert "the term 'activation' is not finite" in " ".join(run.err.split())
        found = {row["status"]: row for row in rows(tmp_path / "out")}
        assert found["done"]["file"].endswith("filters_first.png")
        assert len(found["done"]["scores_saved"]) == 4
        assert (tmp_path / "out" / found["done"]["file"]).is_file()
        assert "not finite" in found["failed"]["error"]["what"]
