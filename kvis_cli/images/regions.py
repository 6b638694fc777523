"""Which part of an output is explained: ``--region`` as weights of its positions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

from kvis_cli.errors import UsageError
from kvis_cli.images.photo import read_photo
from kvis_cli.lazy import np
from kvis_cli.paths import user_path
from kvis_cli.render.resize import resize_map

Weights = Callable[[tuple[int, ...]], "np.ndarray"]
"""From the sizes of an output's positions to how much of each, 0 to 1, lies in the region."""

PREDICTED: Final[Literal["predicted"]] = "predicted"
EVERYTHING = "all"


def parse_region(text: str, axes: int) -> Weights | None:
    """Read a region.

    Parameters
    ----------
    text
        ``predicted``, ``all``, a box ``LEFT,TOP,RIGHT,BOTTOM`` in shares 0 to 1 of the output
        (``FROM,TO`` of a sequence), or a picture file whose white is the region.
    axes
        How many axes of positions the output has: 1 of a sequence, 2 of a map, 3 of a volume.

    Returns
    -------
    callable or None
        Float32 weights ``(…)`` for an output of a size; None for ``predicted``, which depends on
        what the model says.

    Raises
    ------
    UsageError
        For a text that is no region of such an output, and a box outside of it.
    InputError
        For a picture that cannot be read.
    """
    word = text.strip().lower()
    if word == PREDICTED:
        return None
    if word == EVERYTHING:
        return lambda size: np.ones(size, np.float32)
    edges = _numbers(text)
    if edges is not None:
        if axes > 2 or len(edges) != 2 * axes:
            raise UsageError(f"'{text}' is not a region of this output.", *_example(axes))
        low, high = edges[:axes], edges[axes:]
        if not all(0 <= a < b <= 1 for a, b in zip(low, high, strict=True)):
            raise UsageError(f"The region {text} is not a box.", *_example(axes))
        # Left and top become rows and columns.
        return lambda size: _inside(low[::-1], high[::-1], size)
    path = user_path(text)
    if axes != 2 or not path.is_file():
        raise UsageError(f"'{text}' is not a region.", *_example(axes))
    white = read_photo(path).pixels.astype(np.float32).mean(axis=-1) / 255
    return lambda size: resize_map(white, (size[0], size[1]))


def _example(axes: int) -> tuple[str, str]:
    words = f"`{PREDICTED}` (where the model says it), `{EVERYTHING}`"
    if axes == 1:
        return (
            f"It is {words}, or FROM,TO in shares of the sequence, 0 to 1.",
            "The middle half: --region 0.25,0.75.",
        )
    if axes > 2:
        return f"Of a volume it is {words}.", f"Write --region {EVERYTHING}."
    return (
        f"It is {words}, LEFT,TOP,RIGHT,BOTTOM in shares of the picture, 0 to 1, or a picture "
        "file whose white is the region.",
        "The middle: --region 0.25,0.25,0.75,0.75.",
    )


def _numbers(text: str) -> list[float] | None:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        return None


def _inside(low: list[float], high: list[float], size: tuple[int, ...]) -> np.ndarray:
    """How much of each position lies in the box."""
    found = np.ones((), np.float32)
    for first, last, count in zip(low, high, size, strict=True):
        cells = np.arange(count)
        cover = np.minimum(cells + 1, last * count) - np.maximum(cells, first * count)
        found = np.multiply.outer(found, np.clip(cover, 0, 1))
    return np.asarray(found, np.float32)
