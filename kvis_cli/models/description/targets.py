"""What a class option means for a model: which units, with which weight, for which input."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kvis_cli.errors import UsageError
from kvis_cli.explanation import Target
from kvis_cli.lazy import np
from kvis_cli.models.description.labels import Labels
from kvis_cli.models.graph.forms import WITHOUT_CLASSES, OutputKind

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Request:
    """One score to explain: a weighted sum of output units, or the unit of a given rank.

    Attributes
    ----------
    units
        ``(index, weight)`` pairs; with a `rank` only what is added to that unit.
    rank
        0 for the top class of each input, 1 for the second …; None for fixed units.
    """

    units: tuple[tuple[int, float], ...] = ()
    rank: int | None = None


@dataclass(frozen=True)
class Head:
    """The outputs that requests are about.

    Attributes
    ----------
    units
        How many units the explained output has.
    labels
        Their names.
    binary
        One sigmoid unit that stands for two classes: class 0 is the negated logit.
    kind
        What the output is; a mask and an image have no classes, a score is one number.
    """

    units: int
    labels: Labels
    binary: bool = False
    kind: OutputKind = "classes"

    @property
    def has_classes(self) -> bool:
        """Whether its units can be asked for; otherwise the output is explained as a whole."""
        return self.kind not in WITHOUT_CLASSES

    @property
    def classes(self) -> int:
        """How many classes there are; two for one sigmoid unit."""
        return 2 if self.binary else self.units

    def class_name(self, index: int) -> str:
        """Return the label of a class."""
        return self.labels.name(index)

    def top(self, output: np.ndarray, count: int) -> list[tuple[str, float]]:
        """Return the classes with the largest outputs.

        Parameters
        ----------
        output
            ``(units,)``: the model's own output.
        count
            How many.

        Returns
        -------
        list of (str, float)
            Label and output, the largest first; of equal ones the one with the smaller index.
        """
        if self.binary:
            p = float(output[0])
            rows = [(self.class_name(1), p), (self.class_name(0), 1 - p)]
            return sorted(rows, key=lambda row: -row[1])
        if not self.has_classes:
            return [(f"mean of the {self.kind}", float(np.mean(output)))]
        if self._is_number:
            return [("output", float(output[0]))]
        best = np.argsort(-output, kind="stable")[:count]
        return [(self.class_name(int(i)), float(output[i])) for i in best]

    def values(self, output: np.ndarray) -> np.ndarray:
        """Return the output of each class.

        Parameters
        ----------
        output
            ``(…, units)``: the model's own outputs.

        Returns
        -------
        np.ndarray
            ``(…, classes)``; of one sigmoid unit ``1 - p`` and ``p``.
        """
        return np.concatenate([1 - output, output], -1) if self.binary else output

    def label(self, units: Sequence[tuple[int, float]]) -> str:
        """For captions: ``tabby``, ``water_ouzel + scorpion``, ``tabby - Egyptian_cat``."""
        if self.binary:
            return self.class_name(1 if units[0][1] > 0 else 0)
        if not self.has_classes:
            return self.labels.names[-1] if self.labels.names else self.kind
        if self._is_number:
            return "output"
        text = ""
        for index, weight in units:
            sign = " + " if weight > 0 else " - "
            text += (sign if text else sign.strip("+ ")) + self.class_name(index)
        return text

    @property
    def _is_number(self) -> bool:
        """Whether it is the one number of a regression, of which there is no name."""
        return self.kind == "score" and not self.labels.names

    def target(
        self,
        units: tuple[tuple[int, float], ...],
        minus: tuple[tuple[int, float], ...] = (),
    ) -> Target:
        """Return the `Target` of fixed units, with its label and file name.

        No units are left of a class that is contrasted with itself: it is called by `minus`, what
        was subtracted.
        """
        if not units:
            units = tuple((index, -weight) for index, weight in minus) + minus
            return Target(self.label(units), _file_name(units), ())
        if self._is_number or not self.has_classes:
            return Target(self.label(units), "output" if self._is_number else self.kind, units)
        shown = units
        if self.binary:
            shown = ((1 if units[0][1] > 0 else 0, 1.0),)
        name = _file_name(shown)
        if len(shown) == 1 and self.labels.names:
            slug = re.sub(r"[^\w.]+", "-", self.class_name(shown[0][0])).strip("-")[:40]
            name = f"{name}-{slug}" if slug else name
        return Target(self.label(units), name, tuple(units))


def _file_name(units: Sequence[tuple[int, float]]) -> str:
    signed = (("+" if weight > 0 else "-") + str(index) for index, weight in units)
    return "".join(signed).removeprefix("+")


def parse_classes(texts: Sequence[str], head: Head, contrast: Sequence[str] = ()) -> list[Request]:
    """Class options as requests, in order and without repetition.

    Parameters
    ----------
    texts
        Entries such as ``22``, ``tabby``, ``top1``, ``top3``, ``22+23``. A label that holds a
        ``+`` is found before the entry is split.
    head
        The model's outputs.
    contrast
        One class that is subtracted from each, or two: the first minus the second, instead of
        `texts`.

    Returns
    -------
    list of Request
        Each names units with weights, a rank in the output, or both.

    Raises
    ------
    UsageError
        For an index beyond the outputs, an unknown label, or a class of an output without classes.
    """
    if not head.has_classes:
        return [_whole(texts, head, contrast)]
    if len(contrast) == 2:
        texts = contrast[:1]
    minus = _subtracted(contrast[-1], head) if contrast else ()
    requests: list[Request] = []
    for text in texts:
        top = re.fullmatch(r"top(\d*)", text.strip().lower())
        if top:
            count = int(top[1] or 1)
            if not 1 <= count <= head.classes:
                raise UsageError(
                    f"Class '{text}' asks for {count} classes.",
                    f"The model has {head.classes}.",
                    f"Use top1 to top{head.classes}.",
                )
            found = [Request(minus, r) for r in range(count)]
            if head.classes == 1:
                # A regression has no rank: its only output is explained.
                found = [Request(((0, 1.0),))]
        else:
            found = [Request(_summed(_units(text.strip(), head) + minus))]
        requests.extend(r for r in found if r not in requests)
    return requests


def _whole(texts: Sequence[str], head: Head, contrast: Sequence[str]) -> Request:
    """Return the request for the mean over all channels of an output without classes."""
    named = [text for text in (*texts, *contrast) if text.strip().lower() not in ("top1", "top")]
    if named:
        raise UsageError(
            f"There is no class '{named[0]}'.",
            f"The values of the {head.kind} that the model makes are no classes.",
            "Leave the class out; --region says which part of the output is explained.",
        )
    return Request(tuple((index, 1.0 / head.units) for index in range(head.units)))


def _units(text: str, head: Head) -> tuple[tuple[int, float], ...]:
    try:
        return (_unit(text, head),)
    except UsageError:
        parts = [part.strip() for part in text.split("+")]
        if len(parts) == 1:
            raise
    if head.binary:
        raise UsageError(
            f"Class '{text}' asks for both classes of one sigmoid output.",
            "Their scores are each other's negative.",
            "Ask for one of them.",
        )
    return tuple(_unit(part, head) for part in parts)


def _subtracted(text: str, head: Head) -> tuple[tuple[int, float], ...]:
    if head.units == 1:
        raise UsageError(
            "There is nothing to contrast with.",
            "The model has one output.",
            "Leave --contrast out.",
        )
    return tuple((index, -weight) for index, weight in _units(text.strip(), head))


def _summed(units: tuple[tuple[int, float], ...]) -> tuple[tuple[int, float], ...]:
    """Return the units with the weights of equal indices added.

    A difference from itself is refused.
    """
    total: dict[int, float] = {}
    for index, weight in units:
        total[index] = total.get(index, 0.0) + weight
    kept = tuple((index, weight) for index, weight in total.items() if weight)
    if not kept:
        raise UsageError("The contrast is the class itself.", "Their difference is always zero.")
    return kept


def _unit(text: str, head: Head) -> tuple[int, float]:
    if re.fullmatch(r"-?\d+", text):
        index = int(text)
        if not 0 <= index < head.classes:
            raise UsageError(
                f"Class {index} is not among the model's {head.classes} outputs.",
                "Classes are counted from 0.",
                "Use "
                + (f"0 to {head.classes - 1}" if head.classes > 1 else "0")
                + ", a label, or top1.",
            )
    else:
        index = head.labels.index(text)
        if index >= head.classes:
            raise UsageError(
                f"The label '{text}' is number {index}.",
                f"The model has {head.classes} outputs.",
                "Give the labels that belong to this model with --labels.",
            )
    if head.binary:
        return 0, 1.0 if index == 1 else -1.0
    return index, 1.0


def class_index(text: str, head: Head) -> int:
    """Return the index of a class from its index or label.

    Parameters
    ----------
    text
        Such as ``22`` or ``tabby``.
    head
        The model's outputs.

    Returns
    -------
    int
        Counted from 0; of a binary sigmoid 0 or 1.

    Raises
    ------
    UsageError
        For an index beyond the outputs or an unknown label.
    """
    index, sign = _unit(text.strip(), head)
    return int(sign > 0) if head.binary else index


def encode(requests: Sequence[Request], batch: int, units: int) -> tuple[np.ndarray, np.ndarray]:
    """Return requests as the tensors that engines take, so that no class is compiled in.

    Parameters
    ----------
    requests
        T targets.
    batch
        Rows of the tensors, all alike.
    units
        Outputs of the model.

    Returns
    -------
    weights
        float32 ``(batch, T, units)``: the explained score is ``weights · outputs``.
    ranks
        int32 ``(batch, T)``: where ≥ 0, the unit of that rank is added to `weights`.
    """
    weights = np.zeros((batch, len(requests), units), np.float32)
    ranks = np.full((batch, len(requests)), -1, np.int32)
    for t, request in enumerate(requests):
        if request.rank is not None:
            ranks[:, t] = request.rank
        for index, weight in request.units:
            weights[:, t, index] += weight
    return weights, ranks
