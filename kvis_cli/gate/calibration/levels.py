"""What models' maps say of thresholds: the weakest values of good ones, and which bad ones fail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kvis_cli.gate.answers import MapAnswer
from kvis_cli.gate.baseline import Baseline
from kvis_cli.gate.calibration.bounds import SMALL_IS_GOOD, bound_of, weakest
from kvis_cli.gate.calibration.found import Level, Power
from kvis_cli.gate.judging import judge
from kvis_cli.gate.maps import Maps
from kvis_cli.gate.thresholds import Threshold
from kvis_cli.gate.verdicts import Case
from kvis_cli.jobs.planning.sources import Source
from kvis_cli.spec.gate import Check, DriftCheck, PassSpec, RegionCheck
from kvis_cli.spec.job import JobSpec

Key = tuple[str, str, str | None]
"""Measure, method, class as ``--class`` names it; None for all classes."""


@dataclass(frozen=True)
class Questions:
    """The questions, and the accepted model's own answers to them.

    Attributes
    ----------
    job
        With the classes of every image named.
    checks
        Those whose thresholds are wanted.
    sources
        Image name -> its box and mask.
    known
        Path of an image -> whether the job says its class.
    own, baseline
        The model's maps; the same as a baseline.
    """

    job: JobSpec
    checks: Sequence[Check]
    sources: Mapping[str, Source]
    known: dict[str, bool]
    own: Sequence[MapAnswer]
    baseline: Baseline


def _opened(checks: Sequence[Check]) -> list[Check]:
    """Return the checks with thresholds that everything passes."""
    found: list[Check] = []
    for check in checks:
        if isinstance(check, DriftCheck):
            limit = {"max": 1.0} if check.metric in SMALL_IS_GOOD else {"min": -1.0}
            given = {"metric": check.metric, "method": check.method, **limit}
            found.append(DriftCheck.model_validate(given))
        elif isinstance(check, RegionCheck):
            found.append(check.model_copy(update={"min": 0.0}))
    return found


def values_of(
    asked: Questions, answers: Sequence[MapAnswer], *, drift_alone: bool = False
) -> dict[Key, tuple[str, list[float | None]]]:
    """Return what a model's photos measure.

    Parameters
    ----------
    asked
        The questions.
    answers
        The model's maps.
    drift_alone
        Leave out measures of a region.

    Returns
    -------
    dict of Key to (str, list)
        The class in words, and a value per photo that has a verdict: None where its map has no
        value and so passes nothing.
    """
    checks = [c for c in _opened(asked.checks) if not drift_alone or isinstance(c, DriftCheck)]
    found: dict[Key, tuple[str, list[float | None]]] = {}
    for per in ("class", "model"):
        passing = PassSpec(share=asked.job.pass_.share, any=False, per=per)
        maps = Maps({"model": answers}, asked.sources, asked.baseline)
        for case in judge(maps, checks, passing).cases:
            values = [f.value for f in case.findings if f.passed is not None]
            if values:
                found.setdefault((_metric(case), case.method, _class(case)), (case.label, values))
    return found


def _metric(case: Case) -> str:
    return case.check.split()[1]


def _class(case: Case) -> str | None:
    return case.findings[0].answer.row.asked if case.label else None


def levels_of(
    asked: Questions, good: Mapping[str, Sequence[MapAnswer]], alpha: float
) -> list[Level]:
    """Return a threshold for every measure, method and class, and for all classes together.

    Parameters
    ----------
    asked
        The questions.
    good
        Model -> its maps; two models or more.
    alpha
        The chance that a run of all the checks fails a good model, above 0 and below 1. It is
        shared out evenly over what one run decides.

    Returns
    -------
    list of Level
        Without noise.
    """
    wanted = asked.job.pass_.wanted
    labels: dict[Key, str] = {}
    weak: dict[Key, list[float | None]] = {}
    for answers in good.values():
        for key, (label, values) in values_of(asked, answers).items():
            labels[key] = label
            weak.setdefault(key, []).append(weakest(key[0], values, wanted))
    # What one run decides, and what its chance of a false alarm is shared out over.
    per_class = asked.job.pass_.per == "class"
    with_classes = {key[:2] for key in labels if key[2] is not None and per_class}
    deciding = [key for key in labels if (key[2] is not None) == (key[:2] in with_classes)]
    found = []
    for (metric, method, name), values in sorted(weak.items(), key=lambda item: str(item[0])):
        numbers = [value for value in values if value is not None]
        whole = len(numbers) == len(values) == len(good)
        bound = bound_of(metric, numbers, alpha / len(deciding)) if whole else None
        label = labels[metric, method, name]
        found.append(Level(metric, method, name, label, values, {}, bound))
    return found


def powers_of(
    asked: Questions,
    levels: Sequence[Level],
    models: Mapping[str, Sequence[MapAnswer]],
    kind: str,
    of: str,
    alpha: float,
) -> list[Power]:
    """Judge models by the thresholds, each by one measure and method at a time.

    Parameters
    ----------
    asked
        The questions.
    levels
        From `levels_of`.
    models
        Model -> its maps.
    kind
        ``control`` or ``bad``.
    of
        What separates the good models: ``retrain`` or ``finetune``.
    alpha
        As for `kvis_cli.gate.judging.judge`.

    Returns
    -------
    list of Power
        A measure of a method without all its thresholds is left out.
    """
    thresholds = [
        Threshold(of, level.metric, level.method, level.asked, level.bound.limit)
        for level in levels
        if level.bound is not None
    ]
    there = {(t.metric, t.method, t.asked) for t in thresholds}
    names = {answer.method: str(answer.row.method) for answer in asked.own}
    found = []
    for check in asked.checks:
        assert isinstance(check, DriftCheck | RegionCheck)
        for method in dict.fromkeys(level.method for level in levels):
            wanted = check.metric, method
            mine = [level for level in levels if (level.metric, level.method) == wanted]
            if not mine or any((*wanted, level.asked) not in there for level in mine):
                continue
            alone = check.model_copy(update={"method": [names[method]]})
            failing = {}
            for model, answers in models.items():
                theirs = [a for a in answers if a.method == method]
                maps = Maps({model: theirs}, asked.sources, asked.baseline, thresholds)
                judged = judge(maps, [alone], asked.job.pass_, alpha=alpha)
                failing[model] = [case.label or "all classes" for case in judged.failed]
            found.append(Power(check.metric, method, kind, failing))
    return found


def notes_of(levels: Sequence[Level]) -> list[str]:
    """Return a sentence for every threshold that could not be had."""
    return [
        f"{level.metric} of {level.method}, {level.label or 'all classes'}: no threshold, for too "
        "many maps of good models have no value."
        for level in levels
        if level.bound is None
    ]
