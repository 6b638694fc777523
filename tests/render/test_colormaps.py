import numpy as np
import pytest

from kvis_cli.errors import UnknownNameError
from kvis_cli.render import colormaps

# Colours of the published palettes at 0, 1/4, 1/2, 3/4 and 1.
PUBLISHED = {
    "viridis": ["440154", "3b528b", "21918c", "5ec962", "fde725"],
    "inferno": ["000004", "57106e", "bc3754", "f98e09", "fcffa4"],
    "magma": ["000004", "51127c", "b73779", "fc8961", "fcfdbf"],
    "turbo": ["30123b", "28bbec", "a2fc3c", "fb8022", "7a0403"],
    "jet": ["000080", "0080ff", "80ff80", "ff8000", "800000"],
    "gray": ["000000", "404040", "808080", "bfbfbf", "ffffff"],
    "hot": ["000000", "ab0000", "ff5500", "ffff00", "ffffff"],
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_palette_passes_through_its_published_colours(name):
    table = colormaps.lut(name).astype(int)
    for position, colour in zip((0, 64, 128, 191, 255), PUBLISHED[name], strict=True):
        difference = np.abs(table[position] - list(bytes.fromhex(colour))).max()
        assert difference <= 4, (position, table[position], colour)


@pytest.mark.parametrize("name", ["viridis", "inferno", "magma", "hot", "gray"])
def test_lightness_only_rises(name):
    lightness = colormaps.lut(name).astype(float) @ [0.299, 0.587, 0.114]
    assert np.diff(lightness).min() > -0.6  # rounding to 8 bits


@pytest.mark.parametrize("name", ["coolwarm", "rdbu"])
def test_diverging_middle_is_neutral_and_sides_have_their_hue(name):
    table = colormaps.lut(name).astype(int)
    assert colormaps.is_diverging(name)
    assert (table[127] == table[128]).all()
    assert np.ptp(table[127]) == 0
    assert (table[:100, 2] > table[:100, 0]).all()
    assert (table[156:, 0] > table[156:, 2]).all()


def test_every_palette_is_smooth_and_read_only():
    for name in colormaps.names():
        table = colormaps.lut(name)
        assert table.shape == (256, 3)
        assert table.dtype == np.uint8
        assert np.abs(np.diff(table.astype(int), axis=0)).max() <= 12, name
        with pytest.raises(ValueError, match="read-only"):
            table[0, 0] = 1


def test_colorize_looks_values_up_and_clips():
    values = np.array([[-1.0, 0.0, 0.5], [0.25, 1.0, 7.0]])
    index = np.array([[0, 0, 128], [64, 255, 255]])
    for name in colormaps.names():
        np.testing.assert_array_equal(
            colormaps.colorize(values, name), colormaps.lut(name)[index], err_msg=name
        )


def test_unknown_palette_names_the_close_one():
    with pytest.raises(UnknownNameError, match=r"colormap 'virdis'.*'viridis'"):
        colormaps.lut("virdis")
