"""What the phases of an optimisation of pictures share: targets and results."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kvis_cli.engines.activation_maximization.engine import ActivationMaximizer
from kvis_cli.engines.activation_maximization.history import Maximized
from kvis_cli.engines.activation_maximization.objectives import Goal
from kvis_cli.explanation import Target


@dataclass(frozen=True)
class Wanted:
    """One picture: what it is for, and which run it is."""

    target: Target
    goal: Goal
    run: int

    @property
    def key(self) -> tuple[int, ...]:
        """What tells its random numbers from those of others."""
        return (self.run, *(index for index, _ in self.goal.units))


@dataclass(frozen=True)
class Found:
    """What the optimisation came to, before anything is written.

    Attributes
    ----------
    maximizer, results
        Of the last phase; of all phases.
    frames
        Per picture and phase, what its animation shows.
    """

    maximizer: ActivationMaximizer
    results: list[Maximized]
    frames: dict[tuple[int, int], list[np.ndarray]]

    @property
    def result(self) -> Maximized:
        """The results of the last phase."""
        return self.results[-1]

    def film(self, row: int) -> list[np.ndarray]:
        """Return the frames of a picture, phase after phase."""
        return [f for phase in range(len(self.results)) for f in self.frames[row, phase]]


@dataclass(frozen=True)
class Judged:
    """What the pictures are to the model once they are rounded to 8 bits.

    Attributes
    ----------
    scores
        ``(N,)``.
    probabilities
        Per picture those of its units; None where the outputs are none.
    warnings
        Per picture, those of the optimisation among them.
    """

    scores: np.ndarray
    probabilities: list[list[float]] | None
    warnings: list[tuple[str, ...]]
