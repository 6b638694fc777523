"""Which preprocessing the weights of a model speak for."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal

from kvis_cli.errors import ModelError
from kvis_cli.lazy import np
from kvis_cli.models.description.evidence.bounds import (
    LEAST_LIKELIHOOD,
    bound_of,
    likelihoods,
)
from kvis_cli.models.description.evidence.forward import NotKnown
from kvis_cli.models.description.evidence.hypotheses import as_grey, central, hypotheses
from kvis_cli.models.description.evidence.moving_statistics import divergence
from kvis_cli.models.description.evidence.photos import generated_photos
from kvis_cli.models.description.evidence.reading import first_normalisation, size_needed
from kvis_cli.models.description.evidence.responses import responses
from kvis_cli.models.description.evidence.weights import ReadWeights
from kvis_cli.models.description.preprocessing import Preprocessing
from kvis_cli.models.graph.architecture import Architecture

LEAST_PHOTOS = 8
GENERATED = 12

Weights = Callable[[], AbstractContextManager[ReadWeights]]
Photos = Literal["given", "generated"]
Arrange = Callable[["np.ndarray"], "np.ndarray"]


@dataclass(frozen=True)
class HypothesisFit:
    """How well one hypothesis fits.

    Attributes
    ----------
    preprocessing
        The hypothesis.
    divergence
        From the statistics of a normalisation, in nats, 0 for a perfect fit; None where there is
        none.
    likelihood
        Among all hypotheses, 0 to 1.
    """

    preprocessing: Preprocessing
    divergence: float | None
    likelihood: float


@dataclass(frozen=True)
class Evidence:
    """What the weights say.

    Attributes
    ----------
    layer
        The normalisation that it comes from; empty where it comes from the responses of the units
        and outputs.
    photos
        Whether the user's photos or generated ones were looked at.
    fits
        All hypotheses, the best first.
    decided
        Whether it is enough to choose the first.
    colour
        Whether the model takes colours, whose order these statistics do not tell.
    """

    layer: str
    photos: Photos
    fits: tuple[HypothesisFit, ...]
    decided: bool
    colour: bool = True

    @property
    def best(self) -> HypothesisFit:
        """The likeliest hypothesis."""
        return self.fits[0]

    def speaks_against(self, used: Preprocessing) -> bool:
        """Whether it shows that a model is not fed right by `used`.

        Only moving statistics do: they have a scale of their own.
        """
        mine = next((fit for fit in self.fits if same_scale(fit.preprocessing, used)), None)
        if mine is None or mine.divergence is None or self.best.divergence is None:
            return False
        return (
            self.decided
            and mine is not self.best
            and mine.divergence > max(AGAINST, 5 * self.best.divergence)
        )


# Below, a preprocessing is still one that the model can have been trained with.
AGAINST = 0.3


def same_scale(a: Preprocessing, b: Preprocessing) -> bool:
    """Whether two preprocessings differ in the order of colours at most."""
    return (a.mean, a.std, a.per_image) == (b.mean, b.std, b.per_image)


def weigh(
    architecture: Architecture,
    weights: Weights,
    size: tuple[int, int, int],
    *,
    photos: Callable[[], np.ndarray | None] = lambda: None,
    others: tuple[Preprocessing, ...] = (),
    arrange: Arrange = lambda x: x,
) -> Evidence | None:
    """Try every preprocessing that is usual on photos.

    Parameters
    ----------
    architecture
        The model; channels last.
    weights
        Opens its weights.
    size
        Height, width and channels of its input.
    photos
        Gives photos of the user's own at that size, uint8 ``(N, H, W, C)``. Fewer than eight say
        too little, and generated ones are looked at.
    others
        Preprocessings to try beside the usual ones.
    arrange
        From pictures to the model's inputs, where these have another shape.

    Returns
    -------
    Evidence or None
        None where the model has more than one input, its first layers are not known here, or no
        picture goes into it.
    """
    usual = hypotheses(size[2])
    if not usual or len(architecture.inputs) != 1:
        return None
    tried = [*usual, *(o for o in others if not any(same_scale(o, u) for u in usual))]
    try:
        with weights() as read:
            found = []
            given = photos()
            if given is not None and len(given) >= LEAST_PHOTOS:
                found.append(_weighed(architecture, read, tried, size, given, arrange))
            if not any(e is not None and e.decided for e in found):
                found.append(_weighed(architecture, read, tried, size, None, arrange))
    except (NotKnown, ModelError):
        return None
    known = [e for e in found if e is not None]
    return min(known, key=_doubt, default=None)


def _doubt(evidence: Evidence) -> tuple[bool, float]:
    best = evidence.best
    return not evidence.decided, (
        1 - best.likelihood if best.divergence is None else best.divergence
    )


def _weighed(
    architecture: Architecture,
    read: ReadWeights,
    tried: list[Preprocessing],
    size: tuple[int, int, int],
    given: np.ndarray | None,
    arrange: Arrange,
) -> Evidence | None:
    kind: Photos = "generated" if given is None else "given"
    normalisation = first_normalisation(architecture)
    if normalisation is not None:
        height, width = size_needed(architecture, normalisation, *size[:2])
        photos = _photos(given, height, width, size[2])
        divergences = [
            divergence(architecture, normalisation, arrange(h.apply(photos)), read) for h in tried
        ]
        if None not in divergences:
            return _of_statistics(
                normalisation.path, kind, tried, [d or 0.0 for d in divergences], size[2] == 3
            )
    if given is None:
        return None
    photos = _photos(given, *size)
    answers = [responses(architecture, h.apply(photos), read, arrange) for h in tried]
    if None in answers:
        return None
    chances = likelihoods([a.values() for a in answers if a is not None])
    fits = [HypothesisFit(h, None, chance) for h, chance in zip(tried, chances, strict=True)]
    fits.sort(key=lambda fit: -fit.likelihood)
    return Evidence("", kind, tuple(fits), fits[0].likelihood >= LEAST_LIKELIHOOD, size[2] == 3)


def _photos(given: np.ndarray | None, height: int, width: int, channels: int) -> np.ndarray:
    if given is not None:
        return central(given, height, width)
    made = generated_photos(GENERATED, height, width)
    return as_grey(made) if channels == 1 else made


def _of_statistics(
    layer: str,
    kind: Photos,
    tried: list[Preprocessing],
    divergences: list[float],
    colour: bool,
) -> Evidence:
    # Between hypotheses that differ by less than the fit itself is off, nothing is decided.
    scale = [math.exp(-min(d / 0.05, 700)) for d in divergences]
    total = sum(scale) or 1.0
    fits = [
        HypothesisFit(h, d, s / total) for h, d, s in zip(tried, divergences, scale, strict=True)
    ]
    fits.sort(key=lambda fit: fit.divergence or 0.0)
    best, second = (fit.divergence or 0.0 for fit in fits[:2])
    names = frozenset(fit.preprocessing.name for fit in fits[:2])
    bound = bound_of(kind, names)
    decided = best <= bound.fit and second >= bound.ratio * max(best, bound.floor)
    return Evidence(layer, kind, tuple(fits), decided, colour)
