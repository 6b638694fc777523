"""The divergence between what reaches a normalisation and what it was trained on."""

from __future__ import annotations

import numpy as np
import pytest

from kvis_cli.models.description.evidence.moving_statistics import divergence, kl_of_normals
from kvis_cli.models.graph.from_config import read_architecture

RNG = np.random.default_rng(8)


@pytest.mark.parametrize(("m", "v", "n", "w"), [(0, 1, 0, 1), (0.5, 2, -1, 0.7), (3, 0.1, 2.5, 4)])
def test_it_is_the_integral(m, v, n, w):
    x = np.linspace(-30, 30, 400_001)

    def log_density(mean, variance):
        return -((x - mean) ** 2) / (2 * variance) - np.log(2 * np.pi * variance) / 2

    p = np.exp(log_density(m, v))
    integral = np.sum(p * (log_density(m, v) - log_density(n, w))) * (x[1] - x[0])
    got = kl_of_normals(*(np.array([value], float) for value in (m, v, n, w)))
    np.testing.assert_allclose(got, [integral], atol=1e-6)


def normalised(keras):
    return keras.Sequential(
        [keras.Input((6, 5, 3)), keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization()]
    )


def test_the_median_over_the_channels_that_were_alive(tf):
    import json

    import keras

    model = normalised(keras)
    architecture = read_architecture(json.loads(model.to_json()))
    kernel = RNG.normal(0, 1, (3, 3, 3, 4)).astype(np.float32)
    x = RNG.normal(0, 1, (9, 6, 5, 3)).astype(np.float32)
    made = np.asarray(tf.nn.conv2d(x, kernel, 1, "VALID")).reshape(-1, 4)
    mean, variance = made.mean(0), made.var(0)
    shifted = mean + [0.1, 0.2, 0.3, 9.0] * np.sqrt(variance)
    weights = {
        "conv2d": [kernel, np.zeros(4, np.float32)],
        "norm": [np.ones(4), np.zeros(4), shifted, variance],
    }

    def read(call):
        return weights["conv2d" if call.class_name == "Conv2D" else "norm"]

    layer = architecture.calls[-1]
    # KL of equal variances is half the squared shift in deviations: .005, .02, .045, 40.5.
    assert divergence(architecture, layer, x, read) == pytest.approx((0.02 + 0.045) / 2, rel=1e-3)
    # Dead in training: a mean that never moved, a variance of nothing, one of hardly anything.
    weights["norm"][2] = np.array([shifted[0], 0.0, shifted[2], shifted[3]])
    weights["norm"][3] = np.array([variance[0], variance[1], variance[2], 1e-9])
    assert divergence(architecture, layer, x, read) == pytest.approx((0.005 + 0.045) / 2, rel=1e-3)
    weights["norm"][3] = np.array([variance[0], variance[1], 1e-3 * variance[0], 1e-9])
    assert divergence(architecture, layer, x, read) == pytest.approx(0.005, rel=1e-3)
    weights["norm"][3] = np.zeros(4)
    assert divergence(architecture, layer, x, read) is None
