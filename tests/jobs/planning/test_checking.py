"""What a dry run finds wrong with a job, before anything is computed."""

from __future__ import annotations

import json

import pytest

from kvis_cli.jobs.planning.checking import check_plan
from kvis_cli.jobs.planning.plan import make_plan
from kvis_cli.spec.build import build_job


@pytest.fixture
def problems(job):
    """The problems of tasks on the first model and photo, as (where, message) pairs."""

    def find(tasks, images=(), models=("epoch-1.keras",)):
        values = {
            "models": [str(job.folder / m) if m.endswith(".keras") else m for m in models],
            "images": list(images) or [str(job.folder / "photos" / "p0.png")],
            "tasks": tasks,
        }
        found = check_plan(make_plan(build_job(values)))
        return [(p.what.removeprefix(str(job.folder)).lstrip("/"), str(p.error)) for p in found]

    return find


def test_a_good_job_has_no_problems(problems):
    tasks = [
        {"cam": {"class": ["top3", 2], "layer": ["auto", "first+second", "all-spatial"]}},
        {"cam": {"filter": "second:3", "layer": "auto"}},
        {"saliency": {"class": 1, "contrast": 0, "wrt": "first"}},
        {"filters": {"layer": ["first", -4]}},
        {"maximize": {"class": "random:2"}},
        {"maximize": {"layer": "second", "unit": 5}},
    ]
    assert problems(tasks) == []


@pytest.mark.parametrize(
    "task, where, message",
    [
        ({"cam": {"layer": "secnd"}}, "cam", "Unknown layer 'secnd'. Did you mean 'second'?"),
        ({"cam": {"layer": "first+secnd"}}, "cam", "Unknown layer 'secnd'."),
        ({"cam": {"filter": "frist:1"}}, "cam", "Unknown layer 'frist'. Did you mean 'first'?"),
        ({"cam": {"class": 3}}, "cam", "Class 3 is not among the model's 3 outputs."),
        ({"cam": {"class": "top4"}}, "cam", "Class 'top4' asks for 4 classes."),
        ({"saliency": {"class": 0, "contrast": 9}}, "saliency", "Class 9 is not among"),
        ({"saliency": {"class": "0+7"}}, "saliency", "Class 7 is not among"),
        ({"saliency": {"layer": "frst", "unit": 1}}, "saliency", "Unknown layer 'frst'."),
        ({"saliency": {"wrt": "frst"}}, "saliency", "Unknown layer 'frst'."),
        ({"filters": {"layer": ["first", "frst"]}}, "filters", "Unknown layer 'frst'."),
        ({"maximize": {"class": "star"}}, "maximize", "Unknown class 'star'."),
        ({"maximize": {"layer": "frst", "unit": 1}}, "maximize", "Unknown layer 'frst'."),
    ],
)
def test_one_problem(problems, task, where, message):
    ((what, said),) = problems([task])
    assert what == f"epoch-1.keras, {where}"
    assert said.startswith(message)


def test_all_problems_of_all_models_are_found_at_once(problems, job, tmp_path):
    broken = tmp_path / "broken.keras"
    broken.write_bytes((job.folder / "epoch-1.keras").read_bytes()[:500])
    tasks = [{"cam": {"class": 5, "layer": "frst"}}, {"cam": {"layer": "secnd"}}]
    models = ["epoch-1.keras", str(broken), "epoch-2.keras", "vgg16:random"]
    found = problems(tasks, models=models)
    per_model = [("cam-1", "layer"), ("cam-1", "Class 5"), ("cam-2", "layer")]
    expected = [(f"epoch-{n}.keras, {t}", w) for n in (1,) for t, w in per_model]
    expected += [(str(broken).lstrip("/"), "")]
    expected += [(f"epoch-2.keras, {t}", w) for t, w in per_model]
    assert [what for what, _ in found] == [what for what, _ in expected]
    assert all(word in said for (_, said), (_, word) in zip(found, expected, strict=True))
    # An application's layers are not known before it is built; its classes are.
    assert problems([{"cam": {"class": 1000, "layer": "nothing"}}], models=["vgg16:random"]) == [
        ("vgg16:random, cam", "Class 1000 is not among the model's 1000 outputs. Classes are "
         "counted from 0. Use 0 to 999, a label, or top1.")
    ]  # fmt: skip


def test_a_table_is_checked_row_by_row(problems, job, tmp_path):
    table = tmp_path / "images.csv"
    photos = job.folder / "photos"
    lines = [
        f"{photos}/p0.png,1",
        f"{photos}/p1.png,4",
        f"{photos}/none.png,2",
        f"{photos}/p2.png,4",
    ]
    table.write_text("\n".join(["image,label", *lines]))
    found = problems([{"cam": {}}], images=[{"csv": str(table), "class": "label"}])
    assert [what for what, _ in found] == [
        "photos/none.png", f"epoch-1.keras, {photos}/p1.png"
    ]  # fmt: skip
    assert "cannot be read" in found[0][1] and found[1][1].startswith("Class 4 is not among")


def test_a_dry_run_says_so_and_leaves_with_the_code_of_a_wrong_request(job, kvis, tmp_path):
    file = tmp_path / "job.yaml"
    file.write_text(
        f"models: ['{job.folder}/epoch-1.keras']\nimages: ['{job.folder}/photos']\n"
        "tasks: [{cam: {layer: secnd, class: 7}}]\n"
    )
    ran = kvis("run", file, "--dry-run", "-o", tmp_path / "out")
    assert ran.code == 2
    assert "1 models, 5 images, 5 tasks: 0 done, 5 left" in " ".join(ran.out.split())
    assert "Did you mean 'second'?" in " ".join(ran.err.split())
    assert ran.err.count("error: ") == 2
    ran = kvis("run", file, "--dry-run", "--json", "-o", tmp_path / "out")
    assert ran.code == 2
    assert [p["kind"] for p in json.loads(ran.out)["problems"]] == [
        "UnknownNameError",
        "UsageError",
    ]
