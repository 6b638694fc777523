"""Runs a reader of untrusted files in a child process first.

libhdf5 is C: a damaged file can make it crash, loop or ask for absurd memory, and none of that can
be caught. A child that tries it first turns all three into an error.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

# Reading headers takes milliseconds; these bounds are met by no sound file.
CPU_SECONDS = 60
EXTRA_BYTES = 8 << 30

_survived: set[tuple[str, str, int, int]] = set()


def survives(reader: Callable[[Path], object], path: Path) -> bool:
    """Whether a process lives through ``reader(path)``; exceptions count as living.

    Parameters
    ----------
    reader
        A function of a module (a child finds it again by name).
    path
        The file. One that was survived is not tried again until it changes.
    """
    stat = path.stat()
    key = (reader.__qualname__, str(path), stat.st_mtime_ns, stat.st_size)
    if key in _survived:
        return True
    # A process with TensorFlow has threads and locks that a fork would copy in any state.
    if hasattr(os, "fork") and "tensorflow" not in sys.modules:
        alive = _forked(reader, path)
    else:
        alive = _spawned(reader, path)
    if alive:
        _survived.add(key)
    return alive


def _forked(reader: Callable[[Path], object], path: Path) -> bool:
    with warnings.catch_warnings():
        # The threads are those of numpy's BLAS, which knows how to be forked.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        try:
            _in_child(reader, path)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return status == 0


def _spawned(reader: Callable[[Path], object], path: Path) -> bool:
    arguments = (reader.__module__, reader.__qualname__, str(path))
    code = f"from kvis_cli.models.files.probe import run; run(*{arguments!r})"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    child = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    return child.returncode == 0


def run(module: str, name: str, path: str) -> None:
    """Run the child's side of a spawned probe."""
    from importlib import import_module

    _in_child(getattr(import_module(module), name), Path(path))


def _in_child(reader: Callable[[Path], object], path: Path) -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        faulthandler.disable()
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
        used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        limit = used + EXTRA_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    with contextlib.suppress(Exception):
        reader(path)
