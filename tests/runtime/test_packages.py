"""Versions are found whatever the distribution is called."""

from __future__ import annotations

import sys
from importlib import metadata

from kvis_cli.runtime.packages import version_of


def test_a_distribution_of_another_name_brings_the_package(tmp_path, monkeypatch):
    about = tmp_path / "nightlyflow_cpu-2.99.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: nightlyflow-cpu\nVersion: 2.99\n")
    (about / "RECORD").write_text("nightlyflow/__init__.py,,\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert version_of("nightlyflow") == "2.99"


def test_what_is_not_installed_has_no_version():
    assert version_of("numpy") == metadata.version("numpy")
    assert version_of("no_such_package_here") == ""
