"""Train the sample models on scenes that are drawn here, measure them, and write all files.

    python sample_models/train.py                    # everything, half an hour on two cores
    python sample_models/train.py --only shapes      # one of shapes, shortcut, checkpoints, apples

Besides the models it writes `accuracy.json` (what was measured on held-out scenes), `labels.txt`,
a sidecar for each model, and the sample images. Same seed, same scenes; weights agree between runs
up to the rounding of TensorFlow's kernels.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sample_models import measure
from sample_models.scenes import (
    CLASSES,
    MARKED_CLASS,
    SIZE,
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
BATCH = 64

Data = tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.int64]]


def drawn(make: Callable[..., Data], n: int, seed: int) -> Data:
    """The same as ``make(n, seed)``, drawn by two processes."""
    step = 250
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        chunks = pool.starmap(
            partial(_chunk, make), [(min(step, n - i), seed, i) for i in range(0, n, step)]
        )
    images, masks, labels = (np.concatenate(arrays) for arrays in zip(*chunks, strict=True))
    return images, masks, labels


def _chunk(make: Callable[..., Data], n: int, seed: int, first: int) -> Data:
    return make(n, seed, first=first)


# --- models -----------------------------------------------------------------------------------


def convnet(
    widths: tuple[int, ...], head: Any, name: str, *, pool: bool = True, peak: bool = False
) -> Any:
    """Blocks of convolution, batch normalisation and ReLU, pooled into the layer ``head``.

    Takes 96x96 RGB in 0..255. The last feature map is 12x12; without ``pool`` it is 24x24, and
    nothing blurs small objects into each other. It is averaged or, with ``peak``, each filter
    gives the largest of its values: then a class hangs on the places where its parts are.
    """
    import keras
    from keras import layers

    x = inputs = keras.Input((SIZE, SIZE, 3), name="image")
    x = layers.Rescaling(1 / 255, name="rescaling")(x)
    for block, width in enumerate(widths, 1):
        kernel, stride = 5 if block == 1 else 3, 2 if block <= 2 else 1
        if pool and block == len(widths):
            # Gathers an object's parts, so that the last map peaks on it and not beside it.
            x = layers.AveragePooling2D(3, strides=1, padding="same", name="blur")(x)
        x = layers.Conv2D(
            width, kernel, stride, padding="same", use_bias=False, name=f"conv{block}"
        )(x)
        # The default momentum would leave the averages behind the weights in so short a run.
        x = layers.BatchNormalization(momentum=0.9, name=f"conv{block}_bn")(x)
        x = layers.ReLU(name=f"conv{block}_relu")(x)
        if pool and block == 3:
            x = layers.MaxPooling2D(name="pool")(x)
    pooling = layers.GlobalMaxPooling2D if peak else layers.GlobalAveragePooling2D
    x = pooling(name="peak" if peak else "average")(x)
    return keras.Model(inputs, head(x), name=name)


def classifier(widths: tuple[int, ...], name: str, *, peak: bool) -> Any:
    from keras import layers

    head = layers.Dense(len(CLASSES), activation="softmax", name="class")
    return convnet(widths, head, name, peak=peak)


def fit(
    model: Any,
    data: Data,
    epochs: int,
    seed: int,
    *,
    loss: Any,
    on_epoch: Any = None,
    **weighting: Any,
) -> None:
    """Train with Adam and a learning rate that falls to zero along a cosine.

    A model of two outputs gets the mask, reduced to 24x24, as the target of the second.
    """
    import keras

    rng = np.random.default_rng(seed)

    class Batches(keras.utils.PyDataset):
        """Shuffled batches, mirrored at random; colour channels exchanged where colour is void."""

        def __init__(self) -> None:
            super().__init__()
            self.on_epoch_end()

        def __len__(self) -> int:
            return len(data[0]) // BATCH

        def on_epoch_end(self) -> None:
            self.order = rng.permutation(len(data[0]))

        def __getitem__(self, index: int) -> tuple[NDArray[Any], Any]:
            rows = self.order[index * BATCH : (index + 1) * BATCH]
            images, masks = data[0][rows], data[1][rows]
            if rng.random() < 0.5:
                images, masks = images[:, :, ::-1], masks[:, :, ::-1]
            images = images.astype(np.float32)
            if len(model.outputs) == 1:
                return images[..., rng.permutation(3)], data[2][rows]
            places = masks.reshape(-1, 24, 4, 24, 4).mean(axis=(2, 4), dtype=np.float32)
            return images, (data[2][rows].astype(np.float32), places[..., None])

    batches = Batches()
    schedule = keras.optimizers.schedules.CosineDecay(3e-3, epochs * len(batches))
    model.compile(keras.optimizers.Adam(schedule), loss, **weighting)
    callbacks = [keras.callbacks.LambdaCallback(on_epoch_end=on_epoch)] if on_epoch else []
    model.fit(batches, epochs=epochs, callbacks=callbacks, verbose=2)


def save(model: Any, path: Path) -> None:
    """Write the model without its optimizer."""
    import keras

    path.parent.mkdir(parents=True, exist_ok=True)
    bare = keras.Model.from_config(model.get_config())
    bare.set_weights(model.get_weights())
    bare.save(path)


def write_sidecar(path: Path, labels: str | None = None) -> None:
    """Tell kvis to feed 0..255 as it is, which the models divide themselves, and the labels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("preprocess: none\n" + (f"labels: {labels}\n" if labels else ""))


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
    options = parser.parse_args()

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
