"""The commands around job files: run, init, schema, report, merge."""

from __future__ import annotations

import json

import pytest

from kvis_cli.cli.job_console import JobConsole


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--shard", "3/3"], "counted from 0"),
        (["--shard", "x"], "counted from 0"),
        (["--workers", "0"], "--workers"),
        (["--report", "pdf"], "html, json, junit"),
        (["--device", "tpu"], "Device 'tpu'"),
    ],
)
def test_wrong_options_of_run(kvis, tiny_model, picture, tmp_path, options, says):
    path = tmp_path / "job.yaml"
    path.write_text(f"models: [{tiny_model}]\nimages: [{picture}]\ntasks: [cam]\n")
    ran = kvis("run", path, "-o", tmp_path / "out", *options)
    assert ran.code == 2
    assert says in ran.err
    assert "starting TensorFlow" not in ran.err


def test_a_job_of_things_that_are_not_there(kvis, tiny_model, picture, tmp_path):
    path = tmp_path / "job.yaml"
    for models, images in (("nothing-*.keras", picture), (tiny_model, "nothing.png")):
        path.write_text(f"models: ['{models}']\nimages: ['{images}']\ntasks: [cam]\n")
        assert kvis("run", path).code == 2
    path.write_text(f"models: [{tiny_model}]\ntasks: [cam]\n")
    ran = kvis("run", path)
    assert ran.code == 2 and "no image" in ran.err


def test_init_writes_a_job_that_runs(kvis, tiny_model, picture, tmp_path):
    import shutil

    shutil.copy(tiny_model, tmp_path / "a model.keras")
    for i in range(3):
        (tmp_path / "photos").mkdir(exist_ok=True)
        shutil.copy(picture, tmp_path / "photos" / f"{i}.png")
    picture.unlink()
    made = kvis("init", tmp_path)
    assert made.code == 0
    assert made.out.strip() == str(tmp_path / "job.yaml")
    planned = kvis("run", tmp_path / "job.yaml", "--dry-run", "--json")
    assert planned.code == 0, planned.err
    assert json.loads(planned.out)["tasks"] == 3 * 2
    # It replaces nothing unasked.
    assert kvis("init", tmp_path).code == 2
    assert kvis("init", tmp_path, "--force").code == 0
    assert kvis("init", tmp_path / "missing").code == 2


def test_init_without_anything_to_find(kvis, tmp_path):
    assert kvis("init", tmp_path, "-o", tmp_path / "x.yaml").code == 0
    assert "none was found" in (tmp_path / "x.yaml").read_text()


def test_the_schema_is_json_schema(kvis):
    ran = kvis("schema")
    assert ran.code == 0
    schema = json.loads(ran.out)
    assert schema["$schema"].endswith("2020-12/schema")
    assert {"models", "images", "tasks", "out", "output", "workers"} <= set(schema["properties"])
    assert "flag" not in ran.out


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["report", "EMPTY"], 1, "holds no results"),
        (["report", "EMPTY", "--format", "htlm"], 2, "Did you mean 'html'"),
        (["report", "EMPTY", "--format", "html,json", "--out", "x"], 2, "2 formats"),
        (["merge", "EMPTY"], 2, "no shard"),
        (["merge", "EMPTY", "EMPTY"], 1, "has not finished"),
    ],
)
def test_reports_and_shards_of_nothing(kvis, tmp_path, arguments, code, says):
    ran = kvis(*(str(tmp_path) if a == "EMPTY" else a for a in arguments))
    assert ran.code == code
    assert says in ran.err


def test_a_log_gets_a_line_per_so_many_tasks(capsys, tmp_path):
    console = JobConsole(quiet=False, as_json=False, folder=tmp_path)
    console.planned({"a": 600, "b": 400}, 7)
    for i in range(1000):
        console.task({"model": "a" if i < 600 else "b"}, i != 500)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "1000 tasks of 2 models to do, 7 done before"
    assert len(lines) <= 1 + 22
    assert lines[-1] == "1000 of 1000 tasks, 1 failed"


def test_the_table_of_a_terminal(tmp_path, monkeypatch):
    from rich.console import Console

    console = JobConsole(quiet=False, as_json=False, folder=tmp_path)
    console.total.update({f"runs/epoch-{i}.keras": 10 for i in range(40)})
    for _ in range(10):
        console.task({"model": "runs/epoch-0.keras"}, True)
    console.task({"model": "runs/epoch-1.keras"}, False)
    screen = Console(width=80, force_terminal=True, color_system=None)
    with screen.capture() as captured:
        screen.print(console._render())
    lines = [" ".join(line.split()) for line in captured.get().splitlines()]
    assert lines[0] == "model done failed left"
    assert lines[1] == "epoch-1.keras 0 1 9"
    # No longer than a terminal is high.
    assert len(lines) <= 14
    assert lines[-1].startswith("11 of 400 tasks")
