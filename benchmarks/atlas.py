"""Time of a filter atlas against loops, a peer, and the raw convolutions that it needs.

    python -m benchmarks.atlas --filters 64

All rows are timed in this one process, one after the other, on the same weights (VGG16, random),
with the recipe of "Deep Learning with Python": uniform noise, mean of the filter's map, gradient
divided by its RMS, 40 steps. Compilation and imports are not counted. Absolute times depend on the
machine and on what else runs there; the ratios are what is compared.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.measure import Report
from kvis_cli.runtime.tensorflow import import_tensorflow

import_tensorflow()

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

from kvis_cli.engines.activation_maximization.input_space import InputSpace  # noqa: E402
from kvis_cli.engines.activation_maximization.objectives import (  # noqa: E402
    ActivationMaximization,
)
from kvis_cli.engines.activation_maximization.presets import (  # noqa: E402
    PRESETS,
    make_maximizer,
)
from kvis_cli.engines.activation_maximization.seeds import generator, seed_image  # noqa: E402
from kvis_cli.models.live.reader import ModelReader  # noqa: E402


def seeds(count: int, size: int) -> np.ndarray:
    """The book's start pictures."""
    return np.stack([seed_image("book", (size, size, 3), generator(0, i)) for i in range(count)])


def timed(run: Callable[[], Any]) -> float:
    """Seconds that `run` takes."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def kvis_batch(
    model: keras.Model, layer: str, count: int, size: int, steps: int, batch: int
) -> float:
    """Seconds per filter of the engine behind `kvis filters --preset chollet`."""
    objective = ActivationMaximization(layer, range(count))
    objective.bind((None, None, None, model.get_layer(layer).filters))
    maximizer = make_maximizer(
        PRESETS["chollet"],
        ModelReader(model),
        [(objective, 1.0)],
        (size, size, 3),
        InputSpace(),
    )
    start, draws = seeds(count, size), [generator(0, 1, i) for i in range(count)]
    maximizer(start, draws, 1, batch_size=batch)
    return timed(lambda: maximizer(start, draws, steps, batch_size=batch)) / count


def book_loop(
    model: keras.Model, layer: str, count: int, size: int, steps: int, *, compiled: bool
) -> float:
    """Seconds per filter of the book's own loop, a filter at a time."""
    cut = keras.Model(model.input, model.get_layer(layer).output)

    def ascent(image: Any, index: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(image)
            loss = tf.reduce_mean(tf.gather(cut(image), index, axis=-1))
        gradient = tape.gradient(loss, image)
        gradient /= tf.sqrt(tf.reduce_mean(tf.square(gradient))) + 1e-5
        return image + gradient

    step = tf.function(ascent) if compiled else ascent
    start = seeds(count, size)

    def run(steps: int) -> None:
        for index in range(count):
            image = tf.constant(start[index : index + 1])
            for _ in range(steps):
                image = step(image, tf.constant(index))

    step(tf.constant(start[:1]), tf.constant(0))
    return timed(lambda: run(steps)) / count


def tf_keras_vis(model: keras.Model, layer: str, count: int, size: int, steps: int) -> float:
    """Seconds per filter of tf-keras-vis, a filter at a time, without input modifiers."""
    from tf_keras_vis.activation_maximization import (
        ActivationMaximization as Peer,
    )
    from tf_keras_vis.utils.model_modifiers import ExtractIntermediateLayer
    from tf_keras_vis.utils.scores import CategoricalScore

    peer = Peer(model, [ExtractIntermediateLayer(layer)])
    start = seeds(count, size)

    def run(index: int, steps: int) -> None:
        peer(
            CategoricalScore(index),
            seed_input=tf.constant(start[index : index + 1]),
            steps=steps,
            input_modifiers=[],
            regularizers=[],
        )

    run(0, 1)
    return timed(lambda: [run(index, steps) for index in range(count)]) / count


def raw_convolutions(model: keras.Model, layer: str, size: int, steps: int, batch: int) -> float:
    """Seconds per filter of the bare forward and input-gradient convolutions up to the layer."""
    total = 0.0
    height = size
    for current in model.layers:
        if isinstance(current, keras.layers.MaxPooling2D):
            height //= 2
        if not isinstance(current, keras.layers.Conv2D):
            continue
        kernel = tf.constant(current.kernel.numpy())
        x = tf.random.normal((batch, height, height, kernel.shape[2]))
        g = tf.random.normal((batch, height, height, kernel.shape[3]))

        @tf.function
        def both(x: Any, g: Any, kernel: Any = kernel) -> Any:
            forward = tf.nn.conv2d(x, kernel, 1, "SAME")
            back = tf.raw_ops.Conv2DBackpropInput(
                input_sizes=tf.shape(x),
                filter=kernel,
                out_backprop=g,
                strides=[1, 1, 1, 1],
                padding="SAME",
            )
            return tf.reduce_sum(forward[:, 0, 0]) + tf.reduce_sum(back[:, 0, 0])

        both(x, g)
        repeats = max(3, steps // 4)

        def loop(both: Any = both, x: Any = x, g: Any = g, repeats: int = repeats) -> None:
            for _ in range(repeats):
                both(x, g)

        total += timed(loop) / repeats
        if current.name == layer:
            break
    return total * steps / batch


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layer", default="block3_conv1")
    parser.add_argument("--filters", type=int, default=64)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument(
        "--slow-filters", type=int, default=8, help="filters for the loops that are far slower"
    )
    options = parser.parse_args()
    keras.utils.set_random_seed(0)
    model = keras.applications.VGG16(weights=None, include_top=False)
    few = min(options.slow_filters, options.filters)
    common = (options.size, options.steps)
    batch = min(options.batch_size, options.filters)
    # The raw operations before and after, as other work on the machine may come and go.
    raw = [raw_convolutions(model, options.layer, *common, batch)]
    ours = kvis_batch(model, options.layer, options.filters, *common, batch)
    raw.append(raw_convolutions(model, options.layer, *common, batch))
    report = Report(
        f"VGG16 {options.layer}: {options.filters} filters, size {options.size}, "
        f"{options.steps} steps, batches of {batch}"
    )
    report.add("kvis", f"{ours:.3f} s per filter")
    bare = float(np.mean(raw))
    report.add("raw forward and input-gradient convolutions", f"{bare:.3f} s per filter")
    report.at_most("kvis, of the raw convolutions", ours / bare, 1.1)
    of = (model, options.layer, few)
    loops: list[tuple[str, float, Callable[[], float]]] = [
        ("the book's loop, eager", 5, lambda: book_loop(*of, *common, compiled=False)),
        ("the book's loop, compiled step", 1.4, lambda: book_loop(*of, *common, compiled=True)),
        ("tf-keras-vis", 5, lambda: tf_keras_vis(*of, *common)),
    ]
    for name, bar, run in loops:
        report.at_least(f"{name}, of kvis", run() / ours, bar)
    return report.show()


if __name__ == "__main__":
    raise SystemExit(main())
