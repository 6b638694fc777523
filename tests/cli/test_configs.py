"""The job files and the CI recipe that come with the project."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs").rglob("*.yaml"))
# What needs no weights from elsewhere.
RUNNABLE = [
    "demo.yaml",
    "checkpoints.yaml",
    "keras-vis/mnist-attention.yaml",
    "keras-vis/self-driving.yaml",
]
# What does, or takes hours: run with random weights and few steps.
SHORTENED = [
    "vgg16-atlases.yaml",
    "keras-vis/mnist-activation.yaml",
    "keras-vis/vgg16-activation.yaml",
    "keras-vis/vgg16-attention.yaml",
    "keras-vis/resnet50-attention.yaml",
]


def test_every_job_file_is_run_by_a_test():
    names = {path.relative_to(ROOT / "configs").as_posix() for path in CONFIGS}
    assert names == {*RUNNABLE, *SHORTENED, "ci/attention.yaml"}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.relative_to(ROOT / "configs").as_posix())
def test_every_job_file_is_understood(kvis, path, tmp_path):
    ran = kvis("run", path, "--dry-run", "--json", "-o", tmp_path / "out")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["left"] > 0


def copy_of_project(folder: Path) -> Path:
    shutil.copytree(ROOT / "configs", folder / "configs")
    ignored = shutil.ignore_patterns("*.py", "__pycache__")
    shutil.copytree(ROOT / "sample_models", folder / "sample_models", ignore=ignored)
    return folder


def environment(folder: Path) -> dict[str, str]:
    """Where `kvis` is the command that is being tested."""
    bin_folder = folder / "bin"
    bin_folder.mkdir(exist_ok=True)
    command = bin_folder / "kvis"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m kvis_cli "$@"\n')
    command.chmod(0o755)
    path = f"{bin_folder}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNNABLE)
def test_a_job_file_runs(name, tmp_path):
    out = tmp_path / "out"
    ran = subprocess.run(
        [sys.executable, "-m", "kvis_cli", "run", str(ROOT / "configs" / name), "-o", str(out)],
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert ran.returncode == 0, ran.stderr
    assert (out / "report.html").is_file()
    written = ran.stdout.splitlines()
    assert written and all(Path(line).is_file() for line in written)
    assert "failed" not in (out / "manifest.jsonl").read_text()


def shortened(text: str) -> str:
    """A job with all its tasks, but random weights, few steps, small atlases and one photo."""
    job = yaml.safe_load(text)
    job["models"] = [f"{m}:random" if "/" not in m else m for m in job["models"]]
    if "images" in job:
        job["images"] = [job["images"][0].replace("*", "star")]
    for task in job["tasks"]:
        ((kind, settings),) = task.items()
        if kind in ("maximize", "filters"):
            settings["steps"] = 2
        if kind == "filters":
            settings |= {"filters": "random:3", "size": 32}
        if "random:15" in str(settings.get("class")):
            settings["class"] = "random:2"
    return json.dumps(job)


@pytest.mark.slow
@pytest.mark.parametrize("name", SHORTENED)
def test_a_job_file_runs_in_short(name, tmp_path):
    folder = copy_of_project(tmp_path)
    file = folder / "configs" / name
    text = file.read_text()
    file.write_text(shortened(text))
    out = tmp_path / "out"
    ran = subprocess.run(
        [sys.executable, "-m", "kvis_cli", "run", str(file), "-o", str(out)],
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert ran.returncode == 0, ran.stderr
    run = json.loads((out / "run.json").read_text())
    assert run["tasks"]["done"] == run["tasks"]["all"] >= len(yaml.safe_load(text)["tasks"])
    assert (out / "report.html").is_file()


def test_the_accepted_maps_of_the_ci_recipe_are_of_todays_results():
    """Where this fails: kvis check configs/ci/attention.yaml --update-baseline."""
    from kvis_cli.gate.baseline import read_baseline
    from kvis_cli.spec.cam import CamSpec

    found = read_baseline(ROOT / "configs/ci/attention-baseline")
    versions = {settings["version"] for settings in found.settings.values()}
    assert versions == {CamSpec.results_version}
    assert set(found.models) == {"epoch-11", "epoch-20"}


GH = """#!/bin/sh
# Stands for GitHub's command: it has no comment to edit yet, and keeps the one that is written.
case "$*" in *--edit-last*) exit 1 ;; esac
cp "$5" comment.md
"""


def commands_of(recipe: Path, job: str) -> tuple[list[str], list[dict]]:
    steps = yaml.safe_load(recipe.read_text())["jobs"][job]["steps"]
    commands = [step["run"] for step in steps if "run" in step]
    assert commands[0] == "pip install kvis"
    return commands[1:], steps


def run_all(commands: list[str], folder: Path, env: dict[str, str]) -> list[int]:
    return [
        subprocess.run(
            ["bash", "-e", "-c", command], cwd=folder, env=env, capture_output=True, timeout=900
        ).returncode
        for command in commands
    ]


@pytest.mark.slow
def test_the_commands_of_the_ci_recipe(tmp_path):
    folder = copy_of_project(tmp_path)
    commands, steps = commands_of(folder / "configs/ci/github-actions.yml", "attention")
    env = {**environment(folder), "GITHUB_STEP_SUMMARY": str(folder / "summary.md"), "PR": "7"}
    (folder / "bin" / "gh").write_text(GH)
    (folder / "bin" / "gh").chmod(0o755)

    assert run_all(commands, folder, env) == [0, 0, 0]
    assert "✅ Attention: all" in (folder / "summary.md").read_text()
    assert (folder / "comment.md").read_text() == (folder / "attention/check.md").read_text()
    uploaded = next(s for s in steps if "upload-artifact" in s.get("uses", ""))["with"]["path"]
    missing = [name for name in uploaded.split() if not (folder / name).is_file()]
    assert missing == ["attention/check.html", "attention/worst.png"]
    # Another model under the name of an accepted one makes the check, and so the run, fail.
    checkpoints = folder / "sample_models/checkpoints"
    shutil.copy(checkpoints / "epoch-02.keras", checkpoints / "epoch-20.keras")
    assert run_all(commands, folder, env) == [0, 1, 0]
    assert "❌ Attention" in (folder / "comment.md").read_text()
    assert (folder / "attention/worst.png").is_file()
    # One that cannot be read is not evaluated.
    broken = checkpoints / "epoch-11.keras"
    broken.write_bytes(broken.read_bytes()[:1000])
    assert run_all(commands, folder, env)[0] == 3


@pytest.mark.slow
def test_the_label_accepts_the_maps_of_the_change(tmp_path):
    folder = copy_of_project(tmp_path / "work")
    commands, _ = commands_of(folder / "configs/ci/github-actions.yml", "accept")
    env = {**environment(folder), "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}
    who = ["-c", "user.name=n", "-c", "user.email=e"]

    def git(*arguments):
        done = subprocess.run(
            ["git", *arguments], cwd=folder, env=env, capture_output=True, text=True, check=True
        )
        return done.stdout

    git("init", "-q", "--bare", str(tmp_path / "remote"))
    git("init", "-q", "-b", "change")
    git("add", "configs")
    git(*who, "commit", "-qm", "before")
    git("remote", "add", "origin", str(tmp_path / "remote"))
    git("push", "-q", "-u", "origin", "change")
    # Nothing has changed: nothing is committed.
    assert run_all(commands, folder, env) == [0, 0]
    assert git("log", "--format=%s", "origin/change").split("\n")[:1] == ["before"]
    checkpoints = folder / "sample_models/checkpoints"
    shutil.copy(checkpoints / "epoch-11.keras", checkpoints / "epoch-20.keras")
    assert run_all(commands, folder, env) == [0, 0]
    changed = git("diff", "--name-only", "HEAD~1")
    assert changed.split() == ["configs/ci/attention-baseline/baseline.txt"]
    git("fetch", "-q")
    assert git("log", "--format=%s", "-1", "origin/change").strip().startswith("Accept")
