"""keras-vis itself, unchanged, on tf_keras in graph mode.

It was written for Keras 2.0 on TensorFlow 1: what it imports from places that are gone is put there
before. Called with its source (a checkout or a wheel), an ``.npz`` of weights and pictures, and the
``.npz`` for its answers.
"""

from __future__ import annotations

import collections
import collections.abc
import inspect
import sys
import types

import numpy as np


def old_keras():
    """tf_keras under the names of Keras 2.0, TensorFlow as it was in version 1."""
    import scipy.ndimage
    import tensorflow as tf
    import tf_keras
    from tf_keras.src.layers.convolutional import base_conv
    from tf_keras.src.layers.pooling import base_pooling1d, base_pooling2d, base_pooling3d

    tf.compat.v1.disable_v2_behavior()
    tf.get_default_graph = tf.compat.v1.get_default_graph
    tf.set_random_seed = tf.compat.v1.set_random_seed
    tf_keras.backend.identity = tf.identity
    tf_keras.models.Input = tf_keras.Input
    compiled = tf_keras.backend.function

    def function(inputs: list, outputs: list, **settings: object) -> object:
        # TensorFlow 1 gave what it was fed when asked for it.
        outputs = [tf.identity(o) if any(o is i for i in inputs) else o for o in outputs]
        return compiled(inputs, outputs, **settings)

    tf_keras.backend.function = function

    def module(name: str, **names: object) -> None:
        found = types.ModuleType(name)
        vars(found).update(names)
        sys.modules[name] = found
        parent, _, last = name.rpartition(".")
        if parent in sys.modules:
            setattr(sys.modules[parent], last, found)

    sys.modules["keras"] = tf_keras
    for name in ("backend", "models", "layers", "preprocessing"):
        sys.modules[f"keras.{name}"] = getattr(tf_keras, name)
    module("keras.layers.convolutional", _Conv=base_conv.Conv)
    module(
        "keras.layers.pooling",
        _Pooling1D=base_pooling1d.Pooling1D,
        _Pooling2D=base_pooling2d.Pooling2D,
        _Pooling3D=base_pooling3d.Pooling3D,
    )
    module("keras.layers.wrappers", Wrapper=tf_keras.layers.Wrapper)
    module("keras.layers.advanced_activations")
    module("scipy.ndimage.interpolation", zoom=scipy.ndimage.zoom, shift=scipy.ndimage.shift)
    # For reading, drawing and colouring pictures, which nothing here does.
    for name in ("skimage", "skimage.io", "skimage.transform"):
        module(name, io=None, transform=None, imread=None)
    for name in ("matplotlib", "matplotlib.cm", "matplotlib.font_manager"):
        module(name, cm=None, font_manager=None)
    module("scipy.misc", imresize=None)
    collections.Iterable = collections.abc.Iterable
    return tf_keras


def build(keras, weights):
    model = keras.Sequential(
        [
            keras.layers.Conv2D(4, 3, activation="relu", name="first", input_shape=(16, 16, 3)),
            keras.layers.Conv2D(5, 3, activation="relu", name="second"),
            keras.layers.Flatten(),
            keras.layers.Dense(6, activation="relu", name="hidden"),
            keras.layers.Dense(4, name="values"),
        ]
    )
    model.set_weights(weights)
    return model


class Recorder:
    """Keeps what callbacks are told."""

    def __init__(self) -> None:
        self.losses: list[list[float]] = []
        self.grads: list[np.ndarray] = []

    def callback(self, i, named_losses, overall_loss, grads, wrt_value):
        self.losses.append(
            [float(np.mean(value)) for _, value in named_losses] + [float(overall_loss)]
        )
        self.grads.append(np.array(grads))

    def on_end(self):
        pass


def main(wheel: str, given: str, answers: str) -> None:
    keras = old_keras()
    sys.path.insert(0, wheel)
    from vis.visualization import visualize_activation, visualize_saliency

    data = np.load(given)
    model = build(keras, [data[f"weight{n}"] for n in range(8)])
    image, start = data["image"], data["start"]
    found = {}
    # Earlier releases give maps in colours.
    maps = "keepdims" in inspect.signature(visualize_saliency).parameters
    for modifier in (None, "guided", "relu") if maps else ():
        for unit in (0, 3):
            found[f"saliency {modifier} {unit}"] = visualize_saliency(
                model, 4, unit, image, backprop_modifier=modifier
            )
    recorder = Recorder()
    picture = visualize_activation(
        model, 4, 2, seed_input=start, input_range=(0.0, 1.0), max_iter=20, verbose=False,
        callbacks=[recorder],
    )  # fmt: skip
    found["activation"] = picture
    found["losses"] = np.array(recorder.losses)
    found["grads"] = np.stack(recorder.grads)
    np.savez(answers, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
