"""Measures of two maps against SciPy and scikit-image, where they are installed."""

import numpy as np
import pytest

from kvis_cli.metrics import Undefined, pearson, spearman, ssim

pytestmark = pytest.mark.conformance


def pairs(shape):
    for seed in range(40):
        rng = np.random.default_rng(seed)
        a, b = rng.normal(size=(2, *shape))
        if seed % 4 == 1:
            a, b = np.round(a), np.round(b)
        elif seed % 4 == 2:
            a, b = np.maximum(a, 0), np.maximum(b, 0)
        elif seed % 4 == 3:
            a, b = a - a.min(), b * 1e-6
        yield a, b


def test_correlations_are_those_of_scipy():
    stats = pytest.importorskip("scipy.stats")
    for a, b in pairs((12, 11)):
        assert pearson(a, b) == pytest.approx(stats.pearsonr(a.ravel(), b.ravel())[0], abs=1e-6)
        assert spearman(a, b) == pytest.approx(stats.spearmanr(a.ravel(), b.ravel())[0], abs=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_where_scipy_gives_nan_there_is_a_reason():
    stats = pytest.importorskip("scipy.stats")
    a, constant = next(pairs((5, 5)))[0], np.full((5, 5), 2.0)
    assert np.isnan(stats.spearmanr(a.ravel(), constant.ravel())[0])
    assert spearman(a, constant) is Undefined.CONSTANT


def test_ssim_is_that_of_scikit_image():
    metrics = pytest.importorskip("skimage.metrics")
    for a, b in pairs((24, 19)):
        a, b = a / np.abs(a).max(), b / np.abs(b).max()
        expected = metrics.structural_similarity(
            a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1
        )
        assert ssim(a, b) == pytest.approx(expected, abs=1e-6)
