"""Examples in docstrings that start TensorFlow give what they say."""

from __future__ import annotations

import pytest

from tests.helpers.examples import ROOT, examples, failures, modules, needs_tensorflow

# Several compilations each; tests/test_docs.py makes the same calls.
SLOW = ("kvis_cli", "kvis_cli.explain", "kvis_cli.training")
MODULES = [
    pytest.param(m, marks=[pytest.mark.slow] if m in SLOW else [])
    for m in modules()
    if needs_tensorflow(m)
]


@pytest.mark.parametrize("module", MODULES)
def test_examples_of_docstrings(tf, module, tmp_path, monkeypatch):
    (tmp_path / "sample_models").symlink_to(ROOT / "sample_models")
    monkeypatch.chdir(tmp_path)
    assert examples(module)
    assert failures(module) == ""
