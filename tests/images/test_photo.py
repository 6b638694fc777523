"""Every picture that people have is read as they see it."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from kvis_cli.images.photo import read_photo

RNG = np.random.default_rng(1)
RGB = np.kron(RNG.integers(0, 256, (6, 8, 3), np.uint8), np.ones((4, 4, 1), np.uint8))


def test_lossless_formats_are_read_exactly(tmp_path):
    for suffix in ("png", "bmp", "tiff", "ppm", "webp", "tga"):
        path = tmp_path / f"a.{suffix}"
        Image.fromarray(RGB).save(path, **({"lossless": True} if suffix == "webp" else {}))
        np.testing.assert_array_equal(read_photo(path).pixels, RGB)


def test_palette_and_grey_become_rgb(tmp_path):
    palette = Image.fromarray(RGB).quantize(256)
    palette.save(tmp_path / "p.gif")
    np.testing.assert_array_equal(
        read_photo(tmp_path / "p.gif").pixels, np.asarray(palette.convert("RGB"))
    )
    Image.fromarray(RGB[..., 0]).save(tmp_path / "g.png")
    np.testing.assert_array_equal(
        read_photo(tmp_path / "g.png").pixels, np.repeat(RGB[..., :1], 3, -1)
    )


def test_sixteen_bits_keep_their_brightness(tmp_path):
    values = RGB[..., 0].astype(np.uint16) * 257
    Image.fromarray(values).save(tmp_path / "s.png")
    np.testing.assert_array_equal(read_photo(tmp_path / "s.png").pixels[..., 1], RGB[..., 0])


def test_transparency_is_laid_over_white(tmp_path):
    alpha = np.full(RGB.shape[:2], 255, np.uint8)
    alpha[:4] = 0
    Image.fromarray(np.dstack([RGB, alpha])).save(tmp_path / "t.png")
    pixels = read_photo(tmp_path / "t.png").pixels
    assert (pixels[:4] == 255).all()
    np.testing.assert_array_equal(pixels[4:], RGB[4:])


@pytest.mark.parametrize(
    ("orientation", "turn"),
    [
        (1, lambda a: a),
        (2, lambda a: a[:, ::-1]),
        (3, lambda a: a[::-1, ::-1]),
        (6, lambda a: np.rot90(a, -1)),
        (8, lambda a: np.rot90(a, 1)),
    ],
)
def test_exif_orientation_is_obeyed(tmp_path, orientation, turn):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(RGB).save(tmp_path / "e.png", exif=exif)
    np.testing.assert_array_equal(read_photo(tmp_path / "e.png").pixels, turn(RGB))
