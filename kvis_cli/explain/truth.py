"""Photos whose class is known, and how often a model is right about them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kvis_cli.errors import SpecError, UsageError
from kvis_cli.explain.predictions import outputs_fed
from kvis_cli.images.tables import read_csv
from kvis_cli.models.description.evidence.hypotheses import hypotheses
from kvis_cli.models.description.preprocessing import Color, Preprocessing
from kvis_cli.models.description.targets import Head, class_index

if TYPE_CHECKING:
    from kvis_cli.models.live.open import OpenModel

FOLDERS = "folders"
# Names of the columns of a table, the usual ones first.
_IMAGE = ("image", "file", "filename", "path", "name", "id")
_CLASS = ("class", "label", "target", "truth", "category")
# So many labelled photos tell every preprocessing from the others.
MOST_TRIED = 400
# A difference that chance makes in fewer cases than this is no chance.
SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Tried:
    """How often a model is right when it is fed in one way.

    Attributes
    ----------
    preprocessing
        The way.
    right, count
        Of how many photos.
    p
        How likely so large a lead over the way that is used, or a larger one, is by chance;
        1 for no lead.
    """

    preprocessing: Preprocessing
    right: int
    count: int
    p: float = 1.0

    @property
    def accuracy(self) -> float:
        """Share of the photos that the model is right about."""
        return self.right / self.count


def read_truth(text: str, paths: Sequence[Path]) -> dict[Path, str]:
    """Return the class of each photo, as far as it is known.

    Parameters
    ----------
    text
        ``folders``: each photo lies in a folder that is called like its class. Otherwise a CSV
        file with a column of images and one of classes: called so, or the first two.
    paths
        The photos.

    Returns
    -------
    dict
        Photo -> class as text; without the photos that it does not name.

    Raises
    ------
    SpecError
        For a table that cannot be read.
    UsageError
        When it says nothing about any of the photos.
    """
    if text == FOLDERS:
        return {path: path.resolve().parent.name for path in paths}
    table = read_csv(Path(text))
    if len(table.columns) < 2:
        raise SpecError(f"'{text}' has one column.", "The truth is a table of images and classes.")
    image = next((c for c in table.columns if c.lower() in _IMAGE), table.columns[0])
    rest = [c for c in table.columns if c != image]
    label = next((c for c in rest if c.lower() in _CLASS), rest[0])
    named = {row.cells[image]: row.cells[label] for row in table.rows if row.cells[label]}
    beside = {(Path(text).parent / name).resolve(): found for name, found in named.items()}
    by_name = _unique({Path(name).name: found for name, found in named.items()}, named)
    found = {}
    for path in paths:
        known = beside.get(path.resolve()) or by_name.get(path.name)
        if known:
            found[path] = known
    if not found:
        raise UsageError(
            f"'{text}' says nothing about these images.",
            f"Its column '{image}' holds names such as '{next(iter(named), '')}'.",
            "Paths in it are relative to the table; file names alone do, too.",
        )
    return found


def _unique(by_name: dict[str, str], named: Mapping[str, str]) -> dict[str, str]:
    """Leave out file names that stand for several files."""
    counts = Counter(Path(name).name for name in named)
    return {name: label for name, label in by_name.items() if counts[name] == 1}


def indices_of(truth: Mapping[Path, str], head: Head) -> tuple[dict[Path, int], str]:
    """Return the class index of each photo, and a note where that was not plain.

    Where the model's labels are not known and there are as many names as classes, the names are
    taken in alphabetical order, as Keras does with the folders of a training set.

    Parameters
    ----------
    truth
        From `read_truth`.
    head
        The model's outputs and their labels.

    Returns
    -------
    indices, note
        Photo -> class index; the note is empty where the names are labels or numbers.

    Raises
    ------
    UsageError
        For a class that the model does not have.
    """
    names = sorted(set(truth.values()))
    plain = all(name.isdecimal() for name in names)
    if not head.labels.names and not plain:
        if len(names) != head.classes:
            raise UsageError(
                f"The truth names {len(names)} classes, and the model has {head.classes}.",
                "Its labels are not known, so that names cannot be found among them.",
                "Give --labels, or class numbers as the truth.",
            )
        table = {name: i for i, name in enumerate(names)}
        shown = ", ".join(f"{i} {name}" for name, i in list(table.items())[:6])
        note = f"the labels of the model are not known; taken in alphabetical order: {shown}"
        return {path: table[name] for path, name in truth.items()}, note
    table = {name: class_index(name, head) for name in names}
    return {path: table[name] for path, name in truth.items()}, ""


def try_all(
    opened: OpenModel, pixels: Sequence[np.ndarray], truth: Sequence[int], batch: int = 16
) -> list[Tried]:
    """Return how often the model is right under each preprocessing, the best first.

    Colour models are also tried with the other order of colours.

    Parameters
    ----------
    opened
        The model.
    pixels
        uint8 ``(h, w, C)`` photos at the model's input size.
    truth
        The class index of each.
    batch
        Inputs computed at once.

    Returns
    -------
    list of Tried
        One per preprocessing, by the number of right answers; of equals the one in use comes first.
    """
    used = opened.preprocessing
    ways = [used, *(h for h in hypotheses(opened.image_input.channels) if h != used)]
    if opened.image_input.channels == 3:
        ways += [turned for way in list(ways) if (turned := _turned(way)) not in ways]
    rights = []
    for way in ways:
        values = opened.head.values(outputs_fed(opened, pixels, way, batch))
        rights.append(values.argmax(-1) == np.asarray(truth))
    found = [
        Tried(way, int(right.sum()), len(right), _by_chance(right, rights[0]))
        for way, right in zip(ways, rights, strict=True)
    ]
    return sorted(found, key=lambda t: (-t.right, t.preprocessing != used))


def clearly_better(tried: Sequence[Tried], used: Preprocessing) -> Tried | None:
    """Return the best way, where its lead over the one that is used is no chance.

    The bound is shared among all the ways that were tried (Bonferroni).
    """
    best = tried[0]
    if best.preprocessing == used or best.p > SIGNIFICANT / max(len(tried) - 1, 1):
        return None
    return best


def _turned(way: Preprocessing) -> Preprocessing:
    color: Color = "rgb" if way.color == "bgr" else "bgr"
    return Preprocessing(f"{way.name} {color}", way.mean, way.std, color, way.per_image)


def _by_chance(right: np.ndarray, used: np.ndarray) -> float:
    """Return the one-sided exact sign test over the photos about which the two differ."""
    better, worse = int((right & ~used).sum()), int((used & ~right).sum())
    n = better + worse
    return sum(math.comb(n, k) for k in range(better, n + 1)) / 2**n


__all__ = [
    "FOLDERS",
    "Tried",
    "clearly_better",
    "indices_of",
    "read_truth",
    "try_all",
]
