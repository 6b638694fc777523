"""Random changes of the picture before the model sees it, inside the graph and differentiated.

What survives them is no accident of single pixels. Each picture has its own random numbers, drawn
beforehand for all steps, so a picture does not depend on its batch. The optimised picture itself
stays where it is: the change is undone by taking the gradient through it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from kvis_cli.errors import UsageError


class InputModifier:
    """A random change of pictures ``(B, …, C)`` in the unit range."""

    name = "modifier"

    def draw(self, rng: np.random.Generator, steps: int, shape: tuple[int, ...]) -> np.ndarray:
        """Return the random numbers of one picture of `shape`: float32 ``(steps, n)``.

        Parameters
        ----------
        rng
            Of this picture alone.
        steps
            How many sets of numbers.
        shape
            ``(…, C)`` of the picture, channels last.

        Returns
        -------
        numpy.ndarray
            float32 ``(steps, n)``; n is 0 for a modifier without random numbers.

        Raises
        ------
        UsageError
            For an input without axes along which it could be changed.
        """
        if len(shape) < 2:
            raise UsageError(
                f"There is nothing to {self.name} in this input.",
                f"It has no spatial axis; its shape is {shape}.",
            )
        return np.zeros((steps, 0), np.float32)

    def apply(self, images: Any, numbers: Any) -> Any:
        """Return the changed pictures; `numbers` is ``(B, n)``."""
        raise NotImplementedError


def amount(value: float | str, size: int) -> int:
    """``16px``, ``16``, ``5%`` or ``0.05`` of an axis of `size` as pixels.

    Numbers below 1 are parts of the axis, others are pixels.

    Parameters
    ----------
    value
        ``16px``, ``16``, ``5%`` or ``0.05``.
    size
        Length of the axis in pixels.

    Returns
    -------
    int
        Whole pixels.

    Raises
    ------
    UsageError
        For anything else, and for more than the axis has.

    Examples
    --------
    >>> amount("5%", 200), amount(0.05, 200), amount("16px", 200)
    (10, 10, 16)
    """
    text = str(value).strip().lower()
    try:
        if text.endswith("%"):
            pixels = float(text[:-1]) / 100 * size
        elif text.endswith("px"):
            pixels = float(text[:-2])
        else:
            pixels = float(text) * (size if float(text) < 1 else 1)
    except ValueError:
        pixels = -1
    if not 0 <= pixels < size:
        raise UsageError(
            f"'{value}' is not an amount of an axis of {size} pixels.",
            "",
            "Write pixels (16px) or a part of the axis (5%).",
        )
    return round(pixels)


class Jitter(InputModifier):
    """Rolls pictures on a torus by up to `by` in each direction.

    Parameters
    ----------
    by
        Pixels or a part of each axis: ``16px``, ``5%``; one value, or one per axis.
    """

    name = "jitter"

    def __init__(self, by: float | str | list[float | str] = "5%") -> None:
        self.by = by

    def draw(self, rng: np.random.Generator, steps: int, shape: tuple[int, ...]) -> np.ndarray:
        """Draw the numbers of every step."""
        super().draw(rng, steps, shape)
        axes = shape[:-1]
        each = self.by if isinstance(self.by, list) else [self.by] * len(axes)
        if len(each) != len(axes):
            raise UsageError(f"Jitter has {len(each)} values for {len(axes)} axes.")
        limits = np.array([amount(v, n) for v, n in zip(each, axes, strict=True)])
        return rng.integers(-limits, limits + 1, (steps, len(axes))).astype(np.float32)

    def apply(self, images: Any, numbers: Any) -> Any:
        """Change pictures by the numbers of a step."""
        axes = list(range(images.shape.rank - 2))
        shifts = tf.cast(numbers, tf.int32)
        rolled = [
            tf.roll(image, shift, axes)
            for image, shift in zip(tf.unstack(images), tf.unstack(shifts), strict=True)
        ]
        return tf.stack(rolled)


class Flip(InputModifier):
    """Mirrors pictures left to right every other time."""

    name = "flip"

    def draw(self, rng: np.random.Generator, steps: int, shape: tuple[int, ...]) -> np.ndarray:
        """Draw the numbers of every step."""
        super().draw(rng, steps, shape)
        return rng.integers(0, 2, (steps, 1)).astype(np.float32)

    def apply(self, images: Any, numbers: Any) -> Any:
        """Change pictures by the numbers of a step."""
        rank = images.shape.rank
        chosen = tf.reshape(numbers[:, 0] > 0.5, [-1] + [1] * (rank - 1))
        return tf.where(chosen, tf.reverse(images, [rank - 2]), images)


class Pad(InputModifier):
    """Surrounds pictures with grey and cuts their size out again at a random place.

    Unlike `Jitter`, what leaves on one side does not come back on the other.

    Parameters
    ----------
    by
        Width of the border: ``12px``, ``5%``.
    """

    name = "pad"

    def __init__(self, by: float | str = "5%") -> None:
        self.by = by

    def draw(self, rng: np.random.Generator, steps: int, shape: tuple[int, ...]) -> np.ndarray:
        """Draw the numbers of every step."""
        super().draw(rng, steps, shape)
        limits = np.array([amount(self.by, n) for n in shape[:-1]])
        starts = rng.integers(0, 2 * limits + 1, (steps, len(limits)))
        both = np.concatenate([starts, np.broadcast_to(limits, starts.shape)], axis=1)
        return both.astype(np.float32)

    def apply(self, images: Any, numbers: Any) -> Any:
        """Change pictures by the numbers of a step."""
        rank = images.shape.rank - 2
        whole = tf.cast(numbers, tf.int32)
        cut = []
        for image, row in zip(tf.unstack(images), tf.unstack(whole), strict=True):
            border = tf.pad(tf.stack([row[rank:], row[rank:]], 1), [[0, 1], [0, 0]])
            padded = tf.pad(image, border, constant_values=0.5)
            start = tf.concat([row[:rank], [0]], 0)
            cut.append(tf.ensure_shape(tf.slice(padded, start, tf.shape(image)), image.shape))
        return tf.stack(cut)


class Scale(InputModifier):
    """Enlarges or shrinks pictures about their centre, mirrored at the edges.

    Parameters
    ----------
    low
        The smallest factor, above 0.
    high
        The largest factor. Factors are drawn evenly on a logarithmic scale.
    """

    name = "scale"

    def __init__(self, low: float = 0.9, high: float = 1.1) -> None:
        if not 0 < low <= high:
            raise UsageError(f"Scale cannot be from {low:g} to {high:g}.", "", "Use e.g. 0.9,1.1.")
        self.low, self.high = low, high

    def draw(self, rng: np.random.Generator, steps: int, shape: tuple[int, ...]) -> np.ndarray:
        """Draw the numbers of every step."""
        super().draw(rng, steps, shape)
        factors = np.exp(rng.uniform(np.log(self.low), np.log(self.high), (steps, 1)))
        return factors.astype(np.float32)

    def apply(self, images: Any, numbers: Any) -> Any:
        """Change pictures by the numbers of a step."""
        # Bilinear sampling is one small matrix per axis, and its gradient the transposed one.
        rank = images.shape.rank
        for axis in range(1, rank - 1):
            size = images.shape[axis]
            centre = (size - 1) / 2
            places = (tf.range(size, dtype=tf.float32) - centre) / numbers[:, :1] + centre
            matrix = _sampling(places, size)
            order = [0, axis, *(a for a in range(1, rank) if a != axis)]
            moved = tf.transpose(images, order)
            flat = tf.reshape(moved, [tf.shape(moved)[0], size, -1])
            moved = tf.reshape(tf.matmul(matrix, flat), tf.shape(moved))
            images = tf.ensure_shape(tf.transpose(moved, np.argsort(order)), images.shape)
        return images


class Rotate(InputModifier):
    """Turns pictures about their centre, mirrored at the edges. For two spatial axes.

    Parameters
    ----------
    degrees
        The largest angle to either side.
    """

    name = "rotate"

    def __init__(self, degrees: float = 5.0) -> None:
        self.degrees = degrees

    def draw(self, rng: np.random.Generator, steps: int, shape: tuple[int, ...]) -> np.ndarray:
        """Draw the numbers of every step."""
        if len(shape) != 3:
            raise UsageError("Only pictures can be rotated.", f"This input has the shape {shape}.")
        return np.radians(rng.uniform(-self.degrees, self.degrees, (steps, 1))).astype(np.float32)

    def apply(self, images: Any, numbers: Any) -> Any:
        """Change pictures by the numbers of a step."""
        height, width = images.shape[1:3]
        y = tf.range(height, dtype=tf.float32)[:, tf.newaxis] - (height - 1) / 2
        x = tf.range(width, dtype=tf.float32)[tf.newaxis] - (width - 1) / 2
        angle = numbers[:, 0, tf.newaxis, tf.newaxis]
        cosine, sine = tf.cos(angle), tf.sin(angle)
        rows = cosine * y - sine * x + (height - 1) / 2
        columns = sine * y + cosine * x + (width - 1) / 2
        return _bilinear(images, rows, columns)


class BlurInput(InputModifier):
    """Blurs pictures with a Gaussian: fine grain gets no gradient.

    Parameters
    ----------
    sigma
        Deviation in pixels.
    """

    name = "blur"

    def __init__(self, sigma: float = 1.0) -> None:
        self.sigma = sigma

    def apply(self, images: Any, numbers: Any) -> Any:
        """Change pictures by the numbers of a step."""
        return blurred(images, self.sigma)


def blurred(images: Any, sigma: float) -> Any:
    """Pictures ``(B, …, C)`` under a Gaussian of `sigma` pixels, mirrored at the edges."""
    rank = images.shape.rank
    for axis in range(1, rank - 1):
        size = images.shape[axis]
        reach = min(max(1, round(3 * sigma)), size - 1)
        taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / max(sigma, 1e-6)) ** 2)
        taps = (taps / taps.sum()).astype(np.float32)
        border = [[0, 0]] * rank
        border[axis] = [reach, reach]
        wide = tf.pad(images, border, "REFLECT")
        index = [slice(None)] * rank
        total = 0.0
        for start, tap in enumerate(taps):
            index[axis] = slice(start, start + size)
            total += float(tap) * wide[tuple(index)]
        images = total
    return images


def _mirror(places: Any, size: int) -> Any:
    """Integer places of any size folded into 0 … size-1."""
    if size == 1:
        return tf.zeros_like(places)
    period = 2 * (size - 1)
    folded = tf.math.floormod(places, period)
    return tf.minimum(folded, period - folded)


def _sampling(places: Any, size: int) -> Any:
    """``(B, n, size)``: row i takes the picture at ``places[b, i]``, bilinear and mirrored."""
    floor = tf.floor(places)
    part = (places - floor)[..., tf.newaxis]
    first = tf.one_hot(_mirror(tf.cast(floor, tf.int32), size), size)
    second = tf.one_hot(_mirror(tf.cast(floor, tf.int32) + 1, size), size)
    return first * (1 - part) + second * part


def _bilinear(images: Any, rows: Any, columns: Any) -> Any:
    """``images[b]`` at ``(rows[b], columns[b])``, bilinear and mirrored."""
    batch, height, width, channels = images.shape
    top, left = tf.floor(rows), tf.floor(columns)
    down, right = (rows - top)[..., tf.newaxis], (columns - left)[..., tf.newaxis]
    flat = tf.reshape(images, [-1, channels])
    base = tf.range(batch)[:, tf.newaxis, tf.newaxis] * (height * width)
    total = 0.0
    for y, weight_y in ((0, 1 - down), (1, down)):
        for x, weight_x in ((0, 1 - right), (1, right)):
            row = _mirror(tf.cast(top, tf.int32) + y, height)
            column = _mirror(tf.cast(left, tf.int32) + x, width)
            taken = tf.gather(flat, base + row * width + column)
            total += weight_y * weight_x * taken
    return total


INPUT_MODIFIERS: dict[str, type[InputModifier]] = {
    "jitter": Jitter,
    "rotate": Rotate,
    "scale": Scale,
    "flip": Flip,
    "pad": Pad,
    "blur": BlurInput,
}
"""By the names of the options."""
