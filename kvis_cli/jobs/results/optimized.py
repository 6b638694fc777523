"""Pictures of activation maximization: files, animations and a sheet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kvis_cli.explanation import Explanation, Optimized
from kvis_cli.jobs.results.made import Made, Place, number
from kvis_cli.paths import safe_name
from kvis_cli.render.animation import write_animation
from kvis_cli.render.arrays import as_picture
from kvis_cli.render.grid import Sheet, render_sheet
from kvis_cli.spec.maximize import MaximizeSpec


def write_pictures(
    explanations: list[Explanation], spec: MaximizeSpec, place: Place
) -> Iterator[Made]:
    """Write a picture per target and run, and what goes with them.

    Parameters
    ----------
    explanations
        Of all targets and runs of a ``maximize`` task.
    spec
        Whether there are raw arrays, animations, a sheet.
    place
        Where they go.

    Yields
    ------
    Made
        Each picture and animation as soon as it is written, and last the sheet.
    """
    captions = []
    for explanation in explanations:
        done = _optimized(explanation)
        path = _path(explanation, spec, place)
        text, caption = _in_words(explanation, done)
        place.listener.note(text)
        captions.append(caption)
        about = _about(explanation, done, spec)
        if spec.raw:
            arrays: dict[str, Any] = {"inputs": done.inputs, "score": np.float32(explanation.score)}
            arrays |= {f"loss {term}": values for term, values in done.history.items()}
            about["raw"] = place.store.write_arrays(path.with_suffix(".npz"), **arrays).name
        place.store.write_picture(path, as_picture(done.pixels), about)
        yield Made(path, about, explanation.warnings)
        if spec.gif:
            stem = safe_name(Path(spec.gif).stem)
            stem = stem if len(explanations) == 1 else f"{stem}_{path.stem}"
            path = path.with_name(stem + Path(spec.gif).suffix.lower())
            write_animation(path, list(done.film))
            label = explanation.target.label
            yield Made(path, {"target": label, "frames": len(done.film)})
    if spec.grid:
        yield _sheet(explanations, captions, spec, place)


def _path(explanation: Explanation, spec: MaximizeSpec, place: Place) -> Path:
    at = f"at-{spec.at.replace(',', '-')}" if spec.at else ""
    parts = (explanation.layer, explanation.target.name, at, explanation.variant)
    return place.store.path("maximize", *parts, folder=place.folder)


def _in_words(explanation: Explanation, done: Optimized) -> tuple[str, str]:
    """Return the scores for the console, and a caption."""
    label = explanation.target.label
    text = f"{label}: score {explanation.score:.4g}, saved {done.score_saved:.4g}"
    if not done.probabilities:
        return text, f"{label} {done.score_saved:.3g}"
    shown = " + ".join(f"{p:.3f}" for p in done.probabilities)
    return f"{text}, probability {shown}", f"{label} {shown}"


def _about(explanation: Explanation, done: Optimized, spec: MaximizeSpec) -> dict[str, Any]:
    about = {
        "layer": explanation.layer,
        "target": explanation.target.label,
        "units": [list(unit) for unit in done.units],
        "run": done.run,
        "score": number(explanation.score),
        "score_saved": number(done.score_saved),
        "loss": {term: number(values[-1]) for term, values in done.loss.items()},
        "steps": list(done.steps),
        "preset": spec.preset,
        "recipe": dict(done.recipe),
    }
    if done.probabilities:
        about["probabilities_saved"] = list(done.probabilities)
    return about


def _sheet(
    explanations: list[Explanation], captions: list[str], spec: MaximizeSpec, place: Place
) -> Made:
    pictures = [as_picture(_optimized(e).pixels) for e in explanations]
    columns = spec.runs if spec.runs > 1 else int(np.ceil(np.sqrt(len(pictures))))
    rows = [pictures[i : i + columns] for i in range(0, len(pictures), columns)]
    notes = [captions[i : i + columns] for i in range(0, len(captions), columns)]
    sheet = render_sheet(Sheet(rows, notes, title=place.title))
    layer = explanations[0].layer
    path = place.store.path("maximize", layer, "grid", folder=place.folder)
    about = {"target": f"{len(pictures)} pictures", "layer": layer}
    place.store.write_picture(path, sheet, about)
    return Made(path, about)


def _optimized(explanation: Explanation) -> Optimized:
    assert explanation.optimized is not None
    return explanation.optimized
