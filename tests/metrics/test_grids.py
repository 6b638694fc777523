"""Averaging by area against a loop over parts of cells."""

from fractions import Fraction

import numpy as np
import pytest

from kvis_cli.metrics import area_average, common_grid, meet
from tests.helpers.oracles import literal_of


def part(i, n, j, m):
    """How much of old cell i of n lies in new cell j of m, of the new cell's length."""
    low = max(Fraction(i, n), Fraction(j, m))
    high = min(Fraction(i + 1, n), Fraction(j + 1, m))
    return max(high - low, Fraction(0)) * m


@literal_of("area_average", old=[(12, 12), (3, 5)], new=[(5, 7), (4, 2), (1, 1), (24, 12)])
def test_area_average_is_the_mean_of_what_is_covered(old, new):
    raw = np.random.default_rng(3).normal(size=old)
    made = area_average(raw, new)
    for y in range(new[0]):
        for x in range(new[1]):
            total = sum(
                raw[i, j] * float(part(i, old[0], y, new[0]) * part(j, old[1], x, new[1]))
                for i in range(old[0])
                for j in range(old[1])
            )
            assert made[y, x] == pytest.approx(total, abs=1e-12)
    assert made.mean() == pytest.approx(raw.mean(), abs=1e-12)
    np.testing.assert_allclose(area_average(raw.T, new[::-1]), made.T, atol=1e-12)


def test_a_map_on_its_own_grid_is_itself_and_opposites_cancel():
    raw = np.random.default_rng(4).normal(size=(6, 4)).astype(np.float32)
    assert np.array_equal(area_average(raw, (6, 4)), raw)
    waves = np.where(np.arange(9) % 2, -0.1, 0.1)[np.newaxis].repeat(6, 0)[:, :6]
    assert not area_average(waves, (3, 3)).any()
    with pytest.raises(ValueError, match="two dimensions"):
        area_average(np.zeros(3), (1, 1))


@literal_of("common_grid", "meet")
def test_maps_meet_where_neither_is_refined():
    assert common_grid((12, 5), (7, 9)) == (7, 5)
    a, b = np.random.default_rng(5).random((12, 5)), np.random.default_rng(6).random((7, 9))
    met = meet(a, b)
    assert np.array_equal(met[0], area_average(a, (7, 5)))
    assert np.array_equal(met[1], area_average(b, (7, 5)))
    with pytest.raises(ValueError, match="two dimensions"):
        meet(a, b[0])
