"""The protocol of tasks, and what tasks on inputs share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any, Protocol

import numpy as np

from kvis_cli.events import Listener
from kvis_cli.explanation import Explanation, Target
from kvis_cli.models.description.targets import Request, parse_classes
from kvis_cli.models.live.open import OpenModel
from kvis_cli.render.scale import MapKind, blank_reason
from kvis_cli.tasks.cam_targets import Filters


@dataclass(frozen=True)
class Answer:
    """The results for one input; of a task without inputs, for one layer or all pictures.

    Attributes
    ----------
    explanations
        In the order in which they are shown.
    output
        float32 ``(units,)``: the model's own output for the input; None without an input.
    """

    explanations: list[Explanation]
    output: np.ndarray | None = None


class ModelTask(Protocol):
    """One task of a job on one model, compiled once.

    Attributes
    ----------
    notes
        Choices made on the user's behalf. Some are known only after the first answer.
    """

    notes: list[str]

    def explain(self, inputs: np.ndarray | None, listener: Listener) -> Iterator[Answer]:
        """Answer for each of the model inputs ``(B, …)``, or for the model alone.

        Parameters
        ----------
        inputs
            None for a task that needs no images.
        listener
            Called with the progress.

        Returns
        -------
        Iterator of Answer
            One per input, or those of the model, each as soon as it is computed.
        """
        ...


class InputTask:
    """Targets of a task on inputs: classes of the head, or filters of a layer.

    Parameters
    ----------
    opened
        The model.
    task
        A spec with classes and a contrast.
    filters
        What is explained instead of classes, or None.

    Attributes
    ----------
    units
        How many units there are to choose from.
    requests
        What is explained of each input.
    """

    opened: OpenModel
    filters: Filters | None
    units: int
    requests: list[Request]

    def __init__(self, opened: OpenModel, task: Any, filters: Filters | None) -> None:
        self.opened = opened
        self.head = opened.head
        self.notes: list[str] = []
        self.filters = filters
        self.region = task.region
        if filters:
            self.units = filters.channels
            self.requests = [Request(((index, 1.0),)) for index in filters.indices]
        else:
            self.units = self.head.units
            self.retarget(task)

    def retarget(self, task: Any) -> None:
        """Explain the classes of `task` from now on; nothing is compiled again.

        Parameters
        ----------
        task
            A spec that differs in its classes alone.

        Raises
        ------
        UsageError
            For a class that the model does not have.
        """
        # Filters are explained whatever the class.
        if not self.filters:
            self.requests = parse_classes(task.class_, self.head, task.contrast)

    def probability(self, output: np.ndarray, units: tuple[tuple[int, float], ...]) -> float | None:
        """Return the model's own output for a target; None where that is no probability."""
        # Outputs are means over all positions, which says nothing of a region.
        whole = self.filters or self.region or not self.head.has_classes
        return None if whole else probability(self.opened, output, units)

    def target(self, units: tuple[tuple[int, float], ...], request: Request) -> Target:
        """Return the `Target` of a request whose ranks are resolved to `units`."""
        if self.filters:
            return self.filters.target(units)
        target = self.head.target(units, request.units)
        if self.region:
            where = PurePath(self.region).name
            return replace(target, label=f"{target.label} ({where})")
        return target


def resolved_units(weights: np.ndarray) -> tuple[tuple[int, float], ...]:
    """Return the units that a target's weights are made of, ranks resolved.

    What is subtracted last.
    """
    units = [(int(i), float(weights[i])) for i in np.flatnonzero(weights)]
    return tuple(sorted(units, key=lambda unit: unit[1] < 0))


ITS_OWN_CONTRAST = "the class is its own contrast: their difference is always zero"


def map_warnings(raw: np.ndarray, kind: MapKind = "heatmap") -> tuple[str, ...]:
    """Return what the user must know about a raw map: that there is nothing in it."""
    reason = blank_reason(raw, kind)
    return (reason,) if reason else ()


def probability(
    opened: OpenModel, output: np.ndarray, units: tuple[tuple[int, float], ...]
) -> float | None:
    """Return the model's output for a target of one unit; None where it is not a probability."""
    if len(units) != 1 or opened.info.final_activation() not in ("softmax", "sigmoid"):
        return None
    index, weight = units[0]
    return float(output[index]) if weight > 0 else float(1 - output[index])
