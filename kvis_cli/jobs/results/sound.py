"""Validation of rows and journals: a result folder may come from outside.

What reads a manifest goes by it: pictures are embedded, copied by ``merge``, removed by
``--clean-stale``. So a file is one of the folder, and a text is a text.
"""

from __future__ import annotations

import json
import math
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

Number = (int, float)
# Dict: what its keys hold, where they are there; "*" stands for every key. List: what each holds.
_DIGESTED = {"path": str, "name": str, "sha256": str}
_ROW: dict[str, Any] = {
    **dict.fromkeys(
        ("task", "status", "kind", "entry", "model", "model_name", "model_sha256"), str
    ),
    **dict.fromkeys(("image", "image_name", "image_sha256", "method", "variant", "layer"), str),
    **dict.fromkeys(
        ("target", "asked", "output", "region", "drawn", "map", "caution", "hint"), str
    ),
    **dict.fromkeys(("score", "probability", "entropy", "in_region", "enrichment"), Number),
    "limit": Number,
    "schema": int,
    "max": Number,
    "file": str,
    "raw": str,
    "of": int,
    "places": [int],
    "warnings": [str],
    "top": [list],
    "error": {"*": str},
    # Of an entry of the journal.
    "rows": [dict],
    "begins": [str],
}
_RUN: dict[str, Any] = {
    "kvis": str,
    "versions": {"*": str},
    "device": str,
    "spec": {"*": object},
    "shard": str,
    "models": [_DIGESTED],
    "images": [_DIGESTED],
    "tasks": {"all": int, "done": int, "failed": int},
    "distrusted": int,
    "seconds": Number,
    "seconds_by_model": {"*": Number},
    "failures": [dict],
}


def parse(text: str | bytes) -> Any:
    """JSON without what kvis never writes: NaN, infinity, absurd nesting.

    Parameters
    ----------
    text
        A whole document, or a line of JSON lines.

    Returns
    -------
    JSON value
        A mapping, list, text, number, boolean or None.

    Raises
    ------
    ValueError
        For anything but that.
    """
    try:
        return json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def sound_row(row: Any) -> bool:
    """Whether this is a row of a manifest, or an entry of a journal."""
    if not _holds(row, _ROW) or not all(_within(row.get(key)) for key in ("file", "raw")):
        return False
    if "begins" not in row and not isinstance(row.get("task"), str):
        return False
    return row.get("places") != [] and all(sound_row(inner) for inner in row.get("rows") or ())


def sound_run(run: Any) -> bool:
    """Whether this is a ``run.json``, as far as it goes: any key may be missing."""
    return _holds(run, _RUN)


def whole_run(run: Any) -> bool:
    """Whether this is the ``run.json`` of a run that came to its end."""
    there = sound_run(run) and all(run.get(key) is not None for key in _RUN if key != "shard")
    return there and run["tasks"].keys() >= _RUN["tasks"].keys()


def _holds(value: Any, shape: dict[str, Any]) -> bool:
    """Whether what is there of an entry fits; what it has not may be None."""
    return isinstance(value, dict) and _fits(
        {key: item for key, item in value.items() if item is not None}, shape
    )


def _fits(value: Any, shape: Any) -> bool:
    if isinstance(shape, dict):
        return isinstance(value, dict) and all(
            _fits(item, shape.get(key, shape.get("*", object))) for key, item in value.items()
        )
    if isinstance(shape, list):
        return isinstance(value, list) and all(_fits(item, shape[0]) for item in value)
    if isinstance(value, bool) and shape in (int, Number):
        return False
    # An integer of hundreds of digits is not a number that could be shown.
    return isinstance(value, shape) and not (isinstance(value, int) and abs(value) > 2**63)


def _within(name: Any) -> bool:
    """Whether a name stays below the folder that it is joined to."""
    if name is None:
        return True
    if not isinstance(name, str) or not name or "\0" in name:
        return False
    paths = (PurePosixPath(name), PureWindowsPath(name))
    return not any(p.is_absolute() or p.drive or p.root or ".." in p.parts for p in paths)


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not a number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is too large")
    return number
