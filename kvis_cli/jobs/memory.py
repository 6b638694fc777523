"""Memory of a process that draws one picture after the other."""

from __future__ import annotations

import contextlib
import sys

# glibc's names for them in malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_MIB = 1 << 20


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
