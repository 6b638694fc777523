"""Filter atlases: the explanations of a ``filters`` task as one picture per layer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from kvis_cli.explanation import Explanation, Optimized
from kvis_cli.jobs.results.made import Made, Place, number
from kvis_cli.render.arrays import atlas_cells
from kvis_cli.render.grid import atlas, silent_cell
from kvis_cli.spec.filters import FiltersSpec, parse_grid


def write_atlas(explanations: list[Explanation], spec: FiltersSpec, place: Place) -> Iterator[Made]:
    """Write the atlas of one layer.

    Parameters
    ----------
    explanations
        Of the layer's filters, in the order in which they are shown.
    spec
        Grid, size, margin, captions.
    place
        Where it goes.
    """
    if spec.weights:
        yield _kernels(explanations, spec, place)
        return
    yield _atlas(explanations, spec, place)


def _atlas(explanations: list[Explanation], spec: FiltersSpec, place: Place) -> Made:
    layer = explanations[0].layer
    found = [_optimized(e) for e in explanations]
    filters = [_index(e) for e in explanations]
    scores = np.array([e.score for e in explanations], np.float32)
    saved = np.array([o.score_saved for o in found], np.float32)
    asked = np.argsort([o.place for o in found])
    alive = [i for i in asked if not found[i].state]
    if alive:
        score, of_saved = (np.mean(s[alive]) for s in (scores, saved))
        place.listener.note(f"{layer}: mean score {score:.4g}, saved {of_saved:.4g}")
    cells, side = atlas_cells(np.stack([o.pixels for o in found]), spec.size)
    sheet = atlas(
        [
            None if o.state == "dead" else silent_cell(side) if o.state == "silent" else cell
            for o, cell in zip(found, cells, strict=True)
        ],
        parse_grid(spec.grid),
        side,
        spec.margin,
        captions=[str(f) for f in filters] if spec.captions else (),
    )
    dead = [f for f, o in zip(filters, found, strict=True) if o.state == "dead"]
    silent = [f for f, o in zip(filters, found, strict=True) if o.state == "silent"]
    about: dict[str, Any] = {
        "layer": layer,
        "target": f"{layer}: {len(filters)} filters",
        "filters": filters,
        "scores": [number(s) for s in scores],
        "scores_saved": [number(s) for s in saved],
        "dead": dead,
        "silent": silent,
        "preset": spec.preset,
        "recipe": dict(found[0].recipe),
    }
    path = place.store.path("filters", layer, folder=place.folder)
    if spec.raw:
        about["raw"] = place.store.write_arrays(
            path.with_suffix(".npz"),
            inputs=np.stack([o.inputs for o in found]),
            filters=np.array(filters, np.int32),
            scores=scores,
            layer=np.str_(layer),
        ).name
    place.store.write_picture(path, sheet, about)
    # What every silent filter has in common is counted below.
    told = [explanations[i].warnings[: -1 if found[i].state else None] for i in asked]
    warnings = list(dict.fromkeys(w for of_filter in told for w in of_filter))
    if dead:
        warnings.append(
            f"{len(dead)} of {len(filters)} filters are dead, by their weights: {_listed(dead)}"
        )
    if silent:
        warnings.append(
            f"{len(silent)} of {len(filters)} filters are silent from these starts, which "
            f"does not prove them dead (--images PHOTOS starts from yours): {_listed(silent)}"
        )
    return Made(path, about, tuple(warnings))


def _kernels(explanations: list[Explanation], spec: FiltersSpec, place: Place) -> Made:
    layer = explanations[0].layer
    filters = [_index(e) for e in explanations]
    sheet = atlas(
        [_enlarged(e.map.astype(np.uint8), spec.size) for e in explanations],
        parse_grid(spec.grid),
        spec.size,
        spec.margin,
        captions=[str(f) for f in filters] if spec.captions else (),
    )
    about = {"layer": layer, "target": f"{layer}: kernels", "filters": filters}
    path = place.store.path("filters", layer, "weights", folder=place.folder)
    place.store.write_picture(path, sheet, about)
    return Made(path, about)


def _optimized(explanation: Explanation) -> Optimized:
    assert explanation.optimized is not None
    return explanation.optimized


def _index(explanation: Explanation) -> int:
    return explanation.target.units[0][0]


def _listed(filters: list[int]) -> str:
    return ", ".join(map(str, filters[:12])) + (" …" if len(filters) > 12 else "")


def _enlarged(picture: np.ndarray, size: int) -> np.ndarray:
    """Square pixels, as large as fit `size`, on mid grey."""
    factor = max(1, size // max(picture.shape[:2]))
    large = picture.repeat(factor, 0).repeat(factor, 1)
    if max(large.shape[:2]) > size:
        return large
    canvas = np.full((size, size, 3), 128, np.uint8)
    top, left = (size - large.shape[0]) // 2, (size - large.shape[1]) // 2
    canvas[top : top + large.shape[0], left : left + large.shape[1]] = large
    return canvas
