"""How a process handles its memory: while it imports, and while it draws picture after picture."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Iterator
from pathlib import Path

# glibc's names for them in malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_MIB = 1 << 20
_own = False


def memory_kills() -> int | None:
    """How many processes this system has killed because memory ran out; None where it is silent."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/vmstat").read_text().splitlines():
            name, _, count = line.partition(" ")
            if name == "oom_kill":
                return int(count)
    return None


def claim_process() -> None:
    """Say that this process is kvis' own, and not a program that imports kvis."""
    global _own
    _own = True


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """Import without looking for garbage: what modules make stays, and is never looked at again.

    The collector would walk through the million objects of TensorFlow again and again, which is a
    tenth of the time that the import takes. Only in a process of kvis' own: elsewhere the garbage
    of others would stay, too.
    """
    if not _own:
        yield
        return
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()


def keep_freed_memory() -> None:
    """Let the C library keep up to 256 MiB that were freed, for what comes next.

    Photos, activations and pictures are blocks of some 100 kB to some MB that come and go. By
    default each goes back to the system, and the next one faults in all its pages again: that is a
    third of the time of drawing and encoding. Concerns the whole process, so it is for kvis' own
    processes and not for programs that import kvis. Does nothing where the C library is not glibc.
    """
    if sys.platform != "linux":
        return
    import ctypes

    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, 32 * _MIB)
        mallopt(_M_TRIM_THRESHOLD, 256 * _MIB)
