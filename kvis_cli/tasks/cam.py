"""The ``cam`` task on batches of inputs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from kvis_cli.engines.cam.augmented import AugmentedCam
from kvis_cli.engines.cam.engine import CamEngine
from kvis_cli.engines.cam.fusion import fuse
from kvis_cli.engines.cam.layers import CamLayer
from kvis_cli.engines.cam.registry import CAM_METHODS
from kvis_cli.engines.cam.settings import CamBatch, CamEngineLike, CamSettings, Key
from kvis_cli.errors import UsageError
from kvis_cli.events import Listener
from kvis_cli.explanation import Explanation, MapGrid
from kvis_cli.models.description.cam_layers import cam_layers, check_linear_head
from kvis_cli.models.description.targets import encode
from kvis_cli.models.graph.architecture import LayerCall
from kvis_cli.models.graph.geometry import map_grid
from kvis_cli.models.live.open import OpenModel
from kvis_cli.models.live.reader import Tap
from kvis_cli.render.scale import MapKind
from kvis_cli.spec.cam import CamSpec
from kvis_cli.spec.job import JobSpec
from kvis_cli.tasks.base import (
    ITS_OWN_CONTRAST,
    Answer,
    InputTask,
    map_warnings,
    resolved_units,
)
from kvis_cli.tasks.cam_targets import cam_objective, filter_targets, score_note

MAINTAIN = (
    "--direction maintain shows where the score hardly reacts, which is no evidence of what keeps "
    "it as it is"
)
# Why a rectified map is blank, and where to look instead.
BLANK = {
    "increase": "a blank map: nothing at that layer raises the score; --direction decrease shows "
    "what lowers it, --layer another layer",
    "decrease": "a blank map: nothing at that layer lowers the score, all of it raises it, which "
    "--direction increase shows",
}


@dataclass(frozen=True)
class _Shown:
    """One column of results: a method over the (fused) maps of a layer."""

    keys: list[Key]
    method: str
    layer: str


class CamTask(InputTask):
    """`kvis cam`: every layer × class × method of one task."""

    def __init__(self, opened: OpenModel, task: CamSpec, job: JobSpec) -> None:
        super().__init__(opened, task, filter_targets(opened, task.filter))
        self.task = task
        self.grids: dict[str, MapGrid | None] = {}
        objective = cam_objective(opened, task, self.filters)
        if not self.filters and (note := score_note(opened, task)):
            self.notes.append(note)
        layers, self.shown = self._layers()
        settings = task.settings(
            objective=objective,
            channel_axis=1 if opened.image_input.channels_first else -1,
            batch_size=job.batch_size,
            seed=job.seed,
        )
        self.engines = self._engines(layers, settings)

    def _layers(self) -> tuple[list[CamLayer], list[list[_Shown]]]:
        info = self.opened.info
        layers: dict[str, CamLayer] = {}
        shown: list[list[_Shown]] = []
        for text in self.task.layer:
            if text == "auto" and self.filters:
                text = self.filters.layer.path
            for group in cam_layers(info, text):
                addresses = []
                for call, reason in group:
                    layer = CamLayer(Tap(call.layer_path, call.call), call.channels_first)
                    layers[str(layer)] = layer
                    addresses.append(str(layer))
                    self.notes.append(f"layer {call.path} {_grid(call.spatial_shape)}: {reason}")
                    self._locate(str(layer), call)
                    if any(CAM_METHODS[m].needs_linear_head for m in self.task.method):
                        check_linear_head(info.architecture, info.output_index(), call)
                name = "+".join(addresses)
                columns = [
                    _Shown([(a, method) for a in addresses], method, name)
                    for method in self.task.method
                    if CAM_METHODS[method].reads_layer
                ]
                shown.append(columns)
        free = [
            _Shown([("", method)], method, "")
            for method in self.task.method
            if not CAM_METHODS[method].reads_layer
        ]
        if free:
            shown.append(free)
        return list(layers.values()), [columns for columns in shown if columns]

    def _locate(self, layer: str, call: LayerCall) -> None:
        """Find out where a layer's cells lie, and say it where the picture does not show it."""
        grid = map_grid(call) if self.opened.image_input.is_picture else None
        receptive = self.task.registration == "receptive"
        if grid is None:
            if receptive:
                raise UsageError(
                    f"Where the cells of layer '{call.path}' lie on the photo is not known.",
                    "The graph does not say it: branches of different strides, or a reshape.",
                    "Leave --registration out, or choose another --layer.",
                )
            return
        self.grids[layer] = replace(grid, applied=grid.exact or receptive)
        # What is named differs from what is drawn by more than can be overlooked.
        hidden = [a for a in grid.axes if abs(a.offset) > a.step / 4]
        if hidden and not grid.exact and not receptive:
            down, right = (a.offset for a in grid.axes)
            self.notes.append(
                f"layer {call.path}: padding moves what its cells see by up to {down:+g} pixels "
                f"down and {right:+g} right in {grid.axes[0].size}×{grid.axes[1].size}, of which "
                "training undoes a good part; --registration receptive draws maps there"
            )

    def _engines(self, layers: list[CamLayer], settings: CamSettings) -> list[CamEngineLike]:
        reader = self.opened.reader
        methods = {name: CAM_METHODS[name] for name in self.task.method}
        if any(m.contrast for m in methods.values()) and self.units < 2:
            raise UsageError(
                "finercam needs other classes to compare with.", "There is one output."
            )
        for name, method in methods.items():
            if self.task.direction != "increase" and not method.directed:
                raise UsageError(
                    f"'{name}' has no direction.",
                    "It shows magnitudes, whatever they do to the score.",
                    "Leave --direction out, or use another method.",
                )
        shared = [name for name, method in methods.items() if method.weighted is not None]
        engines: list[CamEngineLike] = []
        if shared:
            engines.append(CamEngine(reader, layers, shared, settings))
        for method in methods.values():
            if method.make is not None:
                engines.append(method.make(reader, layers, settings))
        if self.task.aug_smooth:
            if not self.opened.image_input.is_picture:
                raise UsageError(
                    "--aug-smooth is for pictures.", "A mirrored signal is another signal."
                )
            width_axis = 3 if settings.channel_axis == 1 else 2
            engines = [AugmentedCam(engine, width_axis) for engine in engines]
        return engines

    def explain(self, inputs: np.ndarray | None, listener: Listener) -> Iterator[Answer]:
        """Yield the maps of each input of a batch."""
        del listener
        assert inputs is not None
        count = len(inputs)
        weights, ranks = encode(self.requests, count, self.units)
        batches = [engine(inputs, weights, ranks) for engine in self.engines]
        found_out = [note for engine in self.engines for note in engine.notes]
        self.notes += [note for note in found_out if note not in self.notes]
        maps = {key: value for batch in batches for key, value in batch.maps.items()}
        extras = {key: value for batch in batches for key, value in batch.extras.items()}
        first = batches[0]
        for i in range(count):
            found = [
                self._explanation(first, maps, extras, column, i, t)
                for columns in self.shown
                for t in range(len(self.requests))
                for column in columns
            ]
            yield Answer(found, first.outputs[i])

    def _explanation(
        self,
        batch: CamBatch,
        maps: dict[Key, np.ndarray],
        extras: dict[Key, dict[str, np.ndarray]],
        column: _Shown,
        i: int,
        t: int,
    ) -> Explanation:
        request = self.requests[t]
        units = request.units if request.rank is None else resolved_units(batch.weights[i, t])
        parts = [maps[key][i, t] for key in column.keys]
        raw = parts[0] if len(parts) == 1 else fuse(parts, self.task.fuse)
        kind: MapKind = "signed" if CAM_METHODS[column.method].signed else "heatmap"
        numbers = {
            name: float(values[i, t])
            for key in column.keys
            for name, values in extras.get(key, {}).items()
        }
        warnings = map_warnings(raw, kind) if units else (ITS_OWN_CONTRAST,)
        hint = BLANK.get(self.task.direction, "")
        if hint and units and not raw.any() and hint not in self.notes:
            self.notes.append(hint)
        return Explanation(
            raw,
            kind,
            column.method,
            self.target(units, request),
            float(batch.scores[i, t]),
            self.probability(batch.outputs[i], units),
            column.layer,
            extras=numbers,
            warnings=warnings,
            variant="" if self.task.direction == "increase" else self.task.direction,
            grid=self._grid_of(column, raw),
            caution=MAINTAIN if self.task.direction == "maintain" else "",
            percentile=CAM_METHODS[column.method].percentile,
        )

    def _grid_of(self, column: _Shown, raw: np.ndarray) -> MapGrid | None:
        """Of several layers, the grid that they share."""
        if CAM_METHODS[column.method].at_input:
            return None
        found = {self.grids.get(layer) for layer, _ in column.keys}
        grid = found.pop() if len(found) == 1 else None
        return grid if grid and raw.shape == tuple(a.cells for a in grid.axes) else None


def _grid(shape: tuple[int | None, ...] | None) -> str:
    return "(" + "×".join("?" if s is None else str(s) for s in shape) + ")" if shape else ""
