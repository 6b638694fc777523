"""Which input sizes, paddings and poolings leave the feature maps that a Dense layer takes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

# Sides of pictures that networks are trained on, those of teaching material first.
_SIDES = (
    28, 32, 150, 224, 64, 128, 48, 96, 100, 50, 256, 180, 160, 200, 120, 80, 40, 60, 75, 112, 192,
    227, 299, 300, 320, 350, 400, 416, 500, 512,
)  # fmt: skip
_MOST = 4


@dataclass(frozen=True)
class Fit:
    """One way to the feature maps.

    Attributes
    ----------
    side
        Of the square input, in pixels.
    padding
        ``"valid"`` or ``"same"``, of every convolution.
    pooled
        Numbers of the convolutions that a pooling to half the size follows.
    """

    side: int
    padding: str
    pooled: tuple[int, ...]

    def describe(self) -> str:
        """``150×150, padding 'valid', pooled 4 times``."""
        times = "time" if len(self.pooled) == 1 else "times"
        return f"{self.side}×{self.side}, '{self.padding}', pooled {len(self.pooled)} {times}"


def fitting_sizes(
    convolutions: Sequence[tuple[tuple[int, ...], int | None]], positions: int
) -> list[Fit]:
    """Return the ways to `positions` square positions that are usual, the likeliest first.

    Parameters
    ----------
    convolutions
        ``(kernel size, filters)`` of each; None for one that keeps its channels.
    positions
        That are left in the end.

    Returns
    -------
    list of Fit
        Empty where `positions` is not a square, or nothing fits.
    """
    side = math.isqrt(positions)
    if side * side != positions:
        return []
    found = []
    for pooled in _poolings([filters for _, filters in convolutions]):
        for padding in ("valid", "same"):
            for start in _SIDES:
                if _end(start, convolutions, padding, pooled) == side:
                    found.append(Fit(start, padding, pooled))
                    break
    unique = {(fit.side, fit.padding, fit.pooled): fit for fit in found}
    ranked = sorted(unique.values(), key=lambda fit: _SIDES.index(fit.side))
    return ranked[:_MOST]


def _poolings(filters: Sequence[int | None]) -> list[tuple[int, ...]]:
    """Return where the size may be halved: behind each, behind each block of a width, nowhere."""
    each = tuple(range(len(filters)))
    blocks = tuple(
        i for i in each if i + 1 == len(filters) or filters[i + 1] not in (filters[i], None)
    )
    return list(dict.fromkeys([each, blocks, each[:-1], each[1:], ()]))


def _end(
    side: int,
    convolutions: Sequence[tuple[tuple[int, ...], int | None]],
    padding: str,
    pooled: tuple[int, ...],
) -> int:
    for number, (kernel, _) in enumerate(convolutions):
        if padding == "valid":
            side -= kernel[0] - 1
        if number in pooled:
            side //= 2
        if side < 1:
            return 0
    return side
