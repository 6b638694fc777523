"""Likeness of maps against literal loops, and what must hold whatever the maps."""

import math

import numpy as np
import pytest

from kvis_cli.metrics import (
    MEASURES,
    Undefined,
    centroid_shift,
    compare_maps,
    meet,
    pearson,
    spearman,
    ssim,
    top_overlap,
)
from tests.helpers.oracles import literal_of

KINDS = ["normal", "ties", "sparse", "tiny"]


def drawn(kind, shape, seed):
    rng = np.random.default_rng(seed)
    raw = rng.normal(size=shape)
    if kind == "ties":
        return np.round(raw)
    if kind == "sparse":
        return np.maximum(raw - 0.5, 0)
    return raw * 1e-170 if kind == "tiny" else raw


def pair(kind, shape=(6, 7), seed=0):
    return drawn(kind, shape, 2 * seed), drawn(kind, shape, 2 * seed + 1)


def literal_pearson(a, b):
    a, b = [float(v) for v in a], [float(v) for v in b]
    ma, mb = math.fsum(a) / len(a), math.fsum(b) / len(b)
    cov = math.fsum((x - ma) * (y - mb) for x, y in zip(a, b, strict=True))
    return cov / math.sqrt(
        math.fsum((x - ma) ** 2 for x in a) * math.fsum((y - mb) ** 2 for y in b)
    )


def literal_ranks(values):
    values = list(values)
    return [
        1 + sum(other < value for other in values) + (values.count(value) - 1) / 2
        for value in values
    ]


@literal_of("pearson", kind=KINDS, seed=range(4))
def test_pearson(kind, seed):
    a, b = pair(kind, seed=seed)
    scale = 1e170 if kind == "tiny" else 1
    assert pearson(a, b) == pytest.approx(
        literal_pearson((a * scale).flat, (b * scale).flat), abs=1e-9
    )


@literal_of("spearman", kind=KINDS, seed=range(4))
def test_spearman(kind, seed):
    a, b = pair(kind, seed=seed)
    expected = literal_pearson(literal_ranks(a.flat), literal_ranks(b.flat))
    assert spearman(a, b) == pytest.approx(expected, abs=1e-9)


def literal_hottest(values, share):
    """Fill the hottest part value by value, equal ones at once."""
    left, weights = share * len(values), [0.0] * len(values)
    for value in sorted(set(values), reverse=True):
        tied = [i for i, v in enumerate(values) if v == value]
        for i in tied:
            weights[i] = min(1.0, left / len(tied))
        left = max(0.0, left - len(tied))
    return weights


@literal_of("top_overlap", kind=KINDS, seed=range(4), share=[0.1, 0.25, 0.03])
def test_top_overlap(kind, seed, share):
    a, b = pair(kind, seed=seed)
    wa, wb = literal_hottest(list(a.flat), share), literal_hottest(list(b.flat), share)
    both = sum(min(x, y) for x, y in zip(wa, wb, strict=True))
    either = sum(max(x, y) for x, y in zip(wa, wb, strict=True))
    assert top_overlap(a, b, share) == pytest.approx(both / either, abs=1e-9)


def test_ties_are_shared_out_and_not_taken_in_reading_order():
    a = np.zeros((4, 5))
    a[0, 0] = 1
    b = np.zeros((4, 5))
    b[3, 4] = 1
    # Two of twenty cells: the hot one, and 1/19 of each of the others.
    rest = 1 / 19
    assert top_overlap(a, b) == pytest.approx((20 * rest) / (2 + 18 * rest))
    assert top_overlap(a, b) == top_overlap(a[::-1, ::-1], b[::-1, ::-1])
    with pytest.raises(ValueError, match="share"):
        top_overlap(a, b, 1)


@literal_of("ssim", seed=range(2), kind=["normal", "sparse"])
def test_ssim(seed, kind):
    a, b = pair(kind, (16, 18), seed)
    a, b = a / np.abs(a).max(), b / np.abs(b).max()
    weights = [
        [math.exp(-(y * y + x * x) / (2 * 1.5**2)) for x in range(-5, 6)] for y in range(-5, 6)
    ]
    total = sum(map(sum, weights))
    values = []
    for top in range(16 - 10):
        for left in range(18 - 10):

            def mean(value, top=top, left=left):
                return sum(
                    weights[y][x] / total * value(top + y, left + x)
                    for y in range(11)
                    for x in range(11)
                )

            ma, mb = mean(lambda y, x: a[y, x]), mean(lambda y, x: b[y, x])
            va = mean(lambda y, x, m=ma: (a[y, x] - m) ** 2)
            vb = mean(lambda y, x, m=mb: (b[y, x] - m) ** 2)
            cov = mean(lambda y, x, ma=ma, mb=mb: (a[y, x] - ma) * (b[y, x] - mb))
            values.append(
                ((2 * ma * mb + 1e-4) * (2 * cov + 9e-4))
                / ((ma * ma + mb * mb + 1e-4) * (va + vb + 9e-4))
            )
    assert ssim(a, b) == pytest.approx(sum(values) / len(values), abs=1e-9)


def test_ssim_wants_a_grid_of_sixteen():
    a, b = pair("normal", (15, 40))
    assert ssim(a, b) is Undefined.SMALL_GRID
    assert ssim(*pair("normal", (16, 40))) < 1


@literal_of("centroid_shift", seed=range(4))
def test_centroid_shift(seed):
    a, b = pair("normal", (5, 8), seed)
    centres = []
    for raw in (a, b):
        heat = {(y, x): max(raw[y, x], 0) for y in range(5) for x in range(8)}
        total = sum(heat.values())
        centres.append([sum(p[k] * v for p, v in heat.items()) / total for k in (0, 1)])
    moved = math.dist(*centres) / math.hypot(5, 8)
    assert centroid_shift(a, b) == pytest.approx(moved, abs=1e-12)
    assert centroid_shift(-np.abs(a), b) is Undefined.BLANK


@literal_of("compare_maps")
def test_compare_maps_is_every_measure_on_the_common_grid():
    a, b = drawn("normal", (20, 17), 1), drawn("normal", (18, 30), 2)
    found = compare_maps(a, b)
    assert found == {name: measure(*meet(a, b)) for name, measure in MEASURES.items()}
    assert all(isinstance(value, float) for value in found.values())


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("kind", ["normal", "ties", "sparse"])
def test_what_holds_for_every_measure(name, kind):
    measure, perfect = MEASURES[name], 0.0 if name == "centroid" else 1.0
    for seed in range(6):
        a, b = pair(kind, (18, 16), seed)
        value = measure(a, b)
        assert measure(a, a) == perfect
        assert measure(a, a * 3) == pytest.approx(perfect, abs=1e-12)
        assert measure(b, a) == pytest.approx(value, abs=1e-12)
        assert measure(a * 1e-8, b * 1e5) == pytest.approx(value, abs=1e-9)
        assert measure(a.T, b.T) == pytest.approx(value, abs=1e-12)
        assert abs(value - perfect) > 1e-3


@pytest.mark.parametrize("name", MEASURES)
def test_what_is_undefined_for_every_measure(name):
    measure = MEASURES[name]
    rng = np.random.default_rng(0)
    whole = rng.random((20, 20)).astype(np.float32)
    broken = whole.copy()
    broken[3, 4] = np.nan
    assert measure(np.zeros((20, 20)), whole) is Undefined.BLANK
    assert measure(whole, np.zeros((20, 20))) is Undefined.BLANK
    assert measure(whole, broken) is Undefined.NOT_FINITE
    if name != "centroid":
        constant = np.full((31, 33), 0.1)
        assert measure(constant, constant) is Undefined.CONSTANT
        # Averaging onto the common grid makes no pattern of a constant.
        assert measure(constant, whole) is Undefined.CONSTANT
    # A signed map is not its magnitude.
    signed = whole - 0.5
    if name != "centroid":
        assert abs(measure(signed, np.abs(signed))) < 0.5
