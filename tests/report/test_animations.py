"""An animation over models shows one class at one scale."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from kvis_cli.jobs.results.store import FRAMES
from tests.helpers.rows import json_rows


@pytest.fixture(scope="module")
def checkpoints(tf, tmp_path_factory):
    """Three models that say something else each: class 1, 0, then 2."""
    import keras

    folder = tmp_path_factory.mktemp("checkpoints")
    keras.utils.set_random_seed(4)
    model = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            keras.layers.Conv2D(4, 3, activation="relu", name="maps"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3, activation="softmax", name="classes"),
        ]
    )
    maps, classes = model.get_layer("maps"), model.get_layer("classes")
    maps.set_weights([np.abs(maps.get_weights()[0]), np.zeros(4)])
    for epoch, winner in enumerate((1, 0, 2), 1):
        kernel = np.full((4, 3), 0.1 * epoch, np.float32)
        kernel[:, winner] = 0.5 * epoch
        classes.set_weights([kernel, np.zeros(3)])
        model.save(folder / f"epoch-{epoch}.keras")
    return folder


@pytest.mark.slow
def test_top1_is_that_of_the_last_model_in_every_frame(kvis, checkpoints, picture, tmp_path):
    out = tmp_path / "out"
    job = tmp_path / "job.yaml"
    job.write_text(
        f"models: [{{path: '{checkpoints}/*.keras', preprocess: unit}}]\n"
        f"images: ['{picture}']\ntasks: [cam]\ngif: true\noutput: '{out}'\n"
    )
    ran = kvis("run", job)
    assert ran.code == 0, ran.err
    # The job's own pictures are of each model's own class.
    rows = {row["model_name"]: row for row in json_rows(out / "manifest.jsonl")}
    assert [rows[f"epoch-{n}"]["units"] for n in (1, 2, 3)] == [[[1, 1]], [[0, 1]], [[2, 1]]]
    frames = {row["model_name"]: row for row in json_rows(out / FRAMES / "manifest.jsonl")}
    assert [frames[f"epoch-{n}"]["units"] for n in (1, 2, 3)] == [[[2, 1]]] * 3
    assert frames["epoch-3"]["max"] > frames["epoch-1"]["max"] > 0

    (path,) = (out / "animations").glob("*.gif")
    photo = np.asarray(Image.open(picture).convert("RGB"), float)
    heat = []
    with Image.open(path) as film:
        assert film.n_frames == 3
        for number in range(3):
            film.seek(number)
            shown = np.asarray(film.convert("RGB"), float)
            heat.append(np.abs(shown[: photo.shape[0]] - photo).mean())
    # On one scale a model whose map is a fraction of the last one's is paler than it.
    assert heat[0] < 0.8 * heat[2]

    again = kvis("run", job)
    assert again.code == 0, again.err
    assert path.exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"placed": [0, 0, 10**9, 10**9]},
        {"placed": "all"},
        {"placed": [0, 0, 0, 0]},
        {"grid": {"stride": [0, 0], "applied": True}},
        {"grid": [1]},
    ],
    ids=str,
)
def test_a_manifest_that_kvis_did_not_write_costs_no_animation(
    kvis, checkpoints, picture, tmp_path, wrong
):
    """What cannot be drawn anew is shown as it was, and it is said that scales differ."""
    from kvis_cli.report.animations import write_animations

    out = tmp_path / "out"
    model = checkpoints / "epoch-1.keras"
    ran = kvis("cam", model, picture, "--preprocess", "unit", "--class", "1", "-o", out, "--raw")
    assert ran.code == 0, ran.err
    (row,) = json_rows(out / "manifest.jsonl")
    other = {**row, "model_name": "epoch-2", "task": "other", **wrong}
    lines = [json.dumps({**r, "model_name": n}) for r, n in ((row, "epoch-1"), (other, "epoch-2"))]
    (out / "manifest.jsonl").write_text("\n".join(lines))
    (film,) = write_animations(out)
    shown = np.asarray(Image.open(film).convert("RGB"), float)
    written = np.asarray(Image.open(out / row["file"]).convert("RGB"), float)
    # The run's own picture, in the colours that a GIF has room for.
    assert np.abs(shown[: len(written)] - written).mean() < 8
