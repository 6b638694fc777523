"""What decides: whether the share of images that pass is significantly below the wanted one.

A share of 0.95 taken as a bare threshold fails a good model in 23 to 46 % of runs where each of its
images fails in 5 %. So it is a test: the hypothesis is that images pass with at least the wanted
probability, and a check fails when what was seen is too unlikely under it. All tests of a run are
corrected together, so that its chance to fail a model for which all hypotheses hold is at most
alpha.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

ALPHA = 0.05
# Rounding of shares as 0.95, of which 20 images are just enough.
_ROUNDING = 1e-9


class Verdict(Enum):
    """What became of a check on one class of one model."""

    PASSED = "passed"
    FAILED = "failed"
    TOO_FEW = "too few images"
    NOT_EVALUATED = "not evaluated"


@dataclass(frozen=True)
class Tally:
    """How many images passed a check.

    Attributes
    ----------
    passed, images
        Of the images that have a verdict.
    wanted
        The share, above 0 and at most 1, that is to pass. At 1 every single one has to.
    """

    passed: int
    images: int
    wanted: float

    def __post_init__(self) -> None:
        if not 0 <= self.passed <= self.images or not 0 < self.wanted <= 1:
            raise ValueError(f"This is no tally: {self}.")

    @property
    def p_value(self) -> float:
        """The chance that at most so many pass where each does with probability `wanted`."""
        return binomial_tail(self.passed, self.images, self.wanted)

    @property
    def too_few(self) -> bool:
        """Whether one image more or less is a larger step than the share that may fail.

        It takes 1 / (1 - wanted) images to show a share: 20 for 0.95.
        """
        return self.wanted < 1 and self.images * (1 - self.wanted) < 1 - _ROUNDING


@dataclass(frozen=True)
class Decision:
    """The verdict on a tally among all tallies of a run.

    Attributes
    ----------
    tally
        What was seen.
    p_value
        Uncorrected; 1 where there is no image.
    corrected
        By Holm's procedure over the run.
    verdict
        `Verdict.FAILED` where `corrected` is at most alpha.
    """

    tally: Tally
    p_value: float
    corrected: float
    verdict: Verdict

    def __str__(self) -> str:
        t = self.tally
        wanted = f"{100 * t.wanted:.4g} %"
        if self.verdict is Verdict.NOT_EVALUATED:
            return "not evaluated: no image has a verdict"
        seen = f"{t.passed} of {t.images} pass, {wanted} wanted"
        if self.verdict is Verdict.TOO_FEW:
            return f"{seen}: too few images: {t.images} cannot show {wanted}"
        word = "fails" if self.verdict is Verdict.FAILED else "passes"
        corrected = f", corrected {_p(self.corrected)}" if self.corrected != self.p_value else ""
        return f"{seen}: {word} (p {_p(self.p_value)}{corrected})"


def binomial_tail(passed: int, images: int, wanted: float) -> float:
    """Return P(X ≤ passed) of a binomial X: ``Σ C(n, i) wⁱ (1 - w)ⁿ⁻ⁱ`` over i ≤ passed.

    Parameters
    ----------
    passed
        How many succeeded, 0 to `images`.
    images
        How many were tried, n.
    wanted
        The probability w of each, 0 to 1.

    Returns
    -------
    float
        0 to 1, exact to about 1e-10 of itself.
    """
    if passed >= images:
        return 1.0
    if wanted >= 1:
        return 0.0
    if wanted <= 0:
        return 1.0
    log_wanted, log_other = math.log(wanted), math.log1p(-wanted)
    log_n = math.lgamma(images + 1)

    def term(i: int) -> float:
        ways = log_n - math.lgamma(i + 1) - math.lgamma(images - i + 1)
        return ways + i * log_wanted + (images - i) * log_other

    return min(1.0, math.fsum(math.exp(term(i)) for i in range(passed + 1)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values corrected for their number: Holm 1979, Scand. J. Statist. 6, 65-70.

    Of m values in ascending order the j-th becomes the largest of min(1, (m - i + 1) pᵢ), i ≤ j. To
    reject what is at most alpha then keeps the chance of any false rejection at alpha, whatever
    depends on what.

    Parameters
    ----------
    p_values
        In any order, 0 to 1.

    Returns
    -------
    list of float
        In the same order, 0 to 1.
    """
    count = len(p_values)
    corrected, largest = [0.0] * count, 0.0
    for rank, index in enumerate(sorted(range(count), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (count - rank) * p_values[index]))
        corrected[index] = largest
    return corrected


def decide(tallies: Sequence[Tally], alpha: float = ALPHA) -> list[Decision]:
    """Return the verdicts on all tallies of a run: of all its checks, classes and models.

    Parameters
    ----------
    tallies
        In any order. One without images is not evaluated and corrects nothing.
    alpha
        The chance, above 0 and below 1, that a run fails though every hypothesis holds.

    Returns
    -------
    list of Decision
        In the same order. What significantly fails has failed, however few its images are.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha {alpha} is not between 0 and 1.")
    tested = [i for i, tally in enumerate(tallies) if tally.images]
    p_values = [tallies[i].p_value for i in tested]
    corrected = dict(zip(tested, holm(p_values), strict=True))
    found = []
    for i, tally in enumerate(tallies):
        if i not in corrected:
            found.append(Decision(tally, 1.0, 1.0, Verdict.NOT_EVALUATED))
            continue
        if corrected[i] <= alpha:
            verdict = Verdict.FAILED
        else:
            verdict = Verdict.TOO_FEW if tally.too_few else Verdict.PASSED
        found.append(Decision(tally, tally.p_value, corrected[i], verdict))
    return found


def _p(value: float) -> str:
    """``= .64``, or ``< .001``."""
    if value < 0.001:
        return "< .001"
    return "= 1" if value > 0.995 else f"= {value:.2g}".replace("0.", ".", 1)
