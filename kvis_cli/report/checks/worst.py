"""One contact sheet of the worst images of a check."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from kvis_cli.errors import KvisError
from kvis_cli.gate.check import Checked
from kvis_cli.gate.sheet import Row, Seen, difference, sheets
from kvis_cli.gate.verdicts import Case, Finding, worst

COUNT = 5


def worst_sheet(checked: Checked, count: int = COUNT) -> np.ndarray | None:
    """Draw the worst images: photo, accepted map, new map, difference.

    Parameters
    ----------
    checked
        The verdicts and the maps.
    count
        How many.

    Returns
    -------
    numpy.ndarray or None
        uint8 RGB; None where no image failed.
    """
    rows = []
    for case, finding in worst(checked.judgement, count):
        try:
            rows.append(row_of(checked, case, finding))
        except KvisError:
            # What cannot be read any more cannot be shown; its numbers are in the report.
            continue
    if not rows:
        return None
    compared = any(row.changed for row in rows)
    columns = ["photo", "accepted", "now", "difference"] if compared else ["photo", "now"]
    if compared:
        # What was not in the baseline leaves the place of the accepted map empty.
        rows = [r if r.changed else replace(r, seen=[None, *r.seen]) for r in rows]
    return next(sheets(rows, columns, f"kvis check: {checked.judgement.headline}"))


def row_of(checked: Checked, case: Case, finding: Finding) -> Row:
    """Return the accepted map, the new one and their difference as a row of a sheet.

    Parameters
    ----------
    checked
        The maps.
    case
        What the image failed.
    finding
        The image.

    Returns
    -------
    Row
        Without the accepted map where the baseline has none.

    Raises
    ------
    InputError
        When the map cannot be read any more.
    """
    answer, row = finding.answer, finding.answer.row
    signed = row.map == "signed"
    value = finding.why if finding.value is None else f"{finding.value:.3g}"
    label = " · ".join(p for p in (row.image_name, case.model, case.method) if p)
    raw = checked.maps.raw(answer)
    new = Seen(raw, answer.placement, signed, row.caption, answer.grid(raw.shape))
    said = f"{case.check} {value}, wanted {case.limit}"
    kept = checked.maps.kept(case.model, answer.question)
    if not kept:
        return Row(Path(row.image), f"{label}: {said}", [new], None)
    old = kept[0].cells
    chance = "" if kept[0].probability is None else f" {kept[0].probability:.3f}"
    place = answer.placement
    before = Seen(old.map(), place, old.signed, f"{row.label}{chance}", answer.grid(old.shape))
    moved = difference(old.map(), raw)
    changed = Seen(moved, place, True, said, answer.grid(moved.shape))
    return Row(Path(row.image), label, [before, new], changed)
