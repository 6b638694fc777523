"""What others build on: the public names, and the numbers that the help states."""

from __future__ import annotations

import importlib
from dataclasses import fields

import pytest

from kvis_cli.engines.cam.settings import CamSettings
from kvis_cli.engines.saliency.settings import SaliencySettings
from kvis_cli.spec.cam import CamSpec
from kvis_cli.spec.saliency import SaliencySpec

# A name that is added or taken away is a line here and a line of the CHANGELOG.
PUBLIC = {
    "kvis_cli": "Explainer Explanation KvisError __version__ explain keras_vis training",
    "kvis_cli.explain": "Compared Explainer Explanation Explanations ShownExplanation Target cam "
    "compare filters maximize saliency",
    "kvis_cli.keras_vis": "backend backprop_modifiers callbacks grad_modifiers input_modifiers "
    "losses optimizer regularizers utils visualization",
    "kvis_cli.testing": "AttentionError assert_attention",
    "kvis_cli.keras_vis.visualization": "generate_pattern get_num_filters overlay "
    "visualize_activation visualize_activation_with_losses visualize_cam "
    "visualize_cam_with_losses visualize_saliency visualize_saliency_with_losses",
}


@pytest.mark.parametrize("module", PUBLIC)
def test_public_names(tf, module):
    found = importlib.import_module(module)
    assert sorted(found.__all__) == PUBLIC[module].split()
    for name in found.__all__:
        assert getattr(found, name) is not None


@pytest.mark.parametrize(
    ("spec", "settings"), [(SaliencySpec, SaliencySettings), (CamSpec, CamSettings)]
)
def test_defaults_of_the_options_are_those_of_the_engines(spec, settings):
    asked, own = spec().settings(), settings()
    for field in fields(settings):
        assert getattr(asked, field.name) == getattr(own, field.name), field.name


@pytest.mark.parametrize(
    ("command", "spec", "settings"),
    [("saliency", SaliencySpec, SaliencySettings), ("cam", CamSpec, CamSettings)],
)
def test_numbers_in_the_help_are_those_of_the_engines(kvis, monkeypatch, command, spec, settings):
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.setenv("TERMINAL_WIDTH", "400")
    lines = kvis(command, "--help").out.splitlines()
    checked = []
    for field in fields(settings):
        value = getattr(settings(), field.name)
        flag = "--" + field.name.replace("_", "-")
        if field.name not in spec.model_fields or not isinstance(value, int | float):
            continue
        if isinstance(value, bool):
            continue
        (line,) = [line for line in lines if f" {flag} " in line]
        assert f"(default: {value})" in line, line
        checked.append(flag)
    assert "--noise" in checked
