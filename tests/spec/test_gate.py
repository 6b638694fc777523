"""Checks in a job file: what they may say, and what is said of mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from kvis_cli.errors import SpecError
from kvis_cli.spec.file import read_job
from kvis_cli.spec.gate import AvoidCheck, BlankCheck, DriftCheck, PassSpec, RegionCheck

JOB = """\
models: [m.keras]
images: [a.png]
tasks:
  - cam: {class: 1}
  - maximize: {class: 1}
baseline: base
checks:
  - drift: {metric: spearman, min: calibrated, of: retrain}
  - drift: {metric: centroid, max: 0.1}
  - drift: {of: conversion, method: gradcam}
  - region: {min: 2.0}
  - avoid: {box: [0, 0.8, 0.2, 1.0], max: 0.15}
  - prediction: {flips: 0.0, drop: 0.2}
  - blank: 0.05
pass: {share: 0.9, per: model}
"""


def read(folder: Path, text: str):
    (folder / "job.yaml").write_text(text)
    return read_job(folder / "job.yaml")


def test_a_job_with_checks(tmp_path):
    job = read(tmp_path, JOB)
    retrain, centroid, conversion, region, avoid, prediction, blank = job.checks
    assert isinstance(retrain, DriftCheck) and retrain.limit == "calibrated"
    assert centroid.limit == 0.1
    assert conversion.of == "conversion" and conversion.method == ["gradcam"]
    assert isinstance(region, RegionCheck) and (region.metric, region.min) == ("enrichment", 2)
    assert isinstance(avoid, AvoidCheck) and avoid.box == (0, 0.8, 0.2, 1)
    assert (prediction.flips, prediction.drop) == (0, 0.2)
    assert blank == BlankCheck.model_validate({"share": 0.05})
    assert job.pass_.wanted == 0.9 and job.pass_.per == "model"
    assert PassSpec.model_validate({"any": True, "share": 0.5}).wanted == 1
    # A folder of the job file's; maps are kept, of tasks that have any.
    assert job.baseline == str(tmp_path / "base")
    assert [task.raw for task in job.tasks] == [True, False]
    plain = JOB.partition("baseline:")[0]
    assert [task.raw for task in read(tmp_path, plain).tasks] == [False, False]


@pytest.mark.parametrize(
    ("old", "new", "place", "said"),
    [
        ("region:", "regoin:", "11:5", "unknown check 'regoin', did you mean 'region'"),
        ("min: 2.0", "min: 2.0, tolerence: 1", "11:24", "did you mean 'tolerance'"),
        ("max: 0.15", "max: 3", "12:38", "'max' cannot be '3'"),
        ("0.2, 1.0]", "0.2, 0.5]", "12:5", "in shares of the photo"),
        ("of: retrain", "of: nothing", "8:48", "'of' cannot be 'nothing'"),
        ("min: calibrated, of: retrain", "min: 0.5, of: retrain", "8:5", "a number is a guess"),
        ("min: calibrated, of: retrain", "min: calibrated", "8:5", "needs 'of'"),
        ("min: calibrated, of: retrain", "max: 0.5", "8:5", "passes by 'min'"),
        ("metric: spearman, min: calibrated", "metric: spearman", None, None),
        ("centroid, max: 0.1", "centroid, min: 0.1", "9:5", "passes by 'max'"),
        ("centroid, max: 0.1", "spearman", "9:5", "drift needs 'min'"),
        ("of: conversion", "of: conversion, min: 0.5", "10:5", "thresholds of its own"),
        ("{min: 2.0}", "{min: 2, metric: energy}", "11:5", "at most 1"),
        ("{min: 2.0}", "{min: 2, tolerance: 0.1}", "11:5", "for pointing"),
        ("{min: 2.0}", "{min: calibrated, metric: pointing}", "11:5", "has to be a number"),
        ("{min: 2.0}", "{min: 2, of: finetune}", "11:5", "belongs to 'min: calibrated'"),
        ("{min: 2.0}", "{min: -1}", "11:5", "at least 0"),
        ("{min: 2.0}", "{min: calibrated}", None, None),
        ("{flips: 0.0, drop: 0.2}", "{}", "13:5", "needs 'flips' or 'drop'"),
        ("blank: 0.05", "blank: [1]", "14:5", "are a mapping"),
        ("share: 0.9", "shar: 0.9", "15:8", "did you mean 'share'"),
        ("share: 0.9", "share: 0", "15:8", "greater than 0"),
        ("baseline: base", "", "1:1", "'drift' needs a 'baseline'"),
        ("  - cam: {class: 1}\n", "", "1:1", "no task of the job makes one"),
    ],
)
def test_mistakes_name_their_place(tmp_path, old, new, place, said):
    text = JOB.replace(old, new, 1)
    assert text != JOB
    if said is None:
        assert read(tmp_path, text).checks[0].limit == "calibrated"
        return
    with pytest.raises(SpecError) as caught:
        read(tmp_path, text)
    assert said in str(caught.value)
    assert f"job.yaml:{place}:" in str(caught.value)
