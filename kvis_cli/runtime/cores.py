"""How the cores of the machine are shared."""

from __future__ import annotations

import os

# More threads beside the computing than this wait for the interpreter, not for a core.
MAX_SIDE_THREADS = 4


def cores_of(workers: int) -> int:
    """Return how many cores each of `workers` gets, at least 1."""
    available = getattr(os, "sched_getaffinity", None)
    cores = len(available(0)) if available else os.cpu_count() or 1
    return max(1, cores // workers)


def share_cores(workers: int) -> None:
    """Each worker computes on its part of the cores; results do not depend on their number."""
    if workers > 1:
        os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(cores_of(workers)))


def side_threads(workers: int) -> int:
    """Threads for decoding, and as many for drawing, beside the computing of one worker."""
    return min(MAX_SIDE_THREADS, cores_of(workers))
