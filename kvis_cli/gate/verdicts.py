"""What a run of checks has found, as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from kvis_cli.errors import ExitCode
from kvis_cli.gate.answers import MapAnswer
from kvis_cli.gate.decision import Verdict


@dataclass(frozen=True)
class Finding:
    """What a check says of one image.

    Attributes
    ----------
    answer
        The map that was judged.
    value
        What was measured; None where that has no value.
    passed
        None without a verdict: the image counts neither way.
    why
        Why there is no value, or no verdict.
    """

    answer: MapAnswer
    value: float | None
    passed: bool | None
    why: str = ""


@dataclass(frozen=True)
class Case:
    """A check on one model, method and class.

    Attributes
    ----------
    check
        What was checked, as ``drift spearman``.
    model
        The model's name.
    method
        Method and variant; empty for what is not about maps.
    label
        The class; empty for all together.
    limit
        The threshold, in words: ``≥ 0.72``.
    verdict, text
        What was decided, and why.
    findings
        Per image.
    """

    check: str
    model: str
    method: str
    label: str
    limit: str
    verdict: Verdict
    text: str
    findings: Sequence[Finding] = field(repr=False)

    @property
    def name(self) -> str:
        """``drift spearman ≥ 0.72 · gradcam · star``."""
        return " · ".join(p for p in (f"{self.check} {self.limit}", self.method, self.label) if p)


@dataclass(frozen=True)
class Judgement:
    """What became of all checks of a run.

    Attributes
    ----------
    cases
        In the order of the checks.
    problems
        What could not be evaluated: of the baseline, of the job.
    notes
        What to know beside the verdict.
    alpha, strict
        What was decided by; whether too few images are a failure to evaluate.
    """

    cases: Sequence[Case]
    problems: Sequence[str] = ()
    notes: Sequence[str] = ()
    alpha: float = 0.05
    strict: bool = False

    @property
    def failed(self) -> list[Case]:
        """The cases that failed."""
        return [case for case in self.cases if case.verdict is Verdict.FAILED]

    @property
    def open(self) -> list[Case]:
        """The cases that were not evaluated; with `strict` also those of too few images."""
        wanted = {Verdict.NOT_EVALUATED} | ({Verdict.TOO_FEW} if self.strict else set())
        return [case for case in self.cases if case.verdict in wanted]

    @property
    def exit_code(self) -> ExitCode:
        """1 when a check failed, else 3 when something was not evaluated, else 0."""
        if self.failed:
            return ExitCode.FAILED
        return ExitCode.NOT_EVALUATED if self.open or self.problems else ExitCode.OK

    @property
    def headline(self) -> str:
        """The verdict on the whole run in one line; the worst class of a check decides it."""
        count = len(self.cases)
        if self.failed:
            named = list(dict.fromkeys(c.label for c in self.failed if c.label))
            classes = f", of {', '.join(named[:5])}" if named else ""
            return f"{len(self.failed)} of {count} checks failed{classes}"
        if self.exit_code:
            lost = f"{len(self.open)} of {count} checks have no verdict"
            return f"not evaluated: {self.problems[0] if self.problems else lost}"
        few = sum(case.verdict is Verdict.TOO_FEW for case in self.cases)
        rest = f", {few} of them on too few images to show what is wanted" if few else ""
        return f"all {count} checks passed{rest}"

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain JSON values."""
        return {
            "schema": 1,
            "verdict": {0: "passed", 1: "failed", 3: "not evaluated"}[int(self.exit_code)],
            "headline": self.headline,
            "alpha": self.alpha,
            "strict": self.strict,
            "problems": list(self.problems),
            "notes": list(self.notes),
            "checks": [_case_json(case) for case in self.cases],
        }


def worst(judgement: Judgement, count: int) -> list[tuple[Case, Finding]]:
    """Return the images that failed, of the worst cases first: at most `count`, each map once.

    Failed cases come before those that passed all the same; within a case the lowest value does, or
    the highest where small is good.
    """
    order = {Verdict.FAILED: 0, Verdict.NOT_EVALUATED: 1, Verdict.TOO_FEW: 2, Verdict.PASSED: 3}
    found: list[tuple[Case, Finding]] = []
    seen: set[str] = set()
    queues = []
    for case in sorted(judgement.cases, key=lambda case: order[case.verdict]):
        sign = -1 if case.limit.startswith("≤") else 1
        bad = [f for f in case.findings if f.passed is False]
        bad.sort(key=lambda f: float("-inf") if f.value is None else sign * f.value)
        if bad:
            queues.append((case, bad))
    # One of each case in turn, so that one class does not fill the sheet.
    while queues and len(found) < count:
        for case, bad in list(queues):
            finding = bad.pop(0)
            if not bad:
                queues.remove((case, bad))
            key = str(finding.answer.row.file)
            if key not in seen and len(found) < count:
                seen.add(key)
                found.append((case, finding))
    return found


def _case_json(case: Case) -> dict[str, Any]:
    return {
        "check": case.check,
        "model": case.model,
        "method": case.method,
        "class": case.label,
        "limit": case.limit,
        "verdict": case.verdict.value,
        "text": case.text,
        "images": [
            {
                "image": finding.answer.row.image,
                "file": finding.answer.row.file,
                "value": finding.value,
                "passed": finding.passed,
                **({"why": finding.why} if finding.why else {}),
            }
            for finding in case.findings
        ],
    }
