"""Which units of a layer, and where: options as indices."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from kvis_cli.errors import UsageError


def parse_units(texts: Sequence[str], count: int, rng: np.random.Generator) -> list[list[int]]:
    """Return unit options as lists of indices, each for one picture.

    Parameters
    ----------
    texts
        ``3``, ``0-7``, ``5+6`` (both at once), ``random:4``, ``all``.
    count
        How many units there are. Indices beyond it are left for the engine to refuse.
    rng
        For ``random``.

    Returns
    -------
    list of list
        A list per picture.

    Raises
    ------
    UsageError
        For anything else.
    """
    found: list[list[int]] = []
    for text in texts:
        text = text.strip().lower()
        if text == "all":
            found += [[i] for i in range(count)]
        elif match := re.fullmatch(r"random:(\d+)", text):
            wanted = int(match[1])
            if not 1 <= wanted <= count:
                raise UsageError(f"'{text}' asks for {wanted} of {count}.")
            found += [[int(i)] for i in sorted(rng.choice(count, wanted, replace=False))]
        elif match := re.fullmatch(r"(\d+)-(\d+)", text):
            first, last = int(match[1]), int(match[2])
            if last < first:
                raise UsageError(f"'{text}' is an empty range.", "", f"Write {last}-{first}.")
            if last >= count:
                raise UsageError(
                    f"'{text}' goes beyond the layer.",
                    f"It has {count}, counted from 0.",
                    f"Use 0 to {count - 1}.",
                )
            found += [[i] for i in range(first, last + 1)]
        elif re.fullmatch(r"\d+(\+\d+)*", text):
            found.append([int(part) for part in text.split("+")])
        else:
            raise UsageError(
                f"'{text}' names no units.", "", "Write 3, 0-63, 3,7,12, random:16 or all."
            )
    return found


def parse_position(text: str) -> tuple[int, ...]:
    """Return ``row,column`` as numbers.

    Parameters
    ----------
    text
        ``3,4`` or ``3x4``, a number per axis, counted from 0.

    Returns
    -------
    tuple
        As many as there are axes in the text.

    Raises
    ------
    UsageError
        For anything else.
    """
    try:
        return tuple(int(part) for part in text.replace("x", ",").split(","))
    except ValueError:
        raise UsageError(
            f"'{text}' is not a position.", "", "Write row,column: --at 3,4."
        ) from None
