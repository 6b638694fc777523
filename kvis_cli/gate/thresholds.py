"""Calibrated thresholds: what difference is harmless, beside the baseline."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kvis_cli.errors import NotEvaluatedError

NAME = "thresholds.json"
MAX_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class Threshold:
    """Where a measure of drift stops being harmless.

    Attributes
    ----------
    of
        What separates the models: ``finetune`` or ``retrain``.
    metric
        A measure of drift.
    method
        The method of the maps, with its variant.
    asked
        The class as ``--class`` names it; None for all classes.
    limit
        The least value that passes; of ``centroid`` the largest.
    share
        The share of the images that has to pass it; None where that is not known.
    """

    of: str
    metric: str
    method: str
    asked: str | None
    limit: float
    share: float | None = None


def read_thresholds(folder: Path) -> list[Threshold]:
    """Read ``thresholds.json`` of a baseline folder: ``{"schema": 1, "thresholds": [{…}]}``.

    Parameters
    ----------
    folder
        The baseline folder. Without the file there is none.

    Returns
    -------
    list of Threshold
        All of the file.

    Raises
    ------
    NotEvaluatedError
        For a file that is not one of kvis.
    """
    path = folder / NAME
    return [_threshold(path, entry) for entry in _entries(path)]


def read_entries(folder: Path) -> list[dict[str, Any]]:
    """Return the entries of ``thresholds.json`` with all that stands in them.

    Parameters
    ----------
    folder
        The baseline folder.

    Returns
    -------
    list of dict
        Each has ``of``, ``metric``, ``method`` and ``limit``, and is what a `Threshold` is made of.

    Raises
    ------
    NotEvaluatedError
        For a file that is not one of kvis.
    """
    entries = _entries(folder / NAME)
    for entry in entries:
        _threshold(folder / NAME, entry)
    return entries


def _entries(path: Path) -> list[Any]:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise _wrong(path, f"It is larger than {MAX_BYTES // 2**20} MiB.")
        document = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, ValueError, RecursionError) as error:
        raise _wrong(path, f"It is no JSON: {type(error).__name__}.") from None
    entries = document.get("thresholds") if isinstance(document, dict) else None
    if not isinstance(entries, list) or document.get("schema") != 1:
        raise _wrong(path, "It is not of schema 1.")
    return entries


def find_threshold(
    thresholds: Sequence[Threshold], of: str, metric: str, method: str, asked: str
) -> float | None:
    """Return the limit for a class, else that for all classes of the method, else None."""
    fits = [t for t in thresholds if (t.of, t.metric, t.method) == (of, metric, method)]
    for wanted in (asked, None):
        for threshold in fits:
            if threshold.asked == wanted:
                return threshold.limit
    return None


def check_share(
    thresholds: Sequence[Threshold], of: str, metric: str, method: str, wanted: float
) -> None:
    """Refuse thresholds that were calibrated for another share of images.

    Parameters
    ----------
    thresholds
        What was calibrated.
    of
        What the models differ in: ``retrain``, ``finetune`` or ``conversion``.
    metric
        The measure.
    method
        The method of the maps.
    wanted
        The share of images that has to pass, 0 to 1.

    Raises
    ------
    NotEvaluatedError
        Where they were.
    """
    for t in thresholds:
        if (t.of, t.metric, t.method) != (of, metric, method) or t.share is None:
            continue
        if abs(t.share - wanted) > 1e-9:
            raise NotEvaluatedError(
                f"The thresholds of {metric} for {method} are for another 'pass'.",
                f"They were calibrated for {100 * t.share:g} % of the images, and the job wants "
                f"{100 * wanted:g} % to pass.",
                "Calibrate again, or mend 'pass' in the job file.",
            )


def not_calibrated(job: str, of: str, metric: str, method: str) -> NotEvaluatedError:
    """Return the error that says which command calibrates."""
    good = "twins/*.keras" if of == "retrain" else "epochs/*.keras"
    return NotEvaluatedError(
        f"There is no calibrated threshold of {metric} for {method}, of {of}.",
        "What difference is harmless depends on the model and the photos; a number that nobody "
        "measured is a guess.",
        f"Measure it: kvis calibrate {job} --good '{good}'",
    )


def _threshold(path: Path, entry: object) -> Threshold:
    match entry:
        case {"of": str(of), "metric": str(metric), "method": str(method), "limit": limit, **rest}:
            asked = rest.get("class")
            number = isinstance(limit, int | float) and not isinstance(limit, bool)
            if number and math.isfinite(limit) and (asked is None or isinstance(asked, str)):
                return Threshold(of, metric, method, asked, float(limit), _share(rest.get("share")))
    raise _wrong(path, "An entry of it is no threshold.")


def _share(share: object) -> float | None:
    if isinstance(share, bool) or not isinstance(share, int | float):
        return None
    return float(share)


def _wrong(path: Path, why: str) -> NotEvaluatedError:
    return NotEvaluatedError(
        f"The thresholds '{path}' cannot be used.", why, "Take the file from git again."
    )
