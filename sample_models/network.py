"""The networks of the sample models, how they are trained, and how they are saved."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sample_models.scenes import CLASSES, SIZE

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
