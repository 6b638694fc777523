"""Finished maps judged by the checks of a job."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kvis_cli.gate.answers import MapAnswer
from kvis_cli.gate.baseline import Kept
from kvis_cli.gate.cells import settled
from kvis_cli.gate.decision import ALPHA, Decision, Tally, Verdict, decide
from kvis_cli.gate.maps import Maps
from kvis_cli.gate.thresholds import check_share, find_threshold, not_calibrated
from kvis_cli.gate.verdicts import Case, Finding, Judgement
from kvis_cli.metrics import MEASURES, Undefined, energy_in_mask, enrichment, pointing_game
from kvis_cli.metrics.undefined import Measured
from kvis_cli.spec.gate import (
    CONVERSION,
    AvoidCheck,
    BlankCheck,
    Check,
    DriftCheck,
    PassSpec,
    PredictionCheck,
    RegionCheck,
)

NOT_KEPT = "not in the baseline"
# Reasons that speak of the question, not of the map: they give no verdict.
_NO_QUESTION = (Undefined.EMPTY_REGION, Undefined.FULL_REGION, Undefined.SMALL_GRID)


@dataclass(frozen=True)
class _Group:
    """Images that are judged together: of a model, a method, a class."""

    model: str
    method: str
    label: str
    asked: str
    answers: list[MapAnswer]


@dataclass(frozen=True)
class _Waiting:
    """A case that waits for the verdict on all of them."""

    check: str
    group: _Group
    limit: str
    findings: list[Finding]
    wanted: float
    # Decided without a test.
    verdict: tuple[Verdict, str] | None = None


def judge(
    maps: Maps,
    checks: Sequence[Check],
    passing: PassSpec,
    *,
    alpha: float = ALPHA,
    strict: bool = False,
    problems: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> Judgement:
    """Judge finished maps.

    Parameters
    ----------
    maps
        The maps.
    checks
        Of the job.
    passing
        Of the job.
    alpha
        The chance that the run fails though every hypothesis holds.
    strict
        Whether too few images are a failure to evaluate.
    problems
        What is known beside the maps.
    notes
        What is known beside the maps.

    Returns
    -------
    Judgement
        A case per check, model, method and class.

    Raises
    ------
    NotEvaluatedError
        For a threshold that is to be calibrated and is not.
    InputError
        For a map that cannot be read.
    """
    allowed = max((c.share for c in checks if isinstance(c, BlankCheck)), default=None)
    judging = _Judging(maps, passing, allowed)
    waiting: list[_Waiting] = []
    for check in checks:
        if isinstance(check, DriftCheck):
            waiting += judging.drift(check)
        elif isinstance(check, RegionCheck):
            waiting += judging.region(check)
        elif isinstance(check, AvoidCheck):
            waiting += judging.avoid(check)
        elif isinstance(check, PredictionCheck):
            waiting += judging.prediction(check)
        else:
            waiting += judging.blank(check)
    tested = [case for case in waiting if case.verdict is None]
    decisions = decide([_tally(case) for case in tested], alpha)
    by_case = dict(zip(map(id, tested), decisions, strict=True))
    cases = [_case(case, by_case.get(id(case))) for case in waiting]
    return Judgement(cases, tuple(problems), tuple(notes), alpha, strict)


class _Judging:
    """One run of judging."""

    def __init__(self, maps: Maps, passing: PassSpec, allowed_blank: float | None) -> None:
        self.maps = maps
        self.passing = passing
        self.blanks = allowed_blank
        self._tolerated: dict[tuple[str, str], bool] = {}

    # The checks.

    def drift(self, check: DriftCheck) -> list[_Waiting]:
        if check.of == "conversion":
            return [
                case
                for metric, least in CONVERSION.items()
                for case in self._drift(check, metric, least)
            ]
        return self._drift(check, check.metric, check.limit)

    def _drift(self, check: DriftCheck, metric: str, limit: float | str) -> list[_Waiting]:
        found = []
        for group in self._groups(check.method):
            threshold = (
                limit
                if isinstance(limit, float)
                else self._calibrated(str(check.of), check.metric, group)
            )

            def measure(answer: MapAnswer, group: _Group = group) -> Measured | str:
                return self._likeness(metric, group.model, answer)

            small = metric == "centroid"
            title = f"drift {metric}" + (f" of {check.of}" if check.of else "")
            found.append(self._waiting(title, group, measure, threshold, small=small))
        return found

    def _likeness(self, metric: str, model: str, answer: MapAnswer) -> Measured | str:
        """Return the best value over the accepted variants."""
        kept = self.maps.kept(model, answer.question)
        if not kept:
            return NOT_KEPT
        new = self.maps.cells(answer)
        if isinstance(new, Undefined):
            return new
        values = []
        undefined: Measured | str = Undefined.BLANK
        for one in kept:
            value = MEASURES[metric](*settled(one.cells, new))
            if not isinstance(value, Undefined):
                values.append(value)
            elif one.cells == new:
                return f"{value}, as in the baseline"
            else:
                undefined = value
        if not values:
            return undefined
        return min(values) if metric == "centroid" else max(values)

    def _calibrated(self, of: str, metric: str, group: _Group) -> float:
        thresholds, method = self.maps.thresholds, group.method
        found = find_threshold(thresholds, of, metric, method, group.asked)
        if found is None:
            raise not_calibrated(self.maps.job, of, metric, method)
        check_share(thresholds, of, metric, method, self.passing.wanted)
        return found

    def region(self, check: RegionCheck) -> list[_Waiting]:
        def measure(answer: MapAnswer) -> Measured | str:
            source = self.maps.sources.get(answer.row.image_name)
            if source is None or (source.box is None and source.mask is None):
                return "no box or mask"
            share = self.maps.share(answer, source.box, source.mask)
            raw = self.maps.raw(answer)
            if check.metric == "pointing":
                return pointing_game(raw, share, check.tolerance * raw.shape[1])
            return (enrichment if check.metric == "enrichment" else energy_in_mask)(raw, share)

        found = []
        for group in self._groups(check.method):
            least = check.min
            if isinstance(least, str):
                least = self._calibrated(check.of, check.metric, group)
            found.append(self._waiting(f"region {check.metric}", group, measure, least))
        return found

    def avoid(self, check: AvoidCheck) -> list[_Waiting]:
        def measure(answer: MapAnswer) -> Measured | str:
            height, width = self.maps.size(answer)
            left, top, right, bottom = check.box
            box = (left * width, top * height, right * width, bottom * height)
            return energy_in_mask(self.maps.raw(answer), self.maps.share(answer, box))

        edges = ",".join(f"{edge:g}" for edge in check.box)
        return [
            self._waiting(f"avoid {edges}", group, measure, check.max, small=True)
            for group in self._groups(check.method)
        ]

    def prediction(self, check: PredictionCheck) -> list[_Waiting]:
        found = []
        for group in self._groups([], per_method=False):
            flips, drops = [], []
            for answer in group.answers:
                kept = self.maps.kept(group.model, answer.question)
                if not kept:
                    flips.append(Finding(answer, None, None, NOT_KEPT))
                    drops.append(Finding(answer, None, None, NOT_KEPT))
                    continue
                same = any(one.first == answer.first for one in kept)
                change = "" if same else f"{kept[0].first} → {answer.first}"
                flips.append(Finding(answer, float(not same), same, change))
                drops.append(_drop(answer, kept, check.drop or 0.0))
            if check.flips is not None:
                wanted = 1 - check.flips
                limit = f"≤ {check.flips:g}"
                found.append(_Waiting("prediction flips", group, limit, flips, wanted))
            if check.drop is not None:
                limit = f"≤ {check.drop:g}"
                wanted = self.passing.wanted
                found.append(_Waiting("prediction drop", group, limit, drops, wanted))
        return found

    def blank(self, check: BlankCheck) -> list[_Waiting]:
        found = []
        for group in self._groups([], per_class=False):
            findings = [
                Finding(a, float(blank), not blank, "blank map" if blank else "")
                for a in group.answers
                for blank in [self.maps.is_blank(a)]
            ]
            count, all_maps = sum(f.passed is False for f in findings), len(findings)
            passed = count <= check.share * all_maps
            text = f"{count} of {all_maps} maps are blank, {100 * check.share:.4g} % allowed: "
            verdict = Verdict.PASSED if passed else Verdict.FAILED
            found.append(
                _Waiting(
                    "blank", group, f"≤ {check.share:g}", findings, 1.0,
                    (verdict, text + ("passes" if passed else "fails")),
                )
            )  # fmt: skip
        return found

    # What they share.

    def _groups(
        self, methods: Sequence[str], *, per_class: bool = True, per_method: bool = True
    ) -> list[_Group]:
        found: dict[tuple[str, str, str, str], _Group] = {}
        per_class = per_class and self.passing.per == "class"
        for model, answers in self.maps.answers.items():
            seen: set[tuple[str, str]] = set()
            for answer in answers:
                if methods and answer.row.method not in methods:
                    continue
                # A prediction is the same whichever method explains it.
                asked = (answer.row.image_name, answer.question[2])
                if not per_method and asked in seen:
                    continue
                seen.add(asked)
                alone = per_class and answer.known
                label = answer.row.label if alone else ""
                method = answer.method if per_method else ""
                number = answer.row.asked if alone else ""
                key = (model, answer.row.entry, method, number or label)
                if key not in found:
                    found[key] = _Group(model, method, label, number, [])
                found[key].answers.append(answer)
        return list(found.values())

    def _waiting(
        self,
        title: str,
        group: _Group,
        measure: Callable[[MapAnswer], Measured | str],
        threshold: float,
        *,
        small: bool = False,
    ) -> _Waiting:
        findings = []
        for answer in group.answers:
            value = measure(answer)
            if isinstance(value, str):
                findings.append(Finding(answer, None, None, value))
            elif isinstance(value, Undefined):
                open_ = value in _NO_QUESTION or self._is_tolerated(group, answer)
                findings.append(Finding(answer, None, None if open_ else False, str(value)))
            else:
                passed = value <= threshold if small else value >= threshold
                findings.append(Finding(answer, value, passed))
        limit = f"{'≤' if small else '≥'} {threshold:.4g}"
        return _Waiting(title, group, limit, findings, self.passing.wanted)

    def _is_tolerated(self, group: _Group, answer: MapAnswer) -> bool:
        """Whether a map without a value is one of the blank maps that are allowed."""
        if self.blanks is None or not self.maps.is_blank(answer):
            return False
        key = (group.model, group.method)
        if key not in self._tolerated:
            of_method = [a for a in self.maps.answers[group.model] if a.method == group.method]
            count = sum(map(self.maps.is_blank, of_method))
            self._tolerated[key] = count <= self.blanks * len(of_method)
        return self._tolerated[key]


def _drop(answer: MapAnswer, kept: Sequence[Kept], limit: float) -> Finding:
    now = answer.row.probability
    before = [one.probability for one in kept if one.probability is not None]
    if now is None or not before:
        return Finding(answer, None, None, "the output is no probability")
    # A baseline has four digits.
    value = round(min(before) - now, 4)
    return Finding(answer, value, value <= limit + 1e-9)


def _tally(case: _Waiting) -> Tally:
    judged = [finding.passed for finding in case.findings if finding.passed is not None]
    return Tally(sum(judged), len(judged), case.wanted)


def _case(case: _Waiting, decision: Decision | None) -> Case:
    if case.verdict is not None:
        verdict, text = case.verdict
    else:
        assert decision is not None
        verdict, text = decision.verdict, str(decision)
    reasons = dict.fromkeys(f.why for f in case.findings if f.passed is None and f.why)
    if reasons:
        lost = sum(f.passed is None for f in case.findings)
        text += f"; {lost} without a verdict: {', '.join(reasons)}"
    group = case.group
    return Case(
        case.check, group.model, group.method, group.label, case.limit, verdict, text, case.findings
    )
