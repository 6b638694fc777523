"""Sheets keep a readable shape however many photos there are."""

from __future__ import annotations

import pytest

from kvis_cli.jobs.results.row import ResultRow
from kvis_cli.jobs.results.sheets import color_bars, side_by_side
from kvis_cli.spec.saliency import SaliencySpec


@pytest.mark.parametrize(("photos", "columns"), [(1, 2), (3, 2), (10, 2), (40, 2), (40, 9), (7, 4)])
def test_every_photo_is_on_the_sheet_once_and_the_sheet_is_no_strip(photos, columns):
    rows = [[f"{r}.{c}" for c in range(columns)] for r in range(photos)]
    joined, blocks = side_by_side(rows, columns)
    shown = [cell for row in joined for cell in row]
    assert sorted(shown) == sorted(cell for row in rows for cell in row)
    # Block by block from top to bottom; the pictures of a photo stay beside each other.
    for row in joined:
        for start in range(0, len(row), columns):
            photo = {cell.split(".")[0] for cell in row[start : start + columns]}
            assert len(photo) == 1
    assert len(joined) <= 1.5 * columns * blocks + 1
    assert max(len(row) for row in joined) == blocks * columns


def test_signed_maps_and_heat_maps_on_one_sheet_have_a_bar_each():
    rows = [
        ResultRow(map=kind, method=method, limit=limit)
        for kind, method, limit in [
            ("heatmap", "gradient", 3.0),
            ("signed", "occlusion", 2.0),
            ("signed", "rise", 5.0),
            ("heatmap", "gradient", 4.0),
        ]
    ]
    own, shared = SaliencySpec(), SaliencySpec(scale="shared")
    assert [(b.style.kind, b.limit) for b in color_bars(own, rows)] == [
        ("heatmap", None),
        ("signed", None),
    ]
    # Occlusion and RISE measure in different units.
    assert [b.limit for b in color_bars(shared, rows)] == [4.0, None]
    assert [(b.style.kind, b.limit) for b in color_bars(shared, rows[1:2])] == [("signed", 2.0)]
