"""Hashes that are remembered are those of the content, whatever happens to the files."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from kvis_cli.jobs.planning import digests
from kvis_cli.jobs.planning.digests import NAME, Digests


@pytest.fixture
def file(tmp_path, monkeypatch) -> Path:
    """A file that has not been changed for a while."""
    monkeypatch.setattr(digests, "SETTLED_NS", -1)
    path = tmp_path / "model.bin"
    path.write_bytes(b"first content")
    return path


def sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def remembered(folder: Path, *files: Path) -> Digests:
    """What a later run knows after one has hashed `files`."""
    found = Digests(folder)
    for path in files:
        found.file(path)
    found.remember(folder)
    return Digests(folder)


def forbid_reading(monkeypatch) -> None:
    def fail(*_):
        raise AssertionError("the file was read")

    monkeypatch.setattr(hashlib, "file_digest", fail)


def test_an_unchanged_file_is_not_read_again(file, tmp_path, monkeypatch):
    known = remembered(tmp_path, file)
    forbid_reading(monkeypatch)
    assert known.file(file) == sha(file)
    # It is still known after a run that did not read it.
    known.remember(tmp_path)
    assert Digests(tmp_path).file(file) == sha(file)


@pytest.mark.parametrize("how", ["in place", "replaced", "appended"])
def test_a_changed_file_is_read_although_size_and_mtime_are_as_before(file, tmp_path, how):
    known = remembered(tmp_path, file)
    before, was = file.stat(), sha(file)
    if how == "in place":
        with file.open("r+b") as stream:
            stream.write(b"other")
    elif how == "replaced":
        other = tmp_path / "other"
        other.write_bytes(b"other content"[: before.st_size])
        other.rename(file)
    else:
        with file.open("ab") as stream:
            stream.write(b".")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert known.file(file) == sha(file) != was


def test_a_file_that_was_just_written_is_not_relied_on(tmp_path):
    path = tmp_path / "fresh.bin"
    path.write_bytes(b"fresh")
    found = Digests()
    assert found.file(path) == sha(path)
    found.remember(tmp_path)
    assert json.loads((tmp_path / NAME).read_text()) == {}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a": 1}', '{"a": [[1], 2]}', "\x00"])
def test_a_damaged_memory_is_none(file, tmp_path, text):
    (tmp_path / NAME).write_text(text)
    assert Digests(tmp_path).file(file) == sha(file)


def test_what_cannot_be_read_has_no_hash(tmp_path):
    assert Digests().file(tmp_path / "none") == ""
    assert Digests().file(tmp_path) == ""


def test_a_folder_without_room_keeps_nothing(file, tmp_path):
    found = Digests()
    assert found.file(file)
    found.remember(tmp_path / "model.bin")
    assert Digests(tmp_path).file(file) == sha(file)
