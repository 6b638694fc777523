"""The child process that tries a file first: it dies in place of this one."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("way", [probe._forked, probe._spawned])
def test_only_a_crash_counts(tmp_path, way, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    for reader in (reads, fails, crashes):
        reader.__module__ = Path(__file__).stem
    path = tmp_path / "file"
    path.write_bytes(b"x")
    assert [way(reader, path) for reader in (reads, fails, crashes)] == [True, True, False]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_loop_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(probe, "CPU_SECONDS", 1)
    path = tmp_path / "file"
    path.write_bytes(b"x")
    assert not probe._forked(loops, path)


def test_a_survived_file_is_tried_once(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", sys)
    tried = []
    monkeypatch.setattr(probe, "_spawned", lambda reader, path: tried.append(path) or True)
    path = tmp_path / "file"
    path.write_bytes(b"x")
    assert probe.survives(reads, path)
    assert probe.survives(reads, path)
    assert len(tried) == 1
    path.write_bytes(b"longer")
    assert probe.survives(reads, path)
    assert len(tried) == 2
