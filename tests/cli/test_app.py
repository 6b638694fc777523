"""The list of commands."""

from __future__ import annotations

import inspect

import pytest

from kvis_cli.cli.app import COMMANDS


@pytest.mark.parametrize("name", COMMANDS)
def test_the_listed_help_is_the_commands_own(kvis, name):
    from importlib import import_module

    module, short = COMMANDS[name]
    command = getattr(import_module(f"kvis_cli.cli.commands.{module}"), name.replace("-", "_"))
    paragraph = " ".join(inspect.getdoc(command).split("\n\n")[0].split())
    assert short == paragraph
    shown = kvis(name, "--help")
    assert shown.code == 0
    assert " ".join(paragraph.split()[:4]) in " ".join(shown.out.split())


def test_help_lists_every_command(kvis):
    shown = kvis("--help").out
    assert all(f" {name} " in shown for name in COMMANDS)


def test_a_typo_in_a_command_is_answered(kvis):
    ran = kvis("cams")
    assert ran.code == 2
    assert "cam" in ran.err
