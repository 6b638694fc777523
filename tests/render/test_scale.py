import numpy as np
import pytest

from kvis_cli.errors import UsageError
from kvis_cli.render.scale import format_value, limit_of, scale_map, shared_limit

RAW = np.random.default_rng(0).normal(size=(9, 11)).astype(np.float32)


def test_heatmap_is_clipped_at_zero_and_divided_by_its_maximum():
    scaled = scale_map(RAW)
    np.testing.assert_allclose(scaled.values, np.maximum(RAW, 0) / RAW.max(), rtol=1e-6)
    assert scaled.values.dtype == np.float32
    assert scaled.limit == RAW.max()
    assert scaled.blank == ""


def test_signed_zero_is_exactly_one_half():
    raw = RAW.copy()
    raw[3, 3] = 0
    scaled = scale_map(raw, "signed")
    assert scaled.values[3, 3] == 0.5
    np.testing.assert_allclose(scaled.values, 0.5 + raw / np.abs(raw).max() / 2, rtol=1e-6)
    np.testing.assert_allclose(scale_map(-raw, "signed").values, 1 - scaled.values, atol=1e-7)


@pytest.mark.parametrize("kind", ["heatmap", "signed"])
@pytest.mark.parametrize("exponent", [-140, -126, -60, -30, 60, 120])
def test_the_size_of_the_values_does_not_matter(kind, exponent):
    # Powers of two down to the subnormals: the same digits must come out. Whole numbers, so that
    # subnormals hold them.
    raw = np.rint(RAW * 100)
    tiny = np.ldexp(raw, exponent).astype(np.float32)
    np.testing.assert_array_equal(scale_map(tiny, kind).values, scale_map(raw, kind).values)


def test_a_map_of_1e_9_shows_like_one_of_1():
    np.testing.assert_allclose(scale_map(RAW * 1e-9).values, scale_map(RAW).values, atol=1e-6)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (np.zeros((3, 3)), "zero"),
        (-np.ones((3, 3)), "no positive"),
        (np.array([[1.0, np.nan]]), "finite"),
        (np.array([[1.0, np.inf]]), "finite"),
        (np.zeros((0, 3)), "empty"),
    ],
)
def test_nothing_to_show_is_said(raw, reason):
    scaled = scale_map(raw, "heatmap")
    assert reason in scaled.blank
    assert scaled.limit == 0
    assert not scaled.values.any()


def test_blank_signed_map_lies_on_zero():
    scaled = scale_map(np.zeros((2, 2)), "signed")
    assert scaled.blank
    assert (scaled.values == 0.5).all()


def test_shared_limit_keeps_the_proportion_of_two_maps():
    small, large = np.full((2, 2), 3.0), np.full((2, 2), 12.0)
    limit = shared_limit([small, large])
    assert limit == 12
    assert (scale_map(small, limit=limit).values == 0.25).all()
    assert (scale_map(large, limit=limit).values == 1).all()
    assert (scale_map(large, limit=3).values == 1).all()
    assert (scale_map(-small, "signed", limit=limit).values == 0.375).all()


def test_shared_limit_skips_what_cannot_be_shown():
    assert shared_limit([np.zeros(3), np.array([np.nan]), np.array([2.0])]) == 2
    assert shared_limit([]) == 0
    assert scale_map(np.zeros(3), limit=0).blank


def test_percentile_ignores_zeros_and_outliers():
    raw = np.concatenate([np.zeros(1000), np.arange(1, 101), [1e6]])
    assert limit_of(raw, percentile=99) == pytest.approx(np.percentile(raw[1000:], 99))
    scaled = scale_map(raw, percentile=99)
    assert scaled.values[1050] == pytest.approx(51 / limit_of(raw, percentile=99))


def test_bad_arguments_are_refused():
    with pytest.raises(UsageError, match="percentile 0"):
        scale_map(RAW, percentile=0)
    with pytest.raises(UsageError, match="limit"):
        scale_map(RAW, limit=float("nan"))
    with pytest.raises(UsageError, match="limit"):
        scale_map(RAW, limit=-1)


def test_values_have_three_digits():
    assert format_value(-1234.5) == "-1.23e+03"
    assert format_value(0.5) == "0.5"
