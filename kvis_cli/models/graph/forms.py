"""What a model's input takes and what its output is, from the graph and the shapes alone.

A file says shapes and activations, not what they mean. The rules here are those of common
architectures; where a shape fits two of them, the more frequent one is taken and `reason` says by
what.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from kvis_cli.models.graph.architecture import Architecture, Endpoint, LayerCall
from kvis_cli.models.graph.layers import has_role
from kvis_cli.models.graph.layers.rules import Shape

OutputKind = Literal["classes", "score", "mask", "segmentation", "image", "signal", "tokens"]
InputKind = Literal["picture", "pixels", "signal", "volume", "table", "tokens", "noise", "text"]

# A vector or a plane of fewer pixels per side is a table.
MIN_SIDE = 8
COLOURS = (1, 3, 4)
WITHOUT_CLASSES = ("mask", "image", "signal")
# They change the size of a map, not what its values are.
_RESIZING = ("Cropping", "UpSampling", "ZeroPadding", "Resizing")
_ENDING = {"Softmax": "softmax", "Sigmoid": "sigmoid", "Tanh": "tanh"}
_MERGING = frozenset(
    {"Add", "Average", "Concatenate", "Maximum", "Minimum", "Multiply", "Subtract"}
)


@dataclass(frozen=True)
class OutputForm:
    """What an output is.

    Attributes
    ----------
    kind
        ``classes``, ``score`` (one number of a regression), ``mask`` (a map of one sigmoid),
        ``segmentation`` (a class per position), ``image``, ``signal``, or ``tokens`` (a class per
        step).
    units
        Classes, or channels of an image.
    positions
        Sizes between batch and units, height before width; empty for a vector, None where open.
    layout
        Where the units are: ``last``, ``first`` (behind the batch), ``none`` (an image without a
        channel axis), or ``flat`` (an image or map as one vector, row by row).
    reason
        By what it was told, for people.
    """

    kind: OutputKind
    units: int
    positions: tuple[int | None, ...] = ()
    layout: Literal["last", "first", "none", "flat"] = "last"
    reason: str = ""

    @property
    def has_classes(self) -> bool:
        """Whether there are classes, or one number, to explain without naming a region."""
        return self.kind not in WITHOUT_CLASSES

    def describe(self) -> str:
        """Return what it is for people, the height first: ``a mask of 128×128 (…)``."""
        size = "×".join("?" if n is None else str(n) for n in self.positions)
        classes = _counted(self.units, "class", "classes")
        channels = _counted(self.units, "channel", "channels")
        noun = "a volume" if len(self.positions) > 2 else "an image"
        text = {
            "classes": classes,
            "score": "one number (a regression)",
            "mask": f"a mask of {size}",
            "segmentation": f"a map of {size} with {classes}",
            "image": f"{noun} of {size} with {channels}",
            "signal": f"a signal of {size} steps with {channels}",
            "tokens": f"{size} steps of {classes} each",
        }[self.kind]
        return f"{text} ({self.reason})" if self.reason else text


def output_form(
    architecture: Architecture, output: Endpoint, explained: Endpoint | None, names: int = 0
) -> OutputForm:
    """Tell what an output is.

    Parameters
    ----------
    architecture
        The model.
    output
        One of its outputs, of known shape.
    explained
        The input that takes what is explained; None where it is not known.
    names
        How many labels the user gave: as many as channels make an image of them a map of classes.

    Returns
    -------
    OutputForm
        Its kind, its units and where they stand.
    """
    shape = tuple(output.shape or ())[1:]
    entry = tuple(explained.shape or ())[1:] if explained is not None else ()
    activation = ending_activation(output.call)
    first = len(shape) > 2 and _is_first(output.call)
    units = (shape[0] if first else shape[-1]) or 1 if shape else 1
    positions = shape[1:] if first else shape[:-1]
    if all(n == 1 for n in positions) and len(shape) != 2:
        return _vector(units, entry, activation, names)
    if len(shape) == 2:
        return _plane(shape, entry, activation, explained)
    layout: Literal["first", "last"] = "first" if first else "last"
    kind, reason = _map_kind(architecture, output, entry, units, activation, names)
    return OutputForm(kind, units, positions, layout, reason)


def _vector(units: int, entry: Shape, activation: str, names: int) -> OutputForm:
    if units == 1:
        if activation == "sigmoid":
            return OutputForm("classes", 1)
        return OutputForm("score", 1)
    flat = math.prod(n or 0 for n in entry)
    if activation != "softmax" and names != units and units >= MIN_SIDE**2:
        picture = folded(units)
        if units == flat and picture is not None:
            size = entry if len(entry) == 3 else picture
            return OutputForm(
                "image",
                int(size[-1] or 1),
                tuple(size[:-1]),
                "flat",
                "as many numbers as the input has",
            )
        if activation == "tanh" and picture is not None:
            return OutputForm("image", picture[2], picture[:2], "flat", f"{units} values of a tanh")
    return OutputForm("classes", units)


def _plane(shape: Shape, entry: Shape, activation: str, explained: Endpoint | None) -> OutputForm:
    steps, units = shape
    large = None not in shape and min(steps or 0, units or 0) >= MIN_SIDE
    planar = shape == entry[:2] and (entry[2:] == (1,) or (len(entry) == 2 and steps == units))
    if large and planar and activation != "softmax":
        return OutputForm("image", 1, shape, "none", "the size of the input, no channel axis")
    if units is None:
        return OutputForm("tokens", 1, (steps,))
    if len(entry) == 3 and steps is not None and None not in entry:
        # A map of classes as the lines of a table, as networks of the time of SegNet end.
        for size in (entry[:2], entry[1:]):
            if size[0] and size[1] and size[0] * size[1] == steps:
                kind: OutputKind = "segmentation" if units > 1 else "mask"
                if units == 1 and activation != "sigmoid":
                    kind = "image"
                return OutputForm(kind, units, size, "flat", "a row per pixel of the input")
    if units == 1:
        if activation == "sigmoid":
            return OutputForm("mask", 1, (steps,), reason="a sigmoid per step")
        return OutputForm("signal", 1, (steps,))
    tokens = explained is not None and explained.dtype.startswith(("int", "uint"))
    if activation != "softmax" and not tokens and shape == entry:
        return OutputForm("signal", units, (steps,), reason="the shape of the input")
    return OutputForm("tokens", units, (steps,))


def _map_kind(
    architecture: Architecture,
    output: Endpoint,
    entry: Shape,
    units: int,
    activation: str,
    names: int,
) -> tuple[OutputKind, str]:
    if activation == "softmax":
        return "segmentation", "a softmax per position"
    if names == units > 1:
        return "segmentation", f"{names} labels for its channels"
    from_vector = len(entry) == 1
    if from_vector and units in COLOURS:
        return "image", "made from a vector"
    channels = {entry[0], entry[-1]} if entry else set()
    if units == 1:
        if activation != "sigmoid":
            return "image", "one channel without a sigmoid"
        if 1 in channels and not _skips(architecture, output.call):
            return "image", "one channel in and out, on a single path"
        return "mask", "one sigmoid per position"
    if units == 3 or (units == 4 and 4 in channels):
        return "image", "the channels of a picture; --labels with a name each makes them classes"
    if units == 2 and activation == "tanh" and 1 in channels:
        return "image", "two colour channels from a grey picture"
    return "segmentation", f"{units} channels per position"


def _skips(architecture: Architecture, output: LayerCall) -> bool:
    """Whether branches meet on the way to the output, as in a U-Net."""
    pending, seen = [output], set()
    while pending:
        call = pending.pop()
        if id(call) in seen:
            continue
        seen.add(id(call))
        if call.class_name in _MERGING and len(call.inputs) > 1:
            return True
        pending.extend(call.inputs)
    return not architecture.is_graph


def _is_first(call: LayerCall) -> bool:
    """Whether the units stand before the positions."""
    if not call.channels_first:
        return False
    # A Permute to channels last behind layers that have them first.
    while has_role(call.class_name, "reshaping") and len(call.inputs) == 1:
        if call.class_name in ("Permute", "Reshape"):
            return False
        call = call.inputs[0]
    return True


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def ending_activation(call: LayerCall | None, *, resized: bool = True) -> str:
    """Return the name of the activation that ends an output; ``linear`` for none.

    Parameters
    ----------
    call
        The layer call that makes the output.
    resized
        Look also before layers that crop, pad or enlarge a map.

    Returns
    -------
    str
        In lower case: ``softmax``, ``sigmoid`` ….
    """
    while call is not None:
        if call.class_name in _ENDING:
            return _ENDING[call.class_name]
        name = call.config.get("activation")
        if isinstance(name, dict):
            name = name.get("config", name.get("class_name"))
        if isinstance(name, str):
            return name.lower()
        passes = has_role(call.class_name, "reshaping") or (
            resized and call.class_name.startswith(_RESIZING)
        )
        if not passes or len(call.inputs) != 1:
            break
        call = call.inputs[0]
    return "linear"


def folded(count: int) -> tuple[int, int, int] | None:
    """Return the size of the square picture of so many numbers, ``(H, W, C)``; None for none."""
    for channels in (1, 3):
        side = math.isqrt(count // channels)
        if side >= MIN_SIDE and side * side * channels == count:
            return side, side, channels
    return None


@dataclass(frozen=True)
class InputForm:
    """What an input takes.

    Attributes
    ----------
    kind
        ``picture`` (height, width, colours), ``pixels`` (a picture without a channel axis, or as
        one vector), ``signal``, ``volume``, ``table``, ``tokens``, ``noise`` (of a generator) or
        ``text`` (strings).
    shape
        Without the batch; of a picture height, width, channels, whatever the order in the model.
    fold
        Of ``pixels``: ``(H, W, C)`` of the picture that its numbers are.
    """

    kind: InputKind
    shape: Shape
    fold: tuple[int, int, int] | None = None

    @property
    def takes_photos(self) -> bool:
        """Whether a photo can be brought to its shape."""
        return self.kind in ("picture", "pixels")

    def describe(self) -> str:
        """Return what it is for people: ``a signal of 187×1 (…)``."""
        size = "×".join("?" if n is None else str(n) for n in self.shape)
        return {
            "picture": f"a picture of {size}",
            "pixels": f"the pixels of a picture, {size}",
            "signal": f"a signal of {size} (steps × channels)",
            "volume": f"a volume of {size}",
            "table": f"a table row of {size} numbers",
            "tokens": f"{size} tokens (whole numbers)",
            "noise": f"a noise vector of {size} numbers",
            "text": "text",
        }[self.kind]


def input_form(
    architecture: Architecture, explained: Endpoint, output: OutputForm | None = None
) -> InputForm:
    """Tell what an input takes.

    Parameters
    ----------
    architecture
        The model.
    explained
        One of its inputs, of known shape.
    output
        What its output is, where that is known: what makes images from a vector is a generator.

    Returns
    -------
    InputForm
        Its kind and its shape.
    """
    shape = tuple(explained.shape or ())[1:]
    if explained.dtype == "string":
        return InputForm("text", shape)
    if len(shape) == 3:
        first = channels_first(architecture, (None, *shape))
        return InputForm("picture", (*shape[1:], shape[0]) if first else shape)
    if len(shape) > 3:
        return InputForm("volume", shape)
    users = _readers(architecture, explained.call)
    if any("Embedding" in user.class_name for user in users) or (
        len(shape) < 3 and explained.dtype.startswith(("int", "uint"))
    ):
        return InputForm("tokens", shape)
    if len(shape) == 1:
        if output is not None and output.kind == "image" and not _as_large(output, shape):
            return InputForm("noise", shape)
        return _pixels(shape, folded(shape[0] or 0)) or InputForm("table", shape)
    if len(shape) == 2:
        height, width = shape
        large = height is not None and width is not None and min(height, width) >= MIN_SIDE
        if large and (height == width or any(_adds_channel(user, shape) for user in users)):
            return InputForm("pixels", shape, (int(height or 0), int(width or 0), 1))
        return InputForm("signal", shape)
    return InputForm("table", shape)


def channels_first(architecture: Architecture, shape: Shape) -> bool:
    """Whether a picture's input ``(B, …)`` is ``(B, C, H, W)``."""
    if (shape[1] in COLOURS) != (shape[3] in COLOURS):
        return shape[1] in COLOURS
    for call in architecture.calls:
        stated = call.config.get("data_format")
        if stated in ("channels_first", "channels_last"):
            return bool(stated == "channels_first")
    return False


def _pixels(shape: Shape, fold: tuple[int, int, int] | None) -> InputForm | None:
    return InputForm("pixels", shape, fold) if fold is not None else None


def _as_large(output: OutputForm, shape: Shape) -> bool:
    """Whether an image has as many numbers as the input: an autoencoder of vectors."""
    return None not in output.positions and shape == (
        math.prod(n or 0 for n in output.positions) * output.units,
    )


def _adds_channel(call: LayerCall, shape: Shape) -> bool:
    """Whether a layer makes a grey picture of a plane: ``(H, W)`` to ``(H, W, 1)``."""
    made = tuple(call.output_shape or ())[1:]
    return made in ((*shape, 1), (1, *shape))


def _readers(architecture: Architecture, source: LayerCall) -> list[LayerCall]:
    """Return the first layers that do more than scale, cast or drop what an input takes."""
    reached = {id(source)}
    found = []
    for call in architecture:
        if any(id(before) in reached for before in call.inputs):
            name = call.class_name
            prepares = has_role(name, "preparing") and name not in ("Permute", "Reshape")
            if prepares or name in ("Cast", "Dropout", "GaussianNoise", "Identity"):
                reached.add(id(call))
            else:
                found.append(call)
    return found
