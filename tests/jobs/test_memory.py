"""The garbage collector rests while modules are imported, and only then."""

from __future__ import annotations

import gc

import pytest

from kvis_cli.jobs.memory import importing


@pytest.fixture(autouse=True)
def as_before():
    enabled = gc.isenabled()
    yield
    gc.enable() if enabled else gc.disable()
    gc.unfreeze()


@pytest.mark.parametrize("enabled", [True, False])
def test_the_collector_is_left_as_it_was(enabled):
    gc.enable() if enabled else gc.disable()
    with importing():
        assert not gc.isenabled()
    assert gc.isenabled() is enabled


def test_the_collector_is_back_after_a_failed_import():
    gc.enable()
    with pytest.raises(ImportError), importing():
        raise ImportError
    assert gc.isenabled()


def test_what_was_made_is_not_looked_at_again():
    frozen = gc.get_freeze_count()
    with importing():
        made = [[] for _ in range(5000)]
    assert gc.get_freeze_count() - frozen >= len(made)
