"""Shares of cells against counting fine pixels."""

import numpy as np
import pytest
from PIL import Image

from kvis_cli.explanation import GridAxis, MapGrid
from kvis_cli.gate.regions import box_share, cell_edges, mask_share, photo_size, read_mask
from kvis_cli.images.fitting import Placement

PLACES = {
    "resize": Placement(0, 0, 60, 40),
    "crop": Placement(10, 0, 50, 40),
    "pad": Placement(0, -10, 60, 50),
}


def counted(shape, place, inside, factor=20):
    """The share of each cell by looking at many points of it."""
    found = np.zeros(shape)
    for y in range(shape[0]):
        for x in range(shape[1]):
            ys = (
                place.top
                + (y + (np.arange(factor) + 0.5) / factor) * (place.bottom - place.top) / shape[0]
            )
            xs = (
                place.left
                + (x + (np.arange(factor) + 0.5) / factor) * (place.right - place.left) / shape[1]
            )
            found[y, x] = np.mean([[inside(a, b) for b in xs] for a in ys])
    return found


@pytest.mark.parametrize("fit", PLACES)
def test_share_of_a_box(fit):
    place, box = PLACES[fit], (13.0, 7.0, 44.0, 29.5)
    made = box_share(*cell_edges((5, 7), place), box)

    def inside(y, x):
        return 7 <= y < 29.5 and 13 <= x < 44

    np.testing.assert_allclose(made, counted((5, 7), place, inside), atol=0.06)
    area = (place.right - place.left) * (place.bottom - place.top)
    width = min(44, place.right) - max(13, place.left)
    assert made.mean() == pytest.approx(22.5 * width / area)


@pytest.mark.parametrize("fit", PLACES)
@pytest.mark.parametrize("size", [(40, 60), (20, 15)])
def test_share_of_a_mask(fit, size):
    place = PLACES[fit]
    mask = np.random.default_rng(1).random(size) < 0.4
    made = mask_share(*cell_edges((5, 7), place), mask, (40, 60))

    def inside(y, x):
        if not (0 <= y < 40 and 0 <= x < 60):
            return False
        return mask[int(y * size[0] / 40), int(x * size[1] / 60)]

    np.testing.assert_allclose(made, counted((5, 7), place, inside), atol=0.08)


def test_cells_lie_where_the_layer_has_them():
    # Cells 2 and 6 of 8 input pixels, over a photo of 16.
    axis = GridAxis(cells=2, size=8, step=4, first=2, extent=3)
    stretched = cell_edges((2, 2), Placement(0, 0, 16, 16))
    placed = cell_edges((2, 2), Placement(0, 0, 16, 16), MapGrid((axis, axis), True, True))
    np.testing.assert_array_equal(placed, stretched)
    axis = GridAxis(cells=2, size=8, step=2, first=3, extent=3)
    rows, _ = cell_edges((2, 2), Placement(0, 0, 16, 16), MapGrid((axis, axis), True, True))
    np.testing.assert_array_equal(rows, [[4, 8], [8, 12]])
    np.testing.assert_array_equal(box_share(rows, rows, (0, 0, 6, 16)), [[0.5, 0], [0.5, 0]])


def test_size_of_a_photo_is_that_of_the_upright_one(tmp_path):
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[274] = 6
    Image.new("RGB", (30, 20)).save(path, exif=exif)
    assert photo_size(path, Placement(0, 0, 1, 1)) == (30, 20)
    (tmp_path / "array.npy").write_bytes(b"nothing")
    assert photo_size(tmp_path / "array.npy", Placement(0, 0, 7, 5)) == (5, 7)
    Image.fromarray(np.uint8([[0, 127], [128, 255]])).save(tmp_path / "mask.png")
    assert read_mask(tmp_path / "mask.png").tolist() == [[False, False], [True, True]]
