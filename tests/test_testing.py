"""Attention as a unit test, on the sample models."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from kvis_cli.errors import UsageError
from kvis_cli.metrics import Undefined
from kvis_cli.testing import AttentionError, assert_attention


@pytest.fixture(scope="module")
def star(samples):
    """A photo of a star with a mark in its corner, and where both are."""
    return samples / "images" / "star-marked.png"


@pytest.fixture(scope="module")
def models(tf, samples):
    from kvis_cli import Explainer

    labels = str(samples / "labels.txt")
    return {
        name: Explainer(str(samples / f"{name}.keras"), labels=labels)
        for name in ("shapes", "shapes_shortcut")
    }


CORNER = (0, 0.8, 0.2, 1)


def test_the_good_model_passes_and_the_shortcut_fails(models, star, tmp_path):
    good, bad = models["shapes"], models["shapes_shortcut"]
    width, height = Image.open(star).size
    box = (0.3 * width, 0.1 * height, width, 0.8 * height)
    wanted = {"class_": "star", "box": box, "enrichment": 1.5, "avoid": CORNER}
    measured = assert_attention(good, star, **wanted)
    assert measured["enrichment"] >= 1.5 and measured["avoid"] <= 0.15
    with pytest.raises(AttentionError, match=r"enrichment is .*, wanted ≥ 1.5; avoid is") as caught:
        assert_attention(bad, star, save=tmp_path / "bad.png", **wanted)
    assert caught.value.measured["avoid"] > 0.3
    assert "star" in str(caught.value) and str(tmp_path / "bad.png") in str(caught.value)
    assert (tmp_path / "bad.png").is_file()
    # The same region as a mask.
    mask = np.zeros((height, width), np.uint8)
    mask[round(box[1]) : round(box[3]), round(box[0]) :] = 255
    again = assert_attention(good, star, class_="star", mask=mask, enrichment=1.5)
    assert again["enrichment"] == pytest.approx(measured["enrichment"], rel=0.02)


def test_a_model_like_another(models, star):
    good, bad = models["shapes"], models["shapes_shortcut"]
    perfect = {"spearman": 1, "pearson": 1, "iou": 1, "centroid": 0}
    assert assert_attention(good, star, like=good, **perfect) == perfect
    with pytest.raises(AttentionError, match=r"spearman is -?0"):
        assert_attention(bad, star, like=good, spearman=0.8)
    with pytest.raises(AttentionError, match="ssim has no value: grid smaller") as caught:
        assert_attention(good, star, like=good, ssim=0.9)
    assert caught.value.measured == {"ssim": Undefined.SMALL_GRID}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, "asked nothing"),
        ({"enrichment": 2}, "nothing to measure"),
        ({"spearman": 0.9}, "nothing to measure"),
        ({"box": (0, 0, 1, 1)}, "needs a limit"),
        ({"box": (0, 0, 9, 9), "energy": 0, "class_": "top2"}, "2 were made"),
        ({"mask": np.ones(3), "energy": 0}, "two axes"),
    ],
)
def test_wrong_questions(models, star, asked, said):
    with pytest.raises(UsageError, match=said):
        assert_attention(models["shapes"], star, **asked)
