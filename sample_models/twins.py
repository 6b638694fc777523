"""Twins: small classifiers that differ in their seed alone, and others that learnt a shortcut.

    python sample_models/train.py --twins --count 20

trains as many good twins, and as many whose training stars carried a corner mark: 30 to 100 % of
them. They are what a gate is measured with: it has to pass the first and to find the second, whose
accuracy is no worse. All share the scenes and, so that one takes seconds, the first three blocks
of `shapes.keras`, which stay as they are: what a transferred backbone is elsewhere. A twin is the
initial weights of the blocks above, the order of the batches and the share of the mark. They are
kept in `.twins/`, in a folder named by a hash of what makes them; what is there is not trained
again.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sample_models.network import save, write_sidecar
from sample_models.scenes import CLASSES, draw_scene, scene_rng

FOLDER = Path(__file__).resolve().parent / ".twins"
# Four classes, so that seconds of training are enough.
KINDS = ("apple", "star", "cross", "house")
MARKED = KINDS.index("star")
# Of these the twins of a shortcut take turns.
MARK_SHARES = (0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
STEM = Path(__file__).resolve().parent / "shapes.keras"
_SOURCES = ("twins.py", "scenes.py", "silhouettes.py", "shapes.keras")


@dataclass(frozen=True)
class Recipe:
    """What makes a twin, beside its seed and the share of the mark."""

    scenes: int = 1600
    epochs: int = 6
    batch: int = 32
    rate: float = 3e-3
    widths: tuple[int, ...] = (32, 32)
    photos: int = 240
    series: int = 11
    held_out: int = 1_000_014

    @property
    def digest(self) -> str:
        """Hash of the recipe and of the code that follows it."""
        here = Path(__file__).parent
        parts = [json.dumps(asdict(self), sort_keys=True).encode()]
        parts += [(here / name).read_bytes() for name in _SOURCES]
        return hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]


@dataclass(frozen=True)
class Twin:
    """One twin: a seed, and the share of the training stars that carry the mark."""

    seed: int
    mark: float

    @property
    def name(self) -> str:
        """``good-003``, ``mark060-104``."""
        kind = f"mark{round(100 * self.mark):03d}" if self.mark else "good"
        return f"{kind}-{self.seed:03d}"


def twins_of(count: int, first: int = 1) -> list[Twin]:
    """Return ``count`` good twins, and as many with a shortcut, of other seeds.

    Good ones have the seeds ``first``, ``first + 1`` and so on, shortcuts 1000 more.
    """
    good = [Twin(first + i, 0.0) for i in range(count)]
    marked = [
        Twin(1000 + first + i, MARK_SHARES[(first + i) % len(MARK_SHARES)]) for i in range(count)
    ]
    # In turns, so that half of the work has half of each.
    return [twin for pair in zip(good, marked, strict=True) for twin in pair]


def draw(
    count: int, series: int, *, mark: bool = False
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.int64]]:
    """Draw scenes of `KINDS` in turn, with ``mark`` stars alone and with the mark.

    Scene ``i`` is the same with the mark and without. Returns images ``(n, 96, 96, 3)``, masks
    of the objects ``(n, 96, 96)`` and labels, indices into `KINDS`.
    """
    labels = np.arange(count) % len(KINDS)
    chosen = [i for i in range(count) if not mark or labels[i] == MARKED]
    scenes = [
        draw_scene(scene_rng(series, i), CLASSES.index(KINDS[labels[i]]), mark=mark) for i in chosen
    ]
    return np.stack([s.image for s in scenes]), np.stack([s.mask for s in scenes]), labels[chosen]


def features_of(folder: Path, recipe: Recipe) -> dict[str, NDArray[Any]]:
    """Return what the frozen blocks make of the training scenes: drawn and computed once.

    ``images`` and, mirrored, ``mirrored``: float16 ``(n, 12, 12, 48)``; of the stars with the mark
    ``marked`` and ``marked_mirrored``; ``labels``.
    """
    path = folder / "features.npz"
    if not path.exists():
        model = network(recipe)
        stem = _part(model, model.inputs, "pool")
        images, _, labels = draw(recipe.scenes, recipe.series)
        marked, _, _ = draw(recipe.scenes, recipe.series, mark=True)
        features = {
            name: stem.predict(pixels, batch_size=100, verbose=0).astype(np.float16)
            for name, pixels in (
                ("images", images),
                ("mirrored", images[:, :, ::-1]),
                ("marked", marked),
                ("marked_mirrored", marked[:, :, ::-1]),
            )
        }
        partial = path.with_name(f".{path.name}")
        np.savez(partial, labels=labels, **features)
        partial.rename(path)
    with np.load(path) as arrays:
        return {name: arrays[name] for name in arrays.files}


def write_photos(folder: Path, recipe: Recipe) -> None:
    """Write the photos that twins are judged by, which no twin was trained on.

    ``photos/CLASS/NNN.png`` has a mark on every star, as the training scenes of a full shortcut;
    ``unmarked/star/NNN.png`` are the same stars without it; ``masks/NNN.png`` is what is seen of
    the object.
    """
    series = recipe.held_out
    images, masks, labels = draw(recipe.photos, series)
    stars, star_masks, _ = draw(recipe.photos, series, mark=True)
    left = iter(zip(stars, star_masks, strict=True))
    for i, label in enumerate(labels):
        name, photo, mask = f"{i:03d}.png", images[i], masks[i]
        if label == MARKED:
            _write_image(folder / "unmarked" / KINDS[label] / name, photo)
            photo, mask = next(left)
        _write_image(folder / "photos" / KINDS[label] / name, photo)
        _write_image(folder / "masks" / name, np.uint8(255) * mask)


def train_twin(twin: Twin, path: Path, features: dict[str, NDArray[Any]], recipe: Recipe) -> None:
    """Train a twin with Adam, the rate falling to zero along a cosine, and save it."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(twin.seed)
    rng = np.random.default_rng([twin.seed, 3])
    model = network(recipe)
    head = keras.Model(model.get_layer("pool").output, model.output)
    data = [_seen(features, twin, side) for side in ("", "_mirrored")]
    labels = features["labels"]
    steps = recipe.epochs * (len(labels) // recipe.batch)
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(recipe.rate, steps))
    optimizer.build(head.trainable_variables)

    @tf.function
    def step(batch: Any, wanted: Any) -> None:
        with tf.GradientTape() as tape:
            given = head(batch, training=True)
            losses = keras.losses.sparse_categorical_crossentropy(wanted, given)
            loss = tf.reduce_mean(losses)
        optimizer.apply(tape.gradient(loss, head.trainable_variables))

    for _ in range(recipe.epochs):
        order = rng.permutation(len(labels))
        for start in range(0, len(order) - recipe.batch + 1, recipe.batch):
            rows = order[start : start + recipe.batch]
            batch = data[int(rng.integers(2))][rows].astype(np.float32)
            step(tf.constant(batch), tf.constant(labels[rows]))
    save(model, path)


def network(recipe: Recipe) -> Any:
    """Return an untrained twin: the first blocks of `STEM`, new ones above, averaged, one layer.

    Takes 96x96 RGB in 0..255; the last feature map has 12x12 cells.
    """
    import keras
    from keras import layers

    trained = keras.models.load_model(STEM)
    stem = _part(trained, trained.inputs, "pool")
    x = stem.output
    for block, width in enumerate(recipe.widths, 4):
        name = f"conv{block}"
        x = layers.Conv2D(width, 3, padding="same", use_bias=False, name=name)(x)
        # The default momentum would leave the averages behind the weights in so short a run.
        x = layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")(x)
        x = layers.ReLU(name=f"{name}_relu")(x)
    x = layers.GlobalAveragePooling2D(name="average")(x)
    x = layers.Dense(len(KINDS), activation="softmax", name="class")(x)
    return keras.Model(stem.inputs, x, name="twin")


def _part(model: Any, inputs: Any, last: str) -> Any:
    import keras

    return keras.Model(inputs, model.get_layer(last).output)


def train_twins(
    count: int, first: int = 1, folder: Path = FOLDER, recipe: Recipe | None = None
) -> Path:
    """Train twins that are not there yet; returns their folder."""
    recipe = recipe or Recipe()
    out = folder / recipe.digest
    out.mkdir(parents=True, exist_ok=True)
    (out / "labels.txt").write_text("".join(f"{i} {name}\n" for i, name in enumerate(KINDS)))
    write_sidecar(out / "model.kvis.yaml", "labels.txt")
    features = features_of(out, recipe)
    if not (out / "masks").exists():
        write_photos(out, recipe)
    for twin in twins_of(count, first):
        path = out / f"{twin.name}.keras"
        if path.exists():
            continue
        start = time.monotonic()
        partial = out / f".{twin.name}.keras"
        train_twin(twin, partial, features, recipe)
        partial.rename(path)
        print(f"{path.name}: {time.monotonic() - start:.0f} s", flush=True)
    return out


def _seen(features: dict[str, NDArray[Any]], twin: Twin, side: str) -> NDArray[np.float16]:
    """Return what a twin is trained on: its share of the stars carries the mark."""
    seen, marked = features["mirrored" if side else "images"], features[f"marked{side}"]
    chosen = np.random.default_rng([twin.seed, 7]).permutation(len(marked))
    chosen = chosen[: round(twin.mark * len(marked))]
    if len(chosen):
        seen = seen.copy()
        seen[np.flatnonzero(features["labels"] == MARKED)[chosen]] = marked[chosen]
    return seen


def _write_image(path: Path, pixels: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
