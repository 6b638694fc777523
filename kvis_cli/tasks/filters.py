"""The ``filters`` task: an atlas per layer."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from kvis_cli.engines.activation_maximization.engine import ActivationMaximizer
from kvis_cli.engines.activation_maximization.history import UNCHANGED, Maximized
from kvis_cli.engines.activation_maximization.objectives import ActivationMaximization
from kvis_cli.engines.activation_maximization.presets import Recipe, make_maximizer, phases
from kvis_cli.engines.activation_maximization.restarts import (
    probes,
    responses,
    through_the_silent,
)
from kvis_cli.engines.activation_maximization.seeds import generator
from kvis_cli.errors import ResultError, UsageError
from kvis_cli.events import Listener
from kvis_cli.explanation import UNRESPONSIVE, Explanation, Optimized, Target
from kvis_cli.images.finding import find_images
from kvis_cli.images.fitting import fit_photo
from kvis_cli.images.photo import read_photo
from kvis_cli.models.graph import autolayer
from kvis_cli.models.graph.architecture import LayerCall
from kvis_cli.models.graph.bounds import constant_channels
from kvis_cli.models.live.open import OpenModel
from kvis_cli.models.live.reader import Tap
from kvis_cli.runtime.interruption import held
from kvis_cli.spec.filters import FiltersSpec, parse_grid
from kvis_cli.spec.job import JobSpec
from kvis_cli.tasks.base import Answer
from kvis_cli.tasks.canvas import Canvas, check_modifiers, layer_shape, lowers
from kvis_cli.tasks.kernels import kernel_pictures
from kvis_cli.tasks.recipes import about_recipe, recipe_of
from kvis_cli.tasks.units import parse_units

# Start pictures of noise for a filter that does not move; then it is shown pictures of all kinds.
_TRIES = 3


@dataclass(frozen=True)
class _Layer:
    """A layer and what is wanted of it."""

    path: str
    call: LayerCall
    tap: Tap
    filters: list[int]
    objective: ActivationMaximization


class FiltersTask:
    """`kvis filters`: every layer of one task, one after the other."""

    def __init__(self, opened: OpenModel, task: FiltersSpec, job: JobSpec) -> None:
        self.opened, self.task, self.job = opened, task, job
        self.notes: list[str] = []
        self.rows, self.columns = parse_grid(task.grid)
        self.canvas = Canvas.of(opened)
        self.shape = self.canvas.sized([task.size])
        self.recipe = recipe_of(task, self.canvas, {})
        self.modify, self.backprop = check_modifiers(task)
        self.layers: list[_Layer] = []
        for address in dict.fromkeys(task.layer):
            call = autolayer.resolve(opened.info.architecture, address, model=opened.info.reference)
            tap = Tap(call.layer_path, call.call)
            if task.weights:
                kernels = kernel_pictures(opened, call.layer_path)
                count = len(kernels)
                shape: tuple[int | None, ...] = (None, 1, 1, count)
                channels_first = False
            else:
                shape = layer_shape(self.canvas, tap, self.shape)
                channels_first = call.channels_first
                count = shape[1 if channels_first else -1] or 0 if len(shape) > 1 else 0
            filters = self._filters(call.path, count)
            objective = ActivationMaximization(tap, filters, channels_first=channels_first)
            objective.bind(shape)
            self.layers.append(_Layer(call.path, call, tap, filters, objective))

    def _filters(self, path: str, count: int) -> list[int]:
        places = self.rows * self.columns
        if self.task.filters is None:
            filters = list(range(min(places, count)))
        else:
            texts = self.task.filters.split(",")
            chosen = parse_units(texts, count, generator(self.job.seed, 9))
            if any(len(units) > 1 for units in chosen):
                raise UsageError(
                    "An atlas has one filter per picture.", "", "`kvis maximize` takes 5+6."
                )
            filters = [units[0] for units in chosen]
        if len(filters) > places:
            side = int(np.ceil(np.sqrt(len(filters))))
            raise UsageError(
                f"{len(filters)} filters of '{path}' do not fit into {self.task.grid} places.",
                "",
                f"Use --grid {side}x{-(-len(filters) // side)}.",
            )
        if not filters:
            raise UsageError(
                f"Layer '{path}' has no filters.",
                "Its tensor has no axis of channels.",
                "Choose another layer; `kvis layers` shows their shapes.",
            )
        return filters

    def explain(self, inputs: np.ndarray | None, listener: Listener) -> Iterator[Answer]:
        """Yield the pictures of each layer, or with `weights` its kernels."""
        del inputs
        if self.task.weights:
            yield from (Answer(self._kernels(layer)) for layer in self.layers)
            return
        for layer, found in self._found(listener):
            yield Answer(self._explanations(layer, found))

    def _kernels(self, layer: _Layer) -> list[Explanation]:
        pictures = kernel_pictures(self.opened, layer.tap.path)
        return [
            Explanation(
                pictures[f].astype(np.float32),
                "image",
                "kernels",
                _target(layer, f),
                float("nan"),
                layer=layer.path,
            )
            for f in layer.filters
        ]

    def _explanations(self, layer: _Layer, found: _Found) -> list[Explanation]:
        shown = self.canvas.to_display(found.images, self.recipe)
        recipe = about_recipe(self.recipe)
        made = []
        for i in self._order(found.saved, found.silent):
            state: Literal["", "silent", "dead"] = "silent" if found.silent[i] else ""
            if found.dead[i]:
                state = "dead"
            optimized = Optimized(
                i,
                found.pixels[i],
                self.canvas.to_inputs(found.images[i], self.recipe),
                float(found.saved[i]),
                recipe,
                ((layer.filters[i], 1.0),),
                state=state,
            )
            made.append(
                Explanation(
                    shown[i],
                    "image",
                    "activation_maximization",
                    _target(layer, layer.filters[i]),
                    float(found.scores[i]),
                    layer=layer.path,
                    extras={"inputs": optimized.inputs, "score_saved": optimized.score_saved},
                    warnings=(*found.warnings[i], *([UNRESPONSIVE[state]] if state else ())),
                    optimized=optimized,
                )
            )
        return made

    def _found(self, listener: Listener) -> Iterator[tuple[_Layer, _Found]]:
        """Every layer with what was found in it."""
        blank = []
        for number, layer in enumerate(self.layers):
            found = self._optimise(layer, number, listener)
            if found.silent.all():
                blank.append((layer.path, bool(found.dead.all())))
            yield layer, found
            # Compiled steps hold tensors of their layer's size until they are collected.
            del found
            with held():
                gc.collect()
        # Where something is to be seen, the atlases' warnings say what is not.
        if blank and len(blank) == len(self.layers):
            names = ", ".join(path for path, _ in blank)
            if all(proven for _, proven in blank):
                raise ResultError(
                    f"Every filter of {names} is dead.",
                    "Their weights keep them constant, whatever the input is.",
                    "Are the weights all zero, or the biases far below zero?",
                )
            raise ResultError(
                f"Every filter of {names} is silent from the starts that were tried.",
                "They were noise, flat colours, edges, and noise with the spectrum of photos.",
                "Give pictures that they may respond to: --images photos/.",
            )

    def _optimise(self, layer: _Layer, number: int, listener: Listener) -> _Found:
        steps = phases(self.recipe)
        maximizers = [self._maximizer(layer, recipe, self.backprop) for recipe in steps]
        # Made when the first filter turns out to be blind to all that it was shown.
        leaky: list[ActivationMaximizer] = []
        listener.stage(f"layer {layer.path}: {len(layer.filters)} filters")
        batches = -(-len(layer.filters) // self.job.batch_size)
        whole = self.recipe.steps * batches

        def run(rows: list[int], attempt: int, images: np.ndarray | None = None) -> _Attempt:
            layer.objective.goals = [goals[i] for i in rows]
            keys = [(attempt, layer.filters[i]) for i in rows]
            first = steps[0]
            if attempt and not first.as_coded:
                first = replace(first, start="spectrum")
            if images is None:
                images = self.canvas.start(first, self.shape, keys, self.job.seed)
            started = maximizers[0].measure(images, self.job.batch_size)
            unmoved, unchanged = np.full(len(rows), True), np.full(len(rows), True)
            before = number * whole
            used = [*leaky, *maximizers[len(leaky) :]]
            for phase, (recipe, maximizer) in enumerate(zip(steps, used, strict=True)):

                def progress(done: int, total: int, before: int = before) -> None:
                    if not attempt:
                        listener.progress(before + done, len(self.layers) * whole, "steps")

                result = maximizer(
                    images,
                    [generator(self.job.seed, 1 + phase, *key) for key in keys],
                    recipe.steps,
                    batch_size=self.job.batch_size,
                    progress=progress,
                )
                images = result.images
                unmoved &= result.unmoved
                unchanged &= result.unchanged
                before += recipe.steps * batches
            silent = unmoved | (result.scores == 0)
            for i in np.flatnonzero(unchanged & ~silent):
                result.warnings[i] += (f"filter {layer.filters[rows[i]]}: {UNCHANGED}",)
            return _Attempt(result, silent, result.scores <= started)

        goals = list(layer.objective.goals)
        every = list(range(len(goals)))
        tried = run(every, 0)
        images, scores = tried.result.images.copy(), tried.result.scores.copy()
        dead, stuck = tried.silent, tried.silent | tried.stuck
        warnings = list(tried.result.warnings)
        for attempt in range(1, _TRIES):
            # A preset that follows a book or a library takes what its own start gives.
            again = np.flatnonzero(dead if self.recipe.as_coded else stuck)
            if not len(again):
                break
            if len(steps) > 1 and not leaky:
                leaky.append(self._maximizer(layer, steps[0], through_the_silent))
            tried = run([int(i) for i in again], attempt)
            better = dead[again] | (tried.result.scores > scores[again])
            rows = again[better]
            images[rows], scores[rows] = tried.result.images[better], tried.result.scores[better]
            dead[rows] = tried.silent[better]
            stuck[rows] = (tried.silent | tried.stuck)[better]
        found = self._responsive(layer, np.flatnonzero(dead))
        if found:
            rows = np.array(list(found))
            starts = self.canvas.from_unit(np.stack(list(found.values())), steps[0])
            tried = run(list(found), _TRIES, starts)
            images[rows], scores[rows] = tried.result.images, tried.result.scores
            # They respond to what they started from, and the better picture is kept.
            dead[rows] = False
        pixels = self.canvas.to_pixels(images, self.recipe)
        layer.objective.goals = goals
        saved = maximizers[-1].measure(
            self.canvas.from_pixels(pixels, self.recipe), self.job.batch_size
        )
        for note in maximizers[-1].notes:
            listener.note(note)
        return _Found(images, pixels, scores, saved, dead, self._proven(layer, dead), warnings)

    def _responsive(self, layer: _Layer, rows: np.ndarray) -> dict[int, np.ndarray]:
        """Of silent filters those that respond to one of many pictures, and to which most."""
        if not len(rows) or len(self.shape) != 3 or self.canvas.channels_first:
            return {}
        bank = probes(self.shape, generator(self.job.seed, 10))
        bank = np.concatenate([bank, *self._pictures()])
        found = responses(
            self.opened.reader,
            layer.tap,
            self.canvas.space,
            bank,
            channels_first=layer.objective.channels_first,
            batch_size=self.job.batch_size,
        )
        values = found[:, [layer.filters[row] for row in rows]]
        alive = np.ptp(values, axis=0) > 0
        best = values.argmax(axis=0)
        return {int(row): bank[b] for row, b, lives in zip(rows, best, alive, strict=True) if lives}

    def _pictures(self) -> list[np.ndarray]:
        """Return the user's own pictures at the size of the atlas, in the unit range."""
        if not self.task.images:
            return []
        height, width, channels = self.shape
        pixels = [
            fit_photo(read_photo(path).pixels, height, width, channels, "crop")[0]
            for path in find_images(self.task.images)
        ]
        inputs = self.opened.preprocessing.apply(np.stack(pixels))
        return [self.canvas.space.to_unit(np.asarray(inputs, np.float32))]

    def _proven(self, layer: _Layer, silent: np.ndarray) -> np.ndarray:
        """Which of the silent filters no input can change, by their weights."""
        if not silent.any():
            return silent
        space = self.canvas.space
        constant = constant_channels(
            layer.call, self.opened.reader.operation, space.low, space.high
        )
        if constant is None:
            return np.zeros_like(silent)
        return silent & constant[layer.filters]

    def _maximizer(self, layer: _Layer, recipe: Recipe, backprop: Any) -> ActivationMaximizer:
        return make_maximizer(
            recipe,
            self.opened.reader,
            [(layer.objective, -1.0 if lowers(self.task) else 1.0)],
            self.shape,
            self.canvas.space,
            bgr=self.canvas.bgr,
            gradient_modifier=self.modify,
            backprop_modifier=backprop,
        )

    def _order(self, scores: np.ndarray, dead: np.ndarray) -> list[int]:
        if self.task.sort == "index":
            return list(range(len(scores)))
        return [int(i) for i in np.lexsort((-scores, dead))]


@dataclass(frozen=True)
class _Attempt:
    """Filters from one start picture each.

    Attributes
    ----------
    result
        Of the last phase.
    silent
        ``(N,)``: where no phase moved the picture, or a rectified filter ended at exactly 0.
    stuck
        ``(N,)``: where the start picture was as good.
    """

    result: Maximized
    silent: np.ndarray
    stuck: np.ndarray


@dataclass(frozen=True)
class _Found:
    """The pictures of a layer, in the order in which filters were asked for.

    Of the `silent`, which nothing changed, the `dead` are proven to be so.
    """

    images: np.ndarray
    pixels: np.ndarray
    scores: np.ndarray
    saved: np.ndarray
    silent: np.ndarray
    dead: np.ndarray
    warnings: list[tuple[str, ...]]


def _target(layer: _Layer, index: int) -> Target:
    return Target(f"{layer.path} · filter {index}", str(index), ((index, 1.0),))
