"""From raw map values to [0, 1] for display, without losing zero and without inventing contrast."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from kvis_cli.errors import UsageError

MapKind = Literal["heatmap", "signed"]
MAP_KINDS: tuple[MapKind, ...] = ("heatmap", "signed")


@dataclass(frozen=True)
class Scaled:
    """A map ready for colouring.

    Attributes
    ----------
    values
        float32 in [0, 1], the raw map's shape. Zero is 0 in a ``heatmap``, 0.5 if ``signed``.
    limit
        The raw value shown as 1; in a signed map ``-limit`` is shown as 0. 0 for a blank map.
    blank
        Why there is nothing to see; empty where there is something.
    """

    values: np.ndarray
    limit: float
    blank: str = ""


def format_value(value: float) -> str:
    """Three significant digits, as short as that allows."""
    return f"{value:.3g}"


def limit_of(raw: np.ndarray, kind: MapKind = "heatmap", percentile: float | None = None) -> float:
    """Return the raw value that takes the end of the palette, 0 where there is nothing to show.

    The largest value (``signed``: the largest magnitude) or, with `percentile` in (0, 100], that
    percentile of the values that are not zero: so a few extreme pixels do not hide the rest.
    """
    if percentile is not None and not 0 < percentile <= 100:
        raise UsageError(f"The percentile {percentile} is not between 0 and 100.")
    size = _shown(np.asarray(raw), kind)
    if size.size == 0 or not np.isfinite(size).all():
        return 0.0
    if percentile is None or not size.any():
        return float(size.max())
    return float(np.percentile(size[size > 0], percentile))


def shared_limit(
    maps: Iterable[np.ndarray], kind: MapKind = "heatmap", percentile: float | None = None
) -> float:
    """One limit for many maps, so that equal colours are equal raw values."""
    return max((limit_of(raw, kind, percentile) for raw in maps), default=0.0)


def scale_map(
    raw: np.ndarray,
    kind: MapKind = "heatmap",
    *,
    limit: float | None = None,
    percentile: float | None = None,
) -> Scaled:
    """Scale a raw map to [0, 1].

    Parameters
    ----------
    raw
        Any real values, any shape. ``heatmap``: negative values count as 0.
    kind
        ``heatmap`` divides by the limit; ``signed`` is symmetric about zero, which is exactly 0.5.
    limit
        A shared limit, positive; values beyond it are clipped. 0, the shared limit of blank maps,
        gives a blank map. By default the map's own.
    percentile
        For the map's own limit, see `limit_of`.

    Returns
    -------
    Scaled
        A map that is all zero or not finite comes back as zero with the reason in `blank`; nothing
        is ever divided by a stand-in for zero, so 1e-9·map shows exactly what map shows.
    """
    raw = np.asarray(raw)
    rest = np.float32(0.5 if kind == "signed" else 0)
    blank = blank_reason(raw, kind)
    if limit is None:
        limit = limit_of(raw, kind, percentile)
    elif not (np.isfinite(limit) and limit >= 0):
        raise UsageError(f"The scale limit {limit} is not a finite number of at least 0.")
    if blank or limit == 0:
        return Scaled(np.full(raw.shape, rest, np.float32), 0.0, blank or "all values are zero")
    # Float64: a float32 limit may be subnormal, where the quotient loses its digits.
    ratio = np.clip(raw / np.float64(limit), -1 if kind == "signed" else 0, 1)
    if kind == "signed":
        ratio = 0.5 + ratio / 2
    return Scaled(ratio.astype(np.float32), float(limit))


def blank_reason(raw: np.ndarray, kind: MapKind = "heatmap") -> str:
    """Why a map has nothing to show, in a few words; empty where it has."""
    if raw.size == 0:
        return "empty map"
    if not np.isfinite(raw).all():
        return "values are not finite"
    if not raw.any():
        return "all values are zero"
    return "no positive values" if kind == "heatmap" and not (raw > 0).any() else ""


def _shown(raw: np.ndarray, kind: MapKind) -> np.ndarray:
    return np.abs(raw) if kind == "signed" else np.maximum(raw, 0)
