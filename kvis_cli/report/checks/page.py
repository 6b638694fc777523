"""The page of a check: the images that failed, old and new."""

from __future__ import annotations

from dataclasses import replace

from kvis_cli.errors import KvisError
from kvis_cli.gate.check import Checked
from kvis_cli.gate.decision import Verdict
from kvis_cli.gate.verdicts import worst
from kvis_cli.report.checks.worst import row_of
from kvis_cli.report.comparison import MAX_ITEMS, PageItem, comparison_page


def check_page(checked: Checked) -> str:
    """Return the page of ``kvis check``: the images that failed a check, the worst first."""
    judgement = checked.judgement
    failed: dict[str, list[str]] = {}
    for case in judgement.cases:
        for finding in case.findings:
            if finding.passed is False:
                tags = failed.setdefault(str(finding.answer.row.file), [])
                tags.append(f"{case.check} {case.limit}")
    items = []
    for case, finding in worst(judgement, MAX_ITEMS):
        try:
            row = row_of(checked, case, finding)
        except KvisError:
            # What cannot be read any more cannot be shown; its numbers are in check.json.
            continue
        if row.changed is None:
            row = replace(row, seen=[None, *row.seen])
        answer = finding.answer
        value = finding.why if finding.value is None else f"{finding.value:.3g}"
        items.append(
            PageItem(
                row,
                answer.row.image_name,
                answer.row.label,
                answer.method,
                case.model,
                f"{case.check} {value}, wanted {case.limit}",
                failed[str(answer.row.file)],
                case.verdict is Verdict.FAILED,
            )
        )
    count = sum(case.verdict is Verdict.PASSED for case in judgement.cases)
    return comparison_page(
        f"kvis check: {judgement.headline}",
        "Images that failed a check, worst first",
        ("accepted", "now"),
        items,
        facts=[
            (str(len(judgement.failed)), "failed"),
            (str(count), "passed"),
            (str(len(judgement.open) + len(judgement.problems)), "not evaluated"),
        ],
        problems=[
            *(f"{c.model}: {c.name}: {c.text}" for c in judgement.failed),
            *judgement.problems,
        ],
    )
