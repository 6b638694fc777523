"""Checks as Markdown for a pull request: the verdict first, then the worst images."""

from __future__ import annotations

from collections.abc import Sequence

from kvis_cli.gate.decision import Verdict
from kvis_cli.gate.verdicts import Case, Finding, Judgement, worst
from kvis_cli.report.markdown import as_code, as_text

# GitHub takes 65536 characters in a comment.
LIMIT = 60_000
MAX_CASES = 40
WORST = 5
MARKS = {
    Verdict.PASSED: "✅",
    Verdict.FAILED: "❌",
    Verdict.TOO_FEW: "⚠️",
    Verdict.NOT_EVALUATED: "❔",
}


def checks_to_markdown(judgement: Judgement, file: str, picture: bool) -> str:
    """Return the verdict, the checks that did not pass, the worst five images, and all checks.

    Parameters
    ----------
    judgement
        The verdicts.
    file
        The job file.
    picture
        Whether ``worst.png`` lies beside it.

    Returns
    -------
    str
        At most 60,000 characters.
    """
    mark = {0: "✅", 1: "❌"}.get(int(judgement.exit_code), "❔")
    lines = [f"### {mark} Attention: {as_text(judgement.headline)}", ""]
    lines += [f"- {as_text(problem)}" for problem in judgement.problems]
    if judgement.problems:
        lines.append("")
    bad = [*judgement.failed, *judgement.open]
    if bad:
        lines += [*_table(bad[:MAX_CASES]), ""]
        if len(bad) > MAX_CASES:
            lines += [f"… and {len(bad) - MAX_CASES} more.", ""]
    found = worst(judgement, WORST)
    if found:
        lines += ["**Worst images**", ""]
        lines += [f"- {_image(case, finding)}" for case, finding in found]
        lines.append("")
    if picture:
        lines += ["![The worst images: photo, accepted map, new map, difference](worst.png)", ""]
    lines += [f"<details><summary>All {len(judgement.cases)} checks</summary>", ""]
    lines += [*_table(judgement.cases[:MAX_CASES]), ""]
    if len(judgement.cases) > MAX_CASES:
        lines += [f"… and {len(judgement.cases) - MAX_CASES} more in `check.json`.", ""]
    lines += ["</details>", ""]
    lines.append(
        f"One run fails a model for which all of this holds in {100 * judgement.alpha:g} % of "
        "cases at most; a gate sees only what its photos show."
    )
    if judgement.failed:
        accept = f"kvis check {as_code(file)} --update-baseline --only failing"
        lines += ["", f"If the new maps are right, accept them: `{accept}`"]
    text = "\n".join(lines) + "\n"
    return text if len(text) <= LIMIT else text[: LIMIT - 40].rpartition("\n")[0] + "\n\n…\n"


def _table(cases: Sequence[Case]) -> list[str]:
    lines = ["| | check | model | method | class | |", "|---|---|---|---|---|---|"]
    for case in cases:
        cells = (f"{case.check} {case.limit}", case.model, case.method, case.label, case.text)
        lines.append(f"| {MARKS[case.verdict]} | " + " | ".join(map(as_text, cells)) + " |")
    return lines


def _image(case: Case, finding: Finding) -> str:
    row = finding.answer.row
    value = finding.why if finding.value is None else f"{finding.value:.3g}"
    about = " · ".join(p for p in (case.model, row.target or "", case.method) if p)
    limit = f"{case.check} {value} (wanted {case.limit})"
    return f"`{as_code(row.image_name)}` {as_text(about)}: {as_text(limit)}"
