"""The collector rests during imports; memory that runs out is known from other kills."""

from __future__ import annotations

import gc
import signal
from pathlib import Path

import pytest

from kvis_cli.jobs.running import pool
from kvis_cli.runtime import memory
from kvis_cli.runtime.memory import importing, memory_kills


@pytest.fixture(autouse=True)
def as_before(monkeypatch):
    monkeypatch.setattr(memory, "_own", False)
    enabled = gc.isenabled()
    yield
    gc.enable() if enabled else gc.disable()
    gc.unfreeze()


@pytest.mark.parametrize("enabled", [True, False])
def test_the_collector_is_left_as_it_was(enabled):
    memory.claim_process()
    gc.enable() if enabled else gc.disable()
    with importing():
        assert not gc.isenabled()
    assert gc.isenabled() is enabled


def test_the_collector_is_back_after_a_failed_import():
    memory.claim_process()
    gc.enable()
    with pytest.raises(ImportError), importing():
        raise ImportError
    assert gc.isenabled()


def test_what_was_made_is_not_looked_at_again():
    memory.claim_process()
    frozen = gc.get_freeze_count()
    with importing():
        made = [[] for _ in range(5000)]
    assert gc.get_freeze_count() - frozen >= len(made)


def test_a_program_that_imports_kvis_keeps_its_collector():
    gc.enable()
    frozen = gc.get_freeze_count()
    with importing():
        assert gc.isenabled()
    assert gc.get_freeze_count() == frozen


@pytest.mark.skipif(not Path("/proc/vmstat").is_file(), reason="needs Linux' counters")
def test_kills_for_memory_are_counted():
    count = memory_kills()
    assert count is None or f"oom_kill {count}\n" in Path("/proc/vmstat").read_text()


@pytest.mark.parametrize(
    ("code", "before", "now", "expected"),
    [
        (-signal.SIGKILL, 3, 4, True),
        (-signal.SIGKILL, 3, 3, False),
        (-signal.SIGKILL, None, None, True),
        (-signal.SIGSEGV, 3, 4, False),
        (1, None, None, False),
    ],
)
def test_only_a_kill_for_memory_makes_batches_smaller(code, before, now, expected, monkeypatch):
    monkeypatch.setattr(pool, "memory_kills", lambda: now)
    assert pool.killed_for_memory(code, before) is expected
