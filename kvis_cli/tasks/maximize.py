"""The ``maximize`` task: a picture per class or unit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from kvis_cli.engines.activation_maximization.engine import ActivationMaximizer
from kvis_cli.engines.activation_maximization.history import UNCHANGED, Maximized
from kvis_cli.engines.activation_maximization.objectives import ActivationMaximization, Goal
from kvis_cli.engines.activation_maximization.plugin_losses import terms
from kvis_cli.engines.activation_maximization.presets import Recipe, make_maximizer, phases
from kvis_cli.engines.activation_maximization.seeds import generator
from kvis_cli.engines.batching import in_batches
from kvis_cli.errors import ResultError, UsageError
from kvis_cli.events import Listener
from kvis_cli.explanation import Explanation, Optimized, Target
from kvis_cli.models.description.output_regions import refuse_maximized
from kvis_cli.models.description.targets import parse_classes
from kvis_cli.models.graph import autolayer
from kvis_cli.models.live.open import OpenModel
from kvis_cli.models.live.reader import Tap
from kvis_cli.models.request import parse_size
from kvis_cli.paths import safe_name
from kvis_cli.render.animation import SUFFIXES
from kvis_cli.render.arrays import as_picture
from kvis_cli.spec.job import JobSpec
from kvis_cli.spec.maximize import MaximizeSpec, parse_stages
from kvis_cli.tasks.base import Answer
from kvis_cli.tasks.canvas import Canvas, check_modifiers, layer_shape, lowers
from kvis_cli.tasks.pictures import Found, Judged, Wanted
from kvis_cli.tasks.recipes import about_recipe, recipe_of
from kvis_cli.tasks.start_picture import start_picture
from kvis_cli.tasks.units import parse_position, parse_units

# The saved picture has 8 bits and the picture itself has not; more than this is a mistake.
_KEPT = 0.9


class MaximizeTask:
    """`kvis maximize`: all targets of one task in one batch.

    Parameters
    ----------
    opened
        The model.
    task
        Targets, preset and options.
    job
        Batch size and seed.

    Attributes
    ----------
    losses
        Terms beside the objective and the recipe's, with weights.
    """

    def __init__(self, opened: OpenModel, task: MaximizeSpec, job: JobSpec) -> None:
        self.opened, self.task, self.job = opened, task, job
        self.notes: list[str] = []
        self.wanted: list[Wanted] = []
        self.bound: tuple[int | None, ...] = ()
        self.canvas = Canvas.of(opened)
        self.modify, self.backprop = check_modifiers(task)
        self.losses = terms(task.loss)
        stages = parse_stages(task.stages) if task.stages else [{}]
        whole = [recipe_of(task, self.canvas, typed_stage(stage)) for stage in stages]
        if task.layer is not None and task.tv is None and task.preset == "quality":
            # Activations of inner layers have no common scale that smoothness could be weighed by.
            whole = [
                replace(r, tv=0.0) if "tv" not in s else r
                for r, s in zip(whole, stages, strict=True)
            ]
        self.recipes = [phase for recipe in whole for phase in phases(recipe)]
        self.tap: Tap | None = None
        self.layer = ""
        if task.layer is not None:
            self._layer_targets(task)
        else:
            self._class_targets(task)
        if task.gif is not None and Path(task.gif).suffix.lower() not in SUFFIXES:
            raise UsageError(
                f"An animation cannot be written as '{task.gif}'.",
                f"Its suffix is one of {', '.join(SUFFIXES)}.",
            )
        self.seed = start_picture(opened, self.shape, task.seed_image) if task.seed_image else None

    def _class_targets(self, task: MaximizeSpec) -> None:
        if task.unit or task.at or task.size:
            option = "--unit" if task.unit else "--at" if task.at else "--size"
            raise UsageError(f"{option} is about a layer.", "No --layer was given.", "Add --layer.")
        if not task.class_:
            raise UsageError(
                "There is nothing to maximize.", "", "Name a --class, or a --layer and a --unit."
            )
        head = self.opened.head
        info = self.opened.info
        output = info.architecture.outputs[info.output_index()]
        refuse_maximized(info.output_form(), info.reference, output.call.path)
        texts: list[str] = []
        for text in task.class_:
            if text.lower().startswith("random:"):
                rng = generator(self.job.seed, 8)
                texts += [str(u[0]) for u in parse_units([text], head.classes, rng)]
            else:
                texts.append(text)
        self.shape = self.canvas.sized()
        for request in parse_classes(texts, head):
            if request.rank is not None:
                raise UsageError(
                    "top1 is the class that a model sees in a photo.",
                    "Here there is no photo.",
                    "Name the class by its index or label.",
                )
            self._want(head.target(request.units), request.units)
        self.output = self.opened.info.output_index()
        self.bound = (None, head.units)

    def _layer_targets(self, task: MaximizeSpec) -> None:
        if task.class_:
            raise UsageError("A picture is for a class or for a layer.", "Both were given.")
        assert task.layer is not None
        info = self.opened.info
        call = autolayer.resolve(info.architecture, task.layer, model=info.reference)
        self.tap, self.layer = Tap(call.layer_path, call.call), call.path
        size = parse_size(task.size) if task.size else None
        axes = len(self.canvas.shape) - 1
        self.shape = self.canvas.sized(size if size is None or axes == 2 else size[:1])
        self.bound = layer_shape(self.canvas, self.tap, self.shape)
        self.channels_first = call.channels_first
        count = self.bound[1 if call.channels_first and len(self.bound) > 2 else -1] or 0
        if not task.unit:
            raise UsageError(
                f"Which units of layer '{self.layer}'?",
                f"It has {count}.",
                "Name them with --unit 3, 0-7, 5+6, random:4 or all.",
            )
        position = parse_position(task.at) if task.at else ()
        for units in parse_units(task.unit, count, generator(self.job.seed, 8)):
            name = "+".join(map(str, units))
            label = f"{self.layer} · {name}" + (f" at {task.at}" if task.at else "")
            pairs = tuple((i, 1.0) for i in units)
            self._want(Target(label, safe_name(name), pairs), pairs, position)

    def _want(
        self, target: Target, units: tuple[tuple[int, float], ...], position: tuple[int, ...] = ()
    ) -> None:
        sign = -1.0 if (self.task.direction == "decrease") != lowers(self.task) else 1.0
        goal = Goal(tuple((i, w * sign) for i, w in units), position)
        self.wanted += [Wanted(target, goal, run) for run in range(self.task.runs)]

    def _aims(self, recipe: Recipe) -> list[tuple[Any, float]]:
        goals = [w.goal for w in self.wanted]
        if self.tap is not None:
            objective = ActivationMaximization(self.tap, goals, channels_first=self.channels_first)
            objective.bind(self.bound)
            return [(objective, 1.0)]
        objective = ActivationMaximization(None, goals, score=self.task.score, output=self.output)
        objective.bind(self.bound)
        aims: list[tuple[Any, float]] = [(objective, 1.0)]
        probable = self.opened.info.final_activation() in ("softmax", "sigmoid")
        plain = all(w > 0 for goal in goals for _, w in goal.units) or self.opened.head.binary
        if recipe.sure and probable and plain and self.task.score == "logit":
            sure = ActivationMaximization(None, goals, score="log-probability", output=self.output)
            sure.bind(self.bound)
            sure.name, sure.is_objective = "log-probability", False
            aims.append((sure, recipe.sure))
        return aims

    def explain(self, inputs: np.ndarray | None, listener: Listener) -> Iterator[Answer]:
        """Yield all pictures at once, one per target and run."""
        del inputs
        found = self._optimise(listener)
        recipe = self.recipes[-1]
        images = found.result.images
        shown = self.canvas.to_display(images, recipe)
        pixels = self.canvas.to_pixels(images, recipe)
        judged = self._judge(pixels, found)
        about = about_recipe(recipe)
        made = []
        for i, wanted in enumerate(self.wanted):
            likely = judged.probabilities[i] if judged.probabilities else []
            optimized = Optimized(
                i,
                pixels[i],
                self.canvas.to_inputs(images[i], recipe),
                float(judged.scores[i]),
                about,
                wanted.goal.units,
                wanted.run,
                tuple(int(r.steps[i]) for r in found.results),
                {k: v[:, i] for k, v in _terms(found.result).items()},
                tuple(likely),
                film=tuple(found.film(i)) if self.task.gif else (),
            )
            made.append(
                Explanation(
                    shown[i],
                    "image",
                    "activation_maximization",
                    wanted.target,
                    float(found.result.scores[i]),
                    likely[0] if len(likely) == 1 else None,
                    self.layer,
                    extras={
                        "inputs": optimized.inputs,
                        "score_saved": optimized.score_saved,
                        "loss": optimized.loss,
                        "steps": list(optimized.steps),
                    },
                    warnings=judged.warnings[i],
                    variant=f"run{wanted.run + 1}" if self.task.runs > 1 else "",
                    optimized=optimized,
                )
            )
        yield Answer(made)

    def _optimise(self, listener: Listener) -> Found:
        keys = [w.key for w in self.wanted]
        first = self.recipes[0]
        images = self.canvas.start(first, self.shape, keys, self.job.seed)
        if self.seed is not None:
            images = np.repeat(self.canvas.to_unit(self.seed[np.newaxis], first), len(keys), 0)
        frames: dict[tuple[int, int], list[np.ndarray]] = {}
        results = []
        total = sum(recipe.steps for recipe in self.recipes)
        listener.stage(f"{len(keys)} picture{'s' * (len(keys) > 1)}, {total} steps")
        before = 0
        for number, recipe in enumerate(self.recipes):
            maximizer = self._maximizer(recipe)

            def progress(
                done: int, all_: int, before: int = before, steps: int = recipe.steps
            ) -> None:
                batches = max(1, all_ // steps)
                listener.progress(before * batches + done, total * batches, "steps")

            def frame(
                rows: list[int],
                step: int,
                shown: np.ndarray,
                recipe: Recipe = recipe,
                number: int = number,
            ) -> None:
                for row, pixels in zip(rows, self.canvas.to_pixels(shown, recipe), strict=True):
                    if step == 0:
                        frames[row, number] = []
                    frames[row, number].append(as_picture(pixels))

            result = maximizer(
                images,
                [generator(self.job.seed, 1 + number, *key) for key in keys],
                recipe.steps,
                batch_size=self.job.batch_size,
                progress=progress,
                frames=frame if self.task.gif else None,
                frames_every=self.task.gif_every,
            )
            before += recipe.steps
            results.append(result)
            images = result.images
            for note in maximizer.notes:
                listener.note(note)
            if self.task.verbose:
                self._tell_terms(listener, result, number)
        if all(result.unmoved.all() for result in results):
            raise ResultError(
                "There is nothing to see: no start picture can be changed for the better.",
                "The gradient is zero everywhere.",
                "Are the weights all zero? Otherwise try another --seed or --start spectrum.",
            )
        return Found(maximizer, results, frames)

    def _maximizer(self, recipe: Recipe) -> ActivationMaximizer:
        return make_maximizer(
            recipe,
            self.opened.reader,
            self._aims(recipe),
            self.shape,
            self.canvas.space,
            more=self.losses,
            bgr=self.canvas.bgr,
            gradient_modifier=self.modify,
            backprop_modifier=self.backprop,
        )

    def _tell_terms(self, listener: Listener, result: Maximized, stage: int) -> None:
        terms = _terms(result)
        for i, wanted in enumerate(self.wanted):
            count = int(result.steps[i])
            name = wanted.target.label + (f", run {wanted.run + 1}" if self.task.runs > 1 else "")
            head = f"{name}, stage {stage + 1}" if len(self.recipes) > 1 else name
            for step in sorted({0, *range(0, count, max(1, count // 10)), max(0, count - 1)}):
                values = ", ".join(f"{k} {v[step, i]:.4g}" for k, v in terms.items())
                listener.note(f"{head}: step {step + 1}: {values}")

    def _judge(self, pixels: np.ndarray, found: Found) -> Judged:
        """Look at pictures of 8 bits, ``(N, …, C)``, as the model does."""
        result, recipe = found.result, self.recipes[-1]
        scores = found.maximizer.measure(
            self.canvas.from_pixels(pixels, recipe), self.job.batch_size
        )
        outputs = self._probabilities(pixels)
        warnings = []
        unchanged = np.logical_and.reduce([phase.unchanged for phase in found.results])
        for i in range(len(pixels)):
            told = list(result.warnings[i])
            if unchanged[i]:
                told.append(UNCHANGED)
            if result.unmoved[i]:
                told.append(
                    "nothing changes the activation of the start picture: the unit is dead, or "
                    "silent for it; try another --seed or --start"
                )
            elif scores[i] < result.scores[i] - (1 - _KEPT) * abs(result.scores[i]):
                stretched = " (it is shown stretched)" if recipe.stretch else ""
                told.append(
                    f"the saved picture scores {scores[i]:.4g}, the optimised one "
                    f"{result.scores[i]:.4g}{stretched}"
                )
            warnings.append(tuple(told))
        probabilities = None
        if outputs is not None:
            probabilities = [
                [float(outputs[i, index]) for index, _ in wanted.target.units]
                for i, wanted in enumerate(self.wanted)
            ]
        return Judged(scores, probabilities, warnings)

    def _probabilities(self, pixels: np.ndarray) -> np.ndarray | None:
        """Return the model's own outputs for the saved pictures, where they are probabilities."""
        info = self.opened.info
        if self.tap is not None or info.final_activation() not in ("softmax", "sigmoid"):
            return None
        run = tf.function(
            lambda x: self.opened.reader.forward(x).outputs[self.output], autograph=False
        )
        unit = self.canvas.space.to_unit(self.opened.preprocessing.apply(pixels))
        inputs = np.asarray(self.canvas.space.to_inputs(unit), np.float32)
        outputs = np.concatenate(
            in_batches(
                len(inputs), self.job.batch_size, lambda rows, size: np.asarray(run(inputs[rows]))
            )
        )
        if self.opened.head.binary:
            # The weight of class 0 is -1, its probability the rest.
            sign = np.array([w.target.units[0][1] for w in self.wanted])[:, np.newaxis]
            outputs = np.where(sign > 0, outputs, 1 - outputs)
        return outputs.reshape(len(outputs), -1, outputs.shape[-1]).mean(axis=1)


def _terms(result: Maximized) -> dict[str, np.ndarray]:
    """Return the history of every loss and of their sum, ``(steps, N)``."""
    return {k: v for k, v in result.history.items() if k != "unmoved"}


def typed_stage(stage: dict[str, str]) -> dict[str, Any]:
    """Return the texts of a stage as values of the spec's own types."""
    checked = MaximizeSpec.model_validate(stage)
    return {name: getattr(checked, name) for name in stage}
