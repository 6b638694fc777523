"""The sheet of a comparison of models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from kvis_cli.gate.answers import MapAnswer, comparable
from kvis_cli.gate.compare import Comparison, Pair
from kvis_cli.gate.sheet import Row, Seen, difference, sheets
from kvis_cli.jobs.results.store import ResultStore
from kvis_cli.metrics import Undefined
from kvis_cli.metrics.undefined import Measured

_SHORT = {"spearman": "Spearman", "iou": "IoU", "ssim": "SSIM"}


def write_sheets(comparison: Comparison, store: ResultStore) -> Iterator[Path]:
    """Write a sheet per other model, the questions whose maps are least alike first.

    Parameters
    ----------
    comparison
        What was compared.
    store
        Where the sheets go.

    Yields
    ------
    pathlib.Path
        The files, of at most 40 questions each.
    """
    for model in comparison.models[1:]:
        pairs = sorted(comparison.of(model), key=lambda pair: pair.likeness)
        if not pairs:
            continue
        a = comparison.models[0].name
        columns = ["photo", a, model.name, f"{model.letter} - A, each by its maximum"]
        title = f"{a} and {model.name}, the least alike first"
        alone = len(comparison.models) == 2
        name = "compare" if alone else f"compare-{model.letter}"
        for number, picture in enumerate(
            sheets([row_of(pair) for pair in pairs], columns, title), 1
        ):
            file = name if number == 1 else f"{name}-{number}"
            models = {"models": [comparison.models[0].path, model.path]}
            yield store.write_picture(store.path(file), picture, models)


def row_of(pair: Pair) -> Row:
    """Return both maps and their difference as a row of a sheet."""
    row = pair.first.row
    label = " · ".join(part for part in (row.image_name, pair.first.method) if part)
    first, second, place = comparable(pair.first, pair.second)
    raw = difference(first, second)
    # Of maps that were laid over the photo first, no cell lies anywhere else.
    grid = pair.first.grid(raw.shape) if pair.first.grid(first.shape) else None
    changed = Seen(raw, place, True, numbers(pair.measures), grid)
    return Row(Path(row.image), label, [_seen(pair.first), _seen(pair.second)], changed)


def _seen(answer: MapAnswer) -> Seen:
    raw, signed = answer.map(), answer.row.map == "signed"
    return Seen(raw, answer.placement, signed, answer.row.caption, answer.grid(raw.shape))


def numbers(measures: Mapping[str, Measured]) -> str:
    """``Spearman 0.83 · IoU 0.41``: what has a value; else why there is none."""
    shown = [
        f"{text} {measures[name]:.2f}"
        for name, text in _SHORT.items()
        if not isinstance(measures[name], Undefined)
    ]
    return " · ".join(shown) or str(measures["spearman"])
