"""Bounds against tables, against the literal formulas and against what they promise."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kvis_cli.gate.calibration.bounds import (
    bound_of,
    from_normal,
    prediction_bound,
    student_quantile,
    to_normal,
    weakest,
)

# The table of Student's distribution that textbooks print, to three decimals.
TABLE = {
    (0.95, 1): 6.314, (0.95, 2): 2.920, (0.95, 3): 2.353, (0.95, 5): 2.015, (0.95, 10): 1.812,
    (0.95, 19): 1.729, (0.95, 30): 1.697, (0.95, 120): 1.658, (0.90, 4): 1.533, (0.75, 1): 1.000,
    (0.975, 2): 4.303, (0.975, 9): 2.262, (0.99, 1): 31.821, (0.99, 7): 2.998, (0.995, 3): 5.841,
    (0.995, 20): 2.845, (0.999, 5): 5.893, (0.9995, 10): 4.587,
}  # fmt: skip


@pytest.mark.parametrize(("asked", "tabulated"), TABLE.items(), ids=str)
def test_quantiles_are_those_of_the_table(asked, tabulated):
    assert student_quantile(*asked) == pytest.approx(tabulated, abs=6e-4)


def test_quantiles_of_one_and_two_degrees_have_closed_forms():
    for p in (0.51, 0.6, 0.8, 0.95, 0.999, 0.999999):
        assert student_quantile(p, 1) == pytest.approx(math.tan(math.pi * (p - 0.5)), rel=1e-9)
        closed = (2 * p - 1) / math.sqrt(2 * p * (1 - p))
        assert student_quantile(p, 2) == pytest.approx(closed, rel=1e-9)
        assert student_quantile(1 - p, 2) == -student_quantile(p, 2)
    assert student_quantile(0.5, 7) == 0
    # Of many degrees of freedom it is the normal distribution's.
    assert student_quantile(0.975, 1e7) == pytest.approx(1.959964, abs=1e-5)


def test_quantiles_against_scipy():
    stats = pytest.importorskip("scipy.stats")
    for p in (0.001, 0.3, 0.9, 0.99375, 0.9999):
        for degrees in (1, 2, 3, 5, 8, 19, 46, 300):
            expected = stats.t.ppf(p, degrees)
            assert student_quantile(p, degrees) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("asked", [(0, 3), (1, 3), (0.5, 0), (math.nan, 3)])
def test_there_are_no_other_quantiles(asked):
    with pytest.raises(ValueError, match="no quantile"):
        student_quantile(*asked)


def test_the_prediction_bound_is_its_formula():
    values = [0.9, 1.1, 1.3]  # mean 1.1, s 0.2, t(.95, 2) 2.920
    assert prediction_bound(values, 0.05) == pytest.approx(
        1.1 - 2.919986 * 0.2 * math.sqrt(4 / 3), abs=1e-6
    )
    with pytest.raises(ValueError, match="two values"):
        prediction_bound([1.0], 0.05)


@pytest.mark.parametrize(("k", "alpha"), [(3, 0.05), (6, 0.05), (6, 0.00625), (12, 0.2)])
def test_the_next_value_lies_below_the_bound_as_often_as_promised(k, alpha):
    draws, t = 60_000, student_quantile(1 - alpha, k - 1)
    values = np.random.default_rng(k).normal(size=(draws, k + 1))
    past, following = values[:, :k], values[:, k]
    assert prediction_bound(past[0].tolist(), alpha) == pytest.approx(
        past[0].mean() - t * past[0].std(ddof=1) * math.sqrt(1 + 1 / k)
    )
    bounds = past.mean(1) - t * past.std(1, ddof=1) * math.sqrt(1 + 1 / k)
    seen = float((following < bounds).mean())
    assert abs(seen - alpha) < 4 * math.sqrt(alpha * (1 - alpha) / draws)


def test_with_enough_models_the_bound_assumes_nothing():
    values = [0.5 + 0.01 * i for i in range(19)]
    enough = bound_of("spearman", values, 0.05)
    assert (enough.limit, enough.normal, enough.alpha, enough.free) == (0.5, False, 0.05, 0.05)
    few = bound_of("spearman", values[:18], 0.05)
    assert few.normal and few.alpha == 0.05 and few.free == pytest.approx(1 / 19)
    z = np.arctanh(values[:18])
    limit = np.tanh(z.mean() - student_quantile(0.95, 17) * z.std(ddof=1) * math.sqrt(1 + 1 / 18))
    assert few.limit == pytest.approx(limit, abs=1e-12)
    assert few.spread == pytest.approx(z.std(ddof=1))
    # Of a distance the largest is the weakest.
    assert bound_of("centroid", values, 0.05).limit == pytest.approx(0.68)
    assert bound_of("centroid", values[:5], 0.05).limit > values[4]


@pytest.mark.parametrize(
    ("metric", "values"),
    [
        ("spearman", (-0.9, -0.1, 0.0, 0.8, 0.99)), ("iou", (0.01, 0.5, 0.9)),
        ("centroid", (0.6, 0.2, 0.01)), ("enrichment", (0.1, 1.0, 4.0)), ("energy", (0.1, 0.8)),
    ],
)  # fmt: skip
def test_scales_go_back_and_rise_with_what_is_better(metric, values):
    scaled = [to_normal(metric, value) for value in values]
    assert scaled == sorted(scaled)
    assert [from_normal(metric, z) for z in scaled] == pytest.approx(values)


def test_what_is_perfect_or_nothing_stays_finite():
    assert math.isfinite(to_normal("spearman", 1.0)) and math.isfinite(to_normal("iou", 0.0))
    assert math.isfinite(to_normal("enrichment", 0.0))
    assert bound_of("spearman", [1.0, 1.0, 1.0], 0.05).limit == pytest.approx(1, abs=2e-4)


def test_the_weakest_value_is_the_strictest_threshold_that_passes():
    rng = np.random.default_rng(0)
    for n in (1, 7, 20, 60):
        for wanted in (0.5, 0.9, 0.95, 1.0):
            values = rng.uniform(-1, 1, n).tolist()
            found = weakest("spearman", values, wanted)
            assert sum(v >= found for v in values) >= wanted * n - 1e-9
            stricter = [v for v in values if v > found]
            assert len(stricter) < wanted * n
    assert weakest("spearman", [0.1, 0.5, 0.9, 0.7], 0.5) == 0.7
    assert weakest("centroid", [0.1, 0.5, 0.9, 0.7], 0.75) == 0.7


def test_maps_without_a_value_pass_nothing():
    assert weakest("spearman", [None, 0.5, 0.9, 0.7], 0.75) == 0.5
    assert weakest("spearman", [None, 0.5, 0.9, 0.7], 0.95) is None
    assert weakest("spearman", [], 0.95) is None
