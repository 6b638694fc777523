"""The examples in docstrings: which there are, and what they give."""

from __future__ import annotations

import doctest
import importlib
import io
from functools import cache
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
# Packages whose examples start TensorFlow.
WITH_TENSORFLOW = (
    "kvis_cli.engines.",
    "kvis_cli.explain",
    "kvis_cli.keras_vis.",
    "kvis_cli.models.live.",
    "kvis_cli.tasks.",
    "kvis_cli.training",
)


@cache
def modules() -> list[str]:
    """Dotted names of the modules that hold an example."""
    found = []
    for path in sorted((ROOT / "kvis_cli").rglob("*.py")):
        if ">>> " in path.read_text("utf-8"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return found


def needs_tensorflow(module: str) -> bool:
    return module == "kvis_cli" or (
        module.startswith(WITH_TENSORFLOW) and not module.startswith("kvis_cli.explanation")
    )


def examples(module: str) -> list[doctest.DocTest]:
    """The docstrings of a module with examples; numpy is there as ``np``."""
    found = importlib.import_module(module)
    tests = doctest.DocTestFinder(exclude_empty=True).find(found, extraglobs={"np": np})
    return [test for test in tests if test.examples]


def failures(module: str) -> str:
    """What the examples of a module give other than they say, empty where they are right."""
    out = io.StringIO()
    runner = doctest.DocTestRunner(verbose=False)
    for test in examples(module):
        runner.run(test, out=out.write)
    return out.getvalue()
