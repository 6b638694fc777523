"""`Explainer`: many calls on one model against the compiled engine alone."""

from __future__ import annotations

import argparse
import sys

import numpy as np

from benchmarks.measure import Report, alternating
from kvis_cli.runtime.tensorflow import import_tensorflow


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=1000)
    options = parser.parse_args()
    import_tensorflow()
    import keras

    from kvis_cli import Explainer
    from kvis_cli.models.live.session import live_model

    keras.utils.set_random_seed(0)
    model = keras.applications.MobileNet(weights=None)
    explainer = Explainer(model, preprocess="signed")
    photo = np.random.default_rng(0).integers(0, 256, (224, 224, 3), np.uint8)
    explainer.cam(photo, class_=7)
    [opened] = live_model(model).opened._values.values()
    [task] = opened.engines._values.values()
    [engine] = task.engines
    weights = np.zeros((1, 1, 1000), np.float32)
    weights[0, 0, 7] = 1
    ranks = np.full((1, 1), -1, np.int32)
    inputs = opened.to_inputs(photo[np.newaxis])

    turns = 20
    each = options.calls // turns
    alone, ours = alternating(
        lambda: [engine(inputs, weights, ranks) for _ in range(each)],
        lambda: [explainer.cam(photo, class_=i % 1000) for i in range(each)],
        turns,
    )
    report = Report(f"{options.calls} calls of cam, MobileNet, one photo of 224 × 224")
    report.add("the compiled engine alone", f"{1000 * alone / each:.1f} ms")
    report.at_most("Explainer.cam against it", ours / alone, 1.1)
    report.at_most("times it was compiled", engine.traces, 1, "")
    return report.show()


if __name__ == "__main__":
    sys.exit(main())
