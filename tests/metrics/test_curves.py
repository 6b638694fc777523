"""Deletion and insertion, on cases whose value is known."""

import numpy as np
import pytest

from kvis_cli.metrics import deletion, insertion
from tests.helpers.oracles import literal_of

MASK = np.zeros((4, 5), bool)
MASK[1:3, 2:4] = True


def share_of_object(frames):
    """A model that sees the object's pixels only, one fourth each."""
    return frames[..., 0][:, MASK].sum(axis=1) / 4


def test_curves_of_the_perfect_and_the_worst_map():
    image, blank = np.ones((4, 5, 3)), np.zeros((4, 5, 3))
    perfect, worst = MASK * 1.0, 1.0 - MASK
    # The score falls to zero over the first fifth of the pixels, by trapezoids: 0.1.
    assert deletion(image, perfect, blank, share_of_object, 20).area == pytest.approx(0.1)
    assert deletion(image, worst, blank, share_of_object, 20).area == pytest.approx(0.9)
    assert insertion(image, perfect, blank, share_of_object, 20).area == pytest.approx(0.9)
    assert insertion(image, worst, blank, share_of_object, 20).area == pytest.approx(0.1)


@literal_of("deletion", "insertion")
def test_curves_begin_and_end_with_the_whole_pictures():
    rng = np.random.default_rng(1)
    image, blank, raw = rng.random((4, 5, 1)), rng.random((4, 5, 1)), rng.random((4, 5))

    def mean(frames):
        return frames.mean(axis=(1, 2, 3))

    curve = deletion(image, raw, blank, mean, 7)
    assert curve.scores[0] == pytest.approx(image.mean())
    assert curve.scores[-1] == pytest.approx(blank.mean())
    assert curve.shares[0] == 0 and curve.shares[-1] == 1
    again = insertion(image, raw, blank, mean, 7)
    assert again.scores[0] == pytest.approx(blank.mean())
    # Literal: pixel by pixel in descending order.
    order = np.dstack(np.unravel_index(np.argsort(-raw.ravel(), kind="stable"), raw.shape))[0]
    frame = blank.copy()
    for row, column in order[: round(20 * again.shares[3])]:
        frame[row, column] = image[row, column]
    assert again.scores[3] == pytest.approx(frame.mean())
