"""Checks as annotations of GitHub Actions."""

from __future__ import annotations

from kvis_cli.gate.verdicts import Judgement
from kvis_cli.shown import shown

# GitHub shows ten of a kind per step.
MAX_ANNOTATIONS = 10


def github_annotations(judgement: Judgement, file: str) -> list[str]:
    """Return workflow commands: an error per check that failed or was not evaluated.

    Parameters
    ----------
    judgement
        The verdicts.
    file
        The job file, which they point to.

    Returns
    -------
    list of str
        At most ten lines.
    """
    found = [(case.name, f"{case.model}: {case.text}") for case in judgement.failed]
    found += [("not evaluated", problem) for problem in judgement.problems]
    found += [(case.name, f"{case.model}: {case.text}") for case in judgement.open]
    lines = [
        f"::error file={_property(file)},title={_property(title)}::{_message(text)}"
        for title, text in found[:MAX_ANNOTATIONS]
    ]
    if len(found) > MAX_ANNOTATIONS:
        more = f"and {len(found) - MAX_ANNOTATIONS} more: see check.md"
        lines[-1] = f"::error file={_property(file)},title=kvis check::{_message(more)}"
    if not found:
        lines.append(f"::notice title=kvis check::{_message(judgement.headline)}")
    return lines


def _message(text: str) -> str:
    """Text of a command: GitHub reads ``%``, and commands end at the end of a line."""
    return shown(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")
