"""JUnit XML: one case per task, one suite per model."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from kvis_cli.jobs.results.row import ResultRow
from kvis_cli.report.data import FinishedRun, model_of
from kvis_cli.report.registry import report_format
from kvis_cli.report.summary import reason
from kvis_cli.shown import shown_xml


@report_format("junit")
def to_junit(run: FinishedRun) -> str:
    """Return the run as CI systems read test results."""
    done: dict[str, list[ResultRow]] = {}
    for row in run.rows:
        done.setdefault(row.task, []).append(row)
    failed = {row.task: row for row in run.failures}
    root = ET.Element("testsuites", name="kvis")
    _count(root, len(done) + len(failed), len(failed))
    seconds = run.about.get("seconds_by_model") or {}
    for name in run.models:
        cases = [rows for rows in done.values() if model_of(rows[0]) == name]
        lost = [row for row in failed.values() if model_of(row) == name]
        suite = ET.SubElement(root, "testsuite", name=shown_xml(name))
        _count(suite, len(cases) + len(lost), len(lost))
        path = next((r.model for r in (*(c[0] for c in cases), *lost)), "")
        suite.set("time", f"{float(seconds.get(path, 0)):.3f}")
        for rows in cases:
            case = _case(suite, rows[0], name)
            texts = [str(row.file) + "".join(f"\n  {w}" for w in row.warnings) for row in rows]
            ET.SubElement(case, "system-out").text = shown_xml("\n".join(texts))
        for row in lost:
            error = row.error or {}
            failure = ET.SubElement(_case(suite, row, name), "failure")
            failure.set("type", shown_xml(str(error.get("kind", "error"))))
            failure.set("message", shown_xml(str(error.get("what", ""))))
            failure.text = shown_xml(f"{reason(row)}\n{row.hint or ''}".strip())
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _count(element: ET.Element, cases: int, failures: int) -> None:
    element.set("tests", str(cases))
    element.set("failures", str(failures))
    element.set("errors", "0")
    element.set("skipped", "0")


def _case(suite: ET.Element, row: ResultRow, model: str) -> ET.Element:
    # The row of a task's picture has the picture's method, which is the task's.
    parts = (row.image_name, row.method or row.kind)
    name = " ".join(part for part in parts if part)
    file = row.image or row.model
    return ET.SubElement(
        suite, "testcase", classname=shown_xml(model), name=shown_xml(name), file=shown_xml(file)
    )
