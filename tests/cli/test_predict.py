"""``kvis predict``: what a model says, how often it is right, and how it would be fed right."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import yaml
from PIL import Image

from sample_models.scenes import CLASSES, draw_scene, scene_rng


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Photos of four classes, six each, in folders that are called like them."""
    folder = tmp_path_factory.mktemp("scenes")
    for label in ("apple", "star", "house", "fish"):
        (folder / label).mkdir()
        for i in range(6):
            scene = draw_scene(scene_rng(900, i), CLASSES.index(label))
            Image.fromarray(scene.image).save(folder / label / f"{label}-{i}.png")
    return folder


@pytest.fixture
def shapes(samples, tmp_path):
    """The sample model without its sidecar, beside its labels."""
    for name in ("shapes.keras", "labels.txt"):
        shutil.copy(samples / name, tmp_path)
    return tmp_path / "shapes.keras"


def outputs(tf, path, files):
    import keras

    model = keras.saving.load_model(path)
    pixels = [np.asarray(Image.open(file).convert("RGB"), np.float32) for file in files]
    return np.asarray(model(np.stack(pixels), training=False))


def test_the_classes_are_those_of_the_model(kvis, tf, samples, scenes):
    ran = kvis("predict", samples / "shapes.keras", scenes, "--top", 3, "--json")
    assert ran.code == 0, ran.err
    document = json.loads(ran.out)
    files = [row["image"] for row in document["images"]]
    assert len(files) == 24
    for row, output in zip(
        document["images"], outputs(tf, samples / "shapes.keras", files), strict=True
    ):
        order = np.argsort(-output)[:3]
        assert [t["class"] for t in row["top"]] == order.tolist()
        assert [t["label"] for t in row["top"]] == [CLASSES[i] for i in order]
        np.testing.assert_allclose([t["output"] for t in row["top"]], output[order], rtol=2e-4)
    assert "accuracy" not in document


def test_the_truth_in_folders_shows_how_it_would_be_fed_right(kvis, tf, samples, scenes, shapes):
    arguments = ("predict", shapes, scenes, "--truth", "folders", "--preprocess", "unit")
    document = json.loads(kvis(*arguments, "--json").out)
    files = [row["image"] for row in document["images"]]
    truth = np.array([CLASSES.index(row["label"]) for row in document["images"]])
    right = outputs(tf, samples / "shapes.keras", files).argmax(1) == truth
    by_name = {entry["name"]: entry for entry in document["preprocessings"]}
    assert by_name["none"]["right"] == right.sum() > 18
    assert by_name["unit"]["used"] and by_name["unit"]["right"] < 12
    assert by_name["none"]["clearly_better"]
    assert document["accuracy"] == by_name["unit"]["right"] / 24
    wanted = sum(entry["count"] for entry in document["confusion"])
    assert wanted == 24
    assert {entry["truth"] for entry in document["confusion"]} == {"apple", "star", "house", "fish"}
    ran = kvis(*arguments)
    assert "clearly better" in ran.out and "--preprocess none" in ran.out
    assert "truth \\ says" in ran.out


def test_what_fits_the_truth_goes_into_the_sidecar(kvis, tf, scenes, shapes):
    ran = kvis(
        "predict", shapes, scenes, "--truth", "folders", "--preprocess", "unit", "--write-sidecar"
    )
    assert ran.code == 0, ran.err
    sidecar = shapes.with_name("shapes.kvis.yaml")
    assert yaml.safe_load(sidecar.read_text())["preprocess"] == "none"
    assert "of 24 photos" in sidecar.read_text()
    again = json.loads(kvis("predict", shapes, scenes, "--truth", "folders", "--json").out)
    assert again["preprocess"] == "none" and again["accuracy"] > 0.75
    ran = kvis("predict", shapes, scenes, "--truth", "folders", "--write-sidecar")
    assert ran.code == 2 and "exists" in ran.err


def test_a_table_of_truth_and_a_table_of_predictions(kvis, tf, samples, scenes, tmp_path):
    table = scenes / "truth.csv"
    table.write_text("file;label\napple/apple-0.png;apple\nfish-1.png;4\nnone.png;star\n")
    made = tmp_path / "made.csv"
    model = samples / "shapes.keras"
    ran = kvis("predict", model, scenes, "--truth", table, "--csv", made, "--top", 2)
    assert ran.code == 0, ran.err
    assert " of 2 (" in ran.out
    rows = list(csv.DictReader(io.StringIO(made.read_text())))
    assert len(rows) == 24
    known = {row["image"].rpartition("/")[2]: row["truth"] for row in rows if row["truth"]}
    assert known == {"apple-0.png": "apple", "fish-1.png": "fish"}
    assert rows[0].keys() >= {"class1", "label1", "output1", "class2", "right", "error"}


def test_mistakes_in_the_truth(kvis, tf, samples, scenes, tmp_path):
    model = samples / "shapes.keras"
    table = tmp_path / "truth.csv"
    table.write_text("image,class\napple-0.png,appel\n")
    ran = kvis("predict", model, scenes / "apple", "--truth", table)
    assert ran.code == 2 and "apple" in ran.err
    table.write_text("image,class\nother.png,apple\n")
    ran = kvis("predict", model, scenes / "apple", "--truth", table)
    assert ran.code == 2 and "says nothing about these images" in ran.err
    ran = kvis("predict", model, scenes / "apple", "--truth", tmp_path / "gone.csv")
    assert ran.code == 2 and "Cannot read" in ran.err


def test_a_broken_photo_does_not_lose_the_rest(kvis, tf, tiny_model, picture, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG nothing")
    ran = kvis("predict", tiny_model, picture, broken, "--json")
    assert ran.code == 1
    good, bad = json.loads(ran.out)["images"]
    assert len(good["top"]) == 3 and "broken.png" in bad["error"]
    ran = kvis("predict", tiny_model, broken)
    assert ran.code == 3 and "broken.png" in ran.err


def test_doubt_is_a_warning_of_every_result(kvis, tf, tmp_path, picture):
    import keras

    path = tmp_path / "plain.keras"
    keras.utils.set_random_seed(1)
    keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3, activation="softmax"),
        ]
    ).save(path)
    ran = kvis("cam", path, picture, "--out", tmp_path / "out", "--strict")
    assert ran.code == 1
    assert "not known" in ran.err and "were it fed signed" in ran.err
    (row,) = map(json.loads, (tmp_path / "out" / "manifest.jsonl").read_text().splitlines())
    assert any("fed by a guess" in warning for warning in row["warnings"])
    with Image.open(tmp_path / "out" / row["file"]) as image:
        assert "fed by a guess" in json.dumps(image.info)
    document = json.loads(kvis("layers", path, "--json").out)
    assert "fed by a guess" in document["preprocess_warning"]
    ran = kvis("cam", path, picture, "--out", tmp_path / "told", "--strict", "--preprocess", "unit")
    assert ran.code == 0


@pytest.mark.slow
def test_a_job_records_predictions(kvis, tf, samples, scenes, tmp_path):
    job = tmp_path / "job.yaml"
    document = {
        "version": 1,
        "models": [str(samples / "shapes.keras"), str(samples / "shapes_shortcut.keras")],
        "images": [str(scenes / "apple"), str(scenes / "star")],
        "output": "out",
        "tasks": [{"predict": {"top": 2}}],
        "report": ["json", "html", "junit", "markdown"],
    }
    job.write_text(yaml.safe_dump(document))
    ran = kvis("run", job)
    assert ran.code == 0, ran.err
    rows = [json.loads(line) for line in (tmp_path / "out/manifest.jsonl").read_text().splitlines()]
    assert len(rows) == 24 and all(row["file"] is None for row in rows)
    for name in ("shapes", "shapes_shortcut"):
        table = (tmp_path / "out" / name / "predictions.csv").read_text()
        lines = list(csv.DictReader(io.StringIO(table)))
        files = [line["image"] for line in lines]
        found = outputs(tf, samples / f"{name}.keras", files)
        assert [line["label1"] for line in lines] == [CLASSES[i] for i in found.argmax(1)]
    assert "24 done before" in kvis("run", job).err


def test_evidence_is_shown(kvis, tf, samples, scenes):
    ran = kvis("layers", samples / "shapes.keras", "--preprocess-evidence", scenes, "--json")
    evidence = json.loads(ran.out)["preprocess_evidence"]
    assert evidence["photos"] == "given" and evidence["layer"] == "conv1_bn"
    assert evidence["decided"] and evidence["hypotheses"][0]["preprocess"] == "none"
    ran = kvis("layers", samples / "shapes.keras", "--preprocess-evidence", scenes)
    assert "none is expected" in ran.out and "divergence" in ran.out


def test_an_output_without_classes_is_its_mean(kvis, tf, tmp_path, picture):
    from tests.helpers import output_models

    path = tmp_path / "unet.keras"
    model = output_models.u_net(size=(32, 32, 3))
    model.save(path)
    arguments = ("predict", path, picture, "--preprocess", "unit")
    (row,) = json.loads(kvis(*arguments, "--json").out)["images"]
    pixels = np.asarray(Image.open(picture).convert("RGB").resize((32, 32), Image.BILINEAR))
    mask = np.asarray(model(pixels[None] / np.float32(255), training=False))
    assert row["top"][0]["output"] == pytest.approx(mask.mean(), rel=1e-4)
    assert "mean of the output, a mask" in kvis(*arguments).out
    ran = kvis(*arguments, "--truth", "folders")
    assert ran.code == 2 and "has none" in ran.err


def test_a_wrong_truth_is_said_before_tensorflow_starts(samples, tmp_path):
    table = tmp_path / "truth.csv"
    photo = samples / "images" / "star.png"
    code = (
        "import sys; from typer.testing import CliRunner; from kvis_cli.cli.app import app; "
        "ran = CliRunner().invoke(app, sys.argv[1:]); sys.stderr.write(ran.stderr); "
        "sys.exit(9 if 'tensorflow' in sys.modules else ran.exit_code)"
    )
    arguments = map(str, ("predict", samples / "shapes.keras", photo, "--truth", table))
    command = [sys.executable, "-c", code, *arguments]
    for text, said in (("image,class\nstar.png,stra\n", "star"), ("image\na.png\n", "one column")):
        table.write_text(text)
        ran = subprocess.run(command, capture_output=True, text=True)
        assert ran.returncode == 2 and said in ran.stderr
