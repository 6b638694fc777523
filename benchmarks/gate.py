"""The gate against known truth: false alarms on good twins, power on twins of a shortcut.

Thresholds are calibrated with good twins of other seeds than those that are judged. All photos are
new to all twins; every star on them has the corner mark. `kvis calibrate` and `kvis check` decide
by the same functions.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import Report
from kvis_cli.gate.calibration.bounds import SpreadBound, bound_of, weakest
from kvis_cli.gate.cells import Cells, settled, to_cells
from kvis_cli.gate.decision import ALPHA, Tally, Verdict, decide
from kvis_cli.metrics import MEASURES, Undefined, enrichment
from kvis_cli.runtime.tensorflow import import_tensorflow
from sample_models import twins

ROOT = Path(__file__).resolve().parent.parent
METHODS = ("gradcam", "gradient")
# A twin depends on the mark that loses so much of its accuracy on stars without it.
DEPENDS = 0.2
# The power is a promise of this method, and with medians; the rest is shown beside it.
BAR = ("gradcam", 0.5)
_CODE = ("engines", "tasks", "metrics", "gate/cells.py")


@dataclass(frozen=True)
class Measured:
    """What the photos show of a twin.

    Attributes
    ----------
    cells
        Method -> maps as a baseline keeps them, ``(n, h, w)``.
    plain
        The same of the stars without their marks.
    enrichments
        Method -> of every photo; nan for a blank map.
    right
        Whether each photo is recognised.
    unmarked
        Share of the stars that are recognised without the mark.
    """

    cells: dict[str, np.ndarray]
    plain: dict[str, np.ndarray]
    enrichments: dict[str, np.ndarray]
    right: np.ndarray
    unmarked: float


@dataclass(frozen=True)
class Photos:
    """The photos of the gate."""

    images: np.ndarray
    masks: np.ndarray
    labels: np.ndarray
    unmarked: np.ndarray

    @classmethod
    def drawn(cls, recipe: twins.Recipe) -> Photos:
        """Draw them."""
        images, masks, labels = twins.draw(recipe.photos, recipe.held_out)
        marked, its_masks, _ = twins.draw(recipe.photos, recipe.held_out, mark=True)
        stars = labels == twins.MARKED
        unmarked = images[stars]
        images[stars], masks[stars] = marked, its_masks
        return cls(images, masks, labels, unmarked)


def measure(path: Path, photos: Photos) -> Measured:
    """Explain the photos by a twin."""
    import keras

    from kvis_cli.explain import Explainer

    model = keras.models.load_model(path)
    explainer = Explainer(model, preprocess="none")

    def explained(images: np.ndarray, label: int) -> dict[str, list[np.ndarray]]:
        asked = {"class_": str(label)}
        return {
            "gradcam": [m.raw for m in explainer.cam(list(images), method="gradcam", **asked)],
            "gradient": [
                m.raw for m in explainer.saliency(list(images), method="gradient", **asked)
            ],
        }

    maps: dict[str, list[Any]] = {method: [None] * len(photos.labels) for method in METHODS}
    for label in range(len(twins.KINDS)):
        places = np.flatnonzero(photos.labels == label)
        for method, raws in explained(photos.images[places], label).items():
            for place, raw in zip(places, raws, strict=True):
                maps[method][place] = raw
    plain = {m: _cells(raws) for m, raws in explained(photos.unmarked, twins.MARKED).items()}
    cells, enrichments = {}, {}
    for method, raws in maps.items():
        cells[method] = _cells(raws)
        ratios = [_enrichment(raw, mask) for raw, mask in zip(raws, photos.masks, strict=True)]
        enrichments[method] = np.array(ratios)
    right = model.predict(photos.images, verbose=0).argmax(1) == photos.labels
    stars = model.predict(photos.unmarked, verbose=0).argmax(1) == twins.MARKED
    return Measured(cells, plain, enrichments, right, float(stars.mean()))


def _cells(raws: list[np.ndarray]) -> np.ndarray:
    kept = [to_cells(raw, signed=False) for raw in raws]
    return np.stack([one.values for one in kept if isinstance(one, Cells)])


def _enrichment(raw: np.ndarray, mask: np.ndarray) -> float:
    height, width = raw.shape
    rows, columns = mask.shape[0] // height, mask.shape[1] // width
    share = mask.reshape(height, rows, width, columns).mean(axis=(1, 3))
    value = enrichment(raw, share)
    return np.nan if isinstance(value, Undefined) else value


def measured(path: Path, photos: Callable[[], Photos]) -> Measured:
    """Return what was measured of a twin by the code as it is, or measure it."""
    kept = path.parent / f"maps-{_digest()}" / f"{path.stem}.npz"
    if not kept.exists():
        found = measure(path, photos())
        kept.parent.mkdir(exist_ok=True)
        arrays = {f"cells-{name}": value for name, value in found.cells.items()}
        arrays |= {f"plain-{name}": value for name, value in found.plain.items()}
        arrays |= {f"enrichment-{name}": value for name, value in found.enrichments.items()}
        np.savez_compressed(kept, right=found.right, unmarked=found.unmarked, **arrays)
    with np.load(kept) as arrays:
        return Measured(
            {name: arrays[f"cells-{name}"] for name in METHODS},
            {name: arrays[f"plain-{name}"] for name in METHODS},
            {name: arrays[f"enrichment-{name}"] for name in METHODS},
            arrays["right"],
            float(arrays["unmarked"]),
        )


def _digest() -> str:
    digest = hashlib.sha256(b"2")
    for name in _CODE:
        place = ROOT / "kvis_cli" / name
        for file in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


# --- what is judged ---------------------------------------------------------------------------

Values = list[float | None]


def spearman_to(reference: Measured, twin: Measured, method: str) -> Values:
    """How alike the twin's maps are to the reference's, a value per photo."""
    pairs = zip(reference.cells[method], twin.cells[method], strict=True)
    return [_spearman(kept, new) for kept, new in pairs]


def _spearman(kept: np.ndarray, new: np.ndarray) -> float | None:
    value = MEASURES["spearman"](*settled(Cells(kept), Cells(new)))
    return None if isinstance(value, Undefined) else value


def enrichment_of(reference: Measured, twin: Measured, method: str) -> Values:
    """How much more of the heat the objects have than an even map would give them."""
    return [None if np.isnan(value) else float(value) for value in twin.enrichments[method]]


JUDGED: dict[str, tuple[str, Callable[[Measured, Measured, str], Values]]] = {
    "drift, Spearman": ("spearman", spearman_to),
    "region, enrichment": ("enrichment", enrichment_of),
}


def by_class(values: Values, labels: np.ndarray) -> list[Values]:
    """Split the values of photos by their class."""
    return [[values[i] for i in np.flatnonzero(labels == k)] for k in range(len(twins.KINDS))]


def calibrate(metric: str, good: Sequence[list[Values]], wanted: float) -> list[SpreadBound]:
    """Return a threshold per class, so that a run has false alarms in `ALPHA` of cases."""
    bounds = []
    for k in range(len(twins.KINDS)):
        least = [weakest(metric, model[k], wanted) for model in good]
        kept = [value for value in least if value is not None]
        bounds.append(bound_of(metric, kept, ALPHA / len(twins.KINDS)))
    return bounds


def failing(classes: list[Values], bounds: Sequence[SpreadBound], wanted: float) -> set[str]:
    """Return the classes that fail in a run of one check."""
    tallies = [
        Tally(sum(v is not None and v >= bound.limit for v in values), len(values), wanted)
        for values, bound in zip(classes, bounds, strict=True)
    ]
    decisions = decide(tallies, ALPHA)
    names = zip(twins.KINDS, decisions, strict=True)
    return {name for name, decision in names if decision.verdict is Verdict.FAILED}


def table(
    found: dict[str, Measured], labels: np.ndarray, calibrating: int, wanted: float
) -> Report:
    """Judge the twins that nothing was calibrated with."""
    good = [name for name in sorted(found) if name.startswith("good")]
    reference, used, held = good[0], good[1 : calibrating + 1], good[calibrating + 1 :]
    marked = [name for name in sorted(found) if name.startswith("mark")]
    stars = labels == twins.MARKED
    needing = [n for n in marked if found[n].right[stars].mean() - found[n].unmarked >= DEPENDS]
    report = Report(
        f"{calibrating} good twins calibrate, {100 * wanted:g} % of the photos have to pass; "
        f"{len(held)} good twins and {len(needing)} of a shortcut ({len(marked)} trained) judged"
    )
    accuracy = {name: float(one.right.mean()) for name, one in found.items()}
    _accuracy_alone(report, accuracy, used, held, needing)
    star = twins.KINDS[twins.MARKED]
    for method in METHODS:
        for title, (metric, values_of) in JUDGED.items():
            classes = {
                name: by_class(values_of(found[reference], one, method), labels)
                for name, one in found.items()
            }
            bounds = calibrate(metric, [classes[name] for name in used], wanted)
            alarms = [n for n in held if failing(classes[n], bounds, wanted)]
            caught = [n for n in needing if star in failing(classes[n], bounds, wanted)]
            report.add(f"{method}, {title}", "")
            limits = " ".join(f"{b.limit:.2f}" for b in bounds)
            report.add(f"  thresholds of {', '.join(twins.KINDS)}", limits)
            share = len(alarms) / len(held)
            bar = f"≤ {100 * ALPHA:g} %"
            report.add("  false alarms", f"{len(alarms)} of {len(held)}", bar, share <= ALPHA)
            power = len(caught) / len(needing)
            text = f"{len(caught)} of {len(needing)}"
            what = f"  shortcuts caught, {star} named"
            if (method, wanted) == BAR:
                report.add(what, text, "≥ 95 %", power >= 0.95)
            else:
                report.add(what, text)
            if metric == "spearman":
                unseen = _without_the_mark(found, method, needing, classes, bounds, wanted)
                report.add("  the same by photos without the mark", f"{unseen} of {len(needing)}")
    return report


def _without_the_mark(
    found: dict[str, Measured],
    method: str,
    needing: Sequence[str],
    classes: dict[str, list[Values]],
    bounds: Sequence[SpreadBound],
    wanted: float,
) -> int:
    """How many shortcuts a gate finds whose photos do not show what they depend on."""
    reference = found[next(name for name in sorted(found) if name.startswith("good"))]
    caught = 0
    for name in needing:
        values = list(classes[name])
        pairs = zip(reference.plain[method], found[name].plain[method], strict=True)
        values[twins.MARKED] = [_spearman(kept, new) for kept, new in pairs]
        caught += twins.KINDS[twins.MARKED] in failing(values, bounds, wanted)
    return caught


def _accuracy_alone(
    report: Report,
    accuracy: dict[str, float],
    used: Sequence[str],
    held: Sequence[str],
    needing: Sequence[str],
) -> None:
    bound = bound_of("energy", [accuracy[name] for name in used], ALPHA)
    alarms = sum(accuracy[name] < bound.limit for name in held)
    caught = sum(accuracy[name] < bound.limit for name in needing)
    for kind, names in (("good", held), ("shortcut", needing)):
        values = [accuracy[name] for name in names]
        report.add(f"accuracy, {kind}", f"{min(values):.2f} to {max(values):.2f}")
    report.add(f"a gate of accuracy ≥ {bound.limit:.2f}: false alarms", f"{alarms} of {len(held)}")
    report.add("  shortcuts caught", f"{caught} of {len(needing)}")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=46, help="good twins, and shortcuts")
    parser.add_argument("--calibrating", type=int, nargs="+", default=[10, 20])
    parser.add_argument("--share", type=float, nargs="+", default=[0.5, 0.95])
    parser.add_argument("--seed", type=int, default=1, help="of the first good twin")
    options = parser.parse_args()
    import_tensorflow()
    recipe = twins.Recipe()
    folder = twins.train_twins(options.count, options.seed)
    photos = Photos.drawn(recipe)
    found = {
        twin.name: measured(folder / f"{twin.name}.keras", lambda: photos)
        for twin in twins.twins_of(options.count, options.seed)
    }
    reports = [
        table(found, photos.labels, calibrating, wanted)
        for wanted in options.share
        for calibrating in options.calibrating
    ]
    return max(report.show() for report in reports)


if __name__ == "__main__":
    sys.exit(main())
