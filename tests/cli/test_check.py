"""``kvis check`` and ``kvis baseline`` over finished maps: exit codes, files, what is said."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from kvis_cli.gate.baseline import read_baseline
from kvis_cli.gate.thresholds import read_thresholds
from tests.helpers.models import tiny_network

IMAGES = 24
CHECKS = [
    {"drift": {"metric": "spearman", "min": 0.95}},
    {"region": {"metric": "energy", "min": 0.0}},
    {"avoid": {"box": [0, 0.8, 0.2, 1.0], "max": 1.0}},
    {"prediction": {"flips": 0.0, "drop": 0.2}},
    {"blank": 0},
]


class Project:
    """A folder with models, photos and a job; maps are made in this process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "job.yaml"

    def write(self, *, checks=CHECKS, images=IMAGES, task=None, share=0.9, name="photo", **more):
        photos = self.folder / "photos"
        rows = ["file,label,box"]
        for i in range(images):
            path = photos / f"{name}-{i:02d}.png"
            if not path.exists():
                rng = np.random.default_rng(i)
                pixels = rng.integers(0, 256, (5, 6, 3), np.uint8).repeat(6, 0).repeat(6, 1)
                photos.mkdir(exist_ok=True)
                Image.fromarray(pixels).save(path)
            rows.append(f"photos/{path.name},{i % 2},0 0 18 30")
        (self.folder / "gate.csv").write_text("\n".join(rows) + "\n")
        job = {
            "models": ["model.keras"],
            "images": [{"csv": "gate.csv", "image": "file", "class": "label", "box": "box"}],
            "tasks": [task or {"saliency": {"method": "gradient"}}],
            "output": "out",
            "baseline": "base",
            "checks": checks,
            "pass": {"share": share},
        }
        self.file.write_text(yaml.safe_dump({**job, **more}))
        return self

    def use(self, seed: int) -> None:
        """Another model takes the place of the model."""
        source = self.folder / f"{seed}.keras"
        if not source.exists():
            tiny_network(seed).save(source)
        shutil.copy(source, self.folder / "model.keras")

    def compute(self, pin=False) -> None:
        """Do what `kvis check` would do in another process, with its seconds of TensorFlow."""
        from kvis_cli.jobs.running.runner import Options, run_job
        from kvis_cli.spec.file import read_job

        job = read_job(self.file)
        if pin:
            from kvis_cli.gate import check
            from kvis_cli.jobs.planning.digests import Digests

            base = read_baseline(self.folder / "base")
            job = check._pinned(job, base, Digests())
        run_job(job, options=Options(resume=True))

    def check(self, kvis, *arguments):
        return kvis("check", self.file, "-q", *arguments)

    @property
    def base(self) -> Path:
        return self.folder / "base" / "baseline.txt"

    def found(self):
        return json.loads((self.folder / "out" / "check.json").read_text())


@pytest.fixture(scope="module")
def made(tf, tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("project"))
    project.use(5)
    project.write(images=IMAGES + 1)
    project.compute()
    return project.folder


@pytest.fixture
def project(made, tmp_path):
    shutil.copytree(made, tmp_path / "p")
    return Project(tmp_path / "p").write()


@pytest.fixture
def gate(project, kvis):
    """With an accepted baseline."""
    ran = project.check(kvis, "--update-baseline")
    assert ran.code == 0, ran.err + ran.out
    return project


def test_a_check_needs_a_baseline_and_never_writes_one_by_itself(project, kvis):
    ran = project.check(kvis)
    assert ran.code == 3
    assert "no baseline" in ran.err and "--update-baseline" in ran.err
    assert not project.base.exists()


def test_the_accepted_model_passes_and_is_perfect(gate, kvis):
    before = gate.base.read_bytes()
    ran = gate.check(kvis)
    assert ran.code == 0, ran.out
    assert "all 11 checks passed" in ran.out
    assert "12 of 12 pass, 90 % wanted: passes (p = 1)" in ran.out
    found = gate.found()
    assert found["verdict"] == "passed"
    drift = [c for c in found["checks"] if c["check"] == "drift spearman"]
    assert {i["value"] for c in drift for i in c["images"]} == {1.0}
    assert gate.base.read_bytes() == before
    # Accepting again gives the same bytes.
    assert gate.check(kvis, "--update-baseline").code == 0
    assert gate.base.read_bytes() == before
    assert not (gate.folder / "out" / "worst.png").exists()


def test_another_model_fails_with_numbers_and_pictures(gate, kvis, tmp_path):
    gate.use(6)
    gate.compute()
    before = gate.base.read_bytes()
    ran = gate.check(kvis)
    assert ran.code == 1, ran.out
    assert "checks failed" in ran.out
    found = gate.found()
    failed = [c for c in found["checks"] if c["verdict"] == "failed"]
    assert failed and all("fails" in c["text"] for c in failed)
    out = gate.folder / "out"
    assert np.asarray(Image.open(out / "worst.png")).shape[1] > 4 * 160
    assert 'data-view="slider"' in (out / "check.html").read_text()
    text = (out / "check.md").read_text()
    assert text.startswith("### ❌") and "worst.png" in text and "**Worst images**" in text
    suites = ET.parse(out / "check-junit.xml").getroot()
    assert suites.get("tests") == str(len(found["checks"]))
    assert suites.get("failures") == str(len(failed))
    assert {s.get("name") for s in suites} == {"model"}
    assert gate.base.read_bytes() == before
    # What GitHub shows.
    os.environ["GITHUB_STEP_SUMMARY"] = str(tmp_path / "summary.md")
    try:
        ran = gate.check(kvis, "--format", "github")
    finally:
        del os.environ["GITHUB_STEP_SUMMARY"]
    assert ran.code == 1
    lines = ran.out.splitlines()
    assert len(lines) == len(failed) and all(line.startswith("::error file=") for line in lines)
    assert (tmp_path / "summary.md").read_text().startswith("### ❌")
    # Accept what fails, and it passes; the rest stays as it was.
    ran = gate.check(kvis, "--update-baseline", "--only", "failing")
    assert gate.check(kvis).code == 0
    assert gate.base.read_bytes() != before
    # Both, as variants beside each other.
    gate.base.write_bytes(before)
    assert gate.check(kvis, "--update-baseline", "--add-variant").code == 0
    gate.use(5)
    gate.compute()
    assert gate.check(kvis).code == 0


def test_only_an_image_is_accepted(gate, kvis):
    gate.use(6)
    gate.compute()
    old = read_baseline(gate.folder / "base")
    gate.check(kvis, "--update-baseline", "--only", "image=photo-03*")
    new = read_baseline(gate.folder / "base")
    changed = [k for k in new.kept if k not in old.kept]
    assert len(changed) == 1 and new.images[changed[0].question[0]] == "photo-03.png"
    ran = gate.check(kvis, "--update-baseline", "--only", "model=nothing")
    assert ran.code == 2 and "No model of the job" in ran.err


def test_renamed_images_are_found_and_removed_and_added_ones_are_said(gate, kvis):
    before = gate.base.read_bytes()
    gate.write(images=IMAGES + 1)
    ran = gate.check(kvis)
    assert ran.code == 3
    assert "other images: photo-24 not in the baseline" in ran.out
    gate.write(images=IMAGES - 2)
    ran = gate.check(kvis)
    assert ran.code == 3
    assert "other images: photo-22.png, photo-23.png of the baseline not in the job" in ran.out
    gate.write(name="renamed")
    gate.compute()
    ran = gate.check(kvis)
    assert ran.code == 0, ran.out
    assert gate.base.read_bytes() == before


@pytest.mark.slow
def test_other_settings_are_said(gate, kvis):
    gate.write(task={"saliency": {"method": "gradient", "modifier": "relu"}}, checks=CHECKS[:1])
    gate.compute()
    ran = gate.check(kvis)
    assert ran.code == 3
    # The variant tells both apart, and the settings say how.
    assert "other settings: the baseline has no gradient relu" in ran.out
    gate.write(task={"saliency": {"method": "gradient", "score": "probability"}}, checks=CHECKS[:1])
    gate.compute()
    ran = gate.check(kvis)
    assert ran.code == 3
    assert "other settings: gradient: score was the default, is probability" in ran.out


@pytest.mark.parametrize("harm", ["cut", "edited", "foreign"])
def test_a_damaged_baseline_is_refused_and_left(gate, kvis, harm):
    text = gate.base.read_text()
    wrong = {"cut": text[:500], "edited": text.replace("q ", "q 0", 1), "foreign": "a,b\n1,2\n"}
    gate.base.write_text(wrong[harm])
    ran = gate.check(kvis)
    assert ran.code == 3 and "cannot be used" in ran.err
    assert gate.base.read_text() == wrong[harm]
    # Accepting all maps needs nothing of it.
    assert gate.check(kvis, "--update-baseline").code == 0
    assert gate.base.read_text() == text


@pytest.mark.slow
def test_a_rank_means_what_it_meant_when_it_was_accepted(project, kvis):
    images = [{"path": "photos/photo-0*.png"}]
    project.write(images=IMAGES, checks=CHECKS[:1] + CHECKS[3:4])
    job = yaml.safe_load(project.file.read_text()) | {"images": images}
    project.file.write_text(yaml.safe_dump(job))
    project.compute()
    assert project.check(kvis, "--update-baseline").code == 0
    accepted = {k.question: k.first for k in read_baseline(project.folder / "base").kept}
    project.use(6)
    project.compute(pin=True)
    ran = project.check(kvis)
    assert ran.code in (0, 1) and "other classes" not in ran.out
    rows = [json.loads(line) for line in (project.folder / "out/manifest.jsonl").open()]
    flips = [r for r in rows if r["top"][0][0] != r["target"]]
    assert flips, "the other model predicts the same, and nothing is shown"
    cases = [c for c in project.found()["checks"] if c["check"] == "prediction flips"]
    # Ten images whose class nobody named are judged together.
    assert [len(c["images"]) for c in cases] == [10] and cases[0]["class"] == ""
    assert len(accepted) == 10
    # Classes that are named beside the rank are asked all the same, and were not before.
    job["tasks"] = [{"saliency": {"method": "gradient", "class": ["top1", "0", "1", "2"]}}]
    project.file.write_text(yaml.safe_dump(job))
    project.compute(pin=True)
    ran = project.check(kvis)
    assert "other classes: " in ran.out and "not asked in the baseline" in ran.out


def test_retrained_models_need_a_calibration(gate, kvis):
    gate.write(checks=[{"drift": {"of": "retrain"}}])
    ran = gate.check(kvis)
    assert ran.code == 3
    assert "no calibrated threshold" in ran.err and "kvis calibrate" in ran.err
    path = gate.folder / "base" / "thresholds.json"
    entry = {"of": "retrain", "metric": "spearman", "method": "gradient", "limit": 0.4}
    path.write_text(json.dumps({"schema": 1, "thresholds": [entry]}))
    assert [t.limit for t in read_thresholds(path.parent)] == [0.4]
    ran = gate.check(kvis)
    assert ran.code == 0 and "drift spearman of retrain ≥ 0.4" in ran.out
    for wrong in ("{}", "[1]", '{"schema":1,"thresholds":[{"of":1}]}', "x", "[" * 100_000):
        path.write_text(wrong)
        ran = gate.check(kvis)
        assert ran.code == 3 and "cannot be used" in ran.err


@pytest.mark.parametrize(
    ("change", "arguments", "said"),
    [
        ({"checks": []}, [], "has no checks"),
        ({"images": ["photos"]}, [], "region check needs a box or a mask"),
        ({}, ["--only", "failing"], "says what --update-baseline accepts"),
        ({}, ["--update-baseline", "--only", "nothing"], "--only cannot be"),
        ({"checks": [{"blank": 0}], "baseline": None}, ["--update-baseline"], "no baseline to"),
        ({}, ["--json", "--format", "github"], "both say"),
        ({"checks": [{"drift": {"min": 2, "of": "retrain"}}]}, [], "a number is a guess"),
    ],
)
def test_wrong_requests(project, kvis, change, arguments, said):
    job = {**yaml.safe_load(project.file.read_text()), **change}
    project.file.write_text(yaml.safe_dump(job))
    ran = project.check(kvis, *arguments)
    assert ran.code == 2, ran.out
    assert said in ran.err


def test_a_map_that_cannot_be_read_is_not_evaluated(gate, kvis):
    [path] = (gate.folder / "out").glob("photo-05*.npz")
    whole = path.read_bytes()
    for wrong in (b"", whole[:100], b"PK\x03\x04" + whole[4:90]):
        path.write_bytes(wrong)
        ran = gate.check(kvis)
        assert ran.code == 3 and "is no map of kvis" in ran.err
        before = gate.base.read_bytes()
        assert gate.check(kvis, "--update-baseline").code == 3
        assert gate.base.read_bytes() == before


@pytest.mark.slow
def test_no_check_notices_threads_or_kernels(samples, tmp_path):
    """The same model with other kernels and another number of threads: rounding, and no drift."""
    job = {
        "models": [str(samples / "shapes.keras")],
        "images": [str(samples / "images")],
        "tasks": [{"cam": {"method": ["gradcam", "layercam"]}}, {"saliency": {}}],
        "baseline": "base",
        "checks": [{"drift": {"of": "conversion"}}, {"prediction": {"flips": 0, "drop": 0.001}}],
        "pass": {"any": True},
    }
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(job))

    def run(out, *arguments, **environment):
        command = [sys.executable, "-m", "kvis_cli", "check", "job.yaml", "-q", "-o", out]
        return subprocess.run(
            [*command, *arguments], cwd=tmp_path, env={**os.environ, **environment},
            capture_output=True, text=True, timeout=600,
        )  # fmt: skip

    first = run("one", "--update-baseline", TF_ENABLE_ONEDNN_OPTS="1")
    assert first.returncode == 0, first.stdout + first.stderr
    accepted = (tmp_path / "base/baseline.txt").read_bytes()
    threads = {"TF_NUM_INTRAOP_THREADS": "1", "OMP_NUM_THREADS": "1"}
    second = run("two", TF_ENABLE_ONEDNN_OPTS="0", **threads)
    assert second.returncode == 0, second.stdout + second.stderr
    assert (tmp_path / "base/baseline.txt").read_bytes() == accepted


@pytest.mark.slow
def test_a_model_that_cannot_be_read_is_not_evaluated(gate, kvis):
    (gate.folder / "model.keras").write_bytes(b"nothing of a model")
    ran = gate.check(kvis, "--json")
    assert ran.code == 3, ran.out
    assert json.loads(ran.out)["verdict"] == "not evaluated"
    before = gate.base.read_bytes()
    ran = gate.check(kvis, "--update-baseline")
    assert ran.code == 3 and "not written" in ran.err
    assert gate.base.read_bytes() == before


def test_finished_maps_are_judged_without_tensorflow_and_at_once(gate):
    code = (
        "import sys, time; began = time.perf_counter()\n"
        "from kvis_cli.cli.app import app\n"
        "try:\n    app(['check', sys.argv[1], '-q'], standalone_mode=False)\n"
        "finally:\n    print('tensorflow' in sys.modules, 'keras' in sys.modules)\n"
    )
    began = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    done = subprocess.run(
        [sys.executable, "-c", code, str(gate.file)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "False False"
    # About 0.6 s; starting TensorFlow takes 5.
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - began < 3


def test_baseline_show_and_diff(gate, kvis, tmp_path):
    folder = gate.folder / "base"
    ran = kvis("baseline", "show", folder)
    assert ran.code == 0 and f"{IMAGES} images, 1 models, {IMAGES} accepted maps" in ran.out
    answers = json.loads(kvis("baseline", "show", folder, "--json").out)["answers"]
    assert len(answers) == IMAGES and answers[0]["model"] == "model"
    old = shutil.copytree(folder, tmp_path / "old")
    gate.use(6)
    gate.compute()
    gate.check(kvis, "--update-baseline", "--only", "image=photo-00")
    ran = kvis("baseline", "diff", folder, old)
    assert ran.code == 0
    assert f"1 changed, 0 added, 0 removed, {IMAGES - 1} as before" in ran.out
    assert "photo-00.png" in ran.out
    ran = kvis("baseline", "diff", folder)
    assert ran.code == 3 and "git has no committed baseline" in ran.err
    environment = {**os.environ, "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}
    who = ["-c", "user.name=n", "-c", "user.email=e"]
    for command in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "x"]):
        subprocess.run(["git", "-C", str(folder), *command], check=True, env=environment)
    ran = kvis("baseline", "diff", folder)
    assert ran.code == 0 and f"0 changed, 0 added, 0 removed, {IMAGES} as before" in ran.out
    assert kvis("baseline", "show", folder, old).code == 2
    assert kvis("baseline", "show", tmp_path).code == 3
