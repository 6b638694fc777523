"""``kvis watch``: a job for every new file of a folder."""

from __future__ import annotations

import shutil
import threading
import time

import pytest

from tests.helpers.rows import json_rows


@pytest.fixture
def job(tiny_model, picture, tmp_path):
    path = tmp_path / "job.yaml"
    path.write_text(
        f"models: [{{path: '{tiny_model}', preprocess: unit}}]\nimages: ['{picture}']\n"
        f"tasks: [cam]\noutput: '{tmp_path}/out'\n"
    )
    return path


def test_it_ends_when_nothing_comes(kvis, job, tmp_path):
    assert kvis("watch", tmp_path / "missing", job).code == 2
    (tmp_path / "saved").mkdir()
    began = time.monotonic()
    ran = kvis("watch", tmp_path / "saved", job, "--every", "0.1", "--idle", "0.3")
    assert ran.code == 0 and time.monotonic() - began < 5
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_results_grow_with_every_checkpoint(kvis, job, tiny_model, tmp_path):
    saved = tmp_path / "saved"
    saved.mkdir()
    shutil.copy(tiny_model, saved / "epoch-1.keras")
    (saved / "epoch-0.keras").write_bytes(b"cut off")

    def train():
        deadline = time.monotonic() + 120
        while not (tmp_path / "out" / "manifest.jsonl").exists() and time.monotonic() < deadline:
            time.sleep(0.2)
        shutil.copy(tiny_model, saved / "epoch-2.keras")

    run = threading.Thread(target=train)
    run.start()
    ran = kvis("watch", saved, job, "--every", "0.2", "--idle", "30")
    run.join()
    assert ran.code == 0, ran.err
    assert "epoch-0.keras" in ran.err
    models = [
        row["model"].rsplit("/")[-1] for row in json_rows(tmp_path / "out" / "manifest.jsonl")
    ]
    assert sorted(models) == ["epoch-1.keras", "epoch-2.keras"]
