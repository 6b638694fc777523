"""What a model was not given does not look like what it gave no heat."""

from __future__ import annotations

import numpy as np

from kvis_cli.images.fitting import fit_photo
from kvis_cli.render.unseen import mark_unseen


def test_the_seen_part_is_as_it_was_and_the_rest_is_dark_and_hatched():
    picture = np.random.default_rng(0).integers(100, 256, (120, 200, 3), np.uint8)
    unseen = np.zeros((120, 200), bool)
    unseen[:, :40] = unseen[:, 160:] = True
    marked = mark_unseen(picture, unseen)
    np.testing.assert_array_equal(marked[:, 40:160], picture[:, 40:160])
    assert (marked[:, 39] == 255).all()
    assert (marked[:, 160] == 255).all()
    outside = marked[:, :39].astype(int)
    assert outside.mean() < picture.mean() * 0.6
    # Lines in one direction: along it neighbours are alike, across they are not.
    along = np.abs(outside[1:, :-1] - outside[:-1, 1:]).mean()
    across = np.abs(outside[1:, 1:] - outside[:-1, :-1]).mean()
    assert across > 1.3 * along


def test_unseen_and_padding_of_every_fit():
    photo = np.zeros((100, 200, 3), np.uint8)
    whole, crop, pad = (fit_photo(photo, 50, 50, 3, fit)[1] for fit in ("resize", "crop", "pad"))
    assert whole.unseen(100, 200) is None
    assert pad.unseen(100, 200) is None
    unseen = crop.unseen(100, 200)
    assert unseen.sum() == 100 * 100
    assert not unseen[:, 50:150].any()

    even = np.ones((4, 4))
    assert whole.share_on_padding(even, 100, 200) == 0
    assert crop.share_on_padding(even, 100, 200) == 0
    # A 2:1 photo in a square: a quarter of the input above it, a quarter below.
    assert np.isclose(pad.share_on_padding(even, 100, 200), 0.5)
    top = np.zeros((4, 4))
    top[0] = 1
    assert np.isclose(pad.share_on_padding(top, 100, 200), 1)
    # Signed maps by their magnitude; a map of zeros has no heat anywhere.
    assert np.isclose(pad.share_on_padding(-top, 100, 200), 1)
    assert pad.share_on_padding(np.zeros((4, 4)), 100, 200) == 0
