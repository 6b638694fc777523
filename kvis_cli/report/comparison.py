"""Old and new maps in one HTML file: side by side, under a slider, blinking, as a difference."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from string import Template
from typing import Any

import numpy as np

from kvis_cli.gate.sheet import Row, Seen, pictures_of
from kvis_cli.report.html import data_address, safe_json, text_of
from kvis_cli.shown import shown_html

# A page of some 15 MB; what is more is in the JSON beside it.
MAX_ITEMS = 200


@dataclass(frozen=True)
class PageItem:
    """A question on the page.

    Attributes
    ----------
    row
        Its pictures.
    image, target, method, model
        What was asked, of which model.
    text
        What was measured.
    tags
        The checks that it did not pass, and the like: what it can be filtered by.
    bad
        Whether it counts against the model.
    """

    row: Row
    image: str
    target: str
    method: str
    model: str
    text: str
    tags: Sequence[str] = ()
    bad: bool = False


def comparison_page(
    title: str,
    heading: str,
    names: tuple[str, str],
    items: Iterable[PageItem],
    *,
    subtitle: str = "",
    facts: Sequence[tuple[str, str]] = (),
    problems: Sequence[str] = (),
) -> str:
    """Return a page.

    Parameters
    ----------
    title
        Of the page.
    heading
        Above the items.
    names
        What the old and the new maps are called.
    items
        The worst first; of them at most 200 are shown.
    subtitle
        Beside the title.
    facts
        Pairs of a number and what it counts, as texts.
    problems
        What was not evaluated, or failed.

    Returns
    -------
    str
        HTML that needs no other file.
    """
    chosen = list(items)[:MAX_ITEMS]
    with ThreadPoolExecutor(2) as pool:
        entries = list(pool.map(_entry, chosen))
    return Template(text_of("comparison.html")).substitute(
        title=shown_html(title),
        subtitle=shown_html(subtitle),
        heading=shown_html(heading),
        css=text_of("report.css") + text_of("comparison.css"),
        js=text_of("comparison.js"),
        facts="".join(f"<li><b>{shown_html(n)}</b> {shown_html(t)}</li>" for n, t in facts),
        problems="".join(f'<div class="problem">{shown_html(text)}</div>' for text in problems),
        data=safe_json({"names": list(names), "items": entries}),
    )


def _entry(item: PageItem) -> dict[str, Any]:
    pictures, changed = pictures_of(item.row)
    photo, old, new = [*pictures, None, None][:3]
    before, after = [*item.row.seen, None, None][:2]
    return {
        "image": item.image,
        "target": item.target,
        "method": item.method,
        "model": item.model,
        "text": item.text,
        "tags": list(item.tags),
        "bad": item.bad,
        "photo": _address(photo),
        "old": _address(old),
        "new": _address(new),
        "changed": _address(changed),
        "oldText": _caption(before),
        "newText": _caption(after),
        "changedText": item.row.changed.caption if item.row.changed else "",
    }


def _address(picture: np.ndarray | None) -> str | None:
    return None if picture is None else data_address(picture)


def _caption(seen: Seen | None) -> str:
    return "" if seen is None else seen.caption
