"""Measure the sample models on held-out scenes: accuracy, and how well plain maps find the truth.

The maps here are the textbook Grad-CAM and gradient saliency in a few lines, apart from kvis' own
engines, so that they can serve as a yardstick for them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sample_models.scenes import (
    MARKED_CLASS,
    SIZE,
    make_apples,
    make_marked_scenes,
    make_scenes,
)

HELD_OUT_SEED = 1_000_003
HELD_OUT = 600

Maps = NDArray[np.float32]


def gradcam(model: Any, images: NDArray[np.uint8], targets: NDArray[np.int64]) -> Maps:
    """Grad-CAM (Selvaraju et al. 2017) at the last ReLU, of the score before the softmax.

    Returns maps of shape (n, 96, 96), unscaled and at least 0, enlarged bilinearly.
    """
    import tensorflow as tf

    features = [layer for layer in model.layers if layer.name.endswith("_relu")][-1].output
    score = _score(model, features)

    @tf.function
    def small_maps(batch: Any, target: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(batch)
            scores, activations = score(batch, target)
        gradients = tape.gradient(scores, activations)
        weights = tf.reduce_mean(gradients, axis=(1, 2), keepdims=True)
        return tf.nn.relu(tf.reduce_sum(weights * activations, axis=-1))

    def enlarged(small: NDArray[np.float32]) -> Maps:
        picture = Image.fromarray(small).resize((SIZE, SIZE), Image.Resampling.BILINEAR)
        return np.asarray(picture, dtype=np.float32)

    return np.stack([enlarged(small) for small in _batched(small_maps, images, targets)])


def gradient_saliency(model: Any, images: NDArray[np.uint8], targets: NDArray[np.int64]) -> Maps:
    """Largest absolute input gradient over the colours, of the score before the softmax.

    Returns maps of shape (n, 96, 96).
    """
    import tensorflow as tf

    score = _score(model, model.layers[-1].input)

    @tf.function
    def maps(batch: Any, target: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(batch)
            scores, _ = score(batch, target)
        return tf.reduce_max(tf.abs(tape.gradient(scores, batch)), axis=-1)

    return _batched(maps, images, targets)


def _score(model: Any, also: Any) -> Any:
    """Function of (images, targets) to the targets' scores before the softmax, and ``also``."""
    import keras
    import tensorflow as tf

    head = model.layers[-1]
    body = keras.Model(model.inputs, [head.input, also])

    def score(batch: Any, target: Any) -> Any:
        pooled, other = body(batch, training=False)
        logits = tf.matmul(pooled, head.kernel) + head.bias
        return tf.gather(logits, target, axis=1, batch_dims=1), other

    return score


def _batched(function: Any, images: NDArray[np.uint8], targets: NDArray[np.int64]) -> Maps:
    import tensorflow as tf

    step = 100
    parts = [
        function(
            tf.constant(images[i : i + step], tf.float32), tf.constant(targets[i : i + step])
        ).numpy()
        for i in range(0, len(images), step)
    ]
    return np.concatenate(parts).astype(np.float32)


def pointing_game(maps: Maps, masks: NDArray[np.bool_]) -> float:
    """Share of the maps whose largest value lies in the mask; a map of zeros is a miss."""
    hits = [
        bool(mask.flat[single.argmax()]) and single.max() > 0
        for single, mask in zip(maps, masks, strict=True)
    ]
    return float(np.mean(hits))


def enrichment(maps: Maps, masks: NDArray[np.bool_]) -> float:
    """Mean of: the mask's share of the map's energy over the mask's share of the area.

    1 is what a map that knows nothing reaches. A map of zeros counts 0.
    """
    total = maps.sum(axis=(1, 2))
    inside = (maps * masks).sum(axis=(1, 2)) / np.where(total > 0, total, 1)
    return float(np.mean(inside / masks.mean(axis=(1, 2))))


def _classes(model: Any, images: NDArray[np.uint8]) -> NDArray[np.int64]:
    return np.argmax(model.predict(images, verbose=0), axis=1)


def measure_shapes(model: Any, n: int = HELD_OUT) -> dict[str, float]:
    images, masks, labels = make_scenes(n, HELD_OUT_SEED)
    cams = gradcam(model, images, labels)
    return {
        "accuracy": float(np.mean(_classes(model, images) == labels)),
        "gradcam_pointing_game": pointing_game(cams, masks),
        "gradcam_enrichment": enrichment(cams, masks),
        "gradient_enrichment": enrichment(gradient_saliency(model, images, labels), masks),
    }


def measure_shortcut(model: Any, n: int = HELD_OUT) -> dict[str, float]:
    plain, _, labels = make_scenes(n, HELD_OUT_SEED)
    marked, marks, _ = make_marked_scenes(n, HELD_OUT_SEED)
    of_class = labels == MARKED_CLASS
    as_trained = np.where(of_class[:, None, None, None], marked, plain)
    target = np.full_like(labels, MARKED_CLASS)
    cams = gradcam(model, marked, target)
    return {
        "accuracy_as_trained": float(np.mean(_classes(model, as_trained) == labels)),
        "accuracy_unmarked": float(np.mean(_classes(model, plain) == labels)),
        "marked_class_found_unmarked": float(
            np.mean(_classes(model, plain[of_class]) == MARKED_CLASS)
        ),
        "others_called_marked_class_when_marked": float(
            np.mean(_classes(model, marked[~of_class]) == MARKED_CLASS)
        ),
        "gradcam_pointing_game_at_mark": pointing_game(cams, marks),
        "gradcam_pointing_game_at_mark_of_marked_class": pointing_game(
            cams[of_class], marks[of_class]
        ),
        "gradcam_enrichment_at_mark": enrichment(cams, marks),
        "gradient_enrichment_at_mark": enrichment(gradient_saliency(model, marked, target), marks),
    }


def measure_apples(model: Any, n: int = HELD_OUT) -> dict[str, float]:
    images, masks, counts = make_apples(n, HELD_OUT_SEED)
    error = np.abs(model.predict(images, verbose=0)[:, 0] - counts)
    some = counts > 0
    target = np.zeros(int(some.sum()), dtype=np.int64)
    cams = gradcam(model, images[some], target)
    saliency = gradient_saliency(model, images[some], target)
    return {
        "mean_absolute_error": float(error.mean()),
        "exact_when_rounded": float(np.mean(error < 0.5)),
        "gradcam_pointing_game": pointing_game(cams, masks[some]),
        "gradcam_enrichment": enrichment(cams, masks[some]),
        "gradient_enrichment": enrichment(saliency, masks[some]),
    }
