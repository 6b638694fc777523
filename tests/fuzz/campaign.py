"""A fuzzing campaign against readers, guided by coverage: ``campaign.py [NAME ...] --seconds 60``.

Needs atheris (the extra ``fuzz``). What is found is written to ``cases/NAME`` and ends it; the
input becomes a test of `test_fuzz.py` by lying there. ``--count`` ends after that many
executions. A reader that leaves the process is mutated without coverage, which it would not give.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

HERE = Path(__file__).parent
SECONDS_EACH = 5
MEMORY_MB = 1024
MAX_BYTES = 16384
INSTRUMENTED = [
    "kvis_cli.images.arrays",
    "kvis_cli.images.photo",
    "kvis_cli.jobs.planning.digests",
    "kvis_cli.jobs.planning.sources",
    "kvis_cli.jobs.results.merge",
    "kvis_cli.jobs.results.regions",
    "kvis_cli.models.description.info",
    "kvis_cli.models.description.labels",
    "kvis_cli.models.description.sidecar",
    "kvis_cli.models.description.trust",
    "kvis_cli.models.files.read",
    "kvis_cli.models.graph.autolayer",
    "kvis_cli.models.legacy.bytecode",
    "kvis_cli.render.png",
    "kvis_cli.report.write",
    "kvis_cli.spec.file",
]

VALUES = [
    None, -1, 0, 1, 2**63, "x", "", [], {}, [1, 2], 10**15, 1e308, float("nan"), float("inf"),
    True, [[]], ["i", 0, 0], {"class_name": "Dense", "config": {}}, {"class_name": 3},
    "channels_first", "Lambda", "\u202e", "\ud800", "a\x00b", "../../x", {"0": 1}, [None], [[1]],
]  # fmt: skip


def mutate_json(data: bytes, rng: random.Random) -> bytes | None:
    """JSON with values of wrong kinds, missing keys, and parts in each other's place."""
    at = 0 if data[:1] in (b"{", b"[", b'"') else 1 if data[1:2] in (b"{", b"[") else 2
    try:
        value = json.loads(data[at:])
    except (ValueError, RecursionError):
        return None
    slots: list[tuple] = []
    pending = [value] if isinstance(value, dict | list) else []
    while pending:
        holder = pending.pop()
        pairs = holder.items() if isinstance(holder, dict) else enumerate(holder)
        for key, item in pairs:
            slots.append((holder, key))
            if isinstance(item, dict | list):
                pending.append(item)
    if not slots:
        return None
    for _ in range(rng.choice([1, 1, 2, 4])):
        (holder, key), (other, place) = rng.choice(slots), rng.choice(slots)
        try:
            with_text = json.dumps(other[place])
            match rng.randrange(5):
                case 0:
                    holder[key] = json.loads(with_text)
                case 1 if isinstance(holder, dict):
                    del holder[key]
                case 2 if isinstance(holder, dict):
                    holder[rng.choice(["name", "class_name", "config", "x", "", "0"])] = json.loads(
                        with_text
                    )
                case 3 if isinstance(holder, list):
                    holder.insert(rng.randrange(len(holder) + 1), json.loads(with_text))
                case _:
                    holder[key] = json.loads(json.dumps(rng.choice(VALUES)))
        except (KeyError, IndexError, TypeError):
            continue
    prefix = bytes([rng.randrange(256)]) * at if rng.random() < 0.3 else data[:at]
    try:
        return prefix + json.dumps(value).encode()
    except (ValueError, RecursionError):
        return None


def mutate_bytes(data: bytes, rng: random.Random) -> bytes:
    """Bytes flipped, overwritten, doubled or cut off, where headers are rather than anywhere."""
    found = bytearray(data or b"\0")
    for _ in range(rng.choice([1, 1, 3, 20])):
        if not found:
            found = bytearray(b"\0")
        place = rng.randrange(min(len(found), rng.choice([100, 2000, len(found)])))
        match rng.randrange(6):
            case 0:
                found[place] ^= 1 << rng.randrange(8)
            case 1:
                found[place : place + 8] = rng.randbytes(8)
            case 2:
                size = rng.choice([1, 2, 4, 8])
                found[place : place + size] = rng.choice([b"\xff", b"\0", b"\x7f"]) * size
            case 3:
                del found[place : place + rng.randrange(1, 64)]
            case 4:
                end = place + rng.randrange(1, 64)
                found[place:place] = found[place:end]
            case 5 if rng.random() < 0.2:
                del found[place + 1 :]
    return bytes(found[:MAX_BYTES])


def cpu_seconds() -> float:
    """Of this process and of its children that ended."""
    return sum(os.times()[:4])


def main() -> None:
    """Run the campaign and say how many executions there were."""
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", help="readers; all where none is named")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    sys.path.insert(0, str(HERE.parents[1]))
    if len(asked.names) != 1:
        sys.exit(_each(asked))
    name = asked.names[0]
    warnings.simplefilter("ignore")
    try:
        import atheris
    except ImportError:
        sys.exit("Fuzzing needs atheris: pip install -e '.[fuzz]'.")

    with atheris.instrument_imports(include=["kvis_cli", "yaml", "zipfile", "csv"]):
        from tests.fuzz import corpus, harnesses

        # What harnesses import inside of functions is instrumented now or never.
        for module in INSTRUMENTED:
            __import__(module)
    reader = harnesses.READERS[name]
    shared = "/dev/shm" if Path("/dev/shm").is_dir() else None
    root = Path(tempfile.mkdtemp(prefix="kvis-fuzz-", dir=shared))
    started = time.monotonic()
    count = 0

    def once(data: bytes) -> None:
        nonlocal count
        count += 1
        folder = root / "run"
        folder.mkdir()
        began = cpu_seconds()
        try:
            harnesses.execute(name, data, folder)
            taken = cpu_seconds() - began
            assert taken < SECONDS_EACH, f"it took {taken:.1f} s"
        except BaseException:
            _keep(name, data)
            raise
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def over() -> bool:
        if asked.count and count >= asked.count:
            return True
        return not asked.count and time.monotonic() - started > asked.seconds

    def said() -> None:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(
            f"{name}: {count} executions in {time.monotonic() - started:.0f} s, peak {peak} MB",
            flush=True,
        )

    seeds = corpus.seeds()[name]
    seeds += [p.read_bytes() for p in sorted(HERE.glob(f"cases/{name}/*"))]
    if reader.native:
        rng = random.Random(asked.seed)
        while not over():
            once(mutate_bytes(rng.choice(seeds), rng))
        said()
        return
    start = root / "seeds"
    start.mkdir()
    for number, seed in enumerate(seeds):
        (start / str(number)).write_bytes(seed)

    def one(data: bytes) -> None:
        if over():
            said()
            shutil.rmtree(root, ignore_errors=True)
            # libFuzzer knows no other way to end at a time of ours.
            os._exit(0)
        once(data)

    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        rng = random.Random(seed)
        if reader.syntax == "json" and rng.random() < 0.7:
            found = mutate_json(data, rng)
            if found is not None and len(found) <= max_size:
                return found
        if reader.words and rng.random() < 0.1:
            place = rng.randrange(len(data) + 1)
            word = rng.choice(reader.words).encode()
            return (data[:place] + word + data[place:])[:max_size]
        return atheris.Mutate(data, max_size)

    options = [f"-max_len={MAX_BYTES}", f"-rss_limit_mb={MEMORY_MB + 200}", "-timeout=10"]
    options += [
        f"-seed={asked.seed + 1}",
        "-print_final_stats=0",
        "-verbosity=0",
        "-close_fd_mask=0",
    ]
    options += [f"-artifact_prefix={root}/"]
    atheris.Setup([sys.argv[0], *options, str(start)], one, custom_mutator=mutate)
    atheris.Fuzz()


def _each(asked: argparse.Namespace) -> int:
    """A process for every reader; 1 when anything was found."""
    from tests.fuzz import harnesses

    options = [f"--seconds={asked.seconds}", f"--count={asked.count}", f"--seed={asked.seed}"]
    code = 0
    for name in asked.names or harnesses.READERS:
        done = subprocess.run(
            [sys.executable, __file__, name, *options], stderr=subprocess.PIPE, text=True
        )
        if done.returncode:
            code = 1
            print(f"{name}: ended with {done.returncode}\n{done.stderr[-3000:]}", flush=True)
    return code


def _keep(name: str, data: bytes) -> None:
    folder = HERE / "cases" / name
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / hashlib.sha256(data).hexdigest()[:12]
    path.write_bytes(data)
    print(f"{name}: a finding, kept as {path}", flush=True)


if __name__ == "__main__":
    main()
