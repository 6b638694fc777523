"""``kvis compare``: the same questions, and how alike the answers are."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from kvis_cli.metrics import MEASURES, compare_maps
from kvis_cli.render.png import read_metadata
from tests.helpers.models import tiny_network

PERFECT = {name: 0.0 if name == "centroid" else 1.0 for name in MEASURES}


@pytest.fixture(scope="module")
def files(tf, tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare")
    for name, seed in (("old", 5), ("new", 6), ("other", 7)):
        tiny_network(seed).save(folder / f"{name}.keras")
    for number in range(3):
        rng = np.random.default_rng(number)
        Image.fromarray(rng.integers(0, 256, (30, 40, 3), np.uint8)).save(folder / f"{number}.png")
    return folder


def raw(found, question, side):
    letter = "A" if side == "a" else question["model"]
    [model] = [m for m in found["models"] if m["letter"] == letter]
    return np.load(f"{model['folder']}/{question[side]['raw']}")["map"]


@pytest.mark.slow
def test_a_rank_is_that_of_the_first_model(kvis, files, tmp_path):
    out = tmp_path / "out"
    arguments = ("compare", files / "old.keras", files / "new.keras", files, "-c", "top1")
    ran = kvis(*arguments, "-m", "gradcam,gradient", "-o", out, "--json")
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    assert len(found["questions"]) == 6
    flips = set()
    for question in found["questions"]:
        expected = compare_maps(raw(found, question, "a"), raw(found, question, "b"))
        assert question["measures"] == pytest.approx(
            {name: v if isinstance(v, float) else None for name, v in expected.items()}
        )
        assert question["target"] == question["a"]["first"]
        assert question["flipped"] == (question["a"]["first"] != question["b"]["first"])
        if question["flipped"]:
            flips.add(question["image"])
        assert question["drop"] == pytest.approx(
            question["a"]["probability"] - question["b"]["probability"]
        )
    assert found["summary"]["B"]["flips"] == len(flips)
    values = [q["measures"]["spearman"] for q in found["questions"]]
    assert found["summary"]["B"]["spearman"]["median"] == pytest.approx(np.median(values))
    assert json.loads((out / "compare.json").read_text())["questions"] == found["questions"]
    # The sheet: a photo, two maps and their difference a row, and what it compares.
    assert "old.keras" in str(read_metadata(out / "compare.png"))
    assert np.asarray(Image.open(out / "compare.png")).shape[1] > 4 * 160
    # Once more: nothing is left to do, and the same is said.
    again = kvis(*arguments, "-m", "gradcam,gradient", "-o", out)
    assert again.code == 0 and "starting TensorFlow" not in again.err
    assert f"{len(flips)} of 3 predictions flip" in again.out
    assert again.out.splitlines()[-1] == str(out / "compare.png")


def test_a_model_and_itself_differ_in_nothing(kvis, files, tmp_path):
    model = files / "old.keras"
    ran = kvis("compare", model, model, files, "-c", "0,1,2", "-o", tmp_path, "--json")
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    assert len(found["questions"]) == 9
    for question in found["questions"]:
        there = {n: v for n, v in question["measures"].items() if v is not None}
        assert there == {name: PERFECT[name] for name in there}
        # What has no value says why.
        assert set(question["undefined"]) == set(MEASURES) - set(there)
        assert question["drop"] == 0 and not question["flipped"]


def test_three_models_and_a_sheet_for_each(kvis, files, tmp_path):
    models = [files / f"{name}.keras" for name in ("old", "new", "other")]
    ran = kvis("compare", *models, files / "0.png", "-c", "1", "-o", tmp_path, "-q")
    assert ran.code == 0 and ran.err == ""
    assert (tmp_path / "compare-B.png").is_file() and (tmp_path / "compare-C.png").is_file()
    assert "A old and B new: 1 questions" in ran.out
    assert "A old and C other: 1 questions" in ran.out


def test_a_model_that_lacks_the_class_is_said(kvis, files, samples, tmp_path):
    ran = kvis(
        "compare", samples / "shapes.keras", files / "old.keras", samples / "images" / "star.png",
        "-c", "star", "-o", tmp_path / "out",
    )  # fmt: skip
    assert ran.code == 2
    assert "class" in ran.err.lower()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["old.keras"], "nothing to compare"),
        (["old.keras", "new.keras"], "nothing to compare"),
        (["old.keras", "new.keras", "0.png", "-m", "gradcm"], "gradcam"),
        (["old.keras", "new.keras", "0.png", "-m", "gradient", "-l", "conv"], "--layer"),
        (["old.keras", "new.keras", "nothing.png"], "no image"),
    ],
)
def test_wrong_requests(kvis, files, tmp_path, arguments, said):
    typed = [a if a[0] == "-" or "." not in a else files / a for a in arguments]
    ran = kvis("compare", *typed, "-o", tmp_path)
    assert ran.code == 2, ran.err
    assert said in ran.err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "second"),
    [("00-0.47", "102-0.66"), ("51-0.63", "70-0.63"), ("102-0.66", "102-0.66")],
)
def test_real_checkpoints(kvis, real_data, tmp_path, first, second):
    """First and last of a run, neighbours, and one with itself."""
    names = [f"fer2013_mini_XCEPTION.{name}.hdf5" for name in (first, second)]
    models = [real_data / "checkpoints" / name for name in names]
    ran = kvis(
        "compare", *models, real_data / "photos", "-m", "gradcam,smoothgrad", "-o", tmp_path,
        "--json",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    assert len(found["questions"]) == 20
    summary = found["summary"]["B"]
    if first == second:
        for question in found["questions"]:
            there = {n: v for n, v in question["measures"].items() if v is not None}
            assert there == {name: PERFECT[name] for name in there}
        assert summary["flips"] == 0
    else:
        assert summary["spearman"]["undefined"] == 0 < summary["flips"]
    # Neighbours are more alike than the first and the last: 0.38 and 0.22.
    assert (summary["spearman"]["median"] > 0.3) == (first != "00-0.47")


def test_a_model_that_is_not_there_is_said_before_any_is_asked(kvis, tiny_model, tmp_path):
    from PIL import Image

    Image.new("RGB", (20, 20)).save(tmp_path / "photo.png")
    out = tmp_path / "out"
    ran = kvis("compare", tiny_model, tmp_path / "gone.keras", tmp_path / "photo.png", "-o", out)
    assert ran.code == 3 and "gone.keras" in ran.err
    assert not out.exists()
