"""What goes into each input of a model: the pictures into one, constants into the others."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kvis_cli.errors import InputError, UnknownNameError, UsageError
from kvis_cli.images.arrays import load_array
from kvis_cli.lazy import np
from kvis_cli.models.description.replacements import parse_value
from kvis_cli.models.graph.architecture import Endpoint
from kvis_cli.models.graph.forms import InputForm
from kvis_cli.paths import user_path

# `--input NAME=image` says that NAME takes the pictures.
PICTURES = ("image", "images", "picture", "pictures")


@dataclass(frozen=True)
class ImageInput:
    """The input that photos go into.

    Attributes
    ----------
    height, width
        In pixels; what the model says, else `--size`, else the default.
    channels
        1, 3, 4 or what the model takes.
    channels_first
        Whether the model wants ``(B, C, H, W)``.
    free
        Whether the model left the size open.
    shape
        Of the input as the model says it, without the batch.
    """

    height: int
    width: int
    channels: int
    channels_first: bool = False
    free: bool = False
    shape: tuple[int | None, ...] = ()

    @property
    def is_picture(self) -> bool:
        """Whether it takes pictures; signals, volumes and texts come as .npy arrays."""
        return len(self.shape) == 3

    def describe(self) -> str:
        """``224×224×3`` for people: height, width, channels."""
        if self.is_picture:
            return f"{self.height}×{self.width}×{self.channels}"
        return "×".join("?" if size is None else str(size) for size in self.shape)


def parse_inputs(texts: list[str], endpoints: tuple[Endpoint, ...]) -> dict[str, str]:
    """``NAME=VALUE`` texts, checked against the model's inputs.

    Parameters
    ----------
    texts
        What the user gave.
    endpoints
        The model's inputs.

    Returns
    -------
    dict
        Name of an input -> the text after ``=``.

    Raises
    ------
    UsageError
        For a text of another form.
    UnknownNameError
        For an input that the model does not have.
    """
    names = [label(endpoint) for endpoint in endpoints]
    found = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not value:
            raise UsageError(
                f"'{text}' does not say what goes into which input.",
                "",
                "Write NAME=FILE.npy, NAME=0.5 or NAME=image.",
            )
        if name not in names:
            raise UnknownNameError.of("input", name, names)
        found[name] = value
    return found


def explained_input(endpoints: tuple[Endpoint, ...], given: Mapping[str, str]) -> int:
    """Which input takes what is explained.

    That is the one given as ``NAME=image``, else the first of a picture's shape that has no other
    value, else the first with the most dimensions.
    """
    for number, endpoint in enumerate(endpoints):
        if given.get(label(endpoint), "").lower() in PICTURES:
            return number
    open_ones = [n for n, e in enumerate(endpoints) if label(e) not in given]
    if not open_ones:
        raise UsageError(
            "Every input of the model has a value of its own.",
            "None is left for the pictures.",
            f"Name the one that they go into: --input {label(endpoints[0])}=image.",
        )
    ranks = {n: len(endpoints[n].shape or ()) for n in open_ones}
    best = 4 if 4 in ranks.values() else max(ranks.values())
    return next(n for n in open_ones if ranks[n] == best)


def label(endpoint: Endpoint) -> str:
    """Return what `--input` and `--output` call it: the key of a dict, else the name."""
    return endpoint.key or endpoint.name


def constant(endpoint: Endpoint, text: str | None) -> np.ndarray:
    """Return the value of an input that takes no pictures, as one example ``(1, …)``.

    Parameters
    ----------
    endpoint
        The input.
    text
        An ``.npy`` file, a picture file, a number; None for zeros.

    Returns
    -------
    numpy.ndarray
        Of the input's type; free sizes are 1.

    Raises
    ------
    InputError
        When it cannot be read or does not fit.
    """
    shape = tuple(1 if size is None else size for size in (endpoint.shape or (1,))[1:])
    dtype = endpoint.dtype if endpoint.dtype not in ("string", "bfloat16") else "float32"
    if text is None:
        return np.zeros((1, *shape), dtype)
    name = label(endpoint)
    path = user_path(text)
    if path.is_file():
        return _fitted(_from_file(path, shape), endpoint, text).astype(dtype)
    value = parse_value(text)
    if isinstance(value, list):
        return _fitted(np.asarray(value), endpoint, text).astype(dtype)
    if not isinstance(value, int | float):
        raise InputError(
            f"There is no file '{text}' for the input '{name}'.",
            "",
            f"Give an .npy file, a picture or a number: --input {name}=0.5.",
        )
    return np.full((1, *shape), value, dtype)


def _from_file(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    if path.suffix.lower() == ".npy":
        return load_array(path)
    from kvis_cli.images.fitting import fit_photo
    from kvis_cli.images.photo import read_photo

    if len(shape) != 3:
        raise InputError(f"'{path}' is not an array.", f"The input has the shape {shape}.")
    return fit_photo(read_photo(path).pixels, *shape)[0]


def _fitted(array: np.ndarray, endpoint: Endpoint, text: str) -> np.ndarray:
    wanted = (endpoint.shape or ())[1:]
    for candidate in (array, array[np.newaxis]):
        sizes = candidate.shape[1:]
        if len(sizes) == len(wanted) and all(
            w is None or w == s for w, s in zip(wanted, sizes, strict=True)
        ):
            return candidate[:1]
    raise InputError(
        f"'{text}' does not fit the input '{label(endpoint)}'.",
        f"It has the shape {array.shape}; the input takes {wanted}.",
    )


# A length for an example of an input that takes any.
_SOME_LENGTH = 64


def photo_refusal(
    photo: str,
    reference: str,
    form: InputForm,
    command: str = "saliency",
    options: str = "",
    layer: str = "",
) -> tuple[str, str, str]:
    """Return what is to be said of a photo for a model that takes none, as parts of an error.

    Parameters
    ----------
    photo
        The file.
    reference
        The model as it was typed.
    form
        What the model's input takes.
    command
        What explains the example.
    options
        That the example needs beside model and input.
    layer
        Of a generator: one that can be maximised.

    Returns
    -------
    what, why, hint
        The hint makes an input that fits and explains it.
    """
    what = f"'{photo}' is a picture, and {reference} takes none."
    why = f"Its input is {form.describe()}."
    if form.kind == "text":
        return what, why, "Give the part of the model behind its text layer, and tokens as .npy."
    shape = (1, *(_SOME_LENGTH if size is None else size for size in form.shape))
    name = "noise.npy" if form.kind == "noise" else "sample.npy"
    made = f"np.zeros({shape}, 'float32')"
    if form.kind == "tokens":
        made = f"np.zeros({shape}, 'int32')"
        command, options = "saliency", f"--method occlusion {options}".strip()
    elif form.kind == "noise":
        made = f"np.random.default_rng(0).normal(size={shape}).astype('float32')"
    line = f"kvis {command} {shlex.quote(reference)} {name} {options}".strip()
    hint = f"Make one: python -c \"import numpy as np; np.save('{name}', {made})\"; then: {line}"
    if form.kind == "noise" and layer:
        rest = f"{shlex.quote(reference)} --layer {shlex.quote(layer)}"
        hint += f"; without any input: kvis maximize {rest} --unit 0, or kvis filters {rest}"
    return what, why, hint
