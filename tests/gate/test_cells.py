"""Maps in few cells of 8 bits."""

import numpy as np
import pytest

from kvis_cli.gate.cells import MAX_SIDE, Cells, settled, to_cells
from kvis_cli.metrics import MEASURES, Undefined, area_average, compare_maps


def heat(seed, shape=(12, 12), signed=False):
    raw = np.random.default_rng(seed).normal(size=shape)
    return raw if signed else np.maximum(raw - 0.3, 0)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("shape", [(7, 7), (12, 5), (28, 28), (96, 40)])
def test_cells_are_the_averaged_map_within_half_a_step(shape, signed):
    raw = heat(1, shape, signed)
    cells = to_cells(raw * 1e-7, signed)
    assert cells.shape == (min(shape[0], MAX_SIDE), min(shape[1], MAX_SIDE))
    expected = area_average(raw, cells.shape)
    expected = expected / np.abs(expected).max()
    step = 1 / 127 if signed else 1 / 255
    assert np.abs(cells.map() - expected).max() <= step / 2 + 1e-12
    assert np.array_equal(cells.map() == 0, np.abs(expected) < step / 2)
    assert to_cells(raw * 3, signed) == cells
    # What is kept once stays as it is.
    assert to_cells(cells.map(), signed) == cells


def test_blank_maps_and_such_that_are_no_numbers():
    assert not to_cells(np.zeros((5, 5)), False).map().any()
    assert not to_cells(np.zeros((5, 5)), True).map().any()
    assert not to_cells(-np.ones((5, 5)), False).map().any()
    assert to_cells(np.full((5, 5), np.nan), False) is Undefined.NOT_FINITE


@pytest.mark.parametrize("signed", [False, True])
def test_a_map_is_perfectly_like_its_own_cells(signed):
    for seed in range(10):
        cells = to_cells(heat(seed, (20, 24), signed), signed)
        found = compare_maps(*settled(cells, cells))
        assert found == {name: 0.0 if name == "centroid" else 1.0 for name in MEASURES}


@pytest.mark.parametrize("signed", [False, True])
def test_no_measure_notices_one_step_and_every_measure_more(signed):
    """Another processor moves single cells by one step."""
    rng = np.random.default_rng(3)
    for seed in range(10):
        cells = to_cells(heat(seed, (20, 24), signed), signed)
        moved = cells.values.astype(int) + rng.integers(-1, 2, cells.shape)
        other = Cells(moved.clip(0, 255).astype(np.uint8), signed)
        assert other != cells
        found = compare_maps(*settled(cells, other))
        assert found == {name: 0.0 if name == "centroid" else 1.0 for name in MEASURES}
        far = Cells(np.roll(cells.values, 3, axis=1), signed)
        found = compare_maps(*settled(cells, far))
        assert all(found[name] < 0.9 for name in ("spearman", "pearson", "iou", "ssim"))


def test_maps_of_other_grids_are_compared_as_they_are():
    a, b = to_cells(heat(1), False), to_cells(heat(2, (7, 7)), False)
    for kept, cells in zip(settled(a, b), (a, b), strict=True):
        assert np.array_equal(kept, cells.map())
