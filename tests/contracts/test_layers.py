"""Which package imports which, by the contracts of pyproject.toml; each of them can fail."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.contracts.source import ROOT

CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
# Contract -> a file, and an import that it must not hold.
FORBIDDEN = {
    "floors": ("render/scale.py", "import kvis_cli.jobs.results.row"),
    "models": ("models/graph/config.py", "import kvis_cli.models.legacy.tables"),
    "jobs": ("jobs/planning/plan.py", "import kvis_cli.jobs.results.row"),
    "families": ("engines/saliency/rise.py", "import kvis_cli.engines.cam.settings"),
    "engines": ("engines/scores.py", "import pathlib"),
    "report": ("report/junit.py", "import kvis_cli.jobs.planning.plan"),
}


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    pytest.importorskip("importlinter")
    command = [sys.executable, "-m", "importlinter.cli", "--no-cache"]
    code = "import sys; from importlinter.cli import lint_imports_command as c; c()"
    command = [sys.executable, "-c", code, "--no-cache"]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    folder = tmp_path_factory.mktemp("copy")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "kvis_cli", folder / "kvis_cli", ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def test_every_contract_is_kept_without_exceptions(copied):
    done = lint(copied)
    assert done.returncode == 0, done.stdout[-3000:]
    assert not any("ignore_imports" in contract for contract in CONTRACTS["contracts"])
    assert {contract["id"] for contract in CONTRACTS["contracts"]} == set(FORBIDDEN)


@pytest.mark.parametrize("contract", CONTRACTS["contracts"], ids=lambda c: c["id"])
def test_a_contract_fails_where_it_should(contract, copied):
    name, line = FORBIDDEN[contract["id"]]
    path = copied / "kvis_cli" / name
    before = path.read_text()
    try:
        path.write_text(f"{before}\n\ndef _never() -> None:\n    {line}\n")
        done = lint(copied)
    finally:
        path.write_text(before)
    assert done.returncode == 1, done.stdout[-3000:]
    assert f"{contract['name']} BROKEN" in done.stdout
