"""``.npy`` files as inputs: signals, volumes, tokens, or pictures already preprocessed."""

from __future__ import annotations

from pathlib import Path

from kvis_cli.errors import InputError
from kvis_cli.lazy import np
from kvis_cli.shown import said


def load_array(path: Path) -> np.ndarray:
    """Return the numbers of an ``.npy`` file; pickled objects are refused.

    Parameters
    ----------
    path
        The ``.npy`` file.

    Returns
    -------
    numpy.ndarray
        float32 of the shape that the file has; booleans are 0 and 1.

    Raises
    ------
    InputError
        For a file that cannot be read, holds no numbers, or numbers that are not finite.
    """
    try:
        # A mapped file cannot declare more than it holds.
        array = np.array(np.load(path, mmap_mode="r", allow_pickle=False))
    except Exception as error:
        # numpy reads the header with Python's own parser, and does not catch what that raises.
        reason = said(error, 160)
        raise InputError(f"'{path}' cannot be read as an array.", f"{reason}.") from None
    if array.dtype.kind not in "biuf" or array.size == 0:
        raise InputError(f"'{path}' holds no numbers.", f"It is of the type {array.dtype}.")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError(f"'{path}' holds numbers that are not finite.")
    return array.astype(np.float32)


def as_input(array: np.ndarray, shape: tuple[int | None, ...], path: Path) -> np.ndarray:
    """`array` as one example of an input of `shape` (without the batch).

    Parameters
    ----------
    array
        With a batch axis of 1, or without a channel axis of 1, where the input has another.
    shape
        Without the batch; None for a size that is free.
    path
        Named in the message.

    Returns
    -------
    numpy.ndarray
        The same values with as many axes as `shape`.

    Raises
    ------
    InputError
        With both shapes.

    Examples
    --------
    >>> as_input(np.zeros((28, 28), np.float32), (28, 28, 1), Path("digit.npy")).shape
    (28, 28, 1)
    """
    candidates = [array]
    if array.ndim == len(shape) + 1 and array.shape[0] == 1:
        candidates.append(array[0])
    if array.ndim == len(shape) - 1:
        candidates += [array[..., np.newaxis], array[np.newaxis]]
    for candidate in candidates:
        if candidate.ndim == len(shape) and all(
            size is None or size == have for size, have in zip(shape, candidate.shape, strict=True)
        ):
            return candidate
    wanted = "×".join("?" if size is None else str(size) for size in shape)
    raise InputError(
        f"'{path}' does not fit the model.",
        f"It has the shape {'×'.join(map(str, array.shape))}; the model takes {wanted}.",
    )


def is_array(path: Path) -> bool:
    """Whether a file is an array rather than a picture."""
    return path.suffix.lower() == ".npy"
