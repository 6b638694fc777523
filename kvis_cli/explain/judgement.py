"""What a model says about photos as one document, with the truth where it is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kvis_cli.errors import KvisError, UsageError
from kvis_cli.explain.predictions import Prediction, predictions
from kvis_cli.explain.truth import (
    MOST_TRIED,
    Tried,
    clearly_better,
    indices_of,
    try_all,
)

if TYPE_CHECKING:
    from kvis_cli.models.live.open import OpenModel


@dataclass
class PredictionReport:
    """Predictions for photos, and what the truth says of them.

    Attributes
    ----------
    rows
        One per file: ``image``, ``top`` (index, label and output of each class), and where the
        truth is known ``truth``, ``label`` and ``right``; or ``error``.
    classes
        Labels of the model's classes that occur, by index.
    accuracy
        Share of the photos with a truth that the model is right about; None without a truth.
    confusion
        Pairs of true and predicted class and how often they occur.
    tried
        Every preprocessing with its accuracy, the best first; empty without a truth.
    better
        The preprocessing that is clearly better than the one that is used, if there is one.
    note
        How the names of the truth were taken.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    classes: dict[int, str] = field(default_factory=dict)
    accuracy: float | None = None
    confusion: Counter[tuple[int, int]] = field(default_factory=Counter)
    tried: list[Tried] = field(default_factory=list)
    better: Tried | None = None
    note: str = ""

    @property
    def labelled(self) -> int:
        """How many files have a truth and a prediction."""
        return sum(self.confusion.values())


def judge(
    opened: OpenModel,
    paths: Sequence[Path],
    *,
    top: int = 5,
    truth: Mapping[Path, str] | None = None,
    batch: int = 16,
    progress: Callable[[int, int], None] = lambda done, total: None,
    failed: Callable[[str, KvisError], None] = lambda path, error: None,
) -> PredictionReport:
    """Predict files, compare with the truth and try every preprocessing on them.

    Parameters
    ----------
    opened
        The model.
    paths
        Photos or arrays.
    top
        How many classes of each.
    truth
        From `kvis_cli.explain.truth.read_truth`; None where it is not known.
    batch
        Inputs computed at once.
    progress
        Called with how many of the files are done, and of how many.
    failed
        Called with a file that could not be read, and why.

    Returns
    -------
    PredictionReport
        A row per file, and where there is a truth what is right and what each preprocessing would
        give.

    Raises
    ------
    SpecError, UsageError
        For a truth that cannot be read or names what the model does not have.
    """
    head, judged = opened.head, PredictionReport()
    form = opened.info.output_form()
    if truth and not form.has_classes:
        raise UsageError(
            "The truth names classes, and the model has none.",
            f"Its output is {form.describe()}.",
            "Leave --truth out: the mean of the output is printed.",
        )
    indices, judged.note = indices_of(truth, head) if truth else ({}, "")
    pixels: list[np.ndarray] = []
    wanted: list[int] = []
    for done, prediction in enumerate(predictions(opened, paths, batch), 1):
        judged.rows.append(_row(opened, judged, prediction, top))
        if prediction.error is not None:
            failed(str(prediction.path), prediction.error)
        true = indices.get(prediction.path)
        if true is not None and prediction.output is not None:
            _compare(opened, judged, true)
            if prediction.pixels is not None:
                pixels.append(prediction.pixels)
                wanted.append(true)
        progress(done, len(paths))
    if judged.labelled:
        right = sum(n for (true, said), n in judged.confusion.items() if true == said)
        judged.accuracy = right / judged.labelled
    if pixels:
        # Spread over all of them, which may be sorted by class.
        count = min(len(pixels), MOST_TRIED)
        chosen = np.unique(np.linspace(0, len(pixels) - 1, count).astype(int))
        judged.tried = try_all(
            opened, [pixels[i] for i in chosen], [wanted[i] for i in chosen], batch
        )
        judged.better = clearly_better(judged.tried, opened.preprocessing)
    return judged


def _row(
    opened: OpenModel, judged: PredictionReport, found: Prediction, top: int
) -> dict[str, Any]:
    row: dict[str, Any] = {"image": str(found.path)}
    if found.output is None:
        return {**row, "error": str(found.error)}
    values = opened.head.values(found.output)
    order = np.argsort(-values, kind="stable")[:top]
    judged.classes |= {int(i): opened.head.class_name(int(i)) for i in order}
    row["top"] = [
        {"class": int(i), "label": opened.head.class_name(int(i)), "output": float(values[i])}
        for i in order
    ]
    return row


def _compare(opened: OpenModel, judged: PredictionReport, true: int) -> None:
    row = judged.rows[-1]
    said = row["top"][0]["class"]
    judged.classes[true] = opened.head.class_name(true)
    judged.confusion[true, said] += 1
    row |= {"truth": true, "label": judged.classes[true], "right": said == true}
