"""The optimisation loop: a batch of pictures, each with its own target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from kvis_cli.engines.activation_maximization.history import Maximized, Part, joined
from kvis_cli.engines.activation_maximization.input_modifiers import InputModifier
from kvis_cli.engines.activation_maximization.input_space import InputSpace
from kvis_cli.engines.activation_maximization.losses import Loss, View, Weighted, weighted
from kvis_cli.engines.activation_maximization.optimizers import Adam, Optimizer
from kvis_cli.engines.activation_maximization.parametrizations import Parametrization, Pixel
from kvis_cli.engines.activation_maximization.state import State, as_list, as_state, wide
from kvis_cli.engines.backprop_modifiers import Rule, backprop_modifier
from kvis_cli.engines.batching import in_batches
from kvis_cli.errors import UsageError
from kvis_cli.models.live.reader import ModelReader

Progress = Callable[[int, int], None]
Frames = Callable[[list[int], int, np.ndarray], None]
Watch = Callable[[int, np.ndarray, np.ndarray, np.ndarray], None]
GradientModifier = Callable[[Any], Any]

Keep = Literal["best", "after-best", "last"]


# How often the loop looks whether every picture has come to rest: looking waits for the device.
_LOOK_EVERY = 8


class ActivationMaximizer:
    """Minimises ``Σ weight · loss`` over pictures, compiled once per batch size.

    Parameters
    ----------
    reader
        The model; never changed.
    losses
        `Loss` objects or functions, alone or with weights. Those that are about single pictures
        (`ActivationMaximization`) say how many pictures there are.
    shape
        ``(…, C)`` of one picture, channels last.
    space
        From the unit range to model inputs.
    parametrization
        What is moved: pixels, or their Fourier coefficients. None for pixels.
    optimizer
        How it is moved; None for `Adam` with a rate of 0.05.
    modifiers
        Random changes before the model, in this order.
    gradient_modifier
        Applied to the gradient of the pictures' parameters, ``(B, …)``.
    keep
        ``best``: of the step with the lowest total and of the last, the picture with the better
        activation, which is the lower one where its weight is negative; ``after-best``: what the
        step with the lowest total led to; ``last``: the last.
    patience
        Steps without a better total after which a picture comes to rest; 0 for never.
    backprop_modifier
        Backward rule of rectifiers: a name of `kvis_cli.engines.backprop_modifiers`, where it is
        an error when there are none, or a rule of one's own.

    Attributes
    ----------
    notes
        What the backprop modifier reached, once a step was compiled.

    Examples
    --------
    >>> import keras
    >>> from kvis_cli.engines.activation_maximization.objectives import ActivationMaximization
    >>> from kvis_cli.engines.activation_maximization.seeds import generator
    >>> from kvis_cli.models.live.reader import ModelReader, Tap
    >>> model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3, name="conv")])
    >>> aim = ActivationMaximization(Tap("conv"), [0, 1])
    >>> aim.bind((None, 6, 6, 2))
    >>> engine = ActivationMaximizer(ModelReader(model), [(aim, 1.0)], (8, 8, 3))
    >>> seeds = np.full((2, 8, 8, 3), 0.5, np.float32)
    >>> found = engine(seeds, [generator(0, n) for n in range(2)], steps=3)
    >>> found.images.shape, found.history["total"].shape
    ((2, 8, 8, 3), (3, 2))
    """

    def __init__(
        self,
        reader: ModelReader,
        losses: Sequence[Weighted | tuple[Any, float] | Loss],
        shape: tuple[int, ...],
        *,
        space: InputSpace | None = None,
        parametrization: Parametrization | None = None,
        optimizer: Optimizer | None = None,
        modifiers: Sequence[InputModifier] = (),
        gradient_modifier: GradientModifier | None = None,
        keep: Keep = "best",
        patience: int = 0,
        backprop_modifier: str | Rule | None = None,
    ) -> None:
        self.reader = reader
        self.losses = weighted(losses)
        self.shape = tuple(shape)
        self.space = space or InputSpace()
        self.parametrization = parametrization or Pixel()
        self.optimizer: Optimizer = optimizer or Adam(0.05)
        self.modifiers = list(modifiers)
        self.gradient_modifier = gradient_modifier
        self.keep = keep
        self.patience = patience
        self.backprop_modifier = backprop_modifier
        self.notes: list[str] = []
        self.taps = tuple(dict.fromkeys(t for w in self.losses for t in w.loss.taps))
        self.stop = bool(self.taps) and not any(w.loss.needs_outputs for w in self.losses)
        self._compiled = tf.function(self._step, autograph=False)
        self._measured = tf.function(self._measure, autograph=False)

    @property
    def traces(self) -> int:
        """How often the step was compiled."""
        return int(self._compiled.experimental_get_tracing_count())

    def __call__(
        self,
        seeds: np.ndarray,
        generators: Sequence[np.random.Generator],
        steps: int,
        *,
        batch_size: int = 16,
        progress: Progress | None = None,
        frames: Frames | None = None,
        frames_every: int = 1,
        watch: Watch | None = None,
    ) -> Maximized:
        """Optimise pictures.

        Parameters
        ----------
        seeds
            float32 ``(N, …, C)``: where they start, in the unit range.
        generators
            The random numbers of each picture's input modifiers.
        steps
            How many.
        batch_size
            Pictures at once; halved whenever memory does not suffice.
        progress
            Called with the number of batch-steps done and of all.
        frames
            Called with the numbers of the pictures, the step and the pictures as they are: before
            the first step, every `frames_every` steps and after the last; from step 0 again for
            pictures whose batch was halved.
        frames_every
            Steps between two calls of `frames`.
        watch
            Called after every step with its number from 0, the total and the unweighted losses
            ``(B, 1 + losses)``, and the pictures and the gradient of their parameters, both as
            before the step.

        Returns
        -------
        Maximized
            The pictures in the unit range, the score of each, all losses of every step, how many
            steps each took, and warnings.

        Raises
        ------
        ResultError
            Not finite from the first step on; or not even one picture fits into memory.
        """
        count = len(seeds)
        if steps < 1:
            raise UsageError(f"{steps} steps cannot be taken.", "", "Use --steps 1 or more.")
        draws = [
            np.stack([m.draw(generator, steps, self.shape) for generator in generators], axis=1)
            for m in self.modifiers
        ]
        batches = 0

        def run(rows: list[int], size: int) -> Part:
            nonlocal batches
            before = batches * steps
            total = before - (rows[0] - count) // size * steps

            def tell(step: int) -> None:
                if progress is not None:
                    progress(before + step, total)

            part = self._run(seeds, draws, rows, size, steps, tell, frames, frames_every, watch)
            batches += 1
            return part

        return joined(in_batches(count, batch_size, run, self._note), self.losses, steps)

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def _run(
        self,
        seeds: np.ndarray,
        draws: list[np.ndarray],
        rows: list[int],
        size: int,
        steps: int,
        tell: Callable[[int], None],
        frames: Frames | None,
        frames_every: int,
        watch: Watch | None,
    ) -> Part:
        # The last batch is filled up, so that nothing is compiled again.
        filled = rows + rows[-1:] * (size - len(rows))
        arguments = self._arguments(filled)
        numbers = [tf.constant(d[:, filled]) for d in draws]
        state = self._start(tf.constant(self.parametrization.encode(seeds[filled])))
        started = self._images(state.parameters)[: len(rows)]
        history, taken = [], 0
        for step in range(steps):
            if frames is not None and step % frames_every == 0:
                frames(rows, step, self._images(state.parameters)[: len(rows)])
            before = state.parameters
            state_list, seen, gradient = self._compiled(
                as_list(state), numbers, arguments, tf.constant(step, tf.int32)
            )
            state = as_state(state_list)
            if watch is not None:
                watch(step, seen.numpy()[:, :-2], self._images(before), gradient.numpy())
            history.append(seen)
            taken = step + 1
            tell(taken)
            if (self.patience and taken % _LOOK_EVERY == 0) and not np.any(state.active):
                break
        if taken < steps:
            tell(steps)
        if frames is not None:
            frames(rows, taken, self._images(state.parameters)[: len(rows)])
        part = self._finish(state, np.stack([h.numpy() for h in history]), rows, arguments)
        axes = tuple(range(1, started.ndim))
        return replace(part, unchanged=(part.images == started).all(axis=axes))

    def _start(self, parameters: Any) -> State:
        batch = parameters.shape[0]
        return State(
            parameters,
            self.optimizer.slots(parameters),
            parameters,
            tf.fill([batch], np.float32(np.inf)),
            parameters,
            tf.fill([batch], True),
            tf.zeros([batch], tf.int32),
        )

    def _arguments(self, rows: list[int]) -> list[dict[str, Any]]:
        return [
            {key: tf.constant(value) for key, value in w.loss.arguments(rows).items()}
            for w in self.losses
        ]

    def _images(self, parameters: Any) -> np.ndarray:
        return np.asarray(self.parametrization.decode(parameters))

    def _finish(
        self, state: State, history: np.ndarray, rows: list[int], arguments: list[dict[str, Any]]
    ) -> Part:
        count = len(rows)
        history = history[:, :count]
        images = self._images(state.parameters)
        scores = self._scores(images, arguments)
        if self.keep != "last":
            best = self._images(state.best)
            best_scores = self._scores(best, arguments)
            wanted = -1 if sum(w.weight for w in self.losses if w.loss.is_objective) < 0 else 1
            better = ~(wanted * scores >= wanted * best_scores)
            if self.keep == "after-best":
                better = np.isfinite(np.asarray(state.best_total))
            images = np.where(better.reshape(-1, *[1] * (images.ndim - 1)), best, images)
            scores = np.where(better, best_scores, scores)
        return Part(images[:count], scores[:count], history, rows)

    def _scores(self, images: np.ndarray, arguments: list[dict[str, Any]]) -> np.ndarray:
        return np.asarray(self._measured(tf.constant(images), arguments))

    def measure(self, images: np.ndarray, batch_size: int = 16) -> np.ndarray:
        """Return the activations of finished pictures ``(N, …, C)``, also of those read back."""

        def run(rows: list[int], size: int) -> np.ndarray:
            filled = rows + rows[-1:] * (size - len(rows))
            return self._scores(images[filled], self._arguments(filled))[: len(rows)]

        return np.concatenate(in_batches(len(images), batch_size, run, self._note))

    # What follows is traced.

    def _step(
        self, state_list: list[Any], draws: list[Any], arguments: list[dict[str, Any]], step: Any
    ) -> tuple[list[Any], Any, Any]:
        state = as_state(state_list)
        with backprop_modifier(self.backprop_modifier) as rectifiers:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(state.parameters)
                images = self.parametrization.decode(state.parameters)
                terms, total = self._terms(images, [d[step] for d in draws], arguments)
                objective = tf.reduce_sum(total)
            gradient = tape.gradient(objective, state.parameters)
        if isinstance(self.backprop_modifier, str):
            rectifiers.finish(objective)
            self._note(rectifiers.describe())
        if gradient is None:
            raise UsageError(
                "What is to be maximised does not depend on the picture.",
                "There is no differentiable path from the input to it.",
                "Choose another layer or class.",
            )
        if self.gradient_modifier is not None:
            gradient = self.gradient_modifier(gradient)
        axes = list(range(1, gradient.shape.rank))
        finite = tf.reduce_all(tf.math.is_finite(terms), 1)
        finite &= tf.reduce_all(tf.math.is_finite(gradient), axes)
        moving = state.active & finite
        gradient = tf.where(wide(moving, gradient), gradient, 0.0)
        moved, slots = self.optimizer.step(state.parameters, gradient, state.slots, step + 1)
        moved = self.parametrization.project(moved)
        good = tf.where(wide(moving, moved), state.parameters, state.good)
        better = moving & (total < state.best_total)
        enough = moving & (total < state.best_total - 1e-3 * tf.abs(state.best_total))
        enough |= better & tf.math.is_inf(state.best_total)
        stale = tf.where(enough, 0, state.stale + 1)
        active = moving & (stale < self.patience) if self.patience else moving
        # Parameters that gave no finite number give way to those before them.
        kept = tf.where(wide(state.active & ~finite, moved), good, state.parameters)
        parameters = tf.where(wide(moving, moved), moved, kept)
        best = parameters if self.keep == "after-best" else state.parameters
        new = State(
            parameters,
            slots,
            tf.where(wide(better, moved), best, state.best),
            tf.where(better, total, state.best_total),
            good,
            active,
            stale,
        )
        seen = tf.concat(
            [
                total[:, tf.newaxis],
                terms,
                tf.cast(finite | ~state.active, tf.float32)[:, tf.newaxis],
                tf.cast(moving, tf.float32)[:, tf.newaxis],
            ],
            axis=1,
        )
        return as_list(new), seen, gradient

    def _terms(
        self, images: Any, draws: list[Any] | None, arguments: list[dict[str, Any]]
    ) -> tuple[Any, Any]:
        shown = images
        if draws is not None:
            for modifier, numbers in zip(self.modifiers, draws, strict=True):
                shown = modifier.apply(shown, numbers)
        view = self._view(images, shown, arguments)
        terms = tf.stack(
            [
                tf.cast(w.loss(view, a), tf.float32)
                for w, a in zip(self.losses, arguments, strict=True)
            ],
            axis=1,
        )
        weights = tf.constant([w.weight for w in self.losses], tf.float32)
        return terms, tf.reduce_sum(terms * weights, axis=1)

    def _view(self, images: Any, shown: Any, arguments: list[dict[str, Any]]) -> View:
        inputs = self.space.to_inputs(shown)
        if not any(w.loss.taps or w.loss.needs_outputs for w in self.losses):
            return View(images, inputs, [], {}, self.space.channels_first)
        with ExitStack() as stack:
            if self.stop and sum(bool(w.loss.taps) for w in self.losses) == 1:
                for w, a in zip(self.losses, arguments, strict=True):
                    stack.enter_context(w.loss.reading(self.reader, a))
            forward = self.reader.forward(inputs, self.taps, stop=self.stop)
        taps = dict(zip(self.taps, forward.taps, strict=True))
        return View(images, inputs, forward.outputs, taps, self.space.channels_first)

    def _measure(self, images: Any, arguments: list[dict[str, Any]]) -> Any:
        aims = [i for i, w in enumerate(self.losses) if w.loss.is_objective]
        terms, total = self._terms(images, None, arguments)
        return -tf.reduce_sum(tf.gather(terms, aims, axis=1), axis=1) if aims else -total
