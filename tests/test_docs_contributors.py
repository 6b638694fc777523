"""The pages for contributors say what the code says."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import fields
from pathlib import Path

import pytest

from kvis_cli import __version__
from kvis_cli.jobs.results.row import ResultRow

ROOT = Path(__file__).resolve().parents[1]


def test_the_picture_of_the_packages_is_up_to_date():
    path = ROOT / "docs" / "architecture.py"
    spec = importlib.util.spec_from_file_location("architecture", path)
    assert spec and spec.loader
    architecture = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(architecture)
    assert architecture.PICTURE.read_text("utf-8") == architecture.picture()


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_files_that_a_page_names_are_there(page):
    text = (ROOT / page).read_text("utf-8")
    names = {n for n in re.findall(r"`([\w./-]+)`", text) if "/" in n and not n.startswith("..")}
    sources = [p.relative_to(ROOT).as_posix() for p in (ROOT / "kvis_cli").rglob("*")]
    missing = [
        n for n in sorted(names)
        if not (ROOT / n).exists() and not any(f"/{s}".endswith(f"/{n}") for s in sources)
    ]  # fmt: skip
    assert missing == []


def test_every_field_of_a_row_is_documented():
    page = (ROOT / "docs" / "manifest.md").read_text("utf-8")
    documented = set(re.findall(r"`(\w+)`", page))
    assert {f.name for f in fields(ResultRow)} - {"more"} <= documented


def test_the_citation_has_the_version():
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    assert re.search(r"^version: (.+)$", citation, re.M)[1] == __version__
