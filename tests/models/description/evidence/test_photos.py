"""Generated photos have the statistics of natural ones."""

from __future__ import annotations

import numpy as np

from kvis_cli.models.description.evidence.hypotheses import as_grey, central, hypotheses
from kvis_cli.models.description.evidence.photos import generated_photos


def test_mean_deviation_and_colours_are_those_of_natural_photos():
    pixels = generated_photos(12, 96, 80) / 255
    np.testing.assert_allclose(pixels.mean((0, 1, 2)), (0.485, 0.456, 0.406), atol=0.02)
    np.testing.assert_allclose(pixels.std((0, 1, 2)), (0.229, 0.224, 0.225), atol=0.03)
    correlation = np.corrcoef(pixels.reshape(-1, 3).T)
    assert correlation[0, 1] > 0.85 and correlation[0, 2] > 0.7


def test_the_spectrum_falls_as_that_of_photos():
    # Neighbours of natural photos at this size differ by 0.3 to 0.45 of the deviation.
    for size, low, high in ((32, 0.35, 0.6), (64, 0.3, 0.45), (96, 0.28, 0.42)):
        grey = as_grey(generated_photos(12, size, size))[..., 0].astype(float)
        step = np.diff(grey, axis=2).std() / np.sqrt(grey.var((1, 2)).mean())
        assert low < step < high


def test_the_same_ones_every_time():
    first = generated_photos(3, 20, 24)
    generated_photos.cache_clear()
    assert first.shape == (3, 20, 24, 3) and first.dtype == np.uint8
    np.testing.assert_array_equal(first, generated_photos(3, 20, 24))


def test_grey_is_the_luminance_and_the_middle_is_cut_out():
    pixels = np.arange(2 * 6 * 8 * 3, dtype=np.uint8).reshape(2, 6, 8, 3)
    grey = as_grey(pixels)
    assert grey[1, 2, 3, 0] == round(float(pixels[1, 2, 3] @ [0.299, 0.587, 0.114]))
    np.testing.assert_array_equal(central(pixels, 2, 4), pixels[:, 2:4, 2:6])
    np.testing.assert_array_equal(central(pixels, 9, 9), pixels)


def test_what_is_tried():
    assert [h.name for h in hypotheses(1)] == ["none", "unit", "signed", "standardize"]
    assert len(hypotheses(3)) == 6 and hypotheses(4) == []
