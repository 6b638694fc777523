"""Ctrl-C while things are collected."""

from __future__ import annotations

import gc
import signal
import threading

import pytest

from kvis_cli.runtime.interruption import held


class Slow:
    """Is interrupted while it goes."""

    def __init__(self) -> None:
        self.itself = self

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_interruption_in_a_destructor_is_not_lost():
    signal.signal(signal.SIGINT, signal.default_int_handler)
    Slow()
    gc.collect()
    # That was lost, as Python does it. Held, it comes at the end of the block.
    reached = []
    with pytest.raises(KeyboardInterrupt), held():
        Slow()
        gc.collect()
        reached.append("end")
    assert reached == ["end"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_nothing_is_held_where_nothing_comes():
    before = signal.getsignal(signal.SIGINT)
    with held():
        pass
    assert signal.getsignal(signal.SIGINT) is before
    done = []

    def elsewhere() -> None:
        with held():
            done.append(True)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert done
