"""Curves over the models as SVG, in the colours of the page that shows them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from kvis_cli.shown import shown_html

WIDTH, HEIGHT = 560, 250
LEFT, RIGHT, TOP, BOTTOM = 48, 12, 12, 34
MAX_LINES = 8
# Mean width of a character in the page's font, with some air between two labels.
CHARACTER = 7

Line = Sequence[float | None]


def curve(
    lines: Mapping[str, Line],
    ticks: Sequence[str],
    *,
    low: float | None = None,
    high: float | None = None,
    reference: float | None = None,
) -> str:
    """Return a line chart.

    Parameters
    ----------
    lines
        Name -> a value per tick, None for a gap. Of more than eight only the mean and the band
        from the lowest to the highest are drawn.
    ticks
        Names of the models.
    low
        The lower end of the axis; by default that of the values.
    high
        The upper end, likewise.
    reference
        A value to draw a dashed line at.

    Returns
    -------
    str
        An ``<svg>`` element and its legend; empty without a finite value.
    """
    values = [v for line in lines.values() for v in line if v is not None and math.isfinite(v)]
    if not values:
        return ""
    bottom = min([*values, *([] if reference is None else [reference])]) if low is None else low
    top = max([*values, *([] if reference is None else [reference])]) if high is None else high
    if top - bottom < 1e-9 * max(1.0, abs(top)):
        room = 0.5 * max(1.0, abs(top))
        bottom, top = bottom - room, top + room

    def x(i: int) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (
            i / max(1, len(ticks) - 1) if len(ticks) > 1 else 0.5
        )

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - bottom) / (top - bottom)

    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" class="curve" role="img">']
    for step in range(5):
        value = bottom + (top - bottom) * step / 4
        at = f"{y(value):.1f}"
        parts.append(f'<line class="rule" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{at}" dy="4" text-anchor="end">{value:.3g}</text>')
    every = max(1, math.ceil(len(ticks) / 8))
    labels = short_names(ticks)
    room = int((WIDTH - LEFT - RIGHT) / math.ceil(len(ticks) / every) / CHARACTER)
    for i in range(0, len(ticks), every):
        label = shown_html(labels[i] if len(labels[i]) <= room else labels[i][: room - 1] + "…")
        anchor = "start" if i == 0 else "end" if i == len(ticks) - 1 else "middle"
        parts.append(
            f'<text x="{x(i):.1f}" y="{HEIGHT - 12}" text-anchor="{anchor}">{label}</text>'
        )
    if reference is not None:
        at = f"{y(reference):.1f}"
        parts.append(f'<line class="even" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}"/>')
    shown = dict(lines)
    if len(lines) > MAX_LINES:
        columns = [[v for v in c if v is not None] for c in zip(*lines.values(), strict=True)]
        filled = [(i, c) for i, c in enumerate(columns) if c]
        edge = [f"{x(i):.1f},{y(max(c)):.1f}" for i, c in filled]
        edge += [f"{x(i):.1f},{y(min(c)):.1f}" for i, c in reversed(filled)]
        parts.append(f'<polygon class="band" points="{" ".join(edge)}"/>')
        name = f"mean of {len(lines)}"
        shown = {name: [sum(c) / len(c) if c else None for c in columns]}
    for number, (name, line) in enumerate(shown.items()):
        points = [(i, v) for i, v in enumerate(line) if v is not None and math.isfinite(v)]
        path = " ".join(f"{x(i):.1f},{y(v):.1f}" for i, v in points)
        parts.append(f'<g class="line c{number}"><polyline points="{path}"/>')
        for i, v in points:
            tip = shown_html(f"{name}, {ticks[i]}: {v:.4g}")
            parts.append(
                f'<circle cx="{x(i):.1f}" cy="{y(v):.1f}" r="3.5"><title>{tip}</title></circle>'
            )
        parts.append("</g>")
    parts.append("</svg>")
    legend = "".join(
        f'<span class="c{n}"><i></i>{shown_html(name)}</span>' for n, name in enumerate(shown)
    )
    return "".join(parts) + f'<div class="legend">{legend}</div>'


def short_names(names: Sequence[str]) -> list[str]:
    """Names without what all of them share at the beginning and the end."""
    if len(names) < 2:
        return list(names)
    start = len(_common(names))
    end = len(_common([name[::-1] for name in names]))
    return [name[start : len(name) - end] or name for name in names]


def _common(texts: Sequence[str]) -> str:
    """Return the common beginning, cut back to a place where no number is torn apart."""
    first, last = min(texts), max(texts)
    pairs = enumerate(zip(first, last, strict=False))
    same = next((i for i, (a, b) in pairs if a != b), min(len(first), len(last)))
    while same and first[same - 1].isalnum():
        same -= 1
    return first[:same]
