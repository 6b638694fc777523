"""The bounds from which the weights decide, taken from trained networks.

`benchmarks.nets.calibration` prints and fits them; `benchmarks.preprocessing` tests them on other
networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kvis_cli.lazy import np


@dataclass(frozen=True)
class Bound:
    """From when moving statistics decide.

    Attributes
    ----------
    fit
        Largest divergence of the best hypothesis, in nats. Above it no hypothesis fits: these are
        not the inputs of the training, or no photos at all.
    ratio
        Smallest ratio of the second divergence to the first.
    floor
        Divergences below it are taken for equal, in nats.
    """

    fit: float
    ratio: float
    floor: float = 0.004


_GIVEN = Bound(0.12, 1.6)
_GENERATED = Bound(0.07, 4.0)
# Generated photos all have nearly the same mean and deviation: whether each picture was
# standardised by its own or all by the same, they tell less well.
_ALIKE = {"torch", "standardize"}
_GENERATED_ALIKE = Bound(0.07, 12.0)


def bound_of(photos: str, first_two: frozenset[str]) -> Bound:
    """Return the bound for the names of the two best hypotheses.

    Parameters
    ----------
    photos
        ``given`` or ``generated``.
    first_two
        Names of the best and the second hypothesis.

    Returns
    -------
    Bound
        The largest divergence that fits, and how far the second has to be behind.
    """
    if photos == "given":
        return _GIVEN
    return _GENERATED_ALIKE if first_two == _ALIKE else _GENERATED


LEAST_LIKELIHOOD = 0.75
"""Smallest likelihood of the best hypothesis from which responses to the user's photos decide.

Responses to generated photos decide nothing: they were right in 4 of 10 cases.
"""

# A multinomial logistic regression over the hypotheses, fitted by `benchmarks.nets.calibration`:
# mean and deviation of each sign, and its weight.
_SIGNS = (
    # mean, deviation, weight
    (0.9795, 1.066, -0.9799),  # spread
    (2.096, 3.26, -1.562),  # spread squared
    (0.8456, 1.159, -0.6822),  # change
    (2.059, 3.193, -1.572),  # change squared
    (0.2326, 0.3018, -1.385),  # entropy
    (0.5845, 0.3591, 2.418),  # information
    (0.1861, 0.2343, -1.485),  # flipped
    (0.04504, 0.08254, -0.8736),  # dead
    (0.01546, 0.03752, -1.004),  # always
    (0.1492, 0.282, -0.08505),  # saturated
    (-1.297, 1.21, 1.832),  # bias
    (-0.291, 0.328, 2.648),  # information, less the largest
)


def signs(values: Sequence[Sequence[float]]) -> np.ndarray:
    """Return what the likelihood is made of, ``(hypotheses, signs)``.

    Parameters
    ----------
    values
        `Responses.values` under each hypothesis.

    Returns
    -------
    numpy.ndarray
        float64 ``(hypotheses, signs)``.
    """
    table = np.asarray(values, np.float64)
    spread, change, entropy, information, flipped, dead, always, saturated, bias = table.T
    return np.stack(
        [
            spread,
            spread**2,
            change,
            change**2,
            entropy,
            information,
            flipped,
            dead,
            always,
            saturated,
            bias,
            information - information.max(),
        ],
        1,
    )


def likelihoods(values: Sequence[Sequence[float]]) -> list[float]:
    """Return the likelihood of each hypothesis, 0 to 1, from the responses under it.

    Parameters
    ----------
    values
        `Responses.values` under each hypothesis.

    Returns
    -------
    list of float
        One per hypothesis; they add up to 1.
    """
    mean, deviation, weight = np.asarray(_SIGNS).T
    scores = (signs(values) - mean) / deviation @ weight
    made = np.exp(scores - scores.max())
    return [float(p) for p in made / made.sum()]
