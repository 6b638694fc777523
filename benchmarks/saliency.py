"""Saliency: SmoothGrad against bare batched gradients and tf-keras-vis; a thousand images."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from benchmarks.measure import Report, alternating, seconds
from kvis_cli.runtime.tensorflow import import_tensorflow

UNITS = 1000
CLASS = 281


def resident() -> float:
    """Memory of this process, in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=50)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--peers", action=argparse.BooleanOptionalAction, default=True)
    options = parser.parse_args()
    import_tensorflow()
    import keras
    import tensorflow as tf

    from kvis_cli.engines.saliency import SaliencySettings
    from kvis_cli.engines.saliency.engine import SaliencyEngine
    from kvis_cli.models.live.reader import ModelReader

    keras.utils.set_random_seed(0)
    model = keras.applications.MobileNet(alpha=0.25, weights=None)
    logits = keras.Model(model.input, model.layers[-2].output)
    x = np.random.default_rng(0).uniform(-1, 1, (1, 224, 224, 3)).astype(np.float32)
    samples, batch = options.samples, options.batch
    report = Report(f"SmoothGrad, {samples} samples, MobileNet (alpha 0.25), one photo")

    def engine(method: str, **settings: object) -> SaliencyEngine:
        limits = {"low": -1.0, "high": 1.0, "samples": samples, "batch_size": batch}
        return SaliencyEngine(
            ModelReader(model), [method], settings=SaliencySettings(**{**limits, **settings})
        )

    def targets(count: int) -> tuple[np.ndarray, np.ndarray]:
        weights = np.zeros((count, 1, UNITS), np.float32)
        weights[:, 0, CLASS] = 1
        return weights, np.full((count, 1), -1, np.int32)

    @tf.function(autograph=False)
    def bare(points):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(points)
            score = logits(points, training=False)[:, CLASS]
        return tape.gradient(score, points)

    smoothgrad = engine("smoothgrad")
    full, rest = divmod(samples, batch)
    pieces = [batch] * full + [rest] * bool(rest)
    points = [np.repeat(x, size, 0) for size in pieces]

    def ours() -> object:
        return smoothgrad(x, *targets(1))

    def gradients() -> object:
        return [bare(tf.constant(p)).numpy() for p in points]

    ours(), gradients()
    mine, raw = alternating(ours, gradients, options.repeats)
    report.add("bare gradients, batched", f"{1000 * raw / samples:.1f} ms each")
    report.at_most("kvis over bare gradients", mine / raw, 1.2)
    if options.peers:
        from tf_keras_vis.saliency import Saliency
        from tf_keras_vis.utils.scores import CategoricalScore

        peer = Saliency(logits, clone=False)
        theirs = seconds(
            lambda: peer(CategoricalScore([CLASS]), x, smooth_samples=samples, smooth_noise=0.15), 1
        )
        report.add("tf-keras-vis", f"{theirs:.2f} s")
        report.at_least("kvis is faster by", theirs / mine, 10)
    failed = report.show()

    many = Report(f"{options.images} images, one run: gradient and guided backpropagation")
    small = keras.applications.MobileNet(alpha=0.25, weights=None, input_shape=(96, 96, 3))
    run = SaliencyEngine(
        ModelReader(small), ["gradient", "guided_backprop"], settings=SaliencySettings()
    )
    random = np.random.default_rng(1)
    traces: list[int] = []
    memory: list[float] = []
    batches = max(2, options.images // batch)
    for _ in range(batches):
        run(random.uniform(-1, 1, (batch, 96, 96, 3)).astype(np.float32), *targets(batch))
        traces.append(run.traces)
        memory.append(resident())
    many.at_most("traces after the first batch", traces[-1] - traces[0], 0, "")
    quarter = batches // 4
    many.at_most("memory added by the last three quarters", memory[-1] - memory[quarter], 64, "MiB")
    return failed | many.show()


if __name__ == "__main__":
    sys.exit(main())
