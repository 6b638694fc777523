"""kvis with faults on demand, to see what a run does when native code dies under it.

``python -m tests.helpers.faults run job.yaml`` is ``kvis run job.yaml`` with what the environment's
``KVIS_TEST_FAULT`` asks for: comma-separated ``kind:name`` entries. Before a batch with an image
whose file name holds `name`, ``segfault`` kills the process as native code does, ``hang`` sleeps
for ever, ``kill`` is what the system does when memory runs out, and ``error`` raises; ``oom:N``
lets every batch of more than N inputs run out of memory.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence


def inject(names: Sequence[str], batch: int) -> None:
    """Do what the environment asks for."""
    for entry in filter(None, os.environ.get("KVIS_TEST_FAULT", "").split(",")):
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


def worker_process(*arguments) -> None:
    """`kvis_cli.jobs.running.process.main` with a worker that fails on demand."""
    from kvis_cli.jobs.running import chunk, process, worker

    class FaultyRun(chunk.ChunkRun):
        def answers(self, part, inputs):
            inject([p.photo.path.name for p in part], len(inputs))
            return super().answers(part, inputs)

    worker.Worker.chunk_run = FaultyRun
    process.main(*arguments)


if __name__ == "__main__":
    from kvis_cli.cli.app import main
    from kvis_cli.jobs.running import pool

    pool.main = worker_process
    main()
