"""From the images of a chunk to model inputs, on threads ahead of the computing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from kvis_cli.errors import KvisError
from kvis_cli.images.arrays import is_array, load_array
from kvis_cli.images.fitting import Placement
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

    Parameters
    ----------
    source
        The image with its tasks.
    opened
        The model, of which the size and preprocessing of its input are used.

    Returns
    -------
    Prepared
        The photo, the model's input without a batch axis, where it lies on the photo, and the
        region.

    Raises
    ------
    InputError
        For an image that cannot be read, or is not what the model takes.
    """
    # It needs Keras, which is imported by whoever has opened the model.
    from kvis_cli.models.live.photo_input import input_of_array, input_of_photo, refuse_photo

    path = source.image.source.path
    photo = read_photo(path)
    if is_array(path):
        array = load_array(path)
        made, placement, pixels = input_of_array(opened, array, path, photo.pixels)
        photo = Photo(path, pixels)
    else:
        refuse_photo(opened, path)
        made, placement = input_of_photo(opened, photo.pixels)
    region = region_of(source.image.source, *photo.pixels.shape[:2])
    return Prepared(source, photo, made, placement, region)
