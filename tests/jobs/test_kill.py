"""Killed at any moment, on a full disk: what was done stays, and a rerun ends as if nothing was."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kvis_cli.jobs.results.resume import read_finished

TASKS = 30


def children(parent: int) -> list[int]:
    """The worker processes of a run: its children that are no resource tracker."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                status = (entry / "stat").read_text().rpartition(")")[2].split()
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if int(status[1]) == parent and b"spawn_main" in line:
                found.append(int(entry.name))
    return found


def wait_for_work(process: subprocess.Popen, out: Path, tasks: int) -> None:
    """Until so many tasks more are in the journal, or the run is over."""
    while process.poll() is None:
        if len(read_finished(out).rows) >= tasks:
            return
        time.sleep(0.005)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for worker processes in /proc")
def test_kills_at_random_moments(job):
    """Twenty kills, of the run itself and of its worker, spread over start, work and end."""
    rng = random.Random(20)
    killed = {"run": 0, "worker": 0}
    kills = 0
    while kills < 20:
        name = f"kill-{kills}"
        out = job.folder / name
        # A few kills into one folder, so that a rerun is itself killed.
        for _ in range(rng.choice([1, 2, 3])):
            before = len(read_finished(out).rows)
            process = subprocess.Popen(
                job.command(name, "--retries", "2"),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            whom = rng.choice(["run", "worker"])
            wait_for_work(process, out, before + rng.randrange(0, 12))
            time.sleep(rng.random() * 0.1)
            workers = children(process.pid)
            if process.poll() is None:
                try:
                    target = process.pid if whom == "run" or not workers else workers[0]
                    os.kill(target, signal.SIGKILL)
                except ProcessLookupError:
                    continue
                killed["run" if target == process.pid else "worker"] += 1
                kills += 1
            process.wait(300)
            # Nothing that was done is lost.
            assert len(read_finished(out).rows) >= before
        again = job.run(name)
        assert again.returncode == 0, again.stderr
        job.assert_same(name, "clean")
        assert not list(out.rglob("*.tmp")) or whom == "run"
        shutil.rmtree(out)
    assert min(killed.values()) >= 3


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 160 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=160k", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("this user may not mount a small file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.slow
def test_a_full_disk_loses_nothing_that_is_done(job, small_disk):
    link = job.folder / "small"
    link.symlink_to(small_disk)
    full = job.run("small")
    assert full.returncode == 1
    assert "The disk is full" in full.stderr or "No space left" in full.stderr
    assert "Traceback" not in full.stderr
    done = len(read_finished(small_disk).rows)
    assert 0 < done < TASKS
    # With room again the rest is done.
    bigger = ["mount", "-o", "remount,size=8m", str(small_disk)]
    subprocess.run(bigger, check=True)
    again = job.run("small", "--json")
    assert again.returncode == 0, again.stderr
    assert f'"finished_before": {done}' in again.stdout
    job.assert_same("small", "clean")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_interruption_keeps_what_is_done(job):
    process = subprocess.Popen(
        job.command("interrupted"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Where the tests themselves run in the background, it would be inherited as ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    out = job.folder / "interrupted"
    wait_for_work(process, out, 4)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "Traceback" not in said
    # It came to an orderly end: all that is done is in the manifest.
    assert not (out / "journal.jsonl").exists()
    assert len(read_finished(out).rows) >= 4
    again = job.run("interrupted")
    assert again.returncode == 0, again.stderr
    job.assert_same("interrupted", "clean")


def test_a_folder_that_cannot_be_written_to(job):
    (job.folder / "file").write_text("in the way")
    ran = job.run("file")
    assert ran.returncode == 1
    assert "Cannot write to the folder" in ran.stderr
    assert "starting TensorFlow" not in ran.stderr
