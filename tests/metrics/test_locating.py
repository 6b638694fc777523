"""How much of a map lies in a region, on cases whose value is known and against loops."""

import math

import numpy as np
import pytest

from kvis_cli.metrics import Undefined, energy_in_mask, enrichment, pointing_game
from tests.helpers.oracles import literal_of

MASK = np.zeros((4, 5), bool)
MASK[1:3, 2:4] = True


@literal_of("pointing_game")
def test_pointing_game():
    raw = np.zeros((4, 5))
    raw[0, 0] = 1
    assert pointing_game(raw, MASK) == 0
    raw[2, 3] = 2
    assert pointing_game(raw, MASK) == 1
    raw[3, 3] = 3
    assert pointing_game(raw, MASK) == 0
    raw[1, 2] = raw[1, 3] = 3
    # Three share the maximum, two of them lie inside: not whichever comes first.
    assert pointing_game(raw, MASK) == pytest.approx(2 / 3)
    assert pointing_game(raw[::-1], MASK[::-1]) == pytest.approx(2 / 3)
    assert pointing_game(raw, MASK * 0.5) == pytest.approx(1 / 3)


@pytest.mark.parametrize("tolerance", [0, 1, 1.5, 2, 3])
def test_pointing_within_a_tolerance(tolerance):
    mask = np.zeros((7, 9), bool)
    mask[2, 3] = mask[5, 8] = True
    for y in range(7):
        for x in range(9):
            raw = np.zeros((7, 9))
            raw[y, x] = 0.1
            near = min(math.dist((y, x), (2, 3)), math.dist((y, x), (5, 8))) <= tolerance
            assert pointing_game(raw, mask, tolerance) == near


@literal_of("energy_in_mask", "enrichment", seed=range(3))
def test_energy_and_enrichment_are_sums_over_cells(seed):
    rng = np.random.default_rng(seed)
    raw, share = rng.normal(size=(6, 5)), rng.random((6, 5))
    heat = [max(float(v), 0) for v in raw.flat]
    inside = sum(h * float(s) for h, s in zip(heat, share.flat, strict=True)) / sum(heat)
    assert energy_in_mask(raw, share) == pytest.approx(inside, abs=1e-12)
    assert energy_in_mask(raw * 1e-200, share) == pytest.approx(inside, abs=1e-12)
    area = sum(float(s) for s in share.flat) / 30
    assert enrichment(raw, share) == pytest.approx(inside / area, abs=1e-12)


def test_energy_and_enrichment_of_what_is_known():
    uniform = np.full((4, 5), 0.3)
    assert energy_in_mask(uniform, MASK) == pytest.approx(4 / 20)
    assert enrichment(uniform, MASK) == pytest.approx(1)
    assert energy_in_mask(MASK * 7.0, MASK) == 1
    assert enrichment(MASK * 7.0, MASK) == pytest.approx(5)
    half = MASK * 1.0
    half[0, 0] = 4
    half[3, 3] = -100  # Negative values are no energy.
    assert energy_in_mask(half, MASK) == pytest.approx(0.5)


@pytest.mark.parametrize("measure", [pointing_game, energy_in_mask, enrichment])
def test_what_has_no_value(measure):
    raw = np.random.default_rng(0).random((4, 5))
    assert measure(np.zeros((4, 5)), MASK) is Undefined.BLANK
    assert measure(-raw, MASK) is Undefined.BLANK
    assert measure(raw, np.zeros((4, 5))) is Undefined.EMPTY_REGION
    assert measure(raw * np.nan, MASK) is Undefined.NOT_FINITE
    whole = measure(raw, np.ones((4, 5)))
    assert whole is Undefined.FULL_REGION if measure is enrichment else whole == 1
    with pytest.raises(ValueError, match="do not fit"):
        measure(raw, MASK[:3])
