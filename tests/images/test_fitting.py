"""A photo at the model's size, and maps back at the photo's: never shifted."""

from __future__ import annotations

import numpy as np
import pytest

from kvis_cli.errors import InputError
from kvis_cli.images.fitting import fit_photo


def dot_photo(height: int, width: int, y: int, x: int, radius: int = 6) -> np.ndarray:
    photo = np.zeros((height, width, 3), np.uint8)
    photo[y - radius : y + radius, x - radius : x + radius] = 255
    return photo


def centre_of_mass(values: np.ndarray) -> tuple[float, float]:
    ys, xs = np.mgrid[: values.shape[0], : values.shape[1]]
    total = values.sum()
    return float((ys * values).sum() / total), float((xs * values).sum() / total)


@pytest.mark.parametrize("fit", ["resize", "crop", "pad"])
@pytest.mark.parametrize("size", [(120, 200), (200, 120), (90, 90), (61, 97)])
def test_a_spot_comes_back_to_where_it_was(fit, size):
    height, width = size
    y, x = height // 2 - 7, width // 2 + 9
    photo = dot_photo(height, width, y, x)
    array, placement = fit_photo(photo, 96, 96, 3, fit)
    assert array.shape == (96, 96, 3)
    on_input = array[..., 0].astype(np.float32)
    if fit == "pad":
        on_input[on_input == 127] = 0
    back = placement.to_photo(on_input, height, width)
    if back.shape != (height, width):  # the whole photo: the renderer stretches the map
        cy, cx = centre_of_mass(back)
        cy, cx = (cy + 0.5) * height / 96 - 0.5, (cx + 0.5) * width / 96 - 0.5
    else:
        cy, cx = centre_of_mass(back)
    assert cy == pytest.approx(y - 0.5, abs=0.75)
    assert cx == pytest.approx(x - 0.5, abs=0.75)


def test_crop_leaves_the_unseen_part_of_the_map_at_zero():
    _, placement = fit_photo(np.zeros((50, 100, 3), np.uint8), 10, 10, 3, "crop")
    back = placement.to_photo(np.ones((10, 10), np.float32), 50, 100)
    assert (back[:, :25] == 0).all()
    assert (back[:, 75:] == 0).all()
    assert (back[:, 25:75] == 1).all()


def test_pad_keeps_the_proportions_and_fills_with_grey():
    array, _ = fit_photo(np.full((50, 100, 3), 255, np.uint8), 40, 40, 3, "pad")
    assert (array[:10] == 127).all()
    assert (array[30:] == 127).all()
    assert (array[10:30] == 255).all()


def test_channels():
    photo = np.full((8, 8, 3), (255, 0, 0), np.uint8)
    assert fit_photo(photo, 4, 4, 1)[0].tolist() == [[[76]] * 4] * 4  # ITU-R 601 luminance
    assert fit_photo(photo, 4, 4, 4)[0][0, 0].tolist() == [255, 0, 0, 255]
    with pytest.raises(InputError, match="7 channels"):
        fit_photo(photo, 4, 4, 7)
