"""kvis methods."""

import json

import pytest


def test_every_method_of_the_registries_is_listed_with_what_it_costs(kvis):
    from kvis_cli.engines.cam.registry import CAM_METHODS
    from kvis_cli.engines.saliency import SALIENCY_METHODS

    ran = kvis("methods", "--json")
    assert ran.code == 0
    rows = json.loads(ran.out)["methods"]
    assert [r["name"] for r in rows if r["command"] == "cam"] == list(CAM_METHODS)
    assert [r["name"] for r in rows if r["command"] == "saliency"] == list(SALIENCY_METHODS)
    for row in rows:
        assert row["about"].endswith(".") and row["paper"] and "forward" in row["passes"], row
        if row["command"] == "cam":
            assert row["formula"], row["name"]
    by_name = {row["name"]: row for row in rows}
    assert not by_name["scorecam"]["gradients"] and by_name["gradcam"]["gradients"]
    assert not by_name["rise"]["deterministic"]


def test_the_table_and_one_command_only(kvis):
    ran = kvis("methods", "cam")
    assert ran.code == 0
    assert "layercam" in ran.out and "occlusion" not in ran.out
    ran = kvis("methods", "saliency")
    assert "occlusion" in ran.out and "layercam" not in ran.out


def test_an_unknown_command(kvis):
    ran = kvis("methods", "salience")
    assert ran.code == 2
    assert "saliency" in ran.err


@pytest.mark.parametrize("command", ["cam", "saliency"])
def test_the_help_names_the_methods(kvis, command):
    from kvis_cli.engines.cam.registry import CAM_METHODS
    from kvis_cli.engines.saliency import SALIENCY_METHODS

    text = kvis(command, "--help").out.replace("\n", " ")
    words = set(text.replace(",", " ").replace(".", " ").replace("│", " ").split())
    for name in {"cam": CAM_METHODS, "saliency": SALIENCY_METHODS}[command]:
        assert name in words, name
