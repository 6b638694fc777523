"""How units and outputs respond, against numbers worked out by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from kvis_cli.models.description.evidence.bounds import _SIGNS, likelihoods, signs
from kvis_cli.models.description.evidence.responses import NAMES, responses
from kvis_cli.models.graph.from_config import read_architecture


def test_a_network_of_four_units(tf):
    import keras

    L = keras.layers
    model = keras.Sequential(
        [
            keras.Input((1, 2, 1)),
            L.Conv2D(4, 1, activation="relu"),
            L.Flatten(),
            L.Dense(2, activation="softmax"),
        ]
    )
    architecture = read_architecture(json.loads(model.to_json()))
    # Units: the pixel, minus the pixel, always off, always on.
    kernel = np.array([1, -1, 0, 0], np.float32).reshape(1, 1, 1, 4)
    bias = np.array([0, 0, -1, 2], np.float32)
    head = np.zeros((8, 2), np.float32)
    head[0, 0] = 1.0  # class 0 is the left pixel, class 1 nothing
    table = {"Conv2D": [kernel, bias], "Dense": [head, np.zeros(2, np.float32)], "Flatten": []}
    x = np.array([[3.0, 1.0], [1.0, 1.0]], np.float32).reshape(2, 1, 2, 1)
    found = responses(architecture, x, lambda call: table[call.class_name])
    assert found is not None and len(found.values()) == len(NAMES)

    def p(score):
        return 1 / (1 + math.exp(-score))

    def entropy(q):
        return -(q * math.log(q) + (1 - q) * math.log(1 - q)) / math.log(2)

    # Scores (3, 0) and (1, 0), of the mirror images (1, 0) and (1, 0).
    assert found.spread == pytest.approx(math.log10((1.5 + 0.5) / 2), abs=1e-5)
    assert found.change == pytest.approx(math.log10(0.5), abs=1e-5)
    mean_entropy = (entropy(p(3)) + entropy(p(1))) / 2
    assert found.entropy == pytest.approx(mean_entropy, abs=1e-5)
    assert found.information == pytest.approx(entropy((p(3) + p(1)) / 2) - mean_entropy, abs=1e-5)
    assert found.flipped == pytest.approx((p(3) - p(1)) / 2, abs=1e-5)
    # The pixels are positive: minus the pixel is off, too, and the pixel itself always on.
    assert (found.dead, found.always) == (0.5, 0.5)
    assert found.saturated == 0
    # The median of the biases is 0.5, and of the deviations, which are 0 but for the pixel's, 0.
    assert found.bias == pytest.approx(math.log10(0.5 / 1e-6), abs=1e-5)


def test_what_is_no_classifier_says_nothing(tf):
    import keras

    model = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Conv2D(2, 3)])
    architecture = read_architecture(json.loads(model.to_json()))
    weights = [w.numpy() for w in model.weights]
    assert responses(architecture, np.zeros((2, 4, 4, 3), np.float32), lambda call: weights) is None


def test_likelihoods_are_the_regression_written_out():
    rng = np.random.default_rng(2)
    values = rng.uniform(0, 1, (6, len(NAMES)))
    got = likelihoods([tuple(row) for row in values])
    scores = []
    for row in values:
        named = dict(zip(NAMES, row, strict=True))
        made = [
            named["spread"], named["spread"] ** 2, named["change"], named["change"] ** 2,
            named["entropy"], named["information"], named["flipped"], named["dead"],
            named["always"], named["saturated"], named["bias"],
            named["information"] - max(v[NAMES.index("information")] for v in values),
        ]  # fmt: skip
        scores.append(sum(w * (x - m) / d for x, (m, d, w) in zip(made, _SIGNS, strict=True)))
    expected = [math.exp(s) for s in scores]
    np.testing.assert_allclose(got, [e / sum(expected) for e in expected], rtol=1e-9)
    assert signs(values).shape == (6, len(_SIGNS))
