"""Examples in docstrings give what they say, and everything in the reference has one.

Those that start TensorFlow are in ``tests/test_examples_tensorflow.py``.
"""

from __future__ import annotations

import ast
import re
import sys
import types

import pytest

from tests.contracts.source import ROOT, tree
from tests.contracts.source import modules as sources
from tests.helpers.examples import examples, failures, modules, needs_tensorflow


@pytest.mark.parametrize("module", [m for m in modules() if not needs_tensorflow(m)])
def test_examples_of_docstrings(module, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert examples(module)
    assert failures(module) == ""


def test_a_wrong_example_fails(monkeypatch):
    wrong = types.ModuleType("wrong", ">>> 1 + 1\n3\n")
    monkeypatch.setitem(sys.modules, "wrong", wrong)
    assert "Expected:\n    3\nGot:\n    2" in failures("wrong")


def referred_to():
    """What the reference in docs/api shows: modules, classes, functions."""
    pages = sorted((ROOT / "docs" / "api").glob("*.md"))
    return [name for page in pages for name in re.findall(r"^::: (\S+)$", page.read_text(), re.M)]


def docstrings(name):
    """All of a module, or that of a class or function, wherever its package defines it."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    if name in sources():
        return [ast.get_docstring(n) or "" for n in ast.walk(tree(name)) if isinstance(n, kinds)]
    package, _, own = name.rpartition(".")
    inside = [m for m in sources() if f"{m}.".startswith(f"{package}.")]
    nodes = [node for module in inside for node in ast.walk(tree(module))]
    return [ast.get_docstring(n) or "" for n in nodes if isinstance(n, kinds[1:]) and n.name == own]


@pytest.mark.parametrize("name", referred_to())
def test_everything_in_the_reference_has_an_example(name):
    assert any(">>> " in text for text in docstrings(name))
