"""Writes kvis_cli/data/application_weights.json: the shapes of the weights of keras.applications.

Run it when Keras gets another application. A file of weights alone is recognised by this table:

    python tools/application_weights.py
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras

from kvis_cli.models.description.applications import APPLICATIONS
from kvis_cli.models.description.recognized import compared, digest_of, shape_text

TABLE = Path(__file__).resolve().parents[1] / "kvis_cli/data/application_weights.json"
CLASSES = 1000

# Settings that change the weights. What a family has no weights for may still be trained so.
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "mobilenet": [{"alpha": a} for a in (0.25, 0.5, 0.75)],
    "mobilenet_v2": [{"alpha": a} for a in (0.35, 0.5, 0.75, 1.3, 1.4)],
    "mobilenet_v3_large": [{"alpha": 0.75}, {"minimalistic": True}],
    "mobilenet_v3_small": [{"alpha": 0.75}, {"minimalistic": True}],
}


def main() -> None:
    """Build every application twice, with and without its classifier."""
    found = []
    for name, made_by in APPLICATIONS.items():
        for options in [{}, *VARIANTS.get(name, [])]:
            make = getattr(keras.applications, made_by)
            bare, full = (make(weights=None, include_top=top, **options) for top in (False, True))
            base, whole = shapes_of(bare), shapes_of(full)
            bases = [base]
            if Counter(whole[: len(base)]) != Counter(base):
                # NASNet-A (6 @ 4032) has other weights with its classifier than without.
                bases = [whole[:-2], base]
            for shapes in bases:
                top = whole[len(shapes) :] if shapes == whole[: len(shapes)] else []
                entry = {
                    "name": name,
                    "options": options,
                    "channels": bare.output.shape[-1],
                    "order": digest_of(shapes),
                    "base": dict(sorted(Counter(map(shape_text, shapes)).items())),
                    "top": [shape_text(shape).replace(str(CLASSES), "N") for shape in top],
                }
                found.append(entry)
                print(name, options, len(shapes), entry["top"], flush=True)
            keras.backend.clear_session()
    lines = ",\n".join(json.dumps(entry, separators=(",", ":")) for entry in found)
    TABLE.write_text(f"[\n{lines}\n]\n")


def shapes_of(model: keras.Model) -> list[tuple[int, ...]]:
    """Return the shapes of the weights, layer by layer, as files of weights have them."""
    shapes = []
    for layer in model.layers:
        for weight in [*layer.trainable_weights, *layer.non_trainable_weights]:
            shapes.append(tuple(weight.shape))
    return compared(shapes)


if __name__ == "__main__":
    main()
