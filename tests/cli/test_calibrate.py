"""``kvis calibrate`` from models to thresholds, and what is refused before anything is computed."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import yaml
from PIL import Image

from kvis_cli.gate.thresholds import read_thresholds
from tests.helpers.models import tiny_network

IMAGES = 12


@pytest.fixture
def project(tmp_path):
    """A job of twelve photos of two classes, whose models are only names."""
    rows = ["file,label,box"]
    for i in range(IMAGES):
        rng = np.random.default_rng(i)
        pixels = rng.integers(0, 256, (5, 6, 3), np.uint8).repeat(6, 0).repeat(6, 1)
        Image.fromarray(pixels).save(tmp_path / f"photo-{i:02d}.png")
        rows.append(f"photo-{i:02d}.png,{i % 2},0 0 18 30")
    (tmp_path / "gate.csv").write_text("\n".join(rows) + "\n")
    job = {
        "models": ["model.keras"],
        "images": [{"csv": "gate.csv", "image": "file", "class": "label", "box": "box"}],
        "tasks": [{"saliency": {"method": "gradient"}}],
        "output": "out",
        "baseline": "base",
        "checks": [{"drift": {"of": "retrain"}}, {"region": {"min": "calibrated"}}],
        "pass": {"share": 0.5},
    }
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(job))
    return tmp_path


@pytest.fixture(scope="module")
def models(tf, tmp_path_factory):
    """A model, three that differ from it by a little, and another one."""
    folder = tmp_path_factory.mktemp("models")
    model = tiny_network(5)
    model.save(folder / "model.keras")
    weights = model.get_weights()
    for k in range(3):
        rng = np.random.default_rng(k)
        model.set_weights([w * rng.normal(1, 0.05, w.shape) for w in weights])
        model.save(folder / f"good-{k}.keras")
    tiny_network(6).save(folder / "bad.keras")
    return folder


@pytest.fixture
def here(monkeypatch):
    """Compute in this process, where TensorFlow has started already."""
    from kvis_cli.gate.calibration import calibrate

    real = calibrate.Options
    monkeypatch.setattr(calibrate, "Options", lambda processes, resume: real(resume=resume))


@pytest.mark.slow
def test_thresholds_are_written_and_the_other_model_is_found(project, models, kvis, here):
    shutil.copy(models / "model.keras", project / "model.keras")
    arguments = ("calibrate", project / "job.yaml", "-q", "--bad", models / "bad.keras")
    # The glob finds the model itself, which is no other one.
    good = ("--good", models / "good-*.keras", "--good", models / "model.keras")
    ran = kvis(*arguments, *good, "--json")
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    assert found["good_models"] == 3 and found["share"] == 0.5
    assert found["false_alarms_without_assumption"] == 0.25
    powers = {(p["metric"], p["kind"]): p for p in found["power"]}
    assert set(powers) == {(m, k) for m in ("spearman", "enrichment") for k in ("control", "bad")}
    control = powers["spearman", "control"]
    assert list(control["failing"]) == [
        "top-1-classes", "top-2-hidden", "top-3-second", "all-4-layers"
    ]  # fmt: skip
    level = next(v for v in found["levels"] if (v["metric"], v["class"]) == ("spearman", "0"))
    assert list(level["noise"]) == [
        "shifted by a pixel", "re-encoded as JPEG", "brightened by 2 %"
    ]  # fmt: skip
    # Brightness moves the map of a model least of all.
    assert 0.9 < level["noise"]["brightened by 2 %"] <= 1
    assert len(level["good"]) == 3 and level["limit"] < min(level["good"]) < 1
    assert {t.share for t in read_thresholds(project / "base")} == {0.5}
    assert len(read_thresholds(project / "base")) == 6
    # Once more: nothing is computed, the same bytes come out, now as a table.
    before = (project / "base" / "thresholds.json").read_bytes()
    maps = [*(project / "out" / "calibration").rglob("manifest.jsonl")]
    written = {path: path.stat().st_mtime_ns for path in maps}
    assert len(maps) == 3
    again = kvis(*arguments, *good)
    assert again.code == 0
    assert "assuming a normal spread" in again.out and "noise" in again.out
    assert (project / "base" / "thresholds.json").read_bytes() == before
    assert {path: path.stat().st_mtime_ns for path in maps} == written


@pytest.mark.parametrize(
    ("change", "good", "said"),
    [
        ({}, ["a.keras", "b.keras"], "2 good models say nothing of the spread"),
        ({}, ["none-*.keras"], "matches no file"),
        ({"baseline": None, "checks": []}, ["?.keras"], "no folder for the thresholds"),
        ({"models": ["model.keras", "d.keras"]}, ["?.keras"], "2 models cannot be calibrated"),
    ],
)
def test_what_cannot_be_calibrated_is_said_at_once(project, kvis, change, good, said):
    for name in ("model", "a", "b", "c", "d", "e"):
        (project / f"{name}.keras").write_bytes(name.encode())
    job = yaml.safe_load((project / "job.yaml").read_text())
    (project / "job.yaml").write_text(yaml.safe_dump({**job, **change}))
    flags = [part for name in good for part in ("--good", project / name)]
    ran = kvis("calibrate", project / "job.yaml", *flags)
    assert ran.code == 2
    assert said in ran.err
    assert not (project / "base").exists() and not (project / "out").exists()


def test_a_model_cannot_be_good_and_bad(project, kvis):
    for name in ("model", "a", "b", "c"):
        (project / f"{name}.keras").write_bytes(name.encode())
    flags = ["--good", project / "?.keras", "--bad", project / "a.keras"]
    ran = kvis("calibrate", project / "job.yaml", *flags)
    assert ran.code == 2 and "cannot be good and bad" in ran.err
