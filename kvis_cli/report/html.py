"""One HTML file that holds everything: pictures, curves, filters; no network, no second file."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from PIL import Image

from kvis_cli.errors import KvisError
from kvis_cli.images.photo import read_photo
from kvis_cli.jobs.results.row import ResultRow
from kvis_cli.report.charts import curve, short_names
from kvis_cli.report.data import FinishedRun, Group, model_of
from kvis_cli.report.registry import report_format
from kvis_cli.report.summary import mean, reasons, summarise
from kvis_cli.shown import json_text, shown, shown_html

# Longest side in pixels that a picture has in the page, by how many there are: some 30 MB at most.
SIZES = ((300, 640), (1000, 420), (3000, 280), (10**9, 180))
QUALITY = 84
MAX_NAMES = 12


@report_format("html")
def to_html(run: FinishedRun) -> str:
    """Return the page of a run."""
    size = next(size for count, size in SIZES if len(run.rows) <= count)
    with ThreadPoolExecutor(2) as pool:
        sources = list(pool.map(lambda row: _embed(run.folder / str(row.file), size), run.rows))
        photos = list(pool.map(lambda path: _embed(Path(path), size), run.images.values()))
    summary = summarise(run)
    return Template(text_of("report.html")).substitute(
        title=shown_html(f"kvis: {run.folder.resolve().name}"),
        subtitle=shown_html(_subtitle(run)),
        css=text_of("report.css"),
        js=text_of("report.js"),
        facts=_facts(run, summary),
        problems=_problems(run),
        charts=_charts(run),
        models=_models(summary["models"]),
        data=safe_json(_data(run, sources, photos)),
    )


def text_of(name: str) -> str:
    """Return a file of the package's data."""
    return resources.files("kvis_cli").joinpath(f"data/{name}").read_text("utf-8")


def safe_json(value: Any) -> str:
    """Return JSON that cannot end the script element that it stands in."""
    return json_text(_shown(value), separators=(",", ":")).replace("<", "\\u003c")


def _shown(value: Any) -> Any:
    """`value` with all its texts as they may be shown."""
    match value:
        case str():
            return shown(value)
        case list():
            return [_shown(entry) for entry in value]
        case dict():
            return {key: _shown(entry) for key, entry in value.items()}
    return value


def _embed(path: Path, size: int) -> str | None:
    """Return a picture as a data address, None where it cannot be read any more."""
    try:
        image = Image.fromarray(read_photo(path).pixels)
    except KvisError:
        return None
    image.thumbnail((size, size), Image.Resampling.BILINEAR, reducing_gap=2.0)
    return _as_address(image)


def data_address(pixels: np.ndarray) -> str:
    """Return a picture (uint8 RGB) as a data address."""
    return _as_address(Image.fromarray(pixels))


def _as_address(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _data(
    run: FinishedRun, sources: Sequence[str | None], photos: Sequence[str | None]
) -> dict[str, Any]:
    models = {name: i for i, name in enumerate(run.models)}
    images = {name: i for i, name in enumerate(run.images)}
    layers = {(row.method, model_of(row)): set[str]() for row in run.rows}
    for row in run.rows:
        layers[row.method, model_of(row)].add(row.layer or "")
    pictures = []
    for row, source in zip(run.rows, sources, strict=True):
        several = len(layers[row.method, model_of(row)]) > 1
        name = row.image_name
        pictures.append(
            {
                "model": models[model_of(row)],
                "image": images.get(name, -1),
                "imageName": name,
                "method": row.method,
                "variant": row.variant,
                "layer": row.layer or "",
                "layerShown": (row.layer or "") if several else "",
                "target": row.target or "",
                "top": row.top or [],
                "warnings": list(row.warnings),
                "caution": row.caution or None,
                "file": row.file,
                "src": source or "",
                **{key: getattr(row, key) for key in NUMBERS},
            }
        )
    index = {id(row): i for i, row in enumerate(run.rows)}
    groups = []
    for key, by_model in run.groups.items():
        if len(by_model) > 1:
            found = [index[id(by_model[n])] if n in by_model else None for n in run.models]
            groups.append(
                {
                    "image": images.get(key[0], -1),
                    "name": _question(key, by_model),
                    "pictures": found,
                }
            )
    return {
        "models": [
            {"name": name, "short": short}
            for name, short in zip(run.models, short_names(run.models), strict=True)
        ],
        "images": [
            {"name": name, "path": path, "photo": photo}
            for (name, path), photo in zip(run.images.items(), photos, strict=True)
        ],
        "pictures": pictures,
        "groups": groups,
    }


NUMBERS = ("score", "probability", "entropy", "in_region", "enrichment")


def _question(key: Group, by_model: dict[str, ResultRow]) -> str:
    """Return what was asked of all models.

    A class that differs between them has only its number.
    """
    _, kind, method, variant, entry, place = key
    targets = {row.target or "" for row in by_model.values()}
    target = targets.pop() if len(targets) == 1 else f"class #{place + 1}"
    parts = [method or kind, variant, entry if entry != kind else "", target]
    return " · ".join(part for part in parts if part)


def _subtitle(run: FinishedRun) -> str:
    versions = run.about.get("versions") or {}
    parts = [f"{name} {versions[name]}" for name in ("tensorflow", "keras") if name in versions]
    kvis = f"kvis {run.about['kvis']}" if "kvis" in run.about else ""
    device = f"on {run.about['device']}" if run.about.get("device") else ""
    return ", ".join(part for part in (kvis, *parts, device) if part)


def _facts(run: FinishedRun, summary: dict[str, Any]) -> str:
    facts = [
        ("", len(run.models), "models" if len(run.models) != 1 else "model"),
        ("", len(run.images), "images" if len(run.images) != 1 else "image"),
        ("", summary["pictures"], "pictures"),
        ("bad" if summary["failed"] else "", summary["failed"], "failed"),
        ("warn" if summary["warnings"] else "", summary["warnings"], "with warnings"),
    ]
    if isinstance(summary["seconds"], int | float):
        facts.append(("", round(summary["seconds"], 1), "seconds"))
    return "".join(f'<li class="{c}"><b>{n}</b> {shown_html(t)}</li>' for c, n, t in facts)


def _problems(run: FinishedRun) -> str:
    parts = []
    if run.failures:
        parts.append('<section id="failures"><h2>Failed</h2>')
        for text, rows in reasons(run.failures):
            names = list(dict.fromkeys(_names(row) for row in rows))
            more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
            hint = rows[0].hint or ""
            parts.append(
                f'<div class="problem"><b>{shown_html(text)}</b>{shown_html(hint)} '
                f'<span class="soft">{len(rows)} tasks: {shown_html(", ".join(names[:MAX_NAMES]))}'
                f"{more}</span></div>"
            )
        parts.append("</section>")
    hidden = "" if run.warned else " hidden"
    parts.append(f'<section id="warnings"{hidden}><h2>Warnings</h2>')
    by_text: dict[str, int] = {}
    for row in run.warned:
        for warning in row.warnings:
            by_text[warning] = by_text.get(warning, 0) + 1
    for text, count in sorted(by_text.items(), key=lambda item: -item[1]):
        times = f"{count} pictures" if count > 1 else "1 picture"
        parts.append(
            f'<div class="problem warn">{shown_html(text)} <span class="soft">{times}</span></div>'
        )
    parts.append('<div class="cards" id="w-cards"></div></section>')
    return "".join(parts)


def _names(row: ResultRow) -> str:
    parts = (model_of(row), row.image_name, row.method)
    return " · ".join(part for part in parts if part)


def _charts(run: FinishedRun) -> str:
    """Curves over the models: what the target scores, and how attention spreads."""
    if len(run.models) < 2:
        return ""
    scores: dict[str, list[float | None]] = {}
    for (image, *_, place), by_model in run.groups.items():
        rows = [by_model.get(name) for name in run.models]
        targets = {row.target for row in rows if row and row.target}
        name = f"{image}: {targets.pop()}" if len(targets) == 1 else f"{image}: class #{place + 1}"
        scores.setdefault(name, [_score(row) for row in rows])
    probability = all(v is None or 0 <= v <= 1 for line in scores.values() for v in line)
    what = "probability" if probability else "score"
    charts = [
        _chart(
            f"Target {what}",
            "What each image's target gets from each model; #1 is the first class asked for.",
            curve(scores, run.models, **({"low": 0, "high": 1} if probability else {})),
        )
    ]
    for key, title, text, options in (
        (
            "enrichment",
            "Attention in the region",
            "Share of the map inside the region over the region's share of the area; dashed: an "
            "even map. Means over the images.",
            {"low": 0.0, "reference": 1.0},
        ),
        (
            "entropy",
            "Spread of attention",
            "Entropy of the map: 0 is one point, 1 is everywhere the same. Means over the images.",
            {},
        ),
    ):
        charts.append(_chart(title, text, curve(_means(run, key), run.models, **options)))
    shown = "".join(charts)
    if not shown:
        return ""
    return f'<section id="curves"><h2>Curves</h2><div class="charts">{shown}</div></section>'


def _score(row: ResultRow | None) -> float | None:
    if row is None:
        return None
    return row.score if row.probability is None else row.probability


def _means(run: FinishedRun, key: str) -> dict[str, list[float | None]]:
    """Return method -> the mean of a number over all pictures of each model."""
    found: dict[str, dict[str, list[Any]]] = {}
    for row in run.rows:
        if getattr(row, key) is not None:
            name = " · ".join(filter(None, (row.method, row.variant)))
            found.setdefault(name, {}).setdefault(model_of(row), []).append(getattr(row, key))
    return {
        name: [mean(by_model.get(model, [])) for model in run.models]
        for name, by_model in sorted(found.items())
    }


def _chart(title: str, text: str, svg: str) -> str:
    if not svg:
        return ""
    return f'<div class="chart"><h3>{shown_html(title)}</h3><p>{shown_html(text)}</p>{svg}</div>'


def _models(models: list[dict[str, Any]]) -> str:
    keys = ("done", "failed", "warnings", "probability", "entropy", "enrichment")
    shown = [key for key in keys if any(model[key] is not None for model in models)]
    heads = "".join(f'<th class="n">{key}</th>' for key in shown)
    rows = []
    for model in models:
        cells = "".join(f'<td class="n">{_cell(model[key])}</td>' for key in shown)
        rows.append(f"<tr><td>{shown_html(model['name'])}</td>{cells}</tr>")
    return (
        '<section id="models"><h2>Models</h2><div class="scroll"><table>'
        f"<tr><th>model</th>{heads}</tr>{''.join(rows)}</table></div></section>"
    )


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)
