"""A job while a model trains, and a job for every new checkpoint of a folder."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from kvis_cli.errors import SpecError, UsageError


@pytest.fixture
def model(tf):
    import keras

    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.SGD(0.5), "sparse_categorical_crossentropy")
    return model


def data():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (8, 16, 16, 3)).astype(np.float32), rng.integers(0, 3, 8)


def rows(folder):
    lines = (folder / "manifest.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_pictures_of_epochs_are_those_of_the_saved_models(tf, model, picture, tmp_path, kvis):
    from kvis_cli.training import KvisCallback

    out, board = tmp_path / "attention", tmp_path / "board"
    job = {
        "images": [str(picture)],
        "tasks": [{"cam": {"class": 1}}],
        "output": str(out),
        "report": "html",
    }
    callback = KvisCallback(job, every=2, tensorboard=board)
    model.fit(*data(), epochs=3, verbose=0, callbacks=[callback])
    # Epoch 2 by its turn, epoch 3 because it is the last.
    saved = sorted(p.name for p in (out / "checkpoints").iterdir())
    assert saved == ["epoch-002.keras", "epoch-003.keras"]
    assert [row["status"] for row in rows(out)] == ["done", "done"]
    found = {row["model"]: row for row in rows(out)}
    assert len(found) == 2
    assert (out / "report.html").is_file()
    again = tmp_path / "again"
    last = out / "checkpoints" / "epoch-003.keras"
    ran = kvis("cam", last, picture, "--class", 1, "--no-metadata", "-o", again)
    assert ran.code == 0, ran.err
    from PIL import Image

    [expected] = again.glob("*.png")
    [row] = [r for name, r in found.items() if "003" in name]
    np.testing.assert_array_equal(
        np.asarray(Image.open(out / row["file"])), np.asarray(Image.open(expected))
    )

    events = []
    for path in board.iterdir():
        for record in tf.data.TFRecordDataset(str(path)):
            events.append(tf.compat.v1.Event.FromString(record.numpy()))
    images = sorted(((e.step, v) for e in events for v in e.summary.value), key=lambda i: i[0])
    assert [step for step, _ in images] == [2, 3]
    assert {v.tag for _, v in images} == {images[0][1].tag}
    assert images[0][1].metadata.plugin_data.plugin_name == "images"
    width, height, png = tf.make_ndarray(images[1][1].tensor)
    assert (int(width), int(height)) == (40, 30)
    assert png == (out / row["file"]).read_bytes()


def test_a_job_that_fails_does_not_end_the_training(model, tmp_path):
    from kvis_cli.training import KvisCallback

    job = {
        "images": [str(tmp_path / "missing.png")],
        "tasks": [{"cam": {}}],
        "output": str(tmp_path / "out"),
    }
    with pytest.warns(UserWarning, match="could not explain epoch 1"):
        model.fit(*data(), epochs=1, verbose=0, callbacks=[KvisCallback(job)])
    with pytest.raises(SpecError, match="methd"):
        KvisCallback({"tasks": [{"cam": {"methd": "gradcam"}}]})
    with pytest.raises(UsageError):
        KvisCallback(job, every=0)


def test_only_whole_checkpoints_are_found(tiny_model, tmp_path):
    from kvis_cli.jobs.running.checkpoints import CheckpointFolder, watch_folder
    from kvis_cli.models.request import ModelSpec

    folder = CheckpointFolder(tmp_path, ModelSpec(path="any"))
    whole = tiny_model.read_bytes()
    first, growing = tmp_path / "epoch-1.keras", tmp_path / "epoch-10.keras"
    first.write_bytes(whole)
    growing.write_bytes(whole[: len(whole) // 2])
    (tmp_path / "notes.txt").write_text("no model")
    assert folder.look() == []
    assert folder.look() == [first]
    # It stands still, and is no model yet.
    assert list(folder.broken) == [growing]
    growing.write_bytes(whole)
    second = tmp_path / "epoch-2.keras"
    second.write_bytes(whole)
    assert folder.look() == [first]
    assert folder.look() == [first, second, growing]
    assert folder.broken == {}

    calls, waited = [], []

    def sleep(seconds):
        waited.append(seconds)
        if len(waited) == 3:
            os.utime(second, ns=(1, 1))

    watch_folder(folder, calls.append, every=1, idle=4, sleep=sleep)
    # At once, and again when a file was another; then nothing new for four looks.
    assert calls == [[first, second, growing]] * 2
    assert 7 <= len(waited) <= 10
    with pytest.raises(UsageError, match="no folder"):
        CheckpointFolder(tmp_path / "missing", ModelSpec(path="any"))


def test_a_saved_model_is_a_checkpoint_once_all_of_it_stands_still(tf, model, tmp_path):
    from kvis_cli.jobs.running.checkpoints import CheckpointFolder
    from kvis_cli.models.request import ModelSpec

    export = tmp_path / "epoch-3"
    model.export(export, verbose=False)
    (tmp_path / "logs").mkdir()
    folder = CheckpointFolder(tmp_path, ModelSpec(path="any"))
    assert folder.look() == []
    variables = export / "variables" / "variables.index"
    os.utime(variables, ns=(1, time.time_ns() + 10**9))
    # A file of it was written in between.
    assert folder.look() == []
    assert folder.look() == [export]
    assert folder.broken == {}


@pytest.mark.slow
def test_watch_picks_up_checkpoints_and_ends_on_a_signal(model, tiny_model, picture, tmp_path):
    folder, out = tmp_path / "checkpoints", tmp_path / "out"
    folder.mkdir()
    shutil.copy(tiny_model, folder / "epoch-1.keras")
    (tmp_path / "job.yaml").write_text(
        f"models: [any.keras]\nimages: [{picture}]\ntasks:\n  - cam: {{class: 1}}\n"
        f"output: {out}\nreport: [html]\n"
    )
    command = [sys.executable, "-m", "kvis_cli", "watch", str(folder), str(tmp_path / "job.yaml")]
    process = subprocess.Popen(
        [*command, "--every", "0.5"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        wait_for(lambda: (out / "report.html").is_file())
        model.save(folder / "epoch-2.keras")
        wait_for(lambda: len(rows(out)) == 2)
        time.sleep(2)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, process.stderr.read()
    finally:
        process.kill()
    assert {row["status"] for row in rows(out)} == {"done"}
    assert len({row["model"] for row in rows(out)}) == 2


def wait_for(ready, seconds=240):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if ready():
                return
        except OSError:
            pass
        time.sleep(0.2)
    raise AssertionError("nothing happened in time")
