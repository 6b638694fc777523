"""Starts that compile thousands of modules again, because nothing keeps what Python compiles.

Where there are no ``.pyc`` files and Python may not write them (``PYTHONDONTWRITEBYTECODE`` in a
container, a read-only installation made without ``--compile-bytecode``), every start takes three
times the time.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import MAGIC_NUMBER, cache_from_source, find_spec
from pathlib import Path
from types import ModuleType

# A module of each package that every start of TensorFlow imports: what is true of it is true of
# the thousands beside it.
SAMPLES = {"tensorflow": "python/framework/ops.py", "keras": "src/layers/layer.py"}
# Fewer modules than these cost nothing that anybody would notice.
MIN_MISSING = 50
NAMED = {"kvis_cli": "kvis", "keras": "keras", "tensorflow": "tensorflow"}
_HEADER = 16
_INSTALLED = ("site-packages", "dist-packages")


@dataclass
class Share:
    """The modules of a package that this process has imported, and which of them are compiled.

    Attributes
    ----------
    modules
        How many there are.
    missing
        Those without a valid bytecode file.
    roots
        The folders to compile.
    """

    modules: int = 0
    missing: list[Path] = field(default_factory=list)
    roots: set[Path] = field(default_factory=set)


def has_bytecode(source: Path) -> bool:
    """Whether Python finds its bytecode of `source` and will take it, PEP 552."""
    try:
        with open(cache_from_source(str(source)), "rb") as stream:  # noqa: PTH123 - 2 ms in all
            header = stream.read(_HEADER)
        about = source.stat()
    except (OSError, NotImplementedError):
        return False
    if len(header) < _HEADER or header[:4] != MAGIC_NUMBER:
        return False
    if header[4] & 1:
        # By the hash of its source, which is not read for this.
        return True
    written = (int(about.st_mtime) & 0xFFFFFFFF, about.st_size & 0xFFFFFFFF)
    return written == (_number(header[8:12]), _number(header[12:16]))


def can_keep(source: Path) -> bool:
    """Whether Python may write the bytecode of `source` where it would look for it."""
    if sys.dont_write_bytecode:
        return False
    folder = Path(cache_from_source(str(source))).parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return os.access(folder, os.W_OK)


def shares(modules: Mapping[str, ModuleType] | None = None) -> dict[str, Share]:
    """Return what has been imported: kvis, Keras, TensorFlow and the packages that they bring."""
    found = {name: Share() for name in (*NAMED.values(), "others")}
    for name, module in list((sys.modules if modules is None else modules).items()):
        source = getattr(getattr(module, "__spec__", None), "origin", None)
        if not source or not str(source).endswith(".py"):
            continue
        path = Path(source)
        top = name.partition(".")[0]
        root = _root(path, name)
        if top not in NAMED and root.name not in _INSTALLED:
            continue
        share = found[NAMED.get(top, "others")]
        share.modules += 1
        if not has_bytecode(path):
            share.missing.append(path)
            share.roots.add(root)
    return {name: share for name, share in found.items() if share.modules}


def mending(missing: Iterable[Path], roots: Iterable[Path]) -> str:
    """Return the command that repairs it; empty where Python does so by itself."""
    lost = [path for path in missing if not can_keep(path)]
    if not lost:
        return ""
    folders = sorted(set(roots))
    command = [sys.executable, "-m", "compileall", "-q", *map(str, folders)]
    if all(os.access(folder, os.W_OK) for folder in folders):
        return shlex.join(command)
    kept = shlex.quote(str(cache_folder() / "pycache"))
    return f"export PYTHONPYCACHEPREFIX={kept}; {shlex.join(command)}"


def why_not_kept(source: Path) -> str:
    """Why Python keeps nothing."""
    if sys.dont_write_bytecode:
        variable = "PYTHONDONTWRITEBYTECODE"
        return f"{variable} is set" if os.environ.get(variable) else "Python was started with -B"
    return f"{Path(cache_from_source(str(source))).parent} cannot be written to"


def cold_start_note() -> str:
    """Return what to say once of a start that will be slow every time.

    Empty where there is nothing.

    Called before TensorFlow is imported; looks at two files. That it was said is remembered in
    the user's cache folder, per installation.
    """
    if "tensorflow" in sys.modules:
        return ""
    missing, roots = [], set()
    for package, sample in SAMPLES.items():
        spec = find_spec(package)
        if spec is None or not spec.origin:
            continue
        source = Path(spec.origin).parent / sample
        if source.is_file() and not has_bytecode(source):
            missing.append(source)
            roots.add(_root(Path(spec.origin), package))
    line = mending(missing, roots)
    if not line or not _first_time(roots):
        return ""
    return (
        "TensorFlow starts three times as fast where Python keeps what it compiles; here it "
        f"compiles it at every start ({why_not_kept(missing[0])}). Once and for all: {line}"
    )


def cache_folder() -> Path:
    """Return the part of the user's cache folder that is kvis'; it need not exist."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "kvis"


def _first_time(roots: Iterable[Path]) -> bool:
    """Whether it has not been said of these folders; where nothing is remembered, always."""
    text = "\n".join(sorted(map(str, roots)))
    name = f"cold-start-{hashlib.sha256(os.fsencode(text)).hexdigest()[:16]}"
    with suppress(OSError, RuntimeError):
        marker = cache_folder() / name
        if marker.exists():
            return False
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.write_bytes(os.fsencode(text) + b"\n")
    return True


def _root(source: Path, module: str) -> Path:
    """Return the folder to compile for a module.

    All that is installed beside it, or its package.
    """
    for folder in source.parents:
        if folder.name in _INSTALLED:
            return folder
    top = source.parent
    for _ in range(module.count(".") - (source.name != "__init__.py")):
        top = top.parent
    return top


def _number(data: bytes) -> int:
    return int.from_bytes(data, "little")
