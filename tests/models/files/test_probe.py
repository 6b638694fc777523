"""The child process that tries a file first: it dies in place of this one."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from kvis_cli.errors import ModelError
from kvis_cli.models.files import probe


def reads(path: Path) -> bytes:
    return path.read_bytes()


def fails(path: Path) -> None:
    raise ValueError("an exception is no crash")


def crashes(path: Path) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def loops(path: Path) -> None:
    while True:
        pass


def hoards(path: Path) -> int:
    return len(bytearray(2 << 30))


@pytest.mark.parametrize("way", [probe._forked, probe._spawned])
def test_a_crash_is_told_from_an_error(tmp_path, way, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    for reader in (reads, fails, crashes):
        reader.__module__ = Path(__file__).stem
    path = tmp_path / "file"
    path.write_bytes(b"x")
    assert way(reads, path) == []
    assert way(fails, path)[:3] == [
        "ModelError", f"'{path}' is damaged or incomplete.", "an exception is no crash."
    ]  # fmt: skip
    assert way(crashes, path) is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_loop_ends_and_memory_has_a_bound(tmp_path, monkeypatch):
    monkeypatch.setattr(probe, "CPU_SECONDS", 1)
    path = tmp_path / "file"
    path.write_bytes(b"x")
    assert probe._forked(loops, path) is None
    assert "A size in it is absurd." in probe._forked(hoards, path)


def notes_itself(path: Path) -> None:
    with path.with_name("processes").open("a") as file:
        file.write(f"{os.getpid()}\n")
    raise ValueError("refused")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_what_the_child_refuses_is_not_read_here(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    path = tmp_path / "file"
    path.write_bytes(b"x")
    with pytest.raises(ModelError, match="refused"):
        probe.survive(path, notes_itself)
    (process,) = (tmp_path / "processes").read_text().split()
    assert int(process) != os.getpid()


@pytest.mark.parametrize("said", [b"", b"{}", b'["ModelError"]', b'["Path", "", "", ""]', b"[1]"])
def test_a_child_that_talks_nonsense_has_crashed(said):
    assert probe._report(said) is None


def test_a_survived_file_is_tried_once(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", sys)
    tried: list[Path] = []
    monkeypatch.setattr(probe, "_spawned", lambda reader, path: tried.append(path) or [])
    path = tmp_path / "file"
    path.write_bytes(b"x")
    probe.survive(path, reads)
    probe.survive(path, reads)
    assert len(tried) == 1
    path.write_bytes(b"longer")
    probe.survive(path, reads)
    assert len(tried) == 2
