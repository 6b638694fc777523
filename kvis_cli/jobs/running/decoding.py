"""From the images of a chunk to model inputs, on threads ahead of the computing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kvis_cli.errors import InputError, KvisError
from kvis_cli.images.arrays import as_input, is_array, load_array
from kvis_cli.images.fitting import ArrayPlacement, Placement, fit_photo
from kvis_cli.images.photo import Photo, read_photo
from kvis_cli.jobs.planning.chunks import ChunkImage
from kvis_cli.jobs.results.regions import region_of

if TYPE_CHECKING:
    from kvis_cli.models.live.open import OpenModel


@dataclass(frozen=True)
class Prepared:
    """A photo and what the model is given of it: its input, without the batch."""

    source: ChunkImage
    photo: Photo
    input: np.ndarray
    placement: Placement
    region: np.ndarray | None


def decoded(
    images: Sequence[ChunkImage], opened: OpenModel, ahead: int, threads: int
) -> Iterator[tuple[ChunkImage, Prepared | KvisError]]:
    """Yield the images in order, `ahead` of them decoded before they are asked for.

    An image that cannot be read is yielded as its error.
    """
    left = iter(images)
    with ThreadPoolExecutor(threads, thread_name_prefix="kvis-photo") as pool:
        pending: list[tuple[ChunkImage, Future[Prepared]]] = [
            (source, pool.submit(prepare, source, opened)) for source in islice(left, ahead)
        ]
        try:
            while pending:
                source, future = pending.pop(0)
                try:
                    found: Prepared | KvisError = future.result()
                except KvisError as error:
                    found = error
                pending.extend((s, pool.submit(prepare, s, opened)) for s in islice(left, 1))
                yield source, found
        finally:
            pool.shutdown(cancel_futures=True)


def prepare(source: ChunkImage, opened: OpenModel) -> Prepared:
    """Read an image and make the model's input of it.

    Raises
    ------
    InputError
        For an image that cannot be read, or is not what the model takes.
    """
    size = opened.image_input
    photo = read_photo(source.image.source.path)
    height, width = photo.pixels.shape[:2]
    region = region_of(source.image.source, height, width)
    if is_array(photo.path) or not size.is_picture:
        made, place = array_input(photo.path, opened, height, width)
        return Prepared(source, photo, made, place, region)
    fit = opened.info.spec.fit
    array, placement = fit_photo(photo.pixels, size.height, size.width, size.channels, fit)
    made = opened.to_inputs(array[np.newaxis])[0]
    return Prepared(source, photo, made, placement, region)


def array_input(
    path: Path, opened: OpenModel, height: int, width: int
) -> tuple[np.ndarray, ArrayPlacement]:
    """The input in an ``.npy`` file, as it is, and its place on a picture of ``height × width``.

    Raises
    ------
    InputError
        For a picture where arrays are needed, or an array of another shape.
    """
    size = opened.image_input
    if not is_array(path):
        raise InputError(
            f"'{path}' is a picture, and {opened.info.reference} takes none.",
            f"Its input is {size.describe()} numbers.",
            "Save such an input with `numpy.save('input.npy', array)` and give that file.",
        )
    array = as_input(load_array(path), size.shape, path)
    return array, ArrayPlacement(0, 0, width, height, array.shape)
