"""What a calibration found: thresholds with what they rest on, and the power against known harm."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kvis_cli.gate.calibration.bounds import SMALL_IS_GOOD, SpreadBound
from kvis_cli.gate.thresholds import NAME, read_entries
from kvis_cli.paths import write_bytes_atomic


@dataclass(frozen=True)
class Level:
    """What good models and disturbed photos show of one class by one method and measure.

    A model's value is its weakest one: the strictest threshold that it would still pass.

    Attributes
    ----------
    metric, method
        The measure; the method with its variant.
    asked, label
        The class as ``--class`` names it and in words; None and empty for all classes.
    values
        Of each good model; None where too many maps have no value.
    noise
        Disturbance -> value of the model itself on photos changed by it; of drift alone.
    bound
        The threshold; None where there is none.
    """

    metric: str
    method: str
    asked: str | None
    label: str
    values: Sequence[float | None]
    noise: dict[str, float | None]
    bound: SpreadBound | None

    @property
    def worst_noise(self) -> float | None:
        """The value under the disturbance that moves maps most."""
        known = [value for value in self.noise.values() if value is not None]
        pick = max if self.metric in SMALL_IS_GOOD else min
        return pick(known, default=None)


@dataclass(frozen=True)
class Power:
    """Which models of known harm a check of one method and measure finds.

    Attributes
    ----------
    metric, method
        The measure; the method with its variant.
    kind
        ``control`` for re-initialised layers, ``bad`` for models that are known to be bad.
    failing
        Model -> the classes that fail; empty for a model that passes.
    """

    metric: str
    method: str
    kind: str
    failing: dict[str, list[str]]

    @property
    def caught(self) -> int:
        """How many models fail."""
        return sum(bool(classes) for classes in self.failing.values())

    @property
    def passing(self) -> list[str]:
        """The models that pass."""
        return [model for model, classes in self.failing.items() if not classes]


@dataclass(frozen=True)
class Calibration:
    """What came of calibrating a job.

    Attributes
    ----------
    of
        What separates the models: ``retrain`` or ``finetune``.
    wanted
        The share of images that has to pass.
    alpha
        The chance that a run of the checks fails a good model, assuming a normal spread.
    good
        How many good models there are.
    levels
        Of every measure, method and class.
    powers
        Of every measure and method.
    written
        The file of thresholds.
    notes
        What to know beside them.
    """

    of: str
    wanted: float
    alpha: float
    good: int
    levels: Sequence[Level]
    powers: Sequence[Power]
    written: Path | None = None
    notes: Sequence[str] = field(default_factory=list)

    @property
    def blind(self) -> list[Power]:
        """Methods and measures that take a model with re-initialised layers for a good one."""
        return [p for p in self.powers if p.kind == "control" and p.passing]

    def sentences(self) -> list[str]:
        """Return what the numbers mean."""
        free = 1 / (self.good + 1)
        normal = any(level.bound and level.bound.normal for level in self.levels)
        found = [
            f"{self.good} good models: without an assumption no rule promises fewer false alarms "
            f"than 1/(k+1) = {100 * free:.3g} % of models, for each class."
        ]
        if normal:
            found.append(
                f"The thresholds are to fail a good model in {100 * self.alpha:g} % of runs, "
                "assuming a normal spread between models."
            )
        for power in self.powers:
            what = "re-initialised" if power.kind == "control" else "bad"
            said = f"{power.metric} of {power.method} finds {power.caught} of {len(power.failing)}"
            found.append(f"{said} {what} models.")
        for power in self.blind:
            found.append(
                f"{power.metric} of {power.method} cannot tell a good model from one that knows "
                f"nothing: re-initialised {', '.join(power.passing)} pass."
            )
        for level in self.levels:
            noise, bound = level.worst_noise, level.bound
            if noise is None or bound is None:
                continue
            small = level.metric in SMALL_IS_GOOD
            if noise > bound.limit if small else noise < bound.limit:
                kinds = max if small else min
                kind = kinds(
                    (k for k, v in level.noise.items() if v is not None),
                    key=lambda k: level.noise[k] or 0.0,
                )
                found.append(
                    f"{level.metric} of {level.method}, {level.label or 'all classes'}: the same "
                    f"model on photos {kind} would fail ({noise:.2f})."
                )
        return [*found, *self.notes]

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain JSON values."""
        return {
            "schema": 1,
            "of": self.of,
            "share": self.wanted,
            "alpha": self.alpha,
            "good_models": self.good,
            "false_alarms_without_assumption": 1 / (self.good + 1),
            "levels": [_level_json(level) for level in self.levels],
            "power": [
                {
                    "metric": power.metric,
                    "method": power.method,
                    "kind": power.kind,
                    "caught": power.caught,
                    "models": len(power.failing),
                    "failing": power.failing,
                }
                for power in self.powers
            ],
            "said": self.sentences(),
            "written": None if self.written is None else str(self.written),
        }


def write_thresholds(folder: Path, found: Calibration) -> Path:
    """Write the thresholds into a baseline folder; what is there of other models stays.

    Parameters
    ----------
    folder
        The baseline folder.
    found
        What was measured.

    Returns
    -------
    Path
        The file of thresholds.

    Raises
    ------
    NotEvaluatedError
        For a file in its place that is not one of kvis.
    OutputError
        When it cannot be written.
    """
    new = [_entry(found, level) for level in found.levels if level.bound is not None]
    measured = {(level.metric, level.method) for level in found.levels}
    kept = [
        entry
        for entry in read_entries(folder)
        if entry["of"] != found.of or (entry["metric"], entry["method"]) not in measured
    ]
    entries = sorted(
        [*kept, *new],
        key=lambda e: (e["of"], e["metric"], e["method"], e.get("class") or ""),
    )
    document = {"schema": 1, "thresholds": entries}
    text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False)
    return write_bytes_atomic(folder / NAME, (text + "\n").encode())


def _entry(found: Calibration, level: Level) -> dict[str, Any]:
    bound = level.bound
    assert bound is not None
    power = {
        p.kind: [p.caught, len(p.failing)]
        for p in found.powers
        if (p.metric, p.method) == (level.metric, level.method)
    }
    noise = level.worst_noise
    return {
        "of": found.of,
        "metric": level.metric,
        "method": level.method,
        "class": level.asked,
        "limit": round(bound.limit, 6),
        "share": found.wanted,
        "models": bound.models,
        "mean": round(bound.mean, 6),
        "spread": round(bound.spread, 6),
        "alpha": round(bound.alpha, 6),
        "normal": bound.normal,
        "noise": None if noise is None else round(noise, 6),
        "power": power,
    }


def _level_json(level: Level) -> dict[str, Any]:
    bound = level.bound
    return {
        "metric": level.metric,
        "method": level.method,
        "class": level.asked,
        "label": level.label,
        "limit": None if bound is None else bound.limit,
        "normal": None if bound is None else bound.normal,
        "alpha": None if bound is None else bound.alpha,
        "good": list(level.values),
        "spread": None if bound is None else bound.spread,
        "noise": level.noise,
    }
