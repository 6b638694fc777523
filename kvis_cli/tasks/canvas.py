"""What `filters` and `maximize` share: from a task to a recipe, from arrays to pictures."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf

from kvis_cli.engines.activation_maximization.input_space import InputSpace
from kvis_cli.engines.activation_maximization.presets import Recipe
from kvis_cli.engines.activation_maximization.published import stretch
from kvis_cli.engines.activation_maximization.seeds import generator, seed_image
from kvis_cli.engines.backprop_modifiers import find_rule
from kvis_cli.engines.gradient_modifiers import find_modifier
from kvis_cli.errors import KvisError, UsageError
from kvis_cli.models.live.open import OpenModel
from kvis_cli.models.live.reader import Tap
from kvis_cli.shown import said
from kvis_cli.spec.maximize import OptimizationSpec


@dataclass
class Canvas:
    """The input that pictures are made for.

    Attributes
    ----------
    opened
        The model.
    shape
        ``(…, C)``, channels last, as the model's own size has it; None where it is open.
    channels_first
        Whether the model takes ``(B, C, …)``.
    """

    opened: OpenModel
    shape: tuple[int | None, ...]
    channels_first: bool = False

    @classmethod
    def of(cls, opened: OpenModel) -> Canvas:
        """Return the canvas of a model with one input.

        Parameters
        ----------
        opened
            The model.

        Returns
        -------
        Canvas
            Its shape is channels last, with None for a size that the model leaves open.

        Raises
        ------
        UsageError
            For an input that is not numbers of a known shape.
        """
        inputs = opened.info.architecture.inputs
        # The others keep the constants that they have in every command.
        entry = inputs[opened.info.explained_input()] if inputs else None
        if entry is not None and entry.dtype.startswith(("int", "uint", "string")):
            raise UsageError(
                f"The input of {opened.info.reference} takes whole numbers ({entry.dtype}).",
                "A picture is made by following a gradient, and there is none with respect to "
                "whole numbers.",
                "Give the model without its first conversion, or with a float input.",
            )
        if entry is not None and entry.shape is not None and len(entry.shape) != 4:
            shape = tuple(entry.shape[1:])
            if not shape or shape[-1] is None:
                raise UsageError(
                    f"The input of {opened.info.reference} has no known number of channels.",
                    f"Its shape is {entry.shape}.",
                )
            return cls(opened, shape)
        image = opened.image_input
        size = (None, None) if image.free else (image.height, image.width)
        return cls(opened, (*size, image.channels), image.channels_first)

    def sized(self, size: Sequence[int] | None = None) -> tuple[int, ...]:
        """Return the shape of a picture.

        Of `size` (one value, or one per axis), else the model's own.
        """
        axes = self.shape[:-1]
        channels = self.shape[-1]
        assert channels is not None
        if size is not None:
            each = list(size) * len(axes) if len(size) == 1 else list(size)
            if len(each) != len(axes):
                raise UsageError(
                    f"A size of {len(each)} numbers does not fit an input with {len(axes)} axes."
                )
            return (*each, channels)
        if len(axes) == 2 and None in axes:
            image = self.opened.image_input
            return (image.height, image.width, channels)
        if None in axes:
            raise UsageError(
                f"{self.opened.info.reference} leaves the size of its input open.",
                f"Its shape is {self.shape}.",
                "Give one with --size.",
            )
        return tuple(n for n in self.shape if n is not None)

    @cached_property
    def space(self) -> InputSpace:
        """From the unit range to model inputs."""
        low, high = self.opened.preprocessing.input_range()
        return InputSpace(low, high, self.channels_first)

    @property
    def bgr(self) -> bool:
        """Whether the channels are blue, green, red."""
        return self.opened.preprocessing.color == "bgr" and self.shape[-1] == 3

    @property
    def value_range(self) -> tuple[float, float]:
        """Lowest and highest model input."""
        return float(np.min(self.space.low)), float(np.max(self.space.high))

    def to_unit(self, inputs: np.ndarray, recipe: Recipe) -> np.ndarray:
        """Channels-last model inputs as what a recipe optimises."""
        inputs = np.asarray(inputs, np.float32)
        return inputs if recipe.as_coded else self.space.to_unit(inputs)

    def to_inputs(self, images: np.ndarray, recipe: Recipe) -> np.ndarray:
        """Return what a recipe optimised, as channels-last model inputs."""
        if recipe.as_coded:
            return np.asarray(images, np.float32)
        return np.asarray(images * (self.space.high - self.space.low) + self.space.low, np.float32)

    def to_display(self, images: np.ndarray, recipe: Recipe) -> np.ndarray:
        """Optimised pictures ``(N, …, C)`` in 0..255: the exact inverse of the preprocessing.

        With `Recipe.stretch` each is given mean 0.5 and deviation 0.1 first; where the recipe
        works on model inputs, they are then shown as they are, as in the book.
        """
        if recipe.stretch and recipe.as_coded:
            pixels = np.stack([stretch(image) for image in images]) * 255
        else:
            pixels = self.opened.preprocessing.invert(self.to_inputs(images, recipe))
            if recipe.stretch:
                pixels = np.stack([stretch(image / 255) for image in pixels]) * 255
        return np.clip(pixels, 0, 255).astype(np.float32)

    def to_pixels(self, images: np.ndarray, recipe: Recipe) -> np.ndarray:
        """`to_display` as uint8."""
        shown = self.to_display(images, recipe)
        # The book and keras-vis cut off what is behind the point.
        return (shown if recipe.as_coded else np.rint(shown)).astype(np.uint8)

    def from_unit(self, images: np.ndarray, recipe: Recipe) -> np.ndarray:
        """Pictures in the unit range as what a recipe optimises."""
        if not recipe.as_coded:
            return images
        return self.to_inputs(images, replace(recipe, as_coded=False))

    def from_pixels(self, pixels: np.ndarray, recipe: Recipe) -> np.ndarray:
        """Pictures of a file, ``(N, …, C)`` in 0..255, as what a recipe optimises."""
        return self.to_unit(self.opened.preprocessing.apply(pixels), recipe)

    def start(
        self, recipe: Recipe, shape: tuple[int, ...], keys: Sequence[tuple[int, ...]], seed: int
    ) -> np.ndarray:
        """Start pictures, one per key; each has its own random numbers."""
        kind: Any = recipe.start
        made = [seed_image(kind, shape, generator(seed, 0, *key), self.value_range) for key in keys]
        images = np.stack(made)
        return self.from_unit(images, recipe) if kind in ("noise", "grey", "spectrum") else images


def lowers(task: OptimizationSpec) -> bool:
    """Whether the activation is to fall.

    A negated gradient of the whole loss would raise what the regularizers hold down, too.
    """
    return task.grad_modifier == "negate"


def check_modifiers(task: OptimizationSpec) -> tuple[Any, str | None]:
    """Return the gradient modifier as a function, and the name of the backprop modifier.

    `lowers` says what becomes of ``negate``.

    Parameters
    ----------
    task
        Of which `backprop` and `grad_modifier` are read.

    Returns
    -------
    modify, backprop
        None for each that was not given.

    Raises
    ------
    UnknownNameError
        For names that are not registered.
    """
    if task.backprop is not None:
        find_rule(task.backprop)
    if task.grad_modifier is None or lowers(task):
        return None, task.backprop
    return find_modifier(task.grad_modifier).modify, task.backprop


def layer_shape(canvas: Canvas, tap: Tap, shape: tuple[int, ...]) -> tuple[int | None, ...]:
    """Return the shape of a layer's tensor for pictures of `shape`, batch included.

    Nothing is computed.

    Parameters
    ----------
    canvas
        The model and its input.
    tap
        The layer call.
    shape
        ``(…, C)`` of the pictures, channels last.

    Returns
    -------
    tuple
        ``(None, …)`` as the layer has it.

    Raises
    ------
    UsageError
        When the layer cannot be computed for that size.
    """
    try:
        found = _traced_shape(canvas, tap, shape)
    except KvisError:
        raise
    except Exception as error:
        reason = _short(said(error))
    else:
        reason = f"Its map would have the shape {found[1:]}."
        if all(n is None or n > 0 for n in found):
            return found
    larger = _size_that_works(canvas, tap, shape)
    own = "×".join(map(str, shape[:-1]))
    raise UsageError(
        f"Layer '{tap}' cannot be computed for a picture of {own}.",
        reason,
        f"Use --size {larger}." if larger else "Use the model's own size.",
    )


def _traced_shape(canvas: Canvas, tap: Tap, shape: tuple[int, ...]) -> tuple[int | None, ...]:
    found: list[tuple[int | None, ...]] = []

    def trace(images: Any) -> Any:
        inputs = canvas.space.to_inputs(images)
        tensor = canvas.opened.reader.forward(inputs, [tap], stop=True).taps[0]
        found.append(tuple(tensor.shape))
        return tensor

    function = tf.function(trace, autograph=False)
    function.get_concrete_function(tf.TensorSpec((2, *shape), tf.float32))
    return found[0]


def _size_that_works(canvas: Canvas, tap: Tap, shape: tuple[int, ...]) -> int | None:
    own = [n for n in canvas.shape[:-1] if n is not None]
    for size in (*(max(shape[:-1], default=1) * 2**k for k in range(1, 6)), *own[:1]):
        if size > 1024:
            continue
        try:
            found = _traced_shape(canvas, tap, canvas.sized([size]))
        except Exception:
            continue
        if all(n is None or n > 0 for n in found):
            return size
    return None


def _short(reason: str) -> str:
    """Return the first sentence of a message of Keras or TensorFlow."""
    text = re.split(r"Arguments received by|Call arguments", reason)[0]
    match = re.search(
        r"(Computed output size would be negative[^.]*|Negative dimension.*?(?= for '|\.|$))", text
    )
    return (match[0] if match else text[:200].strip()) + "."
