"""Checkpoints are taken once they are whole, in order, and again when they change."""

from __future__ import annotations

import os
import shutil

import pytest

from kvis_cli.errors import UsageError
from kvis_cli.jobs.running.checkpoints import CheckpointFolder, watch_folder
from kvis_cli.models.request import ModelSpec


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "saved"
    made.mkdir()
    return made


def names(paths):
    return [path.name for path in paths]


def test_a_file_counts_when_it_stands_still(folder, tiny_model):
    watched = CheckpointFolder(folder, ModelSpec(path="x"))
    assert watched.look() == []
    for name in ("epoch-10.keras", "epoch-2.keras"):
        shutil.copy(tiny_model, folder / name)
    (folder / "notes.txt").write_text("no model")
    assert watched.look() == []
    assert names(watched.look()) == ["epoch-2.keras", "epoch-10.keras"]
    # Half of a file, as a training run leaves it for a moment.
    growing = folder / "epoch-11.keras"
    whole = tiny_model.read_bytes()
    growing.write_bytes(whole[: len(whole) // 2])
    watched.look()
    assert names(watched.look()) == ["epoch-2.keras", "epoch-10.keras"]
    assert names(watched.broken) == ["epoch-11.keras"]
    growing.write_bytes(whole)
    assert growing not in watched.look()
    assert growing in watched.look()
    assert not watched.broken
    growing.unlink()
    assert names(watched.look()) == ["epoch-2.keras", "epoch-10.keras"]


def test_what_is_new_or_another_is_told_once(folder, tiny_model):
    told = []
    later = []

    def sleep(_):
        """The training run, between two looks."""
        later.append(None)
        if len(later) == 4:
            shutil.copy(tiny_model, folder / "b.keras")
        if len(later) == 8:
            os.utime(folder / "a.keras", ns=(1, 1))

    shutil.copy(tiny_model, folder / "a.keras")
    watched = CheckpointFolder(folder, ModelSpec(path="x"))
    watch_folder(watched, lambda paths: told.append(names(paths)), every=1, idle=10, sleep=sleep)
    # While "a" was being written anew only "b" was whole, and that was known.
    assert told == [["a.keras"], ["a.keras", "b.keras"], ["a.keras", "b.keras"]]
    assert 18 <= len(later) <= 21


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match="no folder"):
        CheckpointFolder(tmp_path / "missing", ModelSpec(path="x"))
