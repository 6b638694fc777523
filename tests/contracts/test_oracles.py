"""Every method and measure has a literal oracle, a paper, and a word on when it misleads."""

from __future__ import annotations

import importlib
import inspect

import yaml

from kvis_cli import metrics
from kvis_cli.engines.cam.registry import CAM_METHODS
from kvis_cli.engines.saliency import SALIENCY_METHODS
from tests.contracts.source import ROOT
from tests.helpers.oracles import ORACLES


def own(registry):
    """The methods that kvis brings, without those that other tests enter."""
    return {
        name
        for name, method in registry.items()
        if (getattr(method, "weighted", None) or method.make).__module__.startswith("kvis_cli.")
    }


def bound():
    tests = ROOT / "tests"
    for path in sorted((*tests.glob("engines/**/test_*.py"), *tests.glob("metrics/test_*.py"))):
        parts = path.relative_to(ROOT).with_suffix("").parts
        importlib.import_module(".".join(parts))
    return ORACLES


def test_every_method_and_measure_has_a_literal_oracle():
    measures = {name for name in metrics.__all__ if inspect.isfunction(getattr(metrics, name))}
    wanted = own(CAM_METHODS) | own(SALIENCY_METHODS) | measures
    assert wanted - bound().keys() == set()
    assert bound().keys() - wanted == set()


def test_every_method_has_a_paper_and_a_word_on_when_it_misleads():
    pages = yaml.safe_load((ROOT / "docs" / "methods.yaml").read_text("utf-8"))
    for registry in (CAM_METHODS, SALIENCY_METHODS):
        for name in own(registry):
            assert registry[name].paper and registry[name].about
            assert len(pages[name]["misleads"]) > 40, name
