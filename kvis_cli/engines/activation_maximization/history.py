"""Results of an optimisation, and how its losses went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from kvis_cli.engines.activation_maximization.losses import Weighted
from kvis_cli.errors import ResultError

UNCHANGED = "the picture is the one it started from: no step made it better"


@dataclass
class Maximized:
    """Result of an optimisation.

    Attributes
    ----------
    images
        float32 ``(N, …, C)`` in the unit range.
    scores
        float32 ``(N,)``: the activation of `images`, no input modifiers in between.
    history
        Per loss: float32 ``(steps, N)``, unweighted, as seen through the input modifiers; NaN
        after a picture has come to rest. ``total`` is the weighted sum.
    steps
        ``(N,)``: how many steps each picture took.
    warnings
        Per picture, what the user must know.
    unchanged
        bool ``(N,)``: which pictures are those they started from.
    """

    images: np.ndarray
    scores: np.ndarray
    history: dict[str, np.ndarray]
    steps: np.ndarray
    warnings: list[tuple[str, ...]] = field(default_factory=list)
    unchanged: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))

    @property
    def unmoved(self) -> np.ndarray:
        """``(N,)``: where nothing in the picture ever changed the activation: a dead unit."""
        return self.history["unmoved"][0] > 0


@dataclass(frozen=True)
class Part:
    """The results of one batch."""

    images: np.ndarray
    scores: np.ndarray
    history: np.ndarray
    rows: list[int]
    unchanged: np.ndarray | None = None


def joined(parts: list[Part], losses: Sequence[Weighted], steps: int) -> Maximized:
    """Put the batches of an optimisation together.

    Parameters
    ----------
    parts
        What each batch gave, in the order of the pictures.
    losses
        The terms of the objective.
    steps
        Steps that were asked for; pictures that came to rest before have NaN after.

    Returns
    -------
    Maximized
        Of all pictures, with the history ``(steps, N)`` of each term and of the total.

    Raises
    ------
    ResultError
        When a term is not finite for a start picture.
    """
    names = ["total", *(w.loss.name for w in losses)]
    rows = [row for part in parts for row in part.rows]
    values = np.full((steps, len(rows), len(names) + 2), np.nan, np.float32)
    first = 0
    for part in parts:
        values[: len(part.history), first : first + len(part.rows)] = part.history
        first += len(part.rows)
    went = values[..., -1] > 0
    taken = went.sum(axis=0)
    warnings = [_warnings(values[:, b], names, steps) for b in range(len(rows))]
    values[~went & np.isfinite(values[..., 0])] = np.nan
    objectives = [i for i, w in enumerate(losses, 1) if w.loss.is_objective] or [0]
    aimed = values[:, :, objectives].sum(axis=-1)
    with np.errstate(invalid="ignore"):
        unmoved = (taken > 1) & (np.nan_to_num(aimed - aimed[:1]) == 0).all(axis=0)
    history = {name: values[..., i] for i, name in enumerate(names)}
    history["unmoved"] = unmoved[np.newaxis].astype(np.float32)
    return Maximized(
        np.concatenate([p.images for p in parts]),
        np.concatenate([p.scores for p in parts]),
        history,
        taken,
        warnings,
        np.concatenate([p.unchanged for p in parts if p.unchanged is not None]),
    )


def _warnings(values: np.ndarray, names: list[str], steps: int) -> tuple[str, ...]:
    """`values` is ``(steps, terms + 2)``: the terms, then whether all was finite, and moved."""
    broken = np.flatnonzero(values[:, -2] == 0)
    if not len(broken):
        return ()
    step = int(broken[0])
    bad = [
        n
        for n, v in zip(names[1:], values[step, 1 : len(names)], strict=True)
        if not np.isfinite(v)
    ]
    term = f"the term '{bad[0]}'" if bad else "the gradient"
    if step == 0:
        raise ResultError(
            f"The optimisation cannot begin: {term} is not finite for the start picture.",
            "The model gives NaN or infinity for it.",
            "Look at the model's outputs with `kvis cam`; try another --seed or --preset.",
        )
    return (
        f"{term} stopped being finite at step {step + 1} of {steps}; "
        "the picture is the last finite one",
    )
