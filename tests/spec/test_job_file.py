"""Job files: what they may say, and how they say what is wrong."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import yaml

from kvis_cli.errors import SpecError
from kvis_cli.options.yaml import load_yaml, parse_document
from kvis_cli.spec.file import read_job
from kvis_cli.spec.images import CsvSpec, ImageSpec
from kvis_cli.spec.job import TASK_KINDS

GOOD = """\
version: 1
models:
  - path: runs/epoch-*.keras
    preprocess: {mean: [104, 117, 123], color: bgr}
    labels: labels.txt
  - vgg16
  - mobilenet_v2:weights/mine.h5
images:
  - photos/*.jpg
  - {path: cat.jpg, class: [tabby, 22+23], box: [1, 2, 30.5, 40]}
  - {csv: gate.csv, image: file, class: label}
tasks:
  - cam: {method: [gradcam, layercam], class: [top1, 22], overlay: 0.25}
  - cam:
  - cam
output: out/
device: cpu
timeout: 2.5
report: html,junit
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "job.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_whole_job(tmp_path):
    job = read_job(write(tmp_path, GOOD))
    assert [m.path for m in job.models] == [
        str(tmp_path / "runs/epoch-*.keras"),
        "vgg16",
        f"mobilenet_v2:{tmp_path / 'weights/mine.h5'}",
    ]
    assert job.models[0].labels == str(tmp_path / "labels.txt")
    assert job.images == [
        str(tmp_path / "photos/*.jpg"),
        ImageSpec(path=str(tmp_path / "cat.jpg"), class_=["tabby", "22+23"], box=(1, 2, 30.5, 40)),
        CsvSpec(csv=str(tmp_path / "gate.csv"), image="file", class_="label"),
    ]
    assert job.tasks[0].method == ["gradcam", "layercam"]
    assert job.tasks[0].class_ == ["top1", "22"]
    assert job.tasks[1] == job.tasks[2] == TASK_KINDS["cam"]()
    assert job.output == str(tmp_path / "out")
    assert (job.timeout, job.report) == (2.5, ["html", "junit"])


def test_paths_are_relative_to_the_file_and_overrides_to_where_we_are(tmp_path, monkeypatch):
    (tmp_path / "jobs").mkdir()
    write(tmp_path / "jobs", "models: [../m.keras]\nimages: [a.png]\ntasks: [cam]\nout: o\n")
    monkeypatch.chdir(tmp_path)
    job = read_job(Path("jobs/job.yaml"), {"out": "there", "workers": 3})
    assert (job.models[0].path, job.images, job.output) == ("m.keras", ["jobs/a.png"], "there")
    assert job.workers == 3
    # A file of an application's name is the file.
    (tmp_path / "jobs" / "vgg16").touch()
    write(tmp_path / "jobs", "models: [vgg16]\nimages: [a.png]\ntasks: [cam]\n")
    assert read_job(Path("jobs/job.yaml")).models[0].path == "jobs/vgg16"


def test_every_mistake_is_told_at_once_with_its_place(tmp_path):
    text = """\
models:
  - path: a.keras
    preproces: signed
images:
  - {csv: gate.csv, clas: label}
  - {path: x.jpg, box: [1, 2, 3]}
tasks:
  - cma: {}
  - cam:
      methd: gradcam
      overlay: 3
  - cam: {scale: sharde}
  - cam: 3
  - {cam: {}, cma: {}}
wrokers: 2
batch_size: many
"""
    with pytest.raises(SpecError) as caught:
        read_job(write(tmp_path, text))
    lines = [line.removeprefix(f"{tmp_path}/job.yaml:") for line in caught.value.what.split("\n")]
    assert lines[1:] == [
        "3:5: unknown key 'preproces', did you mean 'preprocess'?",
        "5:21: unknown key 'clas', did you mean 'class'?",
        "6:19: 'box' holds too few values",
        "8:5: unknown task 'cma', did you mean 'cam'?",
        "10:7: unknown key 'methd', did you mean 'method'?",
        "11:7: 'overlay' cannot be '3': it should be less than or equal to 1",
        "12:11: 'scale' cannot be 'sharde': it is one of per-image, shared; did you mean 'shared'?",
        "13:5: the settings of a task are a mapping",
        "14:5: a task is one key and its settings: 'cam: {}'",
        "15:1: unknown key 'wrokers', did you mean 'workers'?",
        "16:1: 'batch_size' cannot be 'many': it should be a whole number",
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "1:1: a job file is a mapping"),
        ("- cam", "1:1: a job file is a mapping"),
        ("images: []", "'models' is missing"),
        ("models: [a.h5]\ntasks: []", "2:1: 'tasks' is empty"),
        ("models: [a.h5]\ntasks: [cam]\nmodels: [b.h5]", "3:1: the key 'models' is there twice"),
        ("models: [a.h5]\ntasks:\n  - cam:\n\t  method: x", "blanks, not with tabs"),
        ("models: [a.h5\ntasks: [cam]", "2:6: "),
        ("models: !!python/object/apply:os.system ['true']", "is not allowed"),
        ("models: !secret x", "1:9: the tag '!secret' is not allowed"),
        ("models: [a.h5]\ntasks: [cam]\n? [1, 2]\n: x", "a key is a list or a mapping"),
        ("models: [a.h5]\ntasks: [cam]\n1: x", "3:1: the key '1' is not text"),
        ("models: &a [*a]", "an anchor holds itself"),
        ("models: [*gone]", "undefined alias"),
        ("models: " + "[" * 5000 + "]" * 5000, "nested too deeply"),
        ("models: [a.h5]\ntasks: [cam]\nseed: " + "9" * 5000, "seed"),
        ("models: [a.h5]\ntasks:\n  - cam: {class: true}", "3:11: 'class' cannot be 'True'"),
        ("models: [{path: 3}]\ntasks: [cam]", "1:11: 'path' cannot be '3'"),
        ("models: [a.h5]\ntasks: [cam]\nversion: 2", "3:1: 'version' cannot be '2'"),
        ("models: [a.h5]\ntasks: [cam]\nreport: [htlm]", "did you mean 'html'?"),
        (
            "models: [a.h5]\ntasks:\n  - saliency: {grad_modifier: none}",
            "'grad_modifier', which is a key of filters and maximize, did you mean 'modifier'?",
        ),
        ("models: [a.h5]\x00", "special characters are not allowed"),
    ],
)
def test_bad_files(tmp_path, text, says):
    with pytest.raises(SpecError) as caught:
        read_job(write(tmp_path, text))
    assert says in str(caught.value)
    assert "job.yaml" in str(caught.value)


def test_anchors_that_multiply_are_refused_at_once(tmp_path):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 30)]
    began = time.monotonic()
    with pytest.raises(SpecError, match="values once its anchors are filled in"):
        read_job(write(tmp_path, "\n".join(lines)))
    assert time.monotonic() - began < 2


def test_a_huge_file_is_not_even_parsed(tmp_path):
    path = write(tmp_path, "#" * (2 * 2**20))
    began = time.monotonic()
    with pytest.raises(SpecError, match="larger than 1024 KiB"):
        read_job(path)
    assert time.monotonic() - began < 1


def test_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "job.yaml"
    path.write_bytes(b"\xff\xfe\x00m")
    with pytest.raises(SpecError, match="not UTF-8"):
        read_job(path)
    with pytest.raises(SpecError, match="Cannot read"):
        read_job(tmp_path / "missing.yaml")
    with pytest.raises(SpecError, match="Cannot read"):
        read_job(tmp_path)


def test_scalars_are_those_of_yaml_1_2(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("[no, yes, on, 12:30, 1_000, 2024-01-01, 1e-3, 0.5, -7, true, null, ~, 010]")
    assert load_yaml(path) == [
        "no", "yes", "on", "12:30", "1_000", "2024-01-01", 0.001, 0.5, -7, True, None, None, "010"
    ]  # fmt: skip
    # The safe loader of the library itself is left as it was.
    assert yaml.safe_load("[no, 12:30]") == [False, 750]


def test_merge_keys_and_places(tmp_path):
    document = parse_document("a: &x {k: 1}\nb:\n  <<: *x\n  m:\n    - 5\n", "f")
    assert document.value == {"a": {"k": 1}, "b": {"k": 1, "m": [5]}}
    assert document.place(("b", "m", 0)) == (5, 7)
    assert document.place(("b", "m", 3)) == (4, 3)
    assert document.place(()) == (1, 1)


def test_the_schema_accepts_what_the_reader_accepts(tmp_path):
    jsonschema = pytest.importorskip("jsonschema")
    from kvis_cli.spec.schema import job_schema

    check = jsonschema.Draft202012Validator(job_schema())
    check.check_schema(job_schema())
    configs = Path(__file__).parents[2] / "configs"
    for path in [write(tmp_path, GOOD), *configs.rglob("*.yaml")]:
        read_job(path)
        assert [e.message for e in check.iter_errors(load_yaml(path))] == []
    for bad in (
        "models: [a]\ntasks: [cma]",
        "models: [a]\ntasks: [{cam: {methd: x}}]",
        "tasks: []",
    ):
        assert not check.is_valid(yaml.safe_load(bad))
