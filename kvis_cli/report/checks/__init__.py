"""Reports of checks: what failed, with numbers and pictures."""

from __future__ import annotations

from pathlib import Path

from kvis_cli.gate.check import Checked
from kvis_cli.jobs.results.store import ResultStore
from kvis_cli.paths import write_bytes_atomic
from kvis_cli.report.checks.junit import checks_to_junit
from kvis_cli.report.checks.markdown import checks_to_markdown
from kvis_cli.report.checks.worst import worst_sheet

JSON, MARKDOWN, JUNIT = "check.json", "check.md", "check-junit.xml"
PAGE, WORST = "check.html", "worst.png"


def write_check_reports(checked: Checked, folder: Path, file: str) -> list[Path]:
    """Write everything that is said of a check into the result folder.

    Parameters
    ----------
    checked
        The verdicts and the maps.
    folder
        The result folder.
    file
        The job file, for the commands that the reports name.

    Returns
    -------
    list of pathlib.Path
        ``check.json``, ``check.md``, ``check-junit.xml`` and, where an image failed, ``check.html``
        and ``worst.png``.

    Raises
    ------
    OutputError
        When a file cannot be written.
    """
    judgement = checked.judgement
    store = ResultStore(folder)
    picture = worst_sheet(checked)
    written = [store.write_json(JSON, judgement.to_json())]
    for name, text in (
        (MARKDOWN, checks_to_markdown(judgement, file, picture is not None)),
        (JUNIT, checks_to_junit(judgement)),
    ):
        written.append(write_bytes_atomic(folder / name, text.encode()))
    if picture is None:
        # Those of an earlier run would speak of this one.
        for name in (PAGE, WORST):
            (folder / name).unlink(missing_ok=True)
    else:
        from kvis_cli.report.checks.page import check_page

        written.append(write_bytes_atomic(folder / PAGE, check_page(checked).encode()))
        written.append(store.write_picture(folder / WORST, picture, {"check": judgement.headline}))
    return written
