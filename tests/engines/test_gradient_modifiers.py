"""Gradient modifiers against numpy, and what keras-vis' formulae do where these do not."""

from __future__ import annotations

import numpy as np
import pytest

from kvis_cli.engines.gradient_modifiers import (
    GRADIENT_MODIFIERS,
    SMALL_QUANTILE,
    find_modifier,
)
from kvis_cli.errors import UnknownNameError

G = np.random.default_rng(3).normal(size=(2, 5, 6, 3)).astype(np.float32)


def floor(sample):
    """The quantile of the magnitudes above zero, by sorting."""
    size = np.sort(np.abs(sample[sample != 0]))
    return size[int(np.float32(SMALL_QUANTILE) * len(size))]


def bounded_inverse(g):
    floors = np.array([floor(sample) for sample in g]).reshape(-1, 1, 1, 1)
    return 1 / np.maximum(np.abs(g), floors)


EXPECTED = {
    "absolute": np.abs,
    "relu": lambda g: np.maximum(g, 0),
    "relu_negative": lambda g: np.maximum(-g, 0),
    "negate": np.negative,
    "none": lambda g: g,
    "invert": lambda g: np.sign(g) * bounded_inverse(g),
    "small_values": bounded_inverse,
}


@pytest.mark.parametrize("name", sorted(GRADIENT_MODIFIERS))
def test_each_modifier_is_its_formula_on_each_sample(tf, name):
    modifier = find_modifier(name)
    found = modifier.modify(tf.constant(G)).numpy()
    np.testing.assert_allclose(found, EXPECTED[name](G), rtol=1e-6)
    assert modifier.unsigned == bool((found >= 0).all())
    alone = np.concatenate([modifier.modify(tf.constant(G[i : i + 1])).numpy() for i in (0, 1)])
    np.testing.assert_array_equal(found, alone)


@pytest.mark.parametrize("name", sorted(GRADIENT_MODIFIERS))
def test_modifiers_are_finite_where_keras_vis_divides_by_zero(tf, name):
    # 1 / (g + 1e-7) is infinite at -1e-7 and ten million at zero.
    g = np.array([[-1e-7, 0.0, 1e-3, 5.0], [0.0, 0.0, 0.0, 0.0]], np.float32)
    found = find_modifier(name).modify(tf.constant(g)).numpy()
    assert np.isfinite(found).all()
    assert not found[1].any()


def test_the_input_is_not_changed(tf):
    g = tf.constant(G)
    for modifier in GRADIENT_MODIFIERS.values():
        modifier.modify(g)
    np.testing.assert_array_equal(g.numpy(), G)


def test_modifiers_are_traced_like_any_function(tf):
    for modifier in GRADIENT_MODIFIERS.values():
        inside = tf.function(modifier.modify, autograph=False)(tf.constant(G)).numpy()
        np.testing.assert_allclose(inside, modifier.modify(tf.constant(G)).numpy(), rtol=1e-6)


def test_callables_may_be_written_with_numpy(tf):
    def clipped(gradient):
        gradient[gradient < 0] = 0
        return np.abs(np.clip(gradient, 0, 1))

    gradient = np.float32([[-2, 0.5, 3]])
    for function in (clipped, lambda g: np.abs(g) * 2):
        wanted = function(gradient.copy())
        compiled = tf.function(find_modifier(function).modify)
        found = compiled(tf.constant(gradient))
        np.testing.assert_array_equal(found, wanted)
        assert found.shape == (1, 3)
    assert gradient[0, 0] == -2


def test_names_callables_and_none(tf):
    def own(gradient):
        return gradient * 2

    assert find_modifier(own).modify is find_modifier(own).modify
    assert float(find_modifier(own).modify(tf.constant(2.0))) == 4
    assert find_modifier(own).name == "own"
    assert find_modifier(None).name == "none"
    with pytest.raises(UnknownNameError, match="absolute"):
        find_modifier("absolut")
    # Not whatever a module happens to define.
    with pytest.raises(UnknownNameError):
        find_modifier("np")
