"""How strongly a map covers its photo, in numbers."""

from __future__ import annotations

import numpy as np
import pytest

from kvis_cli.render import colormaps
from kvis_cli.render.overlay import Style, mask_view, overlay


def smoothstep(x: float) -> float:
    x = min(max(x, 0.0), 1.0)
    return x * x * (3 - 2 * x)


@pytest.mark.parametrize("alpha", [0.3, 0.5, 1.0])
def test_the_opacity_of_heat_is_a_smoothstep(alpha):
    """From nothing where the map is zero to `alpha` at 0.6 of its limit (its inner half)."""
    values = np.linspace(0, 1, 11, dtype=np.float32)
    photo = np.full((1, 11, 3), 200, np.uint8)
    found = overlay(photo, values[np.newaxis], alpha=alpha, limit=1.0)[0].astype(float)
    table = colormaps.lut("jet").astype(float)
    for value, pixel in zip(values, found, strict=True):
        index = int(np.float32(255) * value + np.float32(0.5))
        opacity = alpha * smoothstep(index / 255 / 0.6)
        wanted = (1 - opacity) * 200 + opacity * table[index]
        np.testing.assert_allclose(pixel, wanted, atol=2)


def test_the_opacity_of_both_signs_is_a_smoothstep():
    values = np.array([[-1, -0.4, -0.1, 0, 0.1, 0.4, 1]], np.float32)
    photo = np.full((1, 7, 3), 200, np.uint8)
    found = overlay(photo, values, alpha=0.5, limit=1.0, kind="signed")[0].astype(float)
    table = colormaps.lut(colormaps.DEFAULT_DIVERGING).astype(float)
    for value, pixel in zip(values[0], found, strict=True):
        index = int(255 * (float(value) + 1) / 2 + 0.5)
        opacity = 0.5 * smoothstep((abs(index - 127.5) - 0.5) / 127 / 0.4)
        wanted = (1 - opacity) * 200 + opacity * table[index]
        np.testing.assert_allclose(pixel, wanted, atol=3)


def test_a_mask_darkens_with_the_square():
    values = np.linspace(0, 1, 9, dtype=np.float32)
    photo = np.full((1, 9, 3), 240, np.uint8)
    found = mask_view(photo, values[np.newaxis], Style(level=0.5, limit=1.0))[0, :, 0]
    wanted = [240 * min(1.0, v / 0.5) ** 2 for v in values]
    np.testing.assert_allclose(found, wanted, atol=2)
