"""What goes into each input of a model: the pictures into one, constants into the others."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from kvis_cli.errors import InputError, UnknownNameError, UsageError
from kvis_cli.images.arrays import load_array
from kvis_cli.lazy import np
from kvis_cli.models.description.replacements import parse_value
from kvis_cli.models.graph.architecture import Endpoint
from kvis_cli.paths import user_path

# `--input NAME=image` says that NAME takes the pictures.
PICTURES = ("image", "images", "picture", "pictures")


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
