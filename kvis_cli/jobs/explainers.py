"""From a task of the spec to something that explains batches of inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from kvis_cli.engines.cam import CamEngine
from kvis_cli.engines.cam_methods import CAM_METHODS
from kvis_cli.errors import UnknownNameError
from kvis_cli.explanation import Explanation
from kvis_cli.models.opening import OpenModel
from kvis_cli.models.reading import Tap
from kvis_cli.models.targets import encode, parse_classes
from kvis_cli.render.scale import blank_reason
from kvis_cli.spec.job import CamSpec


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


class CamExplainer:
    """`kvis cam`: every layer × method × class of one task."""

    def __init__(self, opened: OpenModel, task: CamSpec) -> None:
        for name in task.method:
            if name not in CAM_METHODS:
                raise UnknownNameError.of("CAM method", name, CAM_METHODS)
        self.opened = opened
        self.head = opened.head
        self.requests = parse_classes(task.class_, self.head)
        self.notes = []
        self.engines: list[CamEngine] = []
        for address in task.layer:
            call, reason = opened.card.cam_layer(address)
            self.notes.append(f"layer {call.path} {_grid(call.spatial_shape)}: {reason}")
            self.engines.append(
                CamEngine(
                    opened.reader,
                    Tap(call.layer_path, call.call),
                    task.method,
                    score=task.score,
                    output=opened.card.output_index(),
                    channels_first=call.channels_first,
                )
            )

    def __call__(self, inputs: np.ndarray) -> Explained:
        count = len(inputs)
        weights, ranks = encode(self.requests, count, self.head.units)
        found: list[list[Explanation]] = [[] for _ in range(count)]
        outputs = np.zeros((0, 0), np.float32)
        for engine in self.engines:
            batch = engine(inputs, weights, ranks)
            outputs = batch.outputs
            self.opened.check_finite(outputs)
            for i in range(count):
                for t, request in enumerate(self.requests):
                    units = request.units or _units(batch.weights[i, t])
                    for method, maps in batch.maps.items():
                        found[i].append(
                            Explanation(
                                maps[i, t],
                                "heatmap",
                                method,
                                self.head.target(units),
                                float(batch.scores[i, t]),
                                probability(self.opened, outputs[i], units),
                                str(engine.layer),
                                warnings=_warnings(maps[i, t]),
                            )
                        )
        return Explained(outputs, found)


def _grid(shape: tuple[int | None, ...] | None) -> str:
    return "(" + "×".join("?" if s is None else str(s) for s in shape) + ")" if shape else ""


def _units(weights: np.ndarray) -> tuple[tuple[int, float], ...]:
    return tuple((int(i), float(weights[i])) for i in np.flatnonzero(weights))


def _warnings(raw: np.ndarray) -> tuple[str, ...]:
    reason = blank_reason(raw)
    return (reason,) if reason else ()


def probability(
    opened: OpenModel, output: np.ndarray, units: tuple[tuple[int, float], ...]
) -> float | None:
    """The model's own output for a target of one unit; None where that is no probability."""
    if len(units) != 1 or opened.card.final_activation() not in ("softmax", "sigmoid"):
        return None
    index, weight = units[0]
    return float(output[index]) if weight > 0 else float(1 - output[index])


EXPLAINERS: dict[str, Callable[[OpenModel, Any], Explainer]] = {"cam": CamExplainer}
