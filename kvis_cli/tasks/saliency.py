"""The ``saliency`` task on batches of inputs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np

from kvis_cli.engines.backprop_modifiers import Rectifiers
from kvis_cli.engines.gradient_modifiers import GRADIENT_MODIFIERS
from kvis_cli.engines.saliency.engine import SaliencyBatch, SaliencyEngine, SaliencyMap
from kvis_cli.engines.saliency.gaussian import smooth
from kvis_cli.events import Listener
from kvis_cli.explanation import Explanation
from kvis_cli.models.description.evidence.fingerprint import known_preprocessing
from kvis_cli.models.description.targets import encode
from kvis_cli.models.graph import autolayer
from kvis_cli.models.graph.architecture import LayerCall
from kvis_cli.models.live.open import OpenModel
from kvis_cli.models.live.reader import Tap
from kvis_cli.spec.job import JobSpec
from kvis_cli.spec.saliency import SaliencySpec
from kvis_cli.tasks.base import (
    ITS_OWN_CONTRAST,
    Answer,
    InputTask,
    map_warnings,
    resolved_units,
)
from kvis_cli.tasks.cam_targets import filter_targets, score_and_region, score_note

# A probability this close to 0 or 1 has next to no gradient.
SATURATED = 1e-3
# Inputs may leave the range that a model was trained on by this share of it.
RANGE_MARGIN = 0.1
# Integrated gradients that miss the change of the score by more are not trusted.
COMPLETENESS = 0.05


class SaliencyTask(InputTask):
    """`kvis saliency`: every class × method × modifier of one task."""

    def __init__(self, opened: OpenModel, task: SaliencySpec, job: JobSpec) -> None:
        filters = [f"{task.explained_layer}:{unit}" for unit in task.unit]
        super().__init__(opened, task, filter_targets(opened, filters))
        self.task = task
        layer, first = None, False
        if self.filters:
            call = self.filters.layer
            layer, first = Tap(call.layer_path, call.call), call.channels_first
            self.notes.append(f"explaining units of layer {call.path}: their mean over its map")
        self.score, region = ("logit", None) if self.filters else score_and_region(opened, task)
        wrt = self._wrt()
        self.channel_axis = _channel_axis(opened, wrt)
        self.engine = SaliencyEngine(
            opened.reader,
            task.method,
            modifiers=task.modifiers(),
            channels=task.channels,
            backprop=task.backprop,
            settings=task.settings(
                low=self._input_range()[0],
                high=self._input_range()[1],
                channel_axis=self.channel_axis,
                seed=job.seed,
                batch_size=job.batch_size,
            ),
            score=self.score,
            region=region,
            output=opened.info.output_index(),
            layer=layer,
            channels_first=first,
            wrt=Tap(wrt.layer_path, wrt.call) if wrt else None,
        )
        self.activation = opened.info.final_activation()
        if not self.filters:
            self._say_what_is_explained()
        self._told = False

    def explain(self, inputs: np.ndarray | None, listener: Listener) -> Iterator[Answer]:
        """Yield the maps of each input of a batch."""
        del listener
        assert inputs is not None
        count = len(inputs)
        weights, ranks = encode(self.requests, count, self.units)
        batch = self.engine(inputs, weights, ranks)
        if not self._told:
            self.notes.extend(counts.describe() for counts in self.engine.rectifiers)
            self._told = True
        about_input = [self._input_warnings(inputs[i]) for i in range(count)]
        for i in range(count):
            found = [
                self._explanation(batch, shown, i, t, about_input[i])
                for t in range(len(self.requests))
                for shown in batch.maps
            ]
            yield Answer(found, batch.outputs[i])

    def _explanation(
        self, batch: SaliencyBatch, shown: SaliencyMap, i: int, t: int, about_input: list[str]
    ) -> Explanation:
        request = self.requests[t]
        units = request.units if request.rank is None else resolved_units(batch.weights[i, t])
        raw = shown.values[i, t]
        if self._kept(shown) and self.channel_axis == 1:
            raw = np.moveaxis(raw, 0, -1)
        if self.task.smooth:
            raw = smooth(raw, self.task.smooth, tuple(range(raw.ndim - self._kept(shown))))
        kind: Literal["signed", "heatmap"] = "signed" if shown.signed else "heatmap"
        extras = {name: float(v[i, t]) for name, v in shown.extras.items()}
        about_map = [ITS_OWN_CONTRAST]
        if units:
            about_map = [
                *map_warnings(raw, kind),
                *_constant(raw),
                *self._blind(shown),
                *self._saturation(batch, units, i, t),
            ]
        warnings = [*about_map, *about_input, *_incomplete(extras)]
        return Explanation(
            raw,
            kind,
            shown.method.name,
            self.target(units, request),
            float(batch.scores[i, t]),
            self.probability(batch.outputs[i], units),
            self.filters.layer.path if self.filters else "",
            extras={name: v for name, v in extras.items() if np.isfinite(v)},
            warnings=tuple(warnings),
            variant=self._variant(shown),
            caution="; ".join(self._cautions(shown)),
            modifier=shown.modifier,
            channels="keep" if self._kept(shown) else self.task.channels,
        )

    def _kept(self, shown: SaliencyMap) -> bool:
        """Whether the map still has its channels."""
        keep = self.task.channels == "keep" and self.channel_axis is not None
        return keep and shown.method.gradient

    def _variant(self, shown: SaliencyMap) -> str:
        """Return what tells this map from the method's plain one, for the file's name."""
        parts: list[str] = [self.task.backprop or ""] if shown.method.gradient else []
        if shown.method.backprop:
            parts = []
        if self.task.direction:
            parts.append(self.task.direction)
        elif shown.modifier != shown.method.modifier:
            parts.append(shown.modifier)
        return "-".join(part for part in parts if part)

    def _cautions(self, shown: SaliencyMap) -> list[str]:
        found = [shown.method.caution, GRADIENT_MODIFIERS[shown.modifier].caution]
        counts = self._rectifiers(shown)
        if counts is not None and counts.kept:
            found.append(counts.describe())
        return [text for text in found if text]

    def _rectifiers(self, shown: SaliencyMap) -> Rectifiers | None:
        """Return what the method's backward rule changed."""
        rule = shown.method.backprop or (self.task.backprop if shown.method.gradient else None)
        return next((counts for counts in self.engine.rectifiers if counts.name == rule), None)

    def _blind(self, shown: SaliencyMap) -> list[str]:
        counts = self._rectifiers(shown)
        if counts is None or not counts.blind:
            return []
        return [
            f"the same map for every picture: '{counts.name}' takes from it only what won in max "
            "pooling, and this model has none on the way"
        ]

    def _say_what_is_explained(self) -> None:
        if note := score_note(self.opened, self.task):
            self.notes.append(note)
        if self.activation == "tanh" and self.score == "logit":
            self.notes.append("the output is read before its tanh, where it cannot saturate")
        if self.head.kind == "score":
            self.notes.append(
                "regression: the output itself is explained; --direction increase, decrease or "
                "maintain chooses what to show"
            )

    def _saturation(
        self, batch: SaliencyBatch, units: tuple[tuple[int, float], ...], i: int, t: int
    ) -> list[str]:
        if self.filters or self.score == "logit" or self.head.kind in ("image", "signal"):
            return []
        if self.activation in ("softmax", "sigmoid"):
            values = [float(batch.outputs[i, index]) for index, _ in units]
            if self.region and len(units) == 1:
                # The output's mean over everything says nothing of a part of it.
                values = [float(batch.scores[i, t])]
            edges = [min(p, 1 - p) for p in values]
            if self.score == "probability" and max(edges) < SATURATED:
                shown = ", ".join(f"{p:.6f}" for p in values)
                return [
                    f"the probability is saturated ({shown}) and hardly moves; --score logit "
                    "explains the value before it"
                ]
        if self.activation == "tanh":
            value = float(batch.outputs[i, units[0][0]])
            if 1 - abs(value) < 10 * SATURATED:
                return [
                    f"the tanh is saturated ({value:.4f}) and hardly moves; --score logit "
                    "explains the value before it"
                ]
        return []

    def _input_warnings(self, values: np.ndarray) -> list[str]:
        """Whether an input leaves the range that the model is known to expect."""
        if not self.opened.image_input.is_picture:
            return []
        calls = self.opened.info.architecture.calls
        known = known_preprocessing([(c.class_name, c.name) for c in calls])
        if known is None or known.preprocessing == self.opened.preprocessing:
            return []
        edges = known.preprocessing.input_range()
        low, high = float(np.min(edges[0])), float(np.max(edges[1]))
        margin = RANGE_MARGIN * (high - low)
        least, most = float(values.min()), float(values.max())
        if low - margin <= least and most <= high + margin:
            return []
        return [
            f"the input spans {least:g} to {most:g}, and the model expects {low:g} to {high:g} "
            f"({known.preprocessing.name}, {known.reason})"
        ]

    def _input_range(self) -> tuple[Any, Any]:
        """Return the inputs of black and white.

        Signals and other arrays are taken to lie in 0..1.
        """
        if not self.opened.image_input.is_picture:
            return 0.0, 1.0
        return self.opened.preprocessing.input_range()

    def _wrt(self) -> LayerCall | None:
        if not self.task.wrt:
            return None
        info = self.opened.info
        return autolayer.resolve(info.architecture, self.task.wrt, model=info.reference)


def _channel_axis(opened: OpenModel, wrt: LayerCall | None) -> int | None:
    """Where the channels are of what gradients are taken with respect to; None for a table."""
    if wrt is not None:
        if wrt.output_shape is None or len(wrt.output_shape) < 3:
            return None
        return 1 if wrt.channels_first else -1
    image = opened.image_input
    if not image.is_picture:
        return -1 if len(image.shape) > 1 else None
    return 1 if image.channels_first else -1


def _constant(raw: np.ndarray) -> list[str]:
    if raw.size > 1 and raw.any() and np.isfinite(raw).all() and np.ptp(raw) == 0:
        return ["the map is the same everywhere"]
    return []


def _incomplete(extras: dict[str, Any]) -> list[str]:
    gap = extras.get("completeness_gap", 0.0)
    # Nothing was to be explained, and nothing was found.
    if np.isnan(gap) or gap <= COMPLETENESS:
        return []
    if np.isinf(gap):
        return ["the score is the same at the baseline, and the values do not add up to zero"]
    return [f"the values miss the change of the score by {gap:.0%}; more --steps bring them closer"]
