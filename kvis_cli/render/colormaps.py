"""Named palettes as 256-entry tables, built from a few control colours each."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from kvis_cli import plugins
from kvis_cli.errors import UnknownNameError
from kvis_cli.lazy import np

if TYPE_CHECKING:
    from PIL import Image

# Control colours, evenly spaced from 0 to 1. viridis, inferno and magma are by Smith and van der
# Walt (2015), turbo by Mikhailov (2019), coolwarm by Moreland (2009), RdBu by Brewer (2003).
_SEQUENTIAL = {
    "viridis": "440154 482576 414487 35608d 2a788e 21918c 22a884 44bf70 7ad151 bddf26 fde725",
    "inferno": "000004 160b39 420a68 6a176e 932667 bc3754 dd513a f37819 fca50a f6d746 fcffa4",
    "magma": "000004 140e36 3b0f70 641a80 8c2981 b73779 de4968 f7705c fe9f6d fecf92 fcfdbf",
    "turbo": "30123b 4454c4 4490fe 1fc8de 29efa2 7dff56 c1f334 f1ca3a fe922a ea4f0d be2102 7a0403",
}
_DIVERGING = {
    "coolwarm": "3b4cc0 6282ea 8db0fe b8d0f9 dddddd f5c4ad f49a7b de604d b40426",
    "rdbu": "053061 2166ac 4393c3 92c5de d1e5f0 f7f7f7 fddbc7 f4a582 d6604d b2182b 67001f",
}

DEFAULT_SEQUENTIAL = "jet"
DEFAULT_DIVERGING = "coolwarm"


def _controls(hexes: str) -> np.ndarray:
    return np.array([list(bytes.fromhex(entry)) for entry in hexes.split()], dtype=np.float64)


def _spline(controls: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Catmull-Rom interpolation of evenly spaced `controls` (N, 3) at positions `at` in [0, 1]."""
    last = len(controls) - 1
    start = np.minimum((at * last).astype(int), last - 1)
    t = (at * last - start)[:, None]
    padded = np.vstack([2 * controls[0] - controls[1], controls, 2 * controls[-1] - controls[-2]])
    before, left, right, after = (padded[start + k] for k in range(4))
    slope_left, slope_right = (right - before) / 2, (after - left) / 2
    return (
        (2 * t**3 - 3 * t**2 + 1) * left
        + (t**3 - 2 * t**2 + t) * slope_left
        + (3 * t**2 - 2 * t**3) * right
        + (t**3 - t**2) * slope_right
    )


def _jet(x: np.ndarray) -> np.ndarray:
    return 255 * np.stack([1.5 - np.abs(4 * x - peak) for peak in (3, 2, 1)], axis=1).clip(0, 1)


def _hot(x: np.ndarray) -> np.ndarray:
    return 255 * np.stack([x / 0.375, x / 0.375 - 1, 4 * x - 3], axis=1).clip(0, 1)


def _gray(x: np.ndarray) -> np.ndarray:
    return 255 * np.repeat(x[:, None], 3, axis=1)


_FORMULAS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "jet": _jet,
    "hot": _hot,
    "gray": _gray,
}


def names() -> list[str]:
    """All palettes: sequential ones, diverging ones, then those of other packages (sequential).

    Returns
    -------
    list of str
        What `lut` and ``--colormap`` take.

    Examples
    --------
    >>> names()[:3]
    ['jet', 'turbo', 'viridis']
    """
    own = ["jet", "turbo", "viridis", "inferno", "magma", "hot", "gray", *_DIVERGING]
    return own + [name for name in plugins.palette_names() if name not in own]


def is_diverging(name: str) -> bool:
    """Whether the palette has a neutral middle, as a map with a sign needs.

    Parameters
    ----------
    name
        One of `names()`.

    Returns
    -------
    bool
        False for sequential palettes.

    Examples
    --------
    >>> is_diverging("coolwarm"), is_diverging("jet")
    (True, False)
    """
    return name in _DIVERGING


@cache
def lut(name: str) -> np.ndarray:
    """Return the palette as a read-only uint8 table.

    Parameters
    ----------
    name
        One of `names()`. In diverging palettes blue is negative, red is positive, and both middle
        entries (127 and 128) are the neutral colour, so that a zero shows no tint.

    Returns
    -------
    numpy.ndarray
        uint8, shape ``(256, 3)``.

    Raises
    ------
    UnknownNameError
        For a name that is not among `names()`.

    Examples
    --------
    >>> lut("viridis").shape
    (256, 3)
    >>> lut("coolwarm")[127].tolist() == lut("coolwarm")[128].tolist()
    True
    """
    steps = np.arange(256)
    if name in _FORMULAS:
        table = _FORMULAS[name](steps / 255)
    elif name in _SEQUENTIAL:
        table = _spline(_controls(_SEQUENTIAL[name]), steps / 255)
    elif name in _DIVERGING:
        from_middle = np.sign(steps - 127.5) * (np.abs(steps - 127.5) - 0.5) / 127
        table = _spline(_controls(_DIVERGING[name]), 0.5 + from_middle / 2)
    elif (found := plugins.palette(name)) is not None:
        table = found
    else:
        raise UnknownNameError.of("colormap", name, names())
    result = np.rint(table.clip(0, 255)).astype(np.uint8)
    result.flags.writeable = False
    return result


def to_index(map01: np.ndarray) -> np.ndarray:
    """Table indices (uint8) of values in [0, 1]; values outside are clipped.

    Parameters
    ----------
    map01
        Any shape.

    Returns
    -------
    numpy.ndarray
        uint8 of its shape.

    Examples
    --------
    >>> to_index(np.array([-1.0, 0.0, 0.5, 1.0])).tolist()
    [0, 0, 128, 255]
    """
    return (np.clip(map01, 0, 1) * np.float32(255) + np.float32(0.5)).astype(np.uint8)


def colorize_index(index: np.ndarray, name: str) -> Image.Image:
    """Return an RGB picture of a uint8 index array of shape ``(H, W)``."""
    # Help lists the palettes, and needs no pictures.
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(index)).convert("L")
    image.putpalette(lut(name).tobytes())
    return image.convert("RGB")


def colorize(map01: np.ndarray, name: str = DEFAULT_SEQUENTIAL) -> np.ndarray:
    """Colours of a map.

    Parameters
    ----------
    map01
        Values in [0, 1], shape ``(H, W)``; values outside are clipped.
    name
        One of `names()`.

    Returns
    -------
    numpy.ndarray
        uint8 RGB, shape ``(H, W, 3)``.

    Examples
    --------
    >>> colorize(np.array([[0.0, 1.0]]), "gray").tolist()
    [[[0, 0, 0], [255, 255, 255]]]
    """
    return np.asarray(colorize_index(to_index(map01), name))
