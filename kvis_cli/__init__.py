"""kvis: see what a saved Keras model has learned and what it looks at.

``import kvis_cli`` is instant: what a name needs, TensorFlow above all, is imported at its first
use.

==============================  ====================================================
``kvis_cli.Explainer``          one model, explained as often as wanted
``kvis_cli.explain``            the same for one question: arrays in, `Explanation` out
``kvis_cli.training``           maps while a model trains
``kvis_cli.keras_vis``          keras-vis' functions, under their own names
``kvis_cli.engines``            the computations themselves
==============================  ====================================================

Examples
--------
>>> import kvis_cli
>>> explainer = kvis_cli.Explainer("sample_models/shapes.keras")
>>> [heat] = explainer.cam("sample_models/images/house.png", class_=3)
>>> heat.map.shape
(12, 12)
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_MODULES = ("explain", "keras_vis", "training")
_NAMES = {
    "Explainer": "kvis_cli.explain",
    "Explanation": "kvis_cli.explanation",
    "KvisError": "kvis_cli.errors",
}
__all__ = ["__version__", *_MODULES, *_NAMES]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"kvis_cli.{name}")
    if name in _NAMES:
        return getattr(import_module(_NAMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
