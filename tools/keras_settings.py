"""Writes kvis_cli/data/keras_settings.json: which settings today's layers of Keras take.

A file of an older Keras 3 may have others. Run it when Keras is raised:

    python tools/keras_settings.py
"""

from __future__ import annotations

import inspect
import json
import os
import re
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras

TABLE = Path(__file__).resolve().parents[1] / "kvis_cli/data/keras_settings.json"
# What takes layers, functions or whole graphs reads its configuration itself.
OWN_READING = {"FeatureSpace", "Layer", "Pipeline", "Wrapper"}
# What `Layer.__init__` takes as keywords.
SHAPES = {"batch_input_shape", "batch_shape", "input_dim", "input_shape"}
# What a class takes out of its keywords.
KEYWORDS = {"LayerNormalization": {"rms_scaling"}}


def main() -> None:
    """Write the settings of every exported layer."""
    found = {}
    for name in dir(keras.layers):
        layer = getattr(keras.layers, name)
        if inspect.isclass(layer) and issubclass(layer, keras.Layer) and name not in OWN_READING:
            found[name] = settings(layer) | KEYWORDS.get(name, set())
    every = settings(keras.Layer)
    document = {
        "keras": keras.__version__,
        "every": sorted(every),
        "layers": {name: sorted(own - every) for name, own in found.items()},
    }
    text = json.dumps(document, indent=1)
    # A layer a line.
    text = re.sub(r"\[\s+([^\]]*?)\s+\]", lambda m: "[" + " ".join(m[1].split()) + "]", text)
    TABLE.write_text(text + "\n")


def settings(layer: type) -> set[str]:
    """Return the arguments of a class, and of its bases where it hands them on."""
    found: set[str] = set()
    for base in layer.__mro__:
        if "__init__" not in base.__dict__:
            continue
        parameters = list(inspect.signature(base.__init__).parameters.values())[1:]
        found |= {p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
        if base is keras.Layer or not any(p.kind == p.VAR_KEYWORD for p in parameters):
            break
    return found | SHAPES


if __name__ == "__main__":
    main()
