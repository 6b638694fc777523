"""From a job to chunks of work, and the classes of a table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kvis_cli.errors import UsageError
from kvis_cli.jobs.planning.chunks import make_chunks
from kvis_cli.jobs.planning.plan import Shard, make_plan
from kvis_cli.jobs.running.runner import run_job
from kvis_cli.spec.build import build_job


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    rng = np.random.default_rng(1)
    paths = [tmp_path / f"{i}.png" for i in range(7)]
    for path in paths:
        Image.fromarray(rng.integers(0, 256, (20, 24, 3), np.uint8)).save(path)
    return paths


def plan_of(model, images, tasks, shard=None, **more):
    values = {"models": [str(model)], "images": images, "tasks": tasks, **more}
    return make_plan(build_job(values), shard=shard)


def test_tasks_and_chunks(tiny_model, photos):
    tasks = [{"cam": {"method": ["gradcam", "layercam"]}}, {"saliency": {}}]
    plan = plan_of(tiny_model, [str(p) for p in photos], tasks, batch_size=3)
    ids = [task.id for task in plan.tasks]
    assert len(set(ids)) == len(ids) == 7 * 2 + 7
    chunks = make_chunks(plan, ids, 4)
    assert [len(c.images) for c in chunks] == [4, 3, 4, 3]
    # Seven images in three equal batches.
    assert {c.batch for c in chunks} == {3}
    assert sorted(t.id for c in chunks for t in c.tasks) == sorted(ids)
    # What is left of one image is only the method that is missing.
    rest = [t.id for t in plan.tasks if t.image == 2 and t.method == "layercam"]
    (chunk,) = make_chunks(plan, rest, 4)
    assert chunk.spec.method == ["layercam"] and chunk.batch == 3
    assert [i.image.name for i in chunk.images] == ["2"]


def test_entries_whose_names_would_meet_have_folders(tiny_model, photos):
    tasks = [
        {"cam": {}},
        {"cam": {"overlay": 0.1}},
        {"saliency": {}},
        {"cam": {"method": "layercam"}},
    ]
    plan = plan_of(tiny_model, [str(photos[0])], tasks)
    assert plan.labels == ["cam-1", "cam-2", "saliency", "cam-3"]
    assert [plan.folder(0, e) for e in range(4)] == ["cam-1", "cam-2", "", ""]
    assert len({plan.prefix(task) for task in plan.tasks}) == 4


def test_shards_share_out_everything_once(tiny_model, photos):
    images, tasks = [str(p) for p in photos], [{"cam": {"method": ["gradcam", "layercam"]}}]
    whole = {task.id for task in plan_of(tiny_model, images, tasks).tasks}
    parts = [plan_of(tiny_model, images, tasks, Shard(i, 3)).tasks for i in range(3)]
    assert sorted(t.id for part in parts for t in part) == sorted(whole)
    for part in parts:
        by_image: dict = {}
        for task in part:
            by_image.setdefault(task.image, set()).add(task.method)
        # All methods of an image come from one pass.
        assert all(methods == {"gradcam", "layercam"} for methods in by_image.values())


def test_with_a_shared_scale_every_picture_depends_on_all(tiny_model, photos):
    def ids(count: int, scale: str) -> set[str]:
        tasks = [{"cam": {"scale": scale}}]
        plan = plan_of(tiny_model, [str(p) for p in photos[:count]], tasks)
        return {task.id for task in plan.tasks}

    assert ids(3, "per-image") < ids(4, "per-image")
    assert not ids(3, "shared") & ids(4, "shared")


def test_the_classes_of_a_table_are_compiled_once_and_give_the_same_pictures(
    tf, kvis, tiny_model, photos, tmp_path
):
    classes = [0, 1, 2, 2, 1, 2, 2]
    table = tmp_path / "gate.csv"
    lines = [f"{p.name},{c}" for p, c in zip(photos, classes, strict=True)]
    table.write_text("\n".join(["file,label", *lines]))
    images = [{"csv": str(table), "image": "file", "class": "label"}]
    plan = plan_of(tiny_model, images, [{"cam": {}}], batch_size=4)
    chunks = make_chunks(plan, [task.id for task in plan.tasks], None)
    assert sorted((c.spec.class_[0], len(c.images), c.batch) for c in chunks) == [
        ("0", 1, 1), ("1", 2, 2), ("2", 4, 4)
    ]  # fmt: skip
    out = tmp_path / "out"
    outcome = run_job(plan.job.model_copy(update={"output": str(out)}))
    assert outcome.exit_code == 0
    assert sorted((row.image_name, row.units[0][0]) for row in outcome.rows) == [
        (str(i), c) for i, c in enumerate(classes)
    ]
    alone = tmp_path / "alone"
    for photo, index in zip(photos, classes, strict=True):
        assert kvis("cam", tiny_model, photo, "-c", index, "-o", alone).code == 0
    for row in outcome.rows:
        one, other = (
            np.asarray(Image.open(folder / row.file)).astype(int) for folder in (out, alone)
        )
        # Other batch sizes may round differently.
        assert np.abs(one - other).max() <= 2


def test_a_run_that_ends_early_forgets_nothing(tf, tiny_model, photos, tmp_path):
    from kvis_cli.errors import DeviceError
    from tests.helpers.rows import json_rows

    out = tmp_path / "out"
    values = {"models": [str(tiny_model)], "images": [str(p) for p in photos], "tasks": ["cam"]}
    assert run_job(build_job({**values, "out": str(out)})).exit_code == 0
    before = (out / "manifest.jsonl").read_text()
    with pytest.raises(DeviceError):
        run_job(build_job({**values, "out": str(out), "device": "gpu:9"}))
    assert (out / "manifest.jsonl").read_text() == before
    assert len(json_rows(out / "manifest.jsonl")) == 7
    assert not (out / "journal.jsonl").exists()
    # Where there was nothing, nothing is left.
    with pytest.raises(DeviceError):
        run_job(build_job({**values, "out": str(tmp_path / "new"), "device": "gpu:9"}))
    assert list((tmp_path / "new").iterdir()) == []


def test_models_and_images_that_are_not_there_are_said_together(tmp_path):
    nothing = [str(tmp_path / "*.jpg")]
    with pytest.raises(UsageError) as caught:
        plan_of(tmp_path / "none-*.keras", nothing, [{"cam": {}}])
    assert "none-*.keras" in str(caught.value) and "*.jpg" in str(caught.value)
    with pytest.raises(UsageError) as caught:
        plan_of(tmp_path / "none-*.keras", [], [{"filters": {"layer": "first"}}])
    assert "none-*.keras" in str(caught.value) and "There is no image" not in str(caught.value)
