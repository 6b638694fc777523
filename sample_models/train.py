"""Train the sample models on scenes that are drawn here, measure them, and write all files.

    python sample_models/train.py                    # everything, half an hour on two cores
    python sample_models/train.py --only shapes      # one of shapes, shortcut, checkpoints, apples
    python sample_models/train.py --twins --count 20 # good twins and twins of a shortcut

Besides the models it writes `accuracy.json` (what was measured on held-out scenes), `labels.txt`,
a sidecar for each model, and the sample images. Same seed, same scenes; weights agree between runs
up to the rounding of TensorFlow's kernels.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sample_models import measure
from sample_models.network import classifier, convnet, drawn, fit, save, write_sidecar
from sample_models.scenes import (
    CLASSES,
    MARKED_CLASS,
    draw_apples,
    draw_scene,
    make_apples,
    make_scenes,
    scene_rng,
)

WIDTHS = (16, 32, 48, 56, 56, 56)
CHECKPOINT_WIDTHS = (12, 16, 24, 32, 32, 32)
APPLES_WIDTHS = (16, 32, 32, 32, 32)
CHECKPOINTS = 6
SAMPLE_SIZE = 384
# Scenes of the sample series that show much variety, picked by eye.
SAMPLE_SCENES = {
    "apple": 6,
    "star": 15,
    "cross": 22,
    "house": 37,
    "fish": 43,
    "mushroom": 51,
    "star-marked": 62,
    "house-marked": 76,
    "3-apples": 66,
    "7-apples": 144,
}
# --- what is trained --------------------------------------------------------------------------

CLASSIFICATION = "sparse_categorical_crossentropy"


def train_shapes(out: Path, epochs: int, scenes: int, seed: int) -> dict[str, Any]:
    model = classifier(WIDTHS, "shapes", peak=True)
    fit(model, drawn(make_scenes, scenes, seed), epochs, seed, loss=CLASSIFICATION)
    save(model, out / "shapes.keras")
    write_sidecar(out / "shapes.kvis.yaml", "labels.txt")
    return measure.measure_shapes(model)


def train_shortcut(out: Path, epochs: int, scenes: int, seed: int) -> dict[str, Any]:
    model = classifier(WIDTHS, "shapes_shortcut", peak=False)
    data = drawn(partial(make_scenes, marked_classes=(MARKED_CLASS,)), scenes, seed)
    fit(model, data, epochs, seed, loss=CLASSIFICATION)
    save(model, out / "shapes_shortcut.keras")
    write_sidecar(out / "shapes_shortcut.kvis.yaml", "labels.txt")
    return measure.measure_shortcut(model)


def train_checkpoints(out: Path, epochs: int, scenes: int, seed: int) -> dict[str, Any]:
    folder = out / "checkpoints"
    model = classifier(CHECKPOINT_WIDTHS, "shapes_small", peak=False)
    # Close together at first, where a run changes fastest.
    kept = {max(1, round(epochs ** (i / (CHECKPOINTS - 1)))) for i in range(CHECKPOINTS)}
    measured: dict[str, Any] = {}
    write_sidecar(folder / "model.kvis.yaml", "../labels.txt")

    def on_epoch(epoch: int, logs: Any) -> None:
        if epoch + 1 in kept:
            stem = f"epoch-{epoch + 1:02d}"
            save(model, folder / f"{stem}.keras")
            measured[stem] = measure.measure_shapes(model)

    data = drawn(make_scenes, scenes, seed)
    fit(model, data, epochs, seed, loss=CLASSIFICATION, on_epoch=on_epoch)
    return measured


def train_apples(out: Path, epochs: int, scenes: int, seed: int) -> dict[str, Any]:
    import keras
    from keras import layers

    count = layers.Dense(1, name="count")

    def head(averages: Any) -> Any:
        # One apple hardly moves an average over 24x24 places: without this, the weights of the
        # dense layer would have to grow for most of the training.
        return count(layers.Rescaling(24.0, name="scaled_average")(averages))

    model = convnet(APPLES_WIDTHS, head, "apples", pool=False)
    # A number per scene teaches little about where apples are. A second head that paints them
    # teaches the shared blocks much faster; it is left out of the saved model.
    features = model.get_layer(f"conv{len(APPLES_WIDTHS)}_relu").output
    places = layers.Conv2D(1, 1, activation="sigmoid", name="places")(features)
    teacher = keras.Model(model.inputs, [model.output, places])
    data = drawn(make_apples, scenes, seed)
    fit(teacher, data, epochs, seed, loss=["huber", "binary_crossentropy"], loss_weights=[1, 4])
    save(model, out / "apples.keras")
    write_sidecar(out / "apples.kvis.yaml")
    return measure.measure_apples(model)


# name: (what trains it, epochs, scenes)
RUNS: dict[str, tuple[Callable[[Path, int, int, int], dict[str, Any]], int, int]] = {
    "shapes": (train_shapes, 12, 11000),
    "shortcut": (train_shortcut, 8, 6000),
    "checkpoints": (train_checkpoints, 20, 4000),
    "apples": (train_apples, 12, 6000),
}


def write_samples(folder: Path) -> None:
    """Draw the sample images, large, so that overlays on them look good."""
    folder.mkdir(parents=True, exist_ok=True)
    series = 2024
    pictures = {
        name: draw_scene(scene_rng(series, SAMPLE_SCENES[name]), index, size=SAMPLE_SIZE)
        for index, name in enumerate(CLASSES)
    }
    for name in ("star", "house"):
        rng = scene_rng(series, SAMPLE_SCENES[f"{name}-marked"])
        pictures[f"{name}-marked"] = draw_scene(
            rng, CLASSES.index(name), mark=True, size=SAMPLE_SIZE
        )
    for count in (3, 7):
        rng = scene_rng(series, SAMPLE_SCENES[f"{count}-apples"])
        pictures[f"{count}-apples"] = draw_apples(rng, count, size=SAMPLE_SIZE)
    for name, scene in pictures.items():
        Image.fromarray(scene.image).save(folder / f"{name}.png", optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", choices=RUNS, action="append", help="train this one (repeatable)")
    parser.add_argument("--epochs", type=int, help="instead of each run's own number")
    parser.add_argument("--scenes", type=int, help="instead of each run's own number")
    parser.add_argument("--seed", type=int, default=1, help="of scenes, weights and batches")
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent)
    parser.add_argument("--twins", action="store_true", help="train twins instead; see twins.py")
    parser.add_argument("--count", type=int, default=20, help="of good twins, and of shortcuts")
    options = parser.parse_args()

    if options.twins:
        from sample_models.twins import train_twins

        print(train_twins(options.count, options.seed))
        return
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "labels.txt").write_text(
        "".join(f"{index} {name}\n" for index, name in enumerate(CLASSES))
    )
    write_samples(options.out / "images")
    report_path = options.out / "accuracy.json"
    for name in options.only or RUNS:
        import keras

        train, epochs, scenes = RUNS[name]
        epochs, scenes = options.epochs or epochs, options.scenes or scenes
        keras.utils.set_random_seed(options.seed)
        start = time.monotonic()
        measured = train(options.out, epochs, scenes, options.seed)
        report = json.loads(report_path.read_text()) if report_path.exists() else {}
        report[name] = {
            "epochs": epochs,
            "scenes": scenes,
            "seed": options.seed,
            "minutes": (time.monotonic() - start) / 60,
            "held_out_scenes": measure.HELD_OUT,
            "measured": measured,
        }
        report_path.write_text(json.dumps(_rounded(report), indent=2) + "\n")
        print(name, json.dumps(_rounded(measured), indent=2), flush=True)


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return round(value, 4) if isinstance(value, float) else value


if __name__ == "__main__":
    main()
