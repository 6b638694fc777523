"""The ``cam`` task on batches of inputs."""

from __future__ import annotations

import numpy as np

from kvis_cli.engines.cam.engine import CamEngine
from kvis_cli.engines.cam.methods import CAM_METHODS
from kvis_cli.errors import UnknownNameError
from kvis_cli.explanation import Explanation
from kvis_cli.jobs.explainers.base import Explained, map_warnings, probability, resolved_units
from kvis_cli.models.opening import OpenModel
from kvis_cli.models.reading import Tap
from kvis_cli.models.targets import encode, parse_classes
from kvis_cli.spec.cam import CamSpec


class CamExplainer:
    """`kvis cam`: every layer × method × class of one task."""

    def __init__(self, opened: OpenModel, task: CamSpec) -> None:
        for name in task.method:
            if name not in CAM_METHODS:
                raise UnknownNameError.of("CAM method", name, CAM_METHODS)
        self.opened = opened
        self.head = opened.head
        self.requests = parse_classes(task.class_, self.head, task.contrast)
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
            for i in range(count):
                for t, request in enumerate(self.requests):
                    units = request.units or resolved_units(batch.weights[i, t])
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
                                warnings=map_warnings(maps[i, t]),
                            )
                        )
        return Explained(outputs, found)


def _grid(shape: tuple[int | None, ...] | None) -> str:
    return "(" + "×".join("?" if s is None else str(s) for s in shape) + ")" if shape else ""
