"""Faults on demand, so that tests can see what a run does when native code dies under it.

``KVIS_TEST_FAULT`` holds comma-separated ``kind:name`` entries. Before a batch with an image whose
file name holds `name`, ``segfault`` kills the process as native code does, ``hang`` sleeps for
ever, ``kill`` is what the system does when memory runs out, and ``error`` raises; ``oom:N`` lets
every batch of more than N inputs run out of memory.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence

VARIABLE = "KVIS_TEST_FAULT"


def inject(names: Sequence[str], batch: int) -> None:
    """Do what the environment asks for; nothing, where it asks for nothing."""
    for entry in filter(None, os.environ.get(VARIABLE, "").split(",")):
        kind, _, name = entry.partition(":")
        if kind == "oom":
            if batch > int(name):
                raise MemoryError
        elif any(name in known for known in names):
            if kind == "segfault":
                os.kill(os.getpid(), signal.SIGSEGV)
            elif kind == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            elif kind == "hang":
                time.sleep(3600)
            elif kind == "error":
                raise RuntimeError(f"fault for {name}")
