"""What the runner asks of a task that explains inputs, and what such tasks share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from kvis_cli.explanation import Explanation
from kvis_cli.models.description.targets import parse_classes
from kvis_cli.models.live.open import OpenModel
from kvis_cli.render.scale import MapKind, blank_reason


@dataclass(frozen=True)
class Explained:
    """A batch, explained.

    Attributes
    ----------
    outputs
        float32 ``(B, units)``: the model's own output.
    explanations
        One list per input, in the order in which they are shown.
    """

    outputs: np.ndarray
    explanations: list[list[Explanation]]


class Explainer(Protocol):
    """Explains batches of one model.

    Attributes
    ----------
    notes
        What was chosen on the user's behalf, for people.
    """

    notes: list[str]

    def __call__(self, inputs: np.ndarray) -> Explained:
        """Explain model inputs ``(B, …)``."""
        ...


def retarget(explainer: Explainer, task: Any) -> None:
    """Let a compiled explainer explain the classes of `task`, which may differ from its own.

    Raises
    ------
    UsageError
        For a class that the model has not.
    """
    # Filters are explained whatever the class.
    if getattr(explainer, "requests", None) and not getattr(explainer, "filters", None):
        explainer.requests = parse_classes(  # type: ignore[attr-defined]
            task.class_,
            explainer.head,  # type: ignore[attr-defined]
            task.contrast,
        )


def resolved_units(weights: np.ndarray) -> tuple[tuple[int, float], ...]:
    """The units that a target's weights are made of, ranks resolved; what is subtracted last."""
    units = [(int(i), float(weights[i])) for i in np.flatnonzero(weights)]
    return tuple(sorted(units, key=lambda unit: unit[1] < 0))


ITS_OWN_CONTRAST = "the class is its own contrast: their difference is always zero"


def map_warnings(raw: np.ndarray, kind: MapKind = "heatmap") -> tuple[str, ...]:
    """What a person must know about a raw map: that there is nothing in it."""
    reason = blank_reason(raw, kind)
    return (reason,) if reason else ()


def probability(
    opened: OpenModel, output: np.ndarray, units: tuple[tuple[int, float], ...]
) -> float | None:
    """The model's own output for a target of one unit; None where that is no probability."""
    if len(units) != 1 or opened.card.final_activation() not in ("softmax", "sigmoid"):
        return None
    index, weight = units[0]
    return float(output[index]) if weight > 0 else float(1 - output[index])
