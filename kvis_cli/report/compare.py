"""The page of a comparison of models."""

from __future__ import annotations

from kvis_cli.gate.compare import Comparison, overall
from kvis_cli.gate.compare_sheet import numbers, row_of
from kvis_cli.report.comparison import MAX_ITEMS, PageItem, comparison_page


def compare_page(comparison: Comparison) -> str:
    """Return the page of ``kvis compare``: the questions whose maps are least alike first."""
    pairs = sorted(comparison.pairs, key=lambda pair: pair.likeness)
    items = []
    for pair in pairs[:MAX_ITEMS]:
        row = pair.first.row
        flip = f"{pair.first.first} → {pair.second.first}" if pair.flipped else ""
        items.append(
            PageItem(
                row_of(pair),
                row.image_name,
                row.label,
                pair.first.method,
                pair.other.name,
                " · ".join(filter(None, (numbers(pair.measures), flip))),
                ("prediction flips",) if pair.flipped else (),
            )
        )
    first = comparison.models[0].name
    others = ", ".join(model.name for model in comparison.models[1:])
    lines = [f"{m.name}: {overall(comparison.of(m))}" for m in comparison.models[1:]]
    return comparison_page(
        f"kvis compare: {first} and {others}",
        "Worst first",
        (first, others),
        items,
        facts=[(str(len(comparison.pairs)), "questions")],
        problems=lines,
    )
