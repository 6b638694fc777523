"""What stands where a measure has no value."""

from __future__ import annotations

from enum import Enum
from typing import NoReturn


class Undefined(Enum):
    """Why a measure has no value: the verdict of its own that a blank map gets.

    It is no number and has no truth value, so that no mean, comparison or condition takes it for
    0 or 1.

    Examples
    --------
    >>> bool(Undefined.BLANK)
    Traceback (most recent call last):
    TypeError: what is undefined (blank map) is neither true nor false
    """

    BLANK = "blank map"
    CONSTANT = "constant map"
    NOT_FINITE = "map with values that are not finite"
    EMPTY_REGION = "empty region"
    FULL_REGION = "region that covers everything"
    SMALL_GRID = "grid smaller than 16×16"

    def __bool__(self) -> NoReturn:
        raise TypeError(f"what is undefined ({self.value}) is neither true nor false")

    def __str__(self) -> str:
        return self.value


Measured = float | Undefined
"""A measure's value, or why it has none."""
