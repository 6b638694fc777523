"""What a model says about photos, as many as there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kvis_cli.errors import InputError, KvisError
from kvis_cli.images.arrays import as_input, is_array, load_array
from kvis_cli.images.fitting import fit_photo
from kvis_cli.images.photo import read_photo
from kvis_cli.tasks.outputs import outputs_of

if TYPE_CHECKING:
    from kvis_cli.models.description.preprocessing import Preprocessing
    from kvis_cli.models.live.open import OpenModel


@dataclass(frozen=True)
class Prediction:
    """What a model says about one file.

    Attributes
    ----------
    path
        The file.
    pixels
        uint8 ``(h, w, C)``: the photo at the model's input size, before preprocessing; None for
        an array.
    output
        float32 ``(units,)``: the model's own output; None where there is none.
    error
        Why there is no output.
    """

    path: Path
    pixels: np.ndarray | None = None
    output: np.ndarray | None = None
    error: KvisError | None = None


def predictions(opened: OpenModel, paths: Sequence[Path], batch: int = 16) -> Iterator[Prediction]:
    """Predict photos and arrays one batch after the other, in order.

    Parameters
    ----------
    opened
        The model.
    paths
        Files. One that cannot be read gives a prediction with its error.
    batch
        Inputs computed at once. The last batch is filled up, so that nothing is compiled again.

    Yields
    ------
    Prediction
        One per file, in the order of `paths`.
    """
    run = outputs_of(opened)
    waiting: list[tuple[Path, np.ndarray | None, np.ndarray]] = []
    ready: list[Prediction] = []

    def flush() -> None:
        inputs = np.stack([made for _, _, made in waiting])
        filled = np.concatenate([inputs, np.repeat(inputs[-1:], batch - len(inputs), 0)])
        for (path, pixels, _), output in zip(waiting, run(filled), strict=False):
            ready.append(Prediction(path, pixels, output))
        waiting.clear()

    for path in paths:
        try:
            pixels, made = _input(opened, path)
        except KvisError as error:
            if waiting:
                flush()
            ready.append(Prediction(path, error=error))
        else:
            if waiting and waiting[0][2].shape != made.shape:
                flush()
            waiting.append((path, pixels, made))
            if len(waiting) == batch:
                flush()
        yield from ready
        ready.clear()
    if waiting:
        flush()
    yield from ready


def outputs_fed(
    opened: OpenModel, pixels: Sequence[np.ndarray], preprocessing: Preprocessing, batch: int = 16
) -> np.ndarray:
    """Return the outputs for photos under another preprocessing.

    Parameters
    ----------
    opened
        The model.
    pixels
        uint8 ``(h, w, C)`` each, at the model's input size.
    preprocessing
        What they are given to the model with.
    batch
        Inputs computed at once.

    Returns
    -------
    np.ndarray
        float32 ``(N, units)``.
    """
    run, first, found = outputs_of(opened), opened.image_input.channels_first, []
    for start in range(0, len(pixels), batch):
        part = np.stack(pixels[start : start + batch])
        filled = np.concatenate([part, np.repeat(part[-1:], batch - len(part), 0)])
        made = preprocessing.apply(filled)
        outputs = run(np.moveaxis(made, -1, 1) if first else made)
        found.append(outputs[: len(part)])
    return np.concatenate(found)


def _input(opened: OpenModel, path: Path) -> tuple[np.ndarray | None, np.ndarray]:
    size = opened.image_input
    if is_array(path):
        return None, as_input(load_array(path), size.shape, path)
    if not size.is_picture:
        raise InputError(
            f"'{path}' is a picture, and {opened.info.reference} takes none.",
            f"Its input is {size.describe()} numbers.",
            "Save such an input with `numpy.save('input.npy', array)` and give that file.",
        )
    photo = read_photo(path).pixels
    pixels, _ = fit_photo(photo, size.height, size.width, size.channels, opened.info.spec.fit)
    return pixels, opened.to_inputs(pixels[np.newaxis])[0]
