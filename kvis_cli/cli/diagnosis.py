"""What kvis needs, what is there, and how to install what is missing."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from kvis_cli import __version__
from kvis_cli.errors import KvisError
from kvis_cli.runtime.cold_start import MIN_MISSING, can_keep, mending, shares, why_not_kept

PACKAGES = ("tensorflow", "keras", "numpy", "pillow", "h5py", "typer", "rich", "pydantic", "pyyaml")
MIN_MEMORY = 2 * 2**30
MIN_DISK = 200 * 2**20


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes
    ----------
    name
        What was looked at.
    value
        What was found.
    ok
        Whether that is good enough to work with.
    advice
        How to fix it, or what is worth knowing.
    """

    name: str
    value: str
    ok: bool = True
    advice: str = ""


def examine() -> list[Check]:
    """Look at everything that kvis depends on. Takes as long as TensorFlow takes to start."""
    findings: list[Check] = []
    for look in (_python, _packages, _tensorflow, _bytecode, _memory, _disk, _weights, _fonts):
        try:
            findings.extend(look())
        except Exception as error:
            findings.append(Check(look.__name__.strip("_"), f"{error}", ok=False))
    return findings


def as_json(findings: list[Check]) -> dict[str, Any]:
    """Return the findings as plain JSON values."""
    return {
        "kvis": __version__,
        "ok": all(f.ok for f in findings),
        "findings": [asdict(f) for f in findings],
    }


def _python() -> list[Check]:
    version = platform.python_version()
    fits = (3, 11) <= sys.version_info[:2] <= (3, 13)
    advice = "" if fits else "kvis is tested with Python 3.11 to 3.13."
    return [
        Check("kvis", __version__),
        Check("python", f"{version} on {platform.system()} {platform.machine()}", fits, advice),
    ]


def _packages() -> list[Check]:
    findings = []
    for name in PACKAGES:
        try:
            findings.append(Check(name, metadata.version(name)))
        except metadata.PackageNotFoundError:
            advice = f"Install it: {Path(sys.executable).name} -m pip install {name}"
            findings.append(Check(name, "missing", False, advice))
    with suppress(metadata.PackageNotFoundError):
        advice = "Keras imports it when it is there: about 2 s of every start."
        findings.append(Check("matplotlib", metadata.version("matplotlib"), advice=advice))
    return findings


def _tensorflow() -> list[Check]:
    from kvis_cli.runtime.tensorflow import list_devices

    try:
        devices = list_devices()
    except KvisError as error:
        return [Check("devices", "TensorFlow does not start", False, str(error))]
    import tensorflow as tf

    findings = [Check("device", f"{d['name']}: {d['description']}") for d in devices]
    built = bool(tf.test.is_built_with_cuda())
    seen = any(d["kind"] == "GPU" for d in devices)
    nvidia = shutil.which("nvidia-smi") is not None
    if nvidia and not seen:
        advice = (
            'Install TensorFlow\'s CUDA libraries: pip install "kvis[gpu]".'
            if built
            else "This TensorFlow was built without CUDA."
        )
        findings.append(Check("gpu", "there is one that TensorFlow does not see", False, advice))
    return findings


def _bytecode() -> list[Check]:
    """Whether the next start compiles again what this one has imported."""
    found = shares()
    counts = [f"{name} {s.modules - len(s.missing)} of {s.modules}" for name, s in found.items()]
    value = f"{', '.join(counts)} modules are compiled"
    missing = [path for share in found.values() for path in share.missing]
    line = mending(missing, {root for share in found.values() for root in share.roots})
    if not line or len(missing) < MIN_MISSING:
        return [Check("bytecode", value)]
    lost = next(path for path in missing if not can_keep(path))
    text = f"Every start compiles the others again ({why_not_kept(lost)}). Once and for all: {line}"
    return [Check("bytecode", value, advice=text)]


def _memory() -> list[Check]:
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return []
    enough = total >= MIN_MEMORY
    advice = "" if enough else "Use a small --batch-size."
    return [
        Check("memory", f"{total / 2**30:.1f} GiB, {free / 2**30:.1f} GiB free", enough, advice),
        Check("cores", str(os.cpu_count() or "unknown")),
    ]


def _disk() -> list[Check]:
    free = shutil.disk_usage(Path.cwd()).free
    writable = os.access(Path.cwd(), os.W_OK)
    problems = []
    if free < MIN_DISK:
        problems.append("little space is left")
    if not writable:
        problems.append("this folder cannot be written to")
    advice = "Choose another folder with --out." if problems else ""
    value = f"{free / 2**30:.1f} GiB free here" + "".join(f", {p}" for p in problems)
    return [Check("disk", value, not problems, advice)]


def _weights() -> list[Check]:
    from kvis_cli.models.description.applications import cache_folder, cached_weights

    files = cached_weights()
    shown = ", ".join(files[:6]) + (f" and {len(files) - 6} more" if len(files) > 6 else "")
    return [
        Check(
            "weights",
            shown or f"none in {cache_folder()}",
            advice="" if files else "Applications by name (`vgg16`) download theirs on first use.",
        )
    ]


def _fonts() -> list[Check]:
    from kvis_cli.render.caption import can_render
    from kvis_cli.render.fonts import suggest_package

    samples = {
        "Cyrillic": "кошка",
        "Chinese": "猫",
        "Japanese": "ねこ",
        "Korean": "고양이",
        "Arabic": "قطة",
    }
    missing = {name: text for name, text in samples.items() if not can_render(text)}
    if not missing:
        return [Check("fonts", "captions in all scripts that were tried")]
    packages = {suggest_package(text) for text in missing.values()} - {None}
    advice = "For labels in these scripts install " + ", ".join(sorted(str(p) for p in packages))
    return [Check("fonts", f"none for {', '.join(missing)}", advice=advice if packages else "")]
