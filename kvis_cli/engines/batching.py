"""Batches that are halved whenever memory does not suffice."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import tensorflow as tf

from kvis_cli.errors import ResultError

T = TypeVar("T")


def in_batches(
    count: int,
    batch_size: int,
    run: Callable[[list[int], int], T],
    note: Callable[[str], None] = lambda text: None,
) -> list[T]:
    """Do rows 0 to `count` in batches, halved whenever memory does not suffice.

    Parameters
    ----------
    count
        How many rows there are.
    batch_size
        The most at once.
    run
        Gets the numbers of the rows of a batch, and the size up to which the last one is to be
        filled, so that nothing is compiled again.
    note
        Called with what was halved.

    Returns
    -------
    list of T
        What `run` returned for each batch, in order.

    Raises
    ------
    ResultError
        When memory does not suffice for one row.

    Examples
    --------
    >>> in_batches(5, 2, lambda rows, size: (rows, size))
    [([0, 1], 2), ([2, 3], 2), ([4], 2)]
    """
    size = _even(count, batch_size)
    parts: list[T] = []
    done = 0
    while done < count:
        rows = list(range(done, min(done + size, count)))
        try:
            parts.append(run(rows, size))
        except (tf.errors.ResourceExhaustedError, MemoryError):
            if size == 1:
                raise ResultError(
                    "There is not enough memory for even one picture.",
                    "The model or the picture is too large for this device.",
                    "Use a smaller --size or another --device.",
                ) from None
            size = -(-size // 2)
            note(f"out of memory: going on with batches of {size}")
            continue
        done += len(rows)
    return parts


def _even(count: int, batch_size: int) -> int:
    """Return the size of equal batches of at most `batch_size`."""
    batches = -(-count // max(1, batch_size))
    return -(-count // max(1, batches))
