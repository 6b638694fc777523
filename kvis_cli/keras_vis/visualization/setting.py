"""The input that a picture of keras-vis' functions is made for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kvis_cli.engines.activation_maximization.input_space import InputSpace
from kvis_cli.engines.activation_maximization.presets import Recipe
from kvis_cli.engines.activation_maximization.published import stretch
from kvis_cli.engines.activation_maximization.seeds import generator, seed_image
from kvis_cli.errors import UsageError
from kvis_cli.keras_vis.visualization.subject import as_batch, input_channels_first
from kvis_cli.models.live.session import LiveModel

Range = tuple[float, float]


@dataclass(frozen=True)
class InputSetting:
    """The input that a picture is made for."""

    live: LiveModel
    shape: tuple[int, ...]
    range: Range
    start: np.ndarray | None
    whole: bool

    @classmethod
    def of(
        cls, live: LiveModel, input_range: Range, seed_input: Any, any_size: bool
    ) -> InputSetting:
        """Return the setting of a call.

        Parameters
        ----------
        live
            The model.
        input_range
            Lowest and highest model input.
        seed_input
            Where to start, with or without a batch axis; None leaves it to the recipe.
        any_size
            Whether the picture may have another size than the model's input.

        Returns
        -------
        InputSetting
            Shape, range and start, channels last.

        Raises
        ------
        UsageError
            For an empty range, or a size that is left open.
        """
        low, high = input_range
        if not low < high:
            raise UsageError(f"The input range {input_range} is empty.")
        first = input_channels_first(live)
        start = None
        if seed_input is not None:
            start = as_batch(live, seed_input, any_size=any_size)[0][0].astype(np.float32)
            start = np.moveaxis(start, 0, -1) if first else start
            shape: tuple[int | None, ...] | None = start.shape
        else:
            shape = live.input_shape and live.input_shape[1:]
            if shape and first:
                shape = (*shape[1:], shape[0])
        if shape is None or None in shape:
            raise UsageError(
                f"'{live.model.name}' leaves the size of its input open.",
                f"Its shape is {live.input_shape}.",
                "Give a seed_input of the size that you want.",
            )
        known = tuple(n for n in shape if n is not None)
        whole = all(isinstance(edge, int) for edge in input_range)
        whole = whole and low >= 0 and high <= 255 and high - low > 1
        return cls(live, known, (float(low), float(high)), start, whole)

    @property
    def space(self) -> InputSpace:
        """From the unit range to model inputs."""
        low, high = (np.float32(edge) for edge in self.range)
        return InputSpace(np.asarray(low), np.asarray(high), input_channels_first(self.live))

    def seeds(self, recipe: Recipe, seed: int, numbers: tuple[int, ...]) -> np.ndarray:
        """``(1, …, C)``: the start picture as the recipe optimises it."""
        if self.start is not None:
            start = self.start[np.newaxis]
            return start if recipe.as_coded else self.space.to_unit(start)
        kind: Any = recipe.start
        rng = generator(seed, 0, *numbers)
        return seed_image(kind, self.shape, rng, self.range)[np.newaxis]

    def inputs(self, image: np.ndarray, recipe: Recipe) -> np.ndarray:
        """Return an optimised picture as a channels-last model input."""
        low, high = self.range
        return image if recipe.as_coded else image * (high - low) + low

    def gradient(self, gradient: np.ndarray, recipe: Recipe) -> np.ndarray:
        """Return the gradient of what is optimised; of pixels, as one of model inputs."""
        if recipe.as_coded or recipe.parametrization != "pixel":
            return gradient
        low, high = self.range
        return gradient / (high - low)

    def shown(self, image: np.ndarray, recipe: Recipe) -> np.ndarray:
        """Return an optimised picture as it is returned."""
        low, high = self.range
        picture = self.inputs(image, recipe)
        if recipe.as_coded:
            picture = stretch(picture) * (high - low) + low
        if self.whole:
            # keras-vis and the book cut off what is behind the point.
            picture = picture if recipe.as_coded else np.rint(picture)
            return np.clip(picture, low, high).astype(np.uint8)
        return picture.astype(np.float32)
