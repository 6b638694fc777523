"""JUnit XML of checks: a suite per model, a case per check, method and class."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from kvis_cli.gate.decision import Verdict
from kvis_cli.gate.verdicts import Case, Judgement
from kvis_cli.shown import shown_xml

MAX_IMAGES = 20


def checks_to_junit(judgement: Judgement) -> str:
    """Return the verdicts as CI systems read test results.

    What failed is a failure, what could not be evaluated an error; too few images are skipped, or
    an error where the run is strict.
    """
    root = ET.Element("testsuites", name="kvis check")
    suites: dict[str, ET.Element] = {}
    for case in judgement.cases:
        if case.model not in suites:
            suites[case.model] = ET.SubElement(root, "testsuite", name=shown_xml(case.model))
        _case(suites[case.model], case, judgement.strict)
    if judgement.problems:
        suite = ET.SubElement(root, "testsuite", name="evaluation")
        for problem in judgement.problems:
            element = ET.SubElement(
                suite, "testcase", classname="evaluation", name=shown_xml(problem)
            )
            ET.SubElement(element, "error", message=shown_xml(problem))
    for element in (*root, root):
        for what, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            element.set(what, str(sum(1 for _ in element.iter(tag))))
        element.set("tests", str(sum(1 for _ in element.iter("testcase"))))
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _case(suite: ET.Element, case: Case, strict: bool) -> None:
    element = ET.SubElement(
        suite, "testcase", classname=shown_xml(case.model), name=shown_xml(case.name)
    )
    tag = {
        Verdict.FAILED: "failure",
        Verdict.NOT_EVALUATED: "error",
        Verdict.TOO_FEW: "error" if strict else "skipped",
    }.get(case.verdict)
    if tag is None:
        ET.SubElement(element, "system-out").text = shown_xml(case.text)
        return
    said = ET.SubElement(element, tag, message=shown_xml(case.text))
    if tag == "failure":
        said.set("type", "check")
        bad = [f for f in case.findings if f.passed is False]
        lines = [
            f"{f.answer.row.image}: {f.why if f.value is None else format(f.value, '.4g')}"
            for f in bad[:MAX_IMAGES]
        ]
        if len(bad) > MAX_IMAGES:
            lines.append(f"… and {len(bad) - MAX_IMAGES} more")
        said.text = shown_xml("\n".join(lines))
