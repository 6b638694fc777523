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
    """Three significant digits, as short as that allows.

    Parameters
    ----------
    value
        Any number.

    Returns
    -------
    str
        As in colour bars and captions.

    Examples
    --------
    >>> format_value(0.00012345), format_value(14.2)
    ('0.000123', '14.2')
    """
    return f"{value:.3g}"


def limit_of(raw: np.ndarray, kind: MapKind = "heatmap", percentile: float | None = None) -> float:
    """Return the raw value that takes the end of the palette, 0 where there is nothing to show.

    The largest value (``signed``: the largest magnitude) or, with `percentile` in (0, 100], that
    percentile of the values that are not zero: so a few extreme pixels do not hide the rest.

    Parameters
    ----------
    raw
        Any shape.
    kind
        ``heatmap``: the largest value above 0. ``signed``: the largest magnitude.
    percentile
        Above 0, at most 100; None for the largest.

    Returns
    -------
    float
        At least 0.

    Examples
    --------
    >>> raw = np.array([-3.0, 1.0, 2.0])
    >>> limit_of(raw), limit_of(raw, "signed")
    (2.0, 3.0)
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
    """One limit for many maps, so that equal colours are equal raw values.

    Parameters
    ----------
    maps
        Of any shapes.
    kind
        As for `limit_of`.
    percentile
        As for `limit_of`, of each map.

    Returns
    -------
    float
        The largest of their limits; 0 without maps.

    Examples
    --------
    >>> shared_limit([np.array([1.0]), np.array([4.0])])
    4.0
    """
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

    Examples
    --------
    >>> scale_map(np.array([-1.0, 0.0, 2.0])).values.tolist()
    [0.0, 0.0, 1.0]
    >>> scale_map(np.array([-1.0, 0.0, 2.0]), "signed").values.tolist()
    [0.25, 0.5, 1.0]
    >>> scale_map(np.zeros(3)).blank
    'all values are zero'
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
    """Why a map has nothing to show, in a few words; empty where it has.

    Parameters
    ----------
    raw
        Any shape.
    kind
        ``heatmap`` or ``signed``.

    Returns
    -------
    str
        Empty for a map with something to show.

    Examples
    --------
    >>> blank_reason(np.array([-1.0, 0.0])), blank_reason(np.array([-1.0, 0.0]), "signed")
    ('no positive values', '')
    """
    if raw.size == 0:
        return "empty map"
    if not np.isfinite(raw).all():
        return "values are not finite"
    if not raw.any():
        return "all values are zero"
    return "no positive values" if kind == "heatmap" and not (raw > 0).any() else ""


def _shown(raw: np.ndarray, kind: MapKind) -> np.ndarray:
    return np.abs(raw) if kind == "signed" else np.maximum(raw, 0)
