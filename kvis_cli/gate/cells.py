"""Maps as a baseline keeps them: few cells of 8 bits, the same way for both sides."""

from __future__ import annotations

from dataclasses import dataclass

from kvis_cli.lazy import np
from kvis_cli.metrics import Undefined, area_average

MAX_SIDE = 28
_ZERO, _STEPS = 128, 127


@dataclass(frozen=True, eq=False)
class Cells:
    """A map in at most 28×28 cells of 8 bits, without its scale.

    Attributes
    ----------
    values
        uint8 ``(h, w)``. Of a heat map 0 is zero and 255 its largest value; of a signed one 128 is
        zero and 1 and 255 are its largest magnitude below and above it.
    signed
        Which of both.
    """

    values: np.ndarray
    signed: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return int(self.values.shape[0]), int(self.values.shape[1])

    def map(self) -> np.ndarray:
        """Return the map that the cells stand for: float64, 0 to 1 or, with a sign, -1 to 1."""
        if self.signed:
            return (self.values.astype(np.float64) - _ZERO) / _STEPS
        return self.values / 255.0

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Cells):
            return NotImplemented
        return self.signed == other.signed and np.array_equal(self.values, other.values)

    def __hash__(self) -> int:
        return hash((self.signed, self.values.tobytes()))


def to_cells(raw: np.ndarray, signed: bool) -> Cells | Undefined:
    """Return a map as a baseline keeps it.

    Parameters
    ----------
    raw
        ``(H, W)``, of any scale. Larger sides than 28 are averaged by area.
    signed
        Whether values below zero have a meaning; without it they count as zero.

    Returns
    -------
    Cells or Undefined
        All cells are zero of a blank map; `Undefined` for one that is not finite.
    """
    values = np.asarray(raw, np.float64)
    if not np.isfinite(values).all():
        return Undefined.NOT_FINITE
    if not signed:
        values = np.maximum(values, 0)
    values = area_average(values, (min(MAX_SIDE, values.shape[0]), min(MAX_SIDE, values.shape[1])))
    largest = np.abs(values).max()
    ratio = values / largest if largest > 0 else values
    steps = _ZERO + np.rint(_STEPS * ratio) if signed else np.rint(255 * ratio)
    return Cells(steps.astype(np.uint8), signed)


def settled(kept: Cells, new: Cells) -> tuple[np.ndarray, np.ndarray]:
    """Return two maps to be compared; where no cell differs by more than one step, the same map.

    Another processor, number of threads or build of TensorFlow moves cells by one step of the 8
    bits. What differs by more anywhere is compared as it is: to even out its small steps would make
    maps with a faint background more alike than they are.

    Parameters
    ----------
    kept
        From `to_cells`.
    new
        From `to_cells`.

    Returns
    -------
    kept, new
        float64 maps, of their own grids.
    """
    if kept.signed == new.signed and kept.shape == new.shape:
        moved = np.abs(kept.values.astype(int) - new.values.astype(int))
        if moved.max() <= 1:
            return kept.map(), kept.map()
    return kept.map(), new.map()
