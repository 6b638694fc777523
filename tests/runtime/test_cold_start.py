"""Starts that compile everything again are seen, and what mends them is said."""

from __future__ import annotations

import compileall
import importlib
import os
import py_compile
import shlex
import subprocess
import sys
import time
from importlib.util import cache_from_source
from pathlib import Path

import pytest

from kvis_cli.cli import diagnosis
from kvis_cli.cli.console import ConsoleListener
from kvis_cli.runtime import cold_start
from kvis_cli.runtime.cold_start import (
    can_keep,
    cold_start_note,
    has_bytecode,
    mending,
    shares,
    why_not_kept,
)


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A ``site-packages`` with a package of three modules, none compiled, that Python may not."""
    package = tmp_path / "site-packages" / "slowpkg"
    (package / "inner").mkdir(parents=True)
    for name in ("__init__.py", "inner/__init__.py", "inner/deep.py"):
        (package / name).write_text("X = 1\n")
    monkeypatch.syspath_prepend(str(package.parent))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(sys, "pycache_prefix", None)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(cold_start, "SAMPLES", {"slowpkg": "inner/deep.py"})
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    monkeypatch.delitem(sys.modules, "tensorflow")
    yield package.parent
    for name in [n for n in sys.modules if n.partition(".")[0] == "slowpkg"]:
        del sys.modules[name]


def loaded():
    importlib.import_module("slowpkg.inner.deep")
    return {n: m for n, m in sys.modules.items() if n.partition(".")[0] == "slowpkg"}


def test_bytecode_is_what_python_would_take(tmp_path):
    source = tmp_path / "module.py"
    source.write_text("X = 1\n")
    assert not has_bytecode(source)
    file = Path(py_compile.compile(str(source)))
    assert has_bytecode(source)
    os.utime(source, (1, 1))
    assert not has_bytecode(source)
    py_compile.compile(str(source), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    assert has_bytecode(source)
    file.write_bytes(b"\0\0\0\0" + file.read_bytes()[4:])
    assert not has_bytecode(source)
    file.write_bytes(b"")
    assert not has_bytecode(source)


def test_python_may_write_only_where_it_would(tmp_path, monkeypatch):
    source = tmp_path / "module.py"
    source.touch()
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", None)
    assert can_keep(source) and mending([source], [tmp_path]) == ""
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert not can_keep(source)
    assert why_not_kept(source) == f"{tmp_path / '__pycache__'} cannot be written to"
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    assert why_not_kept(source) == "Python was started with -B"


def test_shares_count_what_was_imported(site):
    share = shares(loaded())["others"]
    assert (share.modules, len(share.missing), share.roots) == (3, 3, {site})
    py_compile.compile(str(site / "slowpkg" / "__init__.py"))
    assert len(shares(loaded())["others"].missing) == 2


def test_the_line_mends_it(site):
    share = shares(loaded())["others"]
    line = mending(share.missing, share.roots)
    assert shlex.split(line) == [sys.executable, "-m", "compileall", "-q", str(site)]
    # The environment still forbids Python to write what it compiles by itself.
    subprocess.run(line, shell=True, check=True)
    assert shares(loaded())["others"].missing == []


def test_where_nothing_can_be_written_the_line_compiles_elsewhere(site, tmp_path, monkeypatch):
    share = shares(loaded())["others"]
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    line = mending(share.missing, share.roots)
    kept = tmp_path / "cache" / "kvis" / "pycache"
    assert line.startswith(f"export PYTHONPYCACHEPREFIX={kept}; ")
    subprocess.run(line, shell=True, check=True)
    monkeypatch.setattr(sys, "pycache_prefix", str(kept))
    assert shares(loaded())["others"].missing == []


def test_doctor_says_the_share_and_what_mends_it(site, monkeypatch):
    monkeypatch.setattr(diagnosis, "shares", lambda: shares(loaded()))
    monkeypatch.setattr(diagnosis, "MIN_MISSING", 3)
    finding = diagnosis._bytecode()[0]
    assert finding.ok and finding.value == "others 0 of 3 modules are compiled"
    assert finding.advice.endswith(f"-m compileall -q {site}")
    assert "PYTHONDONTWRITEBYTECODE is set" in finding.advice
    compileall.compile_dir(str(site), quiet=1)
    finding = diagnosis._bytecode()[0]
    assert (finding.value, finding.advice) == ("others 3 of 3 modules are compiled", "")


def test_a_slow_start_says_so_once(site, tmp_path, capsys):
    for _ in range(2):
        listener = ConsoleListener()
        listener.starting()
        listener.close()
    lines = capsys.readouterr().err.splitlines()
    assert len([x for x in lines if "compileall" in x]) == 1
    assert (
        lines[0].startswith("TensorFlow starts three times as fast")
        and lines[1:] == ["starting TensorFlow …"] * 2
    )
    assert [p.name[:11] for p in (tmp_path / "cache" / "kvis").iterdir()] == ["cold-start-"]


def test_quiet_says_nothing_and_does_not_count_as_said(site, capsys):
    ConsoleListener(quiet=True).starting()
    assert capsys.readouterr().err == ""
    assert "compileall" in cold_start_note()


def test_a_start_that_is_fast_or_mends_itself_says_nothing(site, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    assert cold_start_note() == ""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    py_compile.compile(str(site / "slowpkg" / "inner" / "deep.py"))
    assert cold_start_note() == ""
    Path(cache_from_source(str(site / "slowpkg" / "inner" / "deep.py"))).unlink()
    assert "compileall" in cold_start_note()


def test_a_cache_folder_that_cannot_be_written_fails_nothing(site, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert "compileall" in cold_start_note()
    assert "compileall" in cold_start_note()


def test_looking_takes_no_time(site):
    cold_start_note()
    times = []
    for _ in range(20):
        began = time.perf_counter()
        cold_start_note()
        times.append(time.perf_counter() - began)
    assert min(times) < 0.002
