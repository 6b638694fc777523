"""Bounds that a good model keeps: what the spread between good models says of the next one.

Arrays and numbers alone. A model is judged by the share of its images that pass, so what is
calibrated is a model's `weakest` value: the largest threshold at which it would still pass.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

# Measures of which small is good.
SMALL_IS_GOOD = frozenset({"centroid"})
# Of Fisher's z what correlations of 1 become; 8-bit maps tell no more apart.
_LARGEST = 1 - 1e-4
_LEAST_RATIO = 0.01
_TINY = 1e-300


@dataclass(frozen=True)
class SpreadBound:
    """A threshold, and what it rests on.

    Attributes
    ----------
    limit
        The threshold, on the scale of the measure.
    models
        How many good models it was made of.
    mean, spread
        Of their weakest values after `to_normal`; `spread` is the standard deviation.
    alpha
        The chance that the next good model lies below it, assuming a normal spread between models;
        where `normal` is False, without an assumption.
    normal
        Whether it assumes a normal spread.
    """

    limit: float
    models: int
    mean: float
    spread: float
    alpha: float
    normal: bool

    @property
    def free(self) -> float:
        """What no rule can promise less than without an assumption: 1 / (k + 1)."""
        return 1 / (self.models + 1)


def student_quantile(p: float, degrees: float) -> float:
    """Return the quantile of Student's t distribution.

    By bisection of the distribution function, which is the regularised incomplete beta function
    ``I(ν / (ν + t²); ν/2, 1/2)``, computed by Lentz's method from its continued fraction.

    Parameters
    ----------
    p
        Probability, above 0 and below 1.
    degrees
        Degrees of freedom ν, above 0.

    Returns
    -------
    float
        t with P(T ≤ t) = p, to about 1e-10 of itself.
    """
    if not 0 < p < 1 or degrees <= 0:
        raise ValueError(f"There is no quantile {p} of {degrees} degrees of freedom.")
    if p == 0.5:
        return 0.0
    if p < 0.5:
        return -student_quantile(1 - p, degrees)
    upper = 1 - p

    def tail(t: float) -> float:
        return 0.5 * _beta_ratio(degrees / (degrees + t * t), degrees / 2, 0.5)

    low, high = 0.0, 1.0
    while tail(high) > upper:
        low, high = high, 2 * high
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if tail(middle) > upper:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _beta_ratio(x: float, a: float, b: float) -> float:
    """Regularised incomplete beta function ``I(x; a, b)``, 0 to 1."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    # The fraction converges fast on this side of the mean only.
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta_ratio(1 - x, b, a)
    front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    front += a * math.log(x) + b * math.log1p(-x)
    c, d = 1.0, 1 - (a + b) * x / (a + 1)
    d = 1 / (d if abs(d) > _TINY else _TINY)
    fraction = d
    for m in range(1, 500):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 + term * d
            c = 1 + term / c
            d = 1 / (d if abs(d) > _TINY else _TINY)
            c = c if abs(c) > _TINY else _TINY
            fraction *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return math.exp(front) * fraction / a


def prediction_bound(values: Sequence[float], alpha: float) -> float:
    """Return the one-sided prediction bound ``mean - t s √(1 + 1/k)``.

    The next value lies below it with the chance `alpha` where all come from one normal
    distribution.

    Parameters
    ----------
    values
        Two or more, k in all.
    alpha
        Above 0 and below 1; t is Student's quantile of 1 - alpha, k - 1 degrees of freedom.

    Returns
    -------
    float
        In the unit of the values.
    """
    k = len(values)
    if k < 2:
        raise ValueError("A spread takes two values or more.")
    mean, spread = _moments(values)
    return mean - student_quantile(1 - alpha, k - 1) * spread * math.sqrt(1 + 1 / k)


def to_normal(metric: str, value: float) -> float:
    """Return a value of a measure on a scale on which larger is better and the spread is even.

    Fisher's z, ``atanh r``, of correlations and SSIM; the same of shares (``iou``, ``energy``) and
    of one minus ``centroid`` after they are stretched over -1 to 1; the logarithm of
    ``enrichment``.
    """
    if metric == "enrichment":
        return math.log(max(value, _LEAST_RATIO))
    if metric in ("iou", "energy"):
        value = 2 * value - 1
    elif metric in SMALL_IS_GOOD:
        value = 1 - 2 * value
    return math.atanh(min(max(value, -_LARGEST), _LARGEST))


def from_normal(metric: str, value: float) -> float:
    """Return what `to_normal` was given."""
    if metric == "enrichment":
        return math.exp(value)
    r = math.tanh(value)
    if metric in ("iou", "energy"):
        return (1 + r) / 2
    return (1 - r) / 2 if metric in SMALL_IS_GOOD else r


def weakest(metric: str, values: Sequence[float | None], wanted: float) -> float | None:
    """Return the strictest threshold that the wanted share of a model's images passes.

    Parameters
    ----------
    metric
        The measure.
    values
        One per image that has a verdict; None for a map without a value, which passes nothing.
    wanted
        The share of images that has to pass, above 0 and at most 1.

    Returns
    -------
    float or None
        None where too many maps have no value, or there is no image.
    """
    numbers = sorted((v for v in values if v is not None), reverse=metric not in SMALL_IS_GOOD)
    needed = math.ceil(wanted * len(values) - 1e-9)
    return numbers[needed - 1] if 0 < needed <= len(numbers) else None


def bound_of(metric: str, values: Sequence[float], alpha: float) -> SpreadBound:
    """Return the threshold that good models say the next good one keeps.

    Where there are enough of them for `alpha`, 1/alpha - 1, it is the least of their values, which
    assumes nothing; else `prediction_bound` on the scale of `to_normal`.

    Parameters
    ----------
    metric
        The measure.
    values
        The weakest value of each good model, two or more.
    alpha
        The chance, above 0 and below 1, that the next good model lies below.

    Returns
    -------
    SpreadBound
        The threshold, and what it assumes.
    """
    k = len(values)
    normal = [to_normal(metric, value) for value in values]
    mean, spread = _moments(normal)
    if (k + 1) * alpha >= 1 - 1e-9:
        limit = (max if metric in SMALL_IS_GOOD else min)(values)
        return SpreadBound(limit, k, mean, spread, 1 / (k + 1), normal=False)
    limit = from_normal(metric, prediction_bound(normal, alpha))
    return SpreadBound(limit, k, mean, spread, alpha, normal=True)


def _moments(values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation, by k - 1."""
    mean = math.fsum(values) / len(values)
    return mean, math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1))
