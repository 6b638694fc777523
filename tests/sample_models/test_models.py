"""The shipped files are complete and small, and the models reach what `accuracy.json` claims."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sample_models import measure, scenes

FOLDER = Path(__file__).resolve().parents[2] / "sample_models"
MODELS = ("shapes", "shapes_shortcut", "apples")
CLAIMS: dict[str, Any] = json.loads((FOLDER / "accuracy.json").read_text())
CHECKPOINTS = sorted((FOLDER / "checkpoints").glob("epoch-*.keras"))


def claimed(name: str) -> dict[str, Any]:
    return CLAIMS[name]["measured"]


def load(path: Path) -> Any:
    import keras

    return keras.models.load_model(path, compile=False)


# --- files ------------------------------------------------------------------------------------


def test_files_are_complete_and_small() -> None:
    for name in MODELS:
        assert (FOLDER / f"{name}.keras").stat().st_size < 600_000
        assert (FOLDER / f"{name}.kvis.yaml").is_file()
    files = [p for p in FOLDER.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    assert sum(p.stat().st_size for p in files) < 4_000_000


def test_six_checkpoints_each_with_its_accuracy() -> None:
    assert len(CHECKPOINTS) == 6
    assert [p.stem for p in CHECKPOINTS] == list(claimed("checkpoints"))


def test_labels_are_the_classes() -> None:
    lines = (FOLDER / "labels.txt").read_text().splitlines()
    assert lines == [f"{i} {name}" for i, name in enumerate(scenes.CLASSES)]


def test_sidecars_are_read_and_lead_to_the_labels() -> None:
    sidecar = pytest.importorskip("kvis_cli.models.description.sidecar")
    for name in (*MODELS, "checkpoints/epoch-01"):
        found = sidecar.read_sidecar(FOLDER / f"{name}.keras")
        assert found is not None
        content, path = found
        assert content.preprocess == "none"
        if name == "apples":
            assert content.labels is None
        else:
            assert (path.parent / content.labels).resolve() == FOLDER / "labels.txt"


def test_sample_images_are_large_rgb() -> None:
    paths = sorted((FOLDER / "images").glob("*.png"))
    assert {p.stem for p in paths} >= set(scenes.CLASSES)
    for path in paths:
        with Image.open(path) as image:
            assert (image.mode, image.size) == ("RGB", (384, 384))


def test_readme_gives_the_measured_numbers() -> None:
    readme = (FOLDER / "README.md").read_text()
    for name in ("shapes", "shortcut", "apples"):
        for key, value in claimed(name).items():
            assert f"{value:.3f}" in readme, f"{name}: {key}"
    for stem, measured in claimed("checkpoints").items():
        assert f"| {stem} | {measured['accuracy']:.3f} " in readme


# --- yardsticks -------------------------------------------------------------------------------


def test_pointing_game_and_enrichment_by_hand() -> None:
    masks = np.zeros((3, 4, 4), dtype=bool)
    masks[:, :2, :2] = True
    maps = np.zeros((3, 4, 4), dtype=np.float32)
    maps[0, 0, 1] = 3.0
    maps[0, 3, 3] = 1.0
    maps[1, 3, 3] = 2.0
    # The first has 3/4 of its energy on 1/4 of the area, the others nothing.
    assert measure.pointing_game(maps, masks) == pytest.approx(1 / 3)
    assert measure.enrichment(maps, masks) == pytest.approx(1.0)
    assert measure.enrichment(np.ones((3, 4, 4), dtype=np.float32), masks) == pytest.approx(1.0)


# --- claims -----------------------------------------------------------------------------------


def test_claims_are_high_enough_to_measure_with() -> None:
    shapes = claimed("shapes")
    assert shapes["accuracy"] >= 0.97
    assert shapes["gradcam_pointing_game"] >= 0.9
    assert shapes["gradcam_enrichment"] >= 2.5
    assert shapes["gradient_enrichment"] >= 2.0
    assert claimed("shortcut")["gradcam_pointing_game_at_mark"] >= 0.9
    assert claimed("apples")["mean_absolute_error"] <= 0.5
    accuracies = [m["accuracy"] for m in claimed("checkpoints").values()]
    assert accuracies[-1] > accuracies[0] + 0.3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "stem", "measuring"),
    [
        ("shapes", "shapes", measure.measure_shapes),
        ("shortcut", "shapes_shortcut", measure.measure_shortcut),
        ("apples", "apples", measure.measure_apples),
    ],
)
def test_models_reach_their_claims(name: str, stem: str, measuring: Any) -> None:
    measured = measuring(load(FOLDER / f"{stem}.keras"))
    assert measured == pytest.approx(claimed(name), abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("path", CHECKPOINTS, ids=lambda p: p.stem)
def test_checkpoints_reach_their_claims(path: Path) -> None:
    measured = measure.measure_shapes(load(path))
    assert measured == pytest.approx(claimed("checkpoints")[path.stem], abs=0.01)


@pytest.mark.slow
def test_sample_images_are_recognised_at_their_full_size() -> None:
    model = load(FOLDER / "shapes.keras")
    for index, name in enumerate(scenes.CLASSES):
        with Image.open(FOLDER / "images" / f"{name}.png") as image:
            small = np.asarray(image.resize((96, 96), Image.Resampling.BILINEAR))
        assert model.predict(small[None], verbose=0).argmax() == index, name


@pytest.mark.slow
def test_training_writes_every_file(tmp_path: Path) -> None:
    """A tiny run through the script's own command line."""
    import subprocess
    import sys

    options = ["--only", "apples", "--epochs", "1", "--scenes", "64", "--out", str(tmp_path)]
    subprocess.run([sys.executable, str(FOLDER / "train.py"), *options], check=True)
    report = json.loads((tmp_path / "accuracy.json").read_text())
    assert report["apples"]["scenes"] == 64
    again = measure.measure_apples(load(tmp_path / "apples.keras"))
    assert again == pytest.approx(report["apples"]["measured"], abs=0.01)
    assert (tmp_path / "labels.txt").is_file()
    assert len(list((tmp_path / "images").glob("*.png"))) == 10
