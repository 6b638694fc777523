"""From 0..255 pictures to what the model was trained on, and exactly back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from kvis_cli.errors import SpecError, UnknownNameError
from kvis_cli.lazy import np

Color = Literal["rgb", "bgr"]


@dataclass(frozen=True)
class Preprocessing:
    """``(pixels - mean) / std`` on 0..255 values, after the colour order was set.

    Attributes
    ----------
    name
        ``signed``, ``caffe`` …, or ``custom``.
    mean, std
        One number for all channels or one per channel, in 0..255 units and in the model's own
        channel order.
    color
        Channel order of the model's input.
    per_image
        Whether each picture has its own mean and deviation, over all its values, taken in place of
        `mean` and `std`. These then only stand for a typical photo, where there is no picture.
    """

    name: str
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    color: Color = "rgb"
    per_image: bool = False

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """Pictures ``(…, C)`` in 0..255, RGB or grey, as float32 model inputs."""
        x = np.asarray(pixels)
        if self.color == "bgr" and x.shape[-1] == 3:
            x = x[..., ::-1]
        mean, std = self._statistics(x)
        made = np.subtract(x, mean, dtype=np.float32)
        return np.divide(made, std, out=made)

    def _statistics(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if not self.per_image or x.ndim < 3:
            return _float32(self.mean), _float32(self.std)
        axes = (-3, -2, -1)
        mean = x.mean(axes, keepdims=True, dtype=np.float64)
        std = x.std(axes, keepdims=True, dtype=np.float64)
        # A picture of one colour becomes zeros, and is not divided by zero.
        least = 1 / np.sqrt(np.prod(x.shape[-3:]))
        return mean.astype(np.float32), np.maximum(std, least).astype(np.float32)

    def invert(self, inputs: np.ndarray) -> np.ndarray:
        """Model inputs ``(…, C)`` as 0..255 pictures; the inverse of `apply`, not clipped."""
        x = np.asarray(inputs, np.float32) * _float32(self.std) + _float32(self.mean)
        return x[..., ::-1] if self.color == "bgr" and x.shape[-1] == 3 else x

    def input_range(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the model inputs that black and white become, each a scalar or one per channel."""
        mean, std = _float32(self.mean), _float32(self.std)
        return (0 - mean) / std, (255 - mean) / std

    def to_spec(self) -> str | dict[str, Any]:
        """Return the shortest spec value that `parse` turns into this object."""
        if PRESETS.get(self.name) == self:
            return self.name
        return {"mean": list(self.mean), "std": list(self.std), "color": self.color}

    def describe(self) -> str:
        """In words: ``signed: pixels / 127.5 - 1``."""
        if PRESETS.get(self.name) == self:
            return f"{self.name}: {_WORDS[self.name]}"
        order = "BGR, " if self.color == "bgr" else ""
        mean, std = (", ".join(f"{v:g}" for v in values) for values in (self.mean, self.std))
        return f"{self.name}: {order}(pixels - [{mean}]) / [{std}]".replace(" / [1]", "")


def _float32(values: tuple[float, ...]) -> np.ndarray:
    return np.asarray(values, np.float32)


PRESETS: dict[str, Preprocessing] = {
    "none": Preprocessing("none"),
    "unit": Preprocessing("unit", (0.0,), (255.0,)),
    "signed": Preprocessing("signed", (127.5,), (127.5,)),
    "caffe": Preprocessing("caffe", (103.939, 116.779, 123.68), (1.0,), "bgr"),
    "torch": Preprocessing("torch", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    "standardize": Preprocessing("standardize", (117.0,), (60.0,), per_image=True),
}
_WORDS = {
    "none": "pixels as they are, 0..255",
    "unit": "pixels / 255",
    "signed": "pixels / 127.5 - 1",
    "caffe": "BGR, minus the ImageNet mean",
    "torch": "pixels / 255, minus mean, by deviation of ImageNet",
    "standardize": "each picture minus its own mean, by its own deviation",
}


def parse(value: str | Mapping[str, Any]) -> Preprocessing:
    """Return a preset name, ``'color=bgr;mean=104,117,123;std=1'`` or a mapping as `Preprocessing`.

    Parameters
    ----------
    value
        As in an option or a sidecar.

    Returns
    -------
    Preprocessing
        A preset itself, or one called ``custom``.

    Raises
    ------
    SpecError
        For values that do not describe a preprocessing.
    UnknownNameError
        For an unknown preset.
    """
    if isinstance(value, str):
        name = value.strip()
        if name in PRESETS:
            return PRESETS[name]
        if "=" not in name:
            raise UnknownNameError.of(
                "preprocessing",
                name,
                ["auto", *PRESETS],
                hint="Or give the values: 'color=bgr;mean=104,117,123;std=1'.",
            )
        value = dict(part.split("=", 1) for part in name.split(";") if "=" in part)
    unknown = set(value) - {"mean", "std", "color"}
    if unknown:
        raise UnknownNameError.of("preprocessing key", sorted(unknown)[0], ["mean", "std", "color"])
    mean, std = _numbers("mean", value.get("mean", 0)), _numbers("std", value.get("std", 1))
    if any(s == 0 for s in std):
        raise SpecError("The preprocessing's std has a zero in it.", "Values are divided by it.")
    color = str(value.get("color", "rgb")).strip().lower()
    if color not in ("rgb", "bgr"):
        raise UnknownNameError.of("colour order", color, ["rgb", "bgr"])
    return Preprocessing("custom", mean, std, "bgr" if color == "bgr" else "rgb")


def _numbers(key: str, value: Any) -> tuple[float, ...]:
    parts = value.replace("/", ",").split(",") if isinstance(value, str) else value
    try:
        numbers = tuple(float(v) for v in (parts if isinstance(parts, list | tuple) else [parts]))
    except (TypeError, ValueError):
        numbers = ()
    if not numbers or not all(np.isfinite(numbers)):
        raise SpecError(
            f"The preprocessing's {key} cannot be {value!r}.", "It is one number or several."
        )
    return numbers
