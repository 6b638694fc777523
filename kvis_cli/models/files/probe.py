"""Runs a reader of untrusted files in a child process first.

libhdf5 is C: a damaged file can make it crash, loop or ask for absurd memory, and none of that can
be caught. A child that tries it first turns all three into an error. What the child refuses is
refused here in its words, and this process never opens the file.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

from kvis_cli import errors
from kvis_cli.errors import KvisError
from kvis_cli.models.files.errors import as_model_error, damaged

# Reading headers takes milliseconds and a few megabytes; a long config, or a compressed archive,
# takes more with its size.
CPU_SECONDS = 3
BYTES_PER_SECOND = 10_000_000
EXTRA_BYTES = 512 << 20
EXTRA_PER_BYTE = 16

_survived: set[tuple[str, str, int, int]] = set()


def survive(path: Path, reader: Callable[[Path], object]) -> None:
    """Try ``reader(path)`` in a child process, which a crash of the HDF5 library may end.

    Parameters
    ----------
    path
        The file. One that was survived is not tried again until it changes.
    reader
        A function of a module (a child finds it again by name).

    Raises
    ------
    KvisError
        What the reader raises in the child; a `ModelError` where the child dies or meets a limit.
    """
    import h5py  # noqa: F401  (before the fork, so that the child finds it imported)

    stat = path.stat()
    key = (reader.__qualname__, str(path), stat.st_mtime_ns, stat.st_size)
    if key in _survived:
        return
    # A process with TensorFlow has threads and locks that a fork would copy in any state.
    if hasattr(os, "fork") and "tensorflow" not in sys.modules:
        report = _forked(reader, path)
    else:
        report = _spawned(reader, path)
    if report is None:
        raise damaged(path, "The HDF5 library crashes on it, or does not come to an end.")
    if report:
        kind, *parts = report
        raise getattr(errors, kind)(*parts)
    _survived.add(key)


def _forked(reader: Callable[[Path], object], path: Path) -> list[str] | None:
    """Return the error of the child, ``[]`` where there is none, None where the child died."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        # The threads are those of numpy's BLAS, which knows how to be forked.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reading)
            os.write(writing, _in_child(reader, path))
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    return _report(said) if status == 0 else None


def _spawned(reader: Callable[[Path], object], path: Path) -> list[str] | None:
    """Do the same as `_forked`, in a new interpreter."""
    arguments = (reader.__module__, reader.__qualname__, str(path))
    code = f"from kvis_cli.models.files.probe import run; run(*{arguments!r})"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
        # This process may hold the file open; that is no fault of the file.
        "HDF5_USE_FILE_LOCKING": "FALSE",
    }
    child = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    return _report(child.stdout) if child.returncode == 0 else None


def run(module: str, name: str, path: str) -> None:
    """Run the child's side of a spawned probe."""
    from importlib import import_module

    import h5py  # noqa: F401  (before the limits are counted from what is in use)

    sys.stdout.buffer.write(_in_child(getattr(import_module(module), name), Path(path)))


def _report(said: bytes) -> list[str] | None:
    """Read what a child said; it may have been the file that spoke."""
    try:
        report = json.loads(said)
    except ValueError:
        return None
    words = isinstance(report, list) and all(isinstance(part, str) for part in report)
    if not words or len(report) not in (0, 4):
        return None
    known = getattr(errors, report[0], None) if report else KvisError
    return report if isinstance(known, type) and issubclass(known, KvisError) else None


def _in_child(reader: Callable[[Path], object], path: Path) -> bytes:
    """Return what is to be said of ``reader(path)``, under limits of time and memory."""
    size = path.stat().st_size
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        faulthandler.disable()
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        spent = resource.getrusage(resource.RUSAGE_SELF)
        seconds = int(spent.ru_utime + spent.ru_stime) + CPU_SECONDS + size // BYTES_PER_SECOND
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        limit = used + EXTRA_BYTES + EXTRA_PER_BYTE * size
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    try:
        with as_model_error(path):
            reader(path)
    except KvisError as error:
        return json.dumps([type(error).__name__, error.what, error.why, error.hint]).encode()
    return b"[]"
