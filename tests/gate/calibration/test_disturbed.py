"""Changed photos against the changes written out."""

from __future__ import annotations

import numpy as np
import pytest

from kvis_cli.errors import InputError
from kvis_cli.gate.calibration.disturbed import (
    DISTURBANCES,
    brightened,
    reencoded,
    shifted,
    write_disturbed,
)
from kvis_cli.images.photo import read_photo


@pytest.fixture
def pixels():
    rng = np.random.default_rng(2)
    small = rng.integers(0, 256, (5, 7, 3), np.uint8)
    return small.repeat(4, 0).repeat(4, 1)


def test_a_shift_moves_by_one_pixel_and_repeats_the_edge(pixels):
    moved = shifted(pixels)
    assert moved.shape == pixels.shape
    for y, x in ((0, 0), (0, 9), (11, 0), (7, 13), (19, 27)):
        assert (moved[y, x] == pixels[max(y - 1, 0), max(x - 1, 0)]).all()


def test_brightness_rises_by_two_percent_and_never_wraps(pixels):
    for value, new in enumerate(brightened(np.arange(256, dtype=np.uint8)[None, :, None])[0, :, 0]):
        assert new == min(round(value * 1.02), 255)
    assert (brightened(pixels) >= pixels).all()


def test_jpeg_changes_little_but_something(pixels):
    again = reencoded(pixels)
    assert again.shape == pixels.shape and again.dtype == np.uint8
    difference = np.abs(again.astype(int) - pixels)
    assert 0 < difference.mean() < 25


def test_photos_are_written_as_they_are(pixels, picture, tmp_path):
    before = read_photo(picture).pixels
    for name, change in DISTURBANCES.items():
        out = write_disturbed(picture, change, tmp_path / "new" / f"{name.split()[0]}.png")
        assert (read_photo(out).pixels == change(before)).all(), name
    (tmp_path / "no.png").write_bytes(b"no picture")
    with pytest.raises(InputError):
        write_disturbed(tmp_path / "no.png", shifted, tmp_path / "new.png")
