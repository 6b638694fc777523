"""The spread of a map against Shannon's sum."""

import numpy as np
import pytest

from kvis_cli.metrics import entropy
from tests.helpers.oracles import literal_of


@literal_of("entropy", shape=[(3, 5), (2, 2)], seed=[0, 1])
def test_entropy_is_shannons_over_that_of_an_even_map(shape, seed):
    raw = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    total = sum(abs(float(v)) for v in raw.flat)
    spread = -sum(abs(float(v)) / total * np.log(abs(float(v)) / total) for v in raw.flat)
    assert entropy(raw) == pytest.approx(spread / np.log(raw.size), rel=1e-5)
    assert entropy(np.zeros(shape, np.float32)) is None
    assert entropy(raw[:1, :1]) is None
