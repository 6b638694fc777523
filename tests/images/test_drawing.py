"""A map over its photo: what stands over what."""

from __future__ import annotations

import numpy as np
import pytest

from kvis_cli.explanation import Explanation, Target
from kvis_cli.images.drawing import Look, draw
from kvis_cli.images.fitting import fit_photo
from kvis_cli.render.unseen import mark_unseen

PHOTO = np.full((200, 600, 3), 140, np.uint8)


def hot_on_the_left():
    """A map whose line runs along the left edge of what was cropped."""
    raw = np.zeros((10, 10), np.float32)
    raw[:, :4] = 1
    return Explanation(
        map=raw, kind="heatmap", method="gradcam", target=Target("a", "a"), score=1.0
    )


@pytest.mark.parametrize("view", ["contour", "overlay", "glow", "mask", "heatmap"])
def test_what_was_cropped_is_dim_in_every_view(view):
    _, placement = fit_photo(PHOTO, 50, 50, 3, "crop")
    pixels = draw(hot_on_the_left(), PHOTO, placement, Look(view=view)).pixels
    assert pixels[:, :150].mean() < 110 and pixels[:, 450:].mean() < 110


def test_nothing_lies_over_a_line_or_its_label():
    _, placement = fit_photo(PHOTO, 50, 50, 3, "crop")
    drawn = draw(hot_on_the_left(), PHOTO, placement, Look(view="contour")).pixels
    bare = mark_unseen(PHOTO, placement.unseen(200, 600))
    left = drawn[:, :198]
    changed = (left != bare[:, :198]).any(-1)
    # The label reaches over the edge: its yellow is as bright there as inside.
    assert changed.sum() > 200
    assert (left[changed] == (255, 235, 60)).all(-1).mean() > 0.3
