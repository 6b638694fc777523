"""Outputs that are no classes, inputs that are no photos, pixels of a picture as numbers."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests.helpers.output_models import KINDS

BOX = "0.25,0.25,0.75,0.75"


@pytest.fixture(scope="module")
def made(tf, tmp_path_factory):
    """A model of a kind, with seeded weights, and its file."""
    import keras

    folder = tmp_path_factory.mktemp("outputs")
    found = {}

    def make(name):
        if name not in found:
            keras.utils.set_random_seed(6)
            model = KINDS[name][0]()
            for weight in model.weights:
                # Biases, too: without them nothing is on one side of a sigmoid.
                weight.assign(np.random.default_rng(len(found)).normal(0, 0.4, weight.shape))
            path = folder / f"{re.sub('[^a-z0-9]+', '-', name)}.keras"
            model.save(path)
            found[name] = model, path
        return found[name]

    return make


@pytest.fixture
def explain(kvis, made, tmp_path):
    """Run a command on a model of a kind; gives the manifest's rows, or what was said."""

    def run(command, name, source, *options, code=0):
        out = tmp_path / "out"
        ran = kvis(command, made(name)[1], source, "-o", out, "--json", "--raw", *options)
        assert ran.code == code, ran.err
        return json.loads(ran.out)["results"] if code == 0 else ran.err

    return run


def raw(tmp_path, row):
    return np.load(tmp_path / "out" / row["raw"])["map"]


def photo_of(tmp_path, height, width):
    """A picture of the very size of an input, and its pixels in 0..1."""
    pixels = np.random.default_rng(4).integers(0, 256, (height, width, 3), np.uint8)
    path = tmp_path / "exact.png"
    Image.fromarray(pixels).save(path)
    return path, pixels.astype(np.float32) / 255


def middle(height, width):
    """How much of each cell lies in BOX."""

    def cover(count):
        cells = np.arange(count)
        return np.clip(np.minimum(cells + 1, 0.75 * count) - np.maximum(cells, 0.25 * count), 0, 1)

    return np.outer(cover(height), cover(width)).astype(np.float32)


def literal(tf, model, inputs, score):
    """The score and its gradient at one input, by a plain tape."""
    x = tf.constant(inputs[np.newaxis])
    run = tf.function(lambda x: _taped(tf, model, x, score), autograph=False)
    value, gradient = run(x)
    return float(value), np.array(gradient)[0]


def _taped(tf, model, x, score):
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = score(model(x, training=False)[0])
    return value, tape.gradient(value, x)


@pytest.mark.parametrize("region", ["predicted", BOX, pytest.param("all", marks=pytest.mark.slow)])
def test_the_score_of_a_mask_is_its_mean_in_the_region(explain, made, tf, tmp_path, region):
    path, pixels = photo_of(tmp_path, 12, 18)
    (row,) = explain("saliency", "mask", path, "--region", region)
    model, _ = made("mask")
    output = model(pixels[np.newaxis]).numpy()[0, ..., 0]
    weights = {"predicted": output > 0.5, BOX: middle(12, 18), "all": np.ones((12, 18))}[region]
    weights = weights.astype(np.float32)
    assert weights.sum() > 0 and (region == "all" or weights.sum() < weights.size)
    value, gradient = literal(
        tf, model, pixels, lambda y: tf.reduce_sum(y[..., 0] * weights) / weights.sum()
    )
    assert row["score"] == pytest.approx(float((output * weights).sum() / weights.sum()), rel=1e-4)
    assert row["score"] == pytest.approx(value, rel=1e-4)
    np.testing.assert_allclose(raw(tmp_path, row), np.abs(gradient).max(-1), rtol=2e-3, atol=1e-7)
    assert (row["output"], row["region"]) == ("mask", region)
    assert row["target"] == f"mask ({region})" and row["probability"] is None
    assert row["top"] == [["mean of the mask", pytest.approx(float(output.mean()), rel=1e-4)]]


@pytest.mark.slow
def test_a_mask_is_saturated_where_its_region_is(explain, made, tmp_path):
    path, _ = photo_of(tmp_path, 12, 18)
    model, file = made("mask of a grey picture")
    kernel, bias = model.get_layer("out").get_weights()
    # The mask is next to nothing everywhere, and a logit is far from any edge.
    model.get_layer("out").set_weights([kernel, bias - 30])
    model.save(file)
    options = ("--region", BOX)
    (row,) = explain("saliency", "mask of a grey picture", path, *options)
    assert any("saturated" in warning for warning in row["warnings"])
    (row,) = explain("saliency", "mask of a grey picture", path, *options, "--score", "logit")
    assert not any("saturated" in warning for warning in row["warnings"])
    (row,) = explain("saliency", "mask", path, *options)
    assert not any("saturated" in warning for warning in row["warnings"])


@pytest.mark.slow
def test_the_logit_of_a_mask_is_read_where_it_is_asked_for(explain, made, tf, tmp_path):
    path, pixels = photo_of(tmp_path, 12, 18)
    (row,) = explain("saliency", "mask", path, "--region", "all", "--score", "logit")
    output = made("mask")[0](pixels[np.newaxis]).numpy().astype(np.float64)
    assert row["score"] == pytest.approx(np.log(output / (1 - output)).mean(), rel=1e-3)


@pytest.mark.slow
def test_the_score_of_an_image_is_the_mean_of_all_its_channels(explain, made, tf, tmp_path):
    path, pixels = photo_of(tmp_path, 6, 9)
    (row,) = explain("saliency", "super-resolution", path, "--region", BOX)
    weights = middle(12, 18)[..., np.newaxis] / (3 * middle(12, 18).sum())
    model, _ = made("super-resolution")
    value, gradient = literal(tf, model, pixels, lambda y: tf.reduce_sum(y * weights))
    assert row["score"] == pytest.approx(value, rel=1e-4)
    np.testing.assert_allclose(raw(tmp_path, row), np.abs(gradient).max(-1), rtol=2e-3, atol=1e-7)
    assert row["output"] == "image" and row["target"] == f"image ({BOX})"


@pytest.mark.parametrize("name", ["segmentation, channels first", "segmentation in rows"])
def test_units_that_do_not_stand_last_are_found(explain, made, tf, tmp_path, name):
    import keras

    path, pixels = photo_of(tmp_path, 6, 8)
    (row,) = explain("saliency", name, path, "--class", "2", "--region", BOX)
    model, _ = made(name)
    before = keras.Model(model.inputs, model.get_layer("scores").output)
    weights = middle(6, 8) / middle(6, 8).sum()
    first = "first" in name
    inputs = np.moveaxis(pixels, -1, 0) if first else pixels
    value, gradient = literal(
        tf, before, inputs, lambda y: tf.reduce_sum((y[2] if first else y[..., 2]) * weights)
    )
    gradient = np.moveaxis(gradient, 0, -1) if first else gradient
    assert row["score"] == pytest.approx(value, rel=1e-4)
    np.testing.assert_allclose(raw(tmp_path, row), np.abs(gradient).max(-1), rtol=2e-3, atol=1e-7)
    assert row["output"] == "segmentation" and row["target"] == f"2 ({BOX})"


def test_a_cam_of_a_mask_is_that_of_the_mean_in_the_region(explain, made, tf, tmp_path):
    import keras

    path, pixels = photo_of(tmp_path, 12, 18)
    (row,) = explain("cam", "mask", path, "--region", BOX)
    assert row["layer"] == "last"
    model, _ = made("mask")
    maps = keras.Model(model.inputs, model.get_layer("last").output)(pixels[np.newaxis])
    kernel, bias = (tf.constant(w) for w in model.get_layer("out").get_weights())
    weights = middle(12, 18) / middle(12, 18).sum()
    with tf.GradientTape() as tape:
        tape.watch(maps)
        out = tf.sigmoid(tf.tensordot(maps, kernel[0, 0], 1) + bias)
        score = tf.reduce_sum(out[0, ..., 0] * weights)
    gradient = tape.gradient(score, maps).numpy()[0]
    wanted = np.maximum((maps.numpy()[0] * gradient.mean((0, 1))).sum(-1), 0)
    assert wanted.any()
    assert row["score"] == pytest.approx(float(score), rel=1e-4)
    np.testing.assert_allclose(raw(tmp_path, row), wanted, rtol=2e-3, atol=1e-8)


@pytest.mark.slow
def test_other_methods_see_the_region_too(explain, tmp_path):
    path, _ = photo_of(tmp_path, 12, 18)
    methods = "occlusion,rise,smoothgrad,integrated_gradients"
    left = explain("saliency", "mask", path, "--region", "0,0,0.2,1", "-m", methods)
    right = explain("saliency", "mask", path, "--region", "0.8,0,1,1", "-m", "occlusion")
    assert [row["method"] for row in left] == methods.split(",")
    assert len({row["score"] for row in left}) == 1
    occluded = raw(tmp_path, right[0])
    # The receptive field of three convolutions and one halving: far columns do not count.
    assert np.abs(occluded[:, :5]).max() < 1e-6 < np.abs(occluded[:, -4:]).max()


@pytest.mark.slow
def test_steps_of_a_sequence_have_regions(explain, made, tmp_path):
    signal = np.random.default_rng(2).normal(size=(1, 40, 2)).astype(np.float32)
    np.save(tmp_path / "signal.npy", signal)
    part = slice(10, 30)
    for name, of in (("mask of a signal", "mask"), ("signal made a signal", "signal")):
        (row,) = explain("saliency", name, tmp_path / "signal.npy", "--region", "0.25,0.75")
        output = made(name)[0](signal).numpy()[0]
        assert row["score"] == pytest.approx(float(output[part].mean()), rel=1e-3)
        assert row["output"] == of
    (row,) = explain("cam", "classes of steps", tmp_path / "signal.npy", "--class", "1")
    assert row["output"] == "tokens" and row["units"] == [[1, 1.0]]


@pytest.mark.parametrize(
    "command, name, options, said",
    [
        ("saliency", "mask", (), "the score is the mean of a region of it"),
        ("cam", "mask", (), "--region predicted"),
        ("cam", "autoencoder", (), f"--region {BOX}"),
        ("saliency", "mask", ("--region", "all", "--class", "1"), "There is no class '1'."),
        ("saliency", "mask", ("--region", "all", "--contrast", "0"), "There is no class '0'."),
        ("saliency", "autoencoder", ("--region", "predicted"), "An image predicts nothing."),
        ("saliency", "mask", ("--region", "0.5,0,0.2,1"), "is not a box"),
        ("saliency", "mask", ("--region", "0.2,0.5"), "is not a region of this output"),
        ("saliency", "mask", ("--region", "missing.png"), "'missing.png' is not a region"),
        ("saliency", "plane", ("--region", "all"), "needs a model whose output is a map"),
        ("cam", "pixels", (), "`kvis saliency` needs no such layer"),
    ],
)
def test_what_an_output_cannot_be_asked_for(explain, picture, command, name, options, said):
    assert said in explain(command, name, picture, *options, code=2)


@pytest.mark.slow
def test_an_output_without_classes_is_maximized_by_its_layer(kvis, made, tmp_path):
    path = made("mask")[1]
    ran = kvis("maximize", path, "--class", "0", "-o", tmp_path / "out")
    assert ran.code == 2 and "no class to maximize" in ran.err
    line = re.search(r"kvis (maximize .*)", ran.err)[1]
    assert line.endswith("--layer out --unit 0")
    ran = kvis(*shlex.split(line), "--steps", "2", "-o", tmp_path / "out")
    assert ran.code == 0 and ran.out.strip().endswith("maximize_out_0.png")


@pytest.mark.parametrize(
    "name",
    [
        "signal",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("signal, wide", "table", "text", "text as numbers", "tags", "generator")
        ),
    ],
)
def test_the_line_that_a_refused_photo_is_answered_with_works(
    kvis, made, picture, tmp_path, monkeypatch, name
):
    monkeypatch.chdir(tmp_path)
    _, path = made(name)
    ran = kvis("saliency", path, picture)
    assert ran.code == 2 and not (tmp_path / "kvis-out").exists()
    assert f"'{picture}' is a picture, and {path} takes none." in ran.err
    line, then = re.search(r"Make one: (python .*?); then: kvis (.*)", ran.err).groups()
    then = then.partition("; without")[0]
    python, *rest = shlex.split(line)
    assert python == "python"
    subprocess.run([sys.executable, *rest], check=True, cwd=tmp_path)
    done = kvis(*shlex.split(then))
    assert done.code == 0, done.err
    rows = (tmp_path / "kvis-out" / "manifest.jsonl").read_text().splitlines()
    assert [json.loads(row)["status"] for row in rows] == ["done"]


@pytest.mark.slow
def test_a_generator_has_no_map_over_a_photo(kvis, made, picture, tmp_path):
    _, path = made("generator")
    np.save(tmp_path / "noise.npy", np.zeros((1, 20), np.float32))
    ran = kvis("cam", path, tmp_path / "noise.npy", "--region", "all")
    assert ran.code == 2 and "kvis saliency" in ran.err
    ran = kvis("cam", path, picture)
    assert ran.code == 2
    for line in re.findall(r"kvis ((?:maximize|filters) .*?)(?:,|$)", ran.err, re.M):
        done = kvis(*shlex.split(line), "--steps", "2", "-o", tmp_path / "out")
        assert done.code == 0, done.err
    listed = json.loads(kvis("layers", path, "--json").out)
    assert listed["cam_layer"] is None and not any(row["cam"] for row in listed["layers"])


@pytest.mark.parametrize(
    "name, size, order",
    [
        ("pixels", (28, 28), "row by row"),
        ("coloured pixels", (32, 32), "the colours of a pixel side by side"),
        pytest.param("plane", (28, 28), "no channel axis", marks=pytest.mark.slow),
    ],
)
def test_a_photo_for_a_model_of_pixels(explain, kvis, made, tf, tmp_path, name, size, order):
    path, pixels = photo_of(tmp_path, *size)
    model, file = made(name)
    (row,) = explain("saliency", name, path, "--class", "1")
    assert raw(tmp_path, row).shape == size
    if name != "coloured pixels":
        grey = np.asarray(Image.open(path).convert("L"), np.float32) / 255
        pixels = grey[..., np.newaxis]
    import keras

    before = keras.Model(model.inputs, model.layers[-2].output)
    kernel, bias = model.get_layer("out").get_weights()
    inputs = pixels.reshape(model.input_shape[1:])
    value, gradient = literal(
        tf, before, inputs, lambda h: tf.reduce_sum(h * kernel[:, 1]) + bias[1]
    )
    assert row["score"] == pytest.approx(value, rel=1e-3)
    wanted = np.abs(gradient.reshape(*size, -1)).max(-1)
    np.testing.assert_allclose(raw(tmp_path, row), wanted, rtol=2e-3, atol=1e-7)
    assert row["placed"] == [0, 0, size[1], size[0]]
    said = kvis("saliency", file, path, "-o", tmp_path / "out").err
    assert order in said and "preprocessing unit" in said


@pytest.mark.slow
def test_a_cam_over_a_photo_without_a_channel_axis(explain, tmp_path, picture):
    (row,) = explain("cam", "plane made a picture", picture, "--class", "0")
    assert raw(tmp_path, row).shape == (10, 16)
    assert row["placed"] == [0, 0, 40, 30]


@pytest.mark.slow
def test_arrays_for_a_model_of_pixels_stay_arrays(explain, tmp_path):
    np.save(tmp_path / "digit.npy", np.random.default_rng(1).uniform(size=(1, 784)))
    (row,) = explain("saliency", "pixels", tmp_path / "digit.npy", "--class", "1")
    assert raw(tmp_path, row).shape == (784,)
    # Beside a photo they are pictures, too, and drawn as such.
    Image.new("L", (50, 40), 90).save(tmp_path / "photo.png")
    both = (tmp_path / "digit.npy", tmp_path / "photo.png")
    rows = explain("saliency", "pixels", *both, "--class", "1")
    assert {row["image_name"] for row in rows} == {"digit", "photo"}
    assert [raw(tmp_path, row).shape for row in rows] == [(28, 28), (28, 28)]


def test_an_explainer_takes_photos_and_arrays(made, tmp_path):
    from kvis_cli import Explainer
    from kvis_cli.errors import InputError, UsageError

    path, _ = photo_of(tmp_path, 28, 28)
    explainer = Explainer(str(made("pixels")[1]))
    grey = np.asarray(Image.open(path).convert("L"))
    [of_file] = explainer.saliency(str(path), class_=1)
    [of_pixels] = explainer.saliency(grey, class_=1)
    [of_numbers] = explainer.saliency((grey / 255).astype(np.float32).reshape(784), class_=1)
    assert of_file.map.shape == of_pixels.map.shape == (28, 28)
    np.testing.assert_allclose(of_pixels.map, of_file.map, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(of_numbers.map.reshape(28, 28), of_file.map, rtol=1e-3, atol=1e-6)
    assert of_file.score == pytest.approx(of_numbers.score, rel=1e-4)

    mask = Explainer(made("mask")[0])
    image, pixels = photo_of(tmp_path, 12, 18)
    [heat] = mask.cam(str(image), region="predicted")
    assert heat.target.label == "mask (predicted)"
    [[(label, mean)]] = mask.predict(str(image))
    assert label == "mean of the mask"
    assert mean == pytest.approx(
        float(made("mask")[0](pixels[np.newaxis]).numpy().mean()), rel=1e-4
    )
    with pytest.raises(UsageError, match="mean of a region"):
        mask.saliency(str(image))
    with pytest.raises(InputError, match="takes none"):
        Explainer(made("signal")[0]).saliency(str(image))


def test_layers_say_what_goes_in_and_comes_out(kvis, made):
    said = kvis("layers", made("mask")[1]).out
    assert "takes: a picture of 12×18×3" in said
    assert "gives: a mask of 12×18" in said and "--region of it, such as predicted" in said
    assert "gives: 10 classes, labels: none\n" in kvis("layers", made("pixels")[1]).out
    found = json.loads(kvis("layers", made("segmentation")[1], "--json").out)
    assert found["output"]["kind"] == "segmentation" and found["output"]["classes"] == 5
    assert found["input"] == {"kind": "picture", "text": "a picture of 12×18×3"}
    assert (
        json.loads(kvis("layers", made("autoencoder")[1], "--json").out)["output"]["classes"]
        is None
    )


@pytest.mark.slow
def test_labels_turn_channels_into_classes(explain, kvis, made, picture, tmp_path):
    (tmp_path / "three.txt").write_text("sky\nroad\ncar\n")
    labels = ("--labels", str(tmp_path / "three.txt"))
    (row,) = explain("saliency", "autoencoder", picture, "--class", "road", *labels)
    assert row["output"] == "segmentation" and row["target"] == "road"


def test_a_job_refuses_without_workers(kvis, made, picture, tmp_path, monkeypatch):
    from kvis_cli.jobs.running import pool

    def never(*_):
        raise AssertionError("a worker was started")

    monkeypatch.setattr(pool.Pool, "run", never)
    job = tmp_path / "job.yaml"
    for name, kind in (("signal", "is a picture"), ("mask", "mean of a region")):
        job.write_text(
            json.dumps(
                {
                    "version": 1,
                    "models": [str(made(name)[1])],
                    "images": [str(picture)],
                    "output": str(tmp_path / name),
                    "tasks": ["saliency", {"cam": {}}],
                }
            )
        )
        dry = kvis("run", job, "--dry-run")
        assert dry.code == 2 and kind in dry.err
        ran = kvis("run", job)
        assert ran.code == 2 and kind in ran.err
        rows = (tmp_path / name / "manifest.jsonl").read_text().splitlines()
        assert [json.loads(row)["status"] for row in rows] == ["failed", "failed"]
        assert all(kind in json.dumps(json.loads(row)["error"]) for row in rows)


def test_the_picture_of_a_region_is_part_of_what_is_asked(kvis, made, picture, tmp_path):
    job, mask = tmp_path / "job.yaml", tmp_path / "region.png"
    job.write_text(
        json.dumps(
            {
                "models": [str(made("mask")[1])],
                "images": [str(picture)],
                "output": str(tmp_path / "out"),
                "tasks": [{"saliency": {"region": str(mask)}}],
            }
        )
    )

    def ids():
        from kvis_cli.jobs.planning.plan import make_plan
        from kvis_cli.spec.file import read_job

        return [task.id for task in make_plan(read_job(job, {})).tasks]

    found = []
    for grey in (0, 255, 0):
        Image.new("L", (8, 8), grey).save(mask)
        found.append(ids())
    assert found[0] == found[2] != found[1]
