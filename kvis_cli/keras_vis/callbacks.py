"""Callbacks of an optimisation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kvis_cli.errors import UsageError

__all__ = ["GifGenerator", "OptimizerCallback", "Print", "Step"]

_SMALLEST_FRAME = 224
NamedLosses = list[tuple[str, float]]


@dataclass(frozen=True)
class Step:
    """A step of an optimisation.

    Attributes
    ----------
    i
        Its number, from 0.
    named_losses
        ``(name, weighted value)`` of each loss.
    overall_loss
        Their sum.
    grads
        The gradient after `grad_modifier`: of the model input ``(1, …, C)``, or of its spectrum
        where a preset optimises that.
    wrt_value
        The picture ``(1, …, C)`` as a model input, as it was before the step.
    """

    i: int
    named_losses: NamedLosses
    overall_loss: float
    grads: np.ndarray
    wrt_value: np.ndarray


class OptimizerCallback:
    """Called after each step of `visualize_activation`; subclasses write one of the first two.

    `callback` is keras-vis' own; `on_step` gets the same as one `Step`.

    Examples
    --------
    >>> class Losses(OptimizerCallback):
    ...     def on_step(self, step):
    ...         print(step.i, round(step.overall_loss, 3))
    >>> Losses().callback(0, [("tv", 1.5)], 1.5, np.zeros((1, 8, 8, 3)), np.zeros((1, 8, 8, 3)))
    0 1.5
    """

    def callback(
        self,
        i: int,
        named_losses: NamedLosses,
        overall_loss: float,
        grads: np.ndarray,
        wrt_value: np.ndarray,
    ) -> None:
        """Handle a step; see `Step`."""
        self.on_step(Step(i, named_losses, overall_loss, grads, wrt_value))

    def on_step(self, step: Step) -> None:
        """Take note of a step."""
        raise NotImplementedError

    def on_start(self, input_range: tuple[float, float]) -> None:
        """Take note of the first step; pictures lie in `input_range`."""

    def on_end(self) -> None:
        """Take note of the last step."""


class Print(OptimizerCallback):
    """Prints all losses of every step."""

    def on_step(self, step: Step) -> None:
        """Take note of a step."""
        print(
            f"Iteration: {step.i + 1}, named_losses: {step.named_losses}, "
            f"overall loss: {step.overall_loss}"
        )


class GifGenerator(OptimizerCallback):
    """Writes the optimisation as an animation.

    Parameters
    ----------
    path
        The file; ``.gif`` is added where it has no suffix that is an animation's.
    input_range
        The values shown as black and white. ``(0, 255)``, keras-vis' default, stands for the range
        of the optimisation; None for the range that each picture has, which flickers.
    every
        Keep one frame of every `every` steps.
    """

    def __init__(
        self,
        path: str | Path,
        input_range: tuple[float, float] | None = (0, 255),
        *,
        every: int = 1,
    ) -> None:
        from kvis_cli.render.animation import SUFFIXES

        path = Path(path)
        if path.suffix.lower() not in SUFFIXES:
            path = path.with_name(path.name + ".gif")
        if every < 1:
            raise UsageError(f"One frame in {every} steps cannot be kept.")
        self.path = path
        self.input_range = input_range
        self._range = input_range
        self.every = every
        self._frames: list[np.ndarray] = []

    def on_start(self, input_range: tuple[float, float]) -> None:
        """Take note of the range of the pictures."""
        self._range = input_range if self.input_range == (0, 255) else self.input_range

    def on_step(self, step: Step) -> None:
        """Take note of a step."""
        from kvis_cli.render.caption import with_note
        from kvis_cli.render.display import to_rgb

        if step.i == 0:
            self._frames = []
        if step.i % self.every:
            return
        picture = step.wrt_value[0]
        low, high = self._range or (float(picture.min()), float(picture.max()))
        frame = to_rgb(picture, (low, high))
        # A note would cover most of a picture as small as MNIST's.
        factor = -(-_SMALLEST_FRAME // max(frame.shape[:2]))
        frame = frame.repeat(factor, axis=0).repeat(factor, axis=1)
        self._frames.append(with_note(frame, f"Step {step.i + 1}"))

    def on_end(self) -> None:
        """Write the animation."""
        from kvis_cli.render.animation import write_animation

        write_animation(self.path, self._frames)
        self._frames = []
