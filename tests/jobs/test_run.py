"""Whole jobs: resume, crashes, shards, workers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from kvis_cli.runtime.cores import share_cores, side_threads
from tests.helpers.rows import json_rows

TASKS = 3 * 5 * 2

NO_TENSORFLOW = """
import sys
from kvis_cli.cli.app import app
try:
    app(sys.argv[1:], standalone_mode=False)
except SystemExit:
    pass
print("HEAVY", sorted({"tensorflow", "keras"} & set(sys.modules)))
"""


def rows(job, out: str) -> list[dict]:
    return json_rows(job.folder / out / "manifest.jsonl")


def copy(job, name: str) -> Path:
    """The clean results under another name."""
    target = job.folder / name
    shutil.rmtree(target, ignore_errors=True)
    return shutil.copytree(job.folder / "clean", target)


def in_fresh_process(*arguments: str) -> str:
    command = [sys.executable, "-c", NO_TENSORFLOW, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300).stdout


def test_what_a_clean_run_leaves(job):
    found = rows(job, "clean")
    assert len({row["task"] for row in found}) == TASKS
    assert {row["status"] for row in found} == {"done"}
    assert all((job.folder / "clean" / row["file"]).is_file() for row in found)
    # Two classes per task; where class 2 is the first class, the two are one picture.
    assert all(row["of"] == 2 or row["units"] == [[2, 1.0]] for row in found)
    assert not (job.folder / "clean" / "journal.jsonl").exists()
    run = json.loads((job.folder / "clean" / "run.json").read_text())
    assert [m["name"] for m in run["models"]] == ["epoch-1", "epoch-2", "epoch-10"]
    assert run["tasks"] == {"all": TASKS, "done": TASKS, "failed": 0}
    assert run["versions"]["tensorflow"] and run["device"]
    assert len(run["images"]) == 5 and all(len(i["sha256"]) == 64 for i in run["images"])


def test_a_command_makes_the_same_pictures_as_a_job(job, kvis, tmp_path):
    model, photos = job.folder / "epoch-2.keras", job.folder / "photos"
    options = ["-m", "gradcam,layercam", "-c", "top1,2", "--batch-size", "2"]
    ran = kvis("cam", model, photos, *options, "-o", tmp_path)
    assert ran.code == 0
    mine = {p.name: p for p in tmp_path.glob("*.png")}
    theirs = {n: p for n, p in job.pixels("clean").items() if n.startswith("epoch-2/")}
    assert {f"epoch-2/{name}" for name in mine} == set(theirs)
    from PIL import Image

    for name, path in mine.items():
        np.testing.assert_array_equal(np.asarray(Image.open(path)), theirs[f"epoch-2/{name}"])


def test_a_rerun_does_nothing_and_needs_no_tensorflow(job):
    out = copy(job, "again")
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*")}
    said = in_fresh_process("run", str(job.file), "-o", str(out))
    assert said == "HEAVY []\n"
    assert {p: p.stat().st_mtime_ns for p in out.rglob("*")} == before


def test_a_dry_run_counts_and_needs_no_tensorflow(job):
    out = copy(job, "dry")
    next((out / "epoch-2").glob("p3_gradcam*")).unlink()
    said = in_fresh_process("run", str(job.file), "-o", str(out), "--dry-run", "--json")
    assert said.endswith("HEAVY []\n")
    plan = json.loads(said.removesuffix("HEAVY []\n"))
    assert (plan["tasks"], plan["done"], plan["left"]) == (TASKS, TASKS - 1, 1)
    assert [w["tasks"] for w in plan["work"]] == [10, 10, 10]


def test_identity_is_content_and_settings_not_place(job, tmp_path):
    """Moved models and photos are the same; changed ones, and changed settings, are not."""
    moved = tmp_path / "moved"
    shutil.copytree(job.folder, moved, ignore=shutil.ignore_patterns("again", "dry"))

    def left(text: str | None = None) -> int:
        if text:
            (moved / "job.yaml").write_text(text)
        command = ["run", str(moved / "job.yaml"), "-o", str(moved / "clean"), "--dry-run"]
        return json.loads(in_fresh_process(*command, "--json").partition("HEAVY")[0])["left"]

    original = (moved / "job.yaml").read_text()
    assert left() == 0
    assert left(original.replace("batch_size: 2", "batch_size: 3\nworkers: 4")) == 0
    assert left(original.replace("top1, 2]}", "top1, 2], grid: true}")) == 0
    assert left(original.replace("top1, 2]}", "top1, 2], overlay: 0.4}")) == TASKS
    assert left(original.replace("gradcam, layercam", "hirescam, layercam")) == TASKS // 2
    assert left(original.replace('"epoch-*.keras"', "{path: epoch-2.keras, fit: crop}")) == 10
    assert left(original) == 0
    (moved / "labels.txt").write_text("a\nb\nc\n")
    assert left() == TASKS
    (moved / "labels.txt").unlink()
    data = (moved / "photos/p1.png").read_bytes()
    (moved / "photos/p1.png").write_bytes((moved / "photos/p2.png").read_bytes())
    assert left() == TASKS // 5
    (moved / "photos/p1.png").write_bytes(data)
    (moved / "epoch-2.keras").write_bytes((moved / "epoch-1.keras").read_bytes())
    assert left() == TASKS // 3


def test_only_what_is_missing_is_done(job):
    out = copy(job, "missing")
    gone = next((out / "epoch-10").glob("p4_layercam*"))
    gone.unlink()
    kept = {p: p.stat().st_mtime_ns for p in out.rglob("*.png")}
    ran = job.run("missing", "--json")
    assert ran.returncode == 0
    events = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [e["event"] for e in events if e["event"] == "task"] == ["task"]
    assert events[-1] | {"seconds": 0} == {
        "event": "end", "exit_code": 0, "done": 1, "failed": 0, "finished_before": TASKS - 1,
        "seconds": 0, "folder": str(out),
    }  # fmt: skip
    # The other picture of that task may be written again, with the same pixels.
    changed = {p.name for p, at in kept.items() if p.stat().st_mtime_ns != at}
    assert all(name.startswith("p4_layercam") for name in changed)
    job.assert_same("missing", "clean")


@pytest.mark.slow
def test_a_native_crash_is_one_failed_image(job):
    ran = job.run("crashed", "--retries", "0", fault="segfault:p3.png")
    assert ran.returncode == 1
    assert "SIGSEGV" in ran.stderr
    bad = [row for row in rows(job, "crashed") if row["status"] == "failed"]
    assert {row["image_name"] for row in bad} == {"p3"}
    assert len(bad) == 6
    assert all("Segmentation fault" in row["error"]["why"] for row in bad)
    good = {row["task"] for row in rows(job, "crashed") if row["status"] == "done"}
    assert len(good) == TASKS - 6
    # Without the fault the rest is done, and nothing tells the two runs apart.
    assert job.run("crashed").returncode == 0
    job.assert_same("crashed", "clean")


@pytest.mark.slow
def test_two_workers_give_the_pixels_of_one(job):
    assert job.run("two", "--workers", "2").returncode == 0
    job.assert_same("two", "clean")


@pytest.mark.slow
def test_two_workers_on_half_the_cores_give_the_raw_maps_of_one(job, real_data, tmp_path):
    """Sums in another order would show here: plain, depthwise and separable convolutions."""
    names = ["mobilenet_v1_025_224.keras", "squeezenet_v10_227.keras"]
    models = [str(real_data / "models" / name) for name in names]
    (tmp_path / "job.yaml").write_text(
        json.dumps(
            {
                "models": [*models, str(real_data / "checkpoints" / "*-0.66.hdf5")],
                "images": [str(real_data / "photos")],
                "tasks": [{"cam": {"method": ["gradcam", "layercam"], "raw": True}}],
                "batch_size": 4,
            }
        )
    )
    real = type(job)(tmp_path)
    for workers in ("1", "2"):
        ran = real.run(workers, "--workers", workers)
        assert ran.returncode == 0, ran.stderr
    real.assert_same("1", "2")
    raws = sorted((tmp_path / "1").rglob("*.npz"))
    assert len(raws) == 3 * 2 * len(list((real_data / "photos").iterdir()))
    for path in raws:
        other = tmp_path / "2" / path.relative_to(tmp_path / "1")
        one, two = np.load(path)["map"], np.load(other)["map"]
        np.testing.assert_array_equal(one, two, err_msg=path.name)


def test_workers_share_out_the_cores(monkeypatch):
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(12)), raising=False)
    for workers, threads in ((1, None), (5, "2"), (12, "1"), (64, "1")):
        share_cores(workers)
        assert os.environ.get("TF_NUM_INTRAOP_THREADS") == threads
        assert side_threads(workers) == {1: 4, 5: 2, 12: 1, 64: 1}[workers]
        monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "3")
    share_cores(4)
    assert os.environ["TF_NUM_INTRAOP_THREADS"] == "3"


@pytest.mark.slow
def test_shards_join_to_one_run(job, kvis):
    for i in range(3):
        assert job.run("shards", "--shard", f"{i}/3").returncode == 0
    parts = [rows(job, f"shards/shard-{i}-of-3") for i in range(3)]
    ids = [row["task"] for part in parts for row in part]
    assert all(parts) and len(set(ids)) == TASKS
    joined = job.folder / "joined"
    folders = [job.folder / f"shards/shard-{i}-of-3" for i in range(3)]
    missing = kvis("merge", joined, *folders[:2])
    assert missing.code == 3 and "missing: 2" in missing.err
    ran = kvis("merge", joined, *folders, "--report", "json")
    assert ran.code == 0, ran.err
    assert all(Path(line).is_file() for line in ran.out.splitlines())
    job.assert_same("joined", "clean")
    # Shards in one folder are found there.
    assert kvis("merge", job.folder / "shards").code == 0
    # What was joined counts as done.
    again = job.run("joined", "--dry-run", "--json")
    assert json.loads(again.stdout)["left"] == 0


@pytest.mark.slow
def test_a_hung_task_is_ended(job):
    began = time.monotonic()
    ran = job.run("hung", "--retries", "0", "--timeout", "4", fault="hang:p0.png")
    assert ran.returncode == 1
    assert "longer than 4 s" in ran.stderr
    bad = {row["image_name"] for row in rows(job, "hung") if row["status"] == "failed"}
    assert bad == {"p0"}
    assert len({r["task"] for r in rows(job, "hung") if r["status"] == "done"}) == TASKS - 6
    assert time.monotonic() - began < 400


@pytest.mark.slow
def test_memory_that_runs_out_halves_the_batch(job):
    ran = job.run("halved", fault="oom:1")
    assert ran.returncode == 0, ran.stderr
    assert "out of memory: going on with batches of 1" in ran.stderr
    assert rows(job, "halved") and not [r for r in rows(job, "halved") if r["status"] != "done"]
    none = job.run("none", fault="oom:0")
    assert none.returncode == 1
    assert "more memory than there is" in none.stderr


@pytest.mark.slow
def test_a_worker_that_the_system_kills_is_replaced(job):
    ran = job.run("killed", "--retries", "1", fault="kill:p2.png")
    assert ran.returncode == 1
    assert "memory" in ran.stderr
    bad = {row["image_name"] for row in rows(job, "killed") if row["status"] == "failed"}
    assert bad == {"p2"}


@pytest.mark.slow
def test_a_corrupt_checkpoint_in_the_middle_loses_only_itself(job, tmp_path):
    for name in ("epoch-1.keras", "epoch-2.keras", "epoch-10.keras", "job.yaml"):
        shutil.copy(job.folder / name, tmp_path)
    shutil.copytree(job.folder / "photos", tmp_path / "photos")
    (tmp_path / "photos" / "p1.png").write_bytes(b"no picture")
    whole = (tmp_path / "epoch-2.keras").read_bytes()
    (tmp_path / "epoch-2.keras").write_bytes(whole[: len(whole) // 2])
    broken = type(job)(tmp_path)
    ran = broken.run("out", "--report", "junit,markdown")
    assert ran.returncode == 1
    assert ran.stderr.count("error: ") == 2
    bad = [row for row in rows(broken, "out") if row["status"] == "failed"]
    assert {row["model_name"] for row in bad if row["image_name"] != "p1"} == {"epoch-2"}
    assert len(bad) == 10 + 4
    assert len({r["task"] for r in rows(broken, "out") if r["status"] == "done"}) == TASKS - 14
    (tmp_path / "epoch-2.keras").write_bytes(whole)
    shutil.copy(job.folder / "photos" / "p1.png", tmp_path / "photos")
    assert broken.run("out").returncode == 0
    assert set(broken.pixels("out")) == set(job.pixels("clean"))


@pytest.mark.slow
def test_fail_fast_stops(job):
    ran = job.run("fast", "--fail-fast", "--retries", "0", fault="error:p0.png")
    assert ran.returncode == 1
    found = rows(job, "fast")
    assert [row for row in found if row["status"] == "failed"]
    assert len({row["task"] for row in found}) < TASKS


@pytest.mark.slow
def test_a_wrong_class_of_one_job_is_recorded_and_an_absent_device_ends_it(job):
    ran = job.run("device", "--device", "gpu:7")
    assert ran.returncode == 3
    assert "gpu:7" in ran.stderr
    assert ran.stderr.count("error: ") == 1


@pytest.mark.slow
def test_force_and_clean_stale(job):
    out = copy(job, "stale")
    text = job.file.read_text()
    narrow = job.folder / "narrow.yaml"
    narrow.write_text(text.replace("gradcam, layercam", "layercam"))
    command = [sys.executable, "-m", "kvis_cli", "run", str(narrow), "-o", str(out)]
    assert subprocess.run(command, capture_output=True, timeout=300).returncode == 0
    assert len({row["task"] for row in rows(job, "stale")}) == TASKS
    done = subprocess.run([*command, "--clean-stale"], capture_output=True, timeout=300)
    assert done.returncode == 0
    assert {row["method"] for row in rows(job, "stale")} == {"layercam"}
    assert not list(out.rglob("*_gradcam_*"))
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*.png")}
    assert subprocess.run([*command, "--force"], capture_output=True, timeout=300).returncode == 0
    assert all(p.stat().st_mtime_ns > at for p, at in before.items())
