"""A process that opens files while it is watched: what it touches is written down.

Python's own events come from an audit hook, which also sees forked children; what C libraries open
(TensorFlow's file system, HDF5) comes from the kernel, by inotify on the folders that nobody may
touch. Started by `test_untrusted.py` with a JSON request on stdin.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import struct
import sys
from pathlib import Path
from typing import Any

OPENED = {"open"}
CHANGED = {
    "os.chmod", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink",
    "os.truncate", "shutil.copyfile", "shutil.move", "shutil.rmtree", "shutil.unpack_archive",
}  # fmt: skip
ACTED = {
    "os.exec", "os.posix_spawn", "os.spawn", "os.system", "pty.spawn", "socket.bind",
    "socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto",
    "subprocess.Popen", "urllib.Request",
}  # fmt: skip
# IN_ACCESS, MODIFY, ATTRIB, OPEN, MOVED_FROM, MOVED_TO, CREATE, DELETE
READ, IS_FOLDER = 0x1 | 0x20, 0x40000000
TOUCHED = 0x1 | 0x2 | 0x4 | 0x20 | 0x40 | 0x80 | 0x100 | 0x200


class Watch:
    """Writes down, for the case that runs, what is touched."""

    def __init__(self, log: str, allowed: list[str], written: list[str], folders: list[str]):
        self.case = "start"
        self._log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._allowed, self._written = tuple(allowed), tuple(written)
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._events = self._libc.inotify_init1(os.O_NONBLOCK)
        self._folders = {
            self._libc.inotify_add_watch(self._events, os.fsencode(folder), TOUCHED): folder
            for folder in folders
        }
        assert self._events >= 0 and min(self._folders) > 0, "inotify is not to be had"
        sys.addaudithook(self._hook)

    def note(self, event: str, what: str) -> None:
        line = json.dumps({"case": self.case, "event": event, "what": what})
        os.write(self._log, line.encode() + b"\n")

    def kernel(self) -> None:
        """What was touched in the watched folders since the last call."""
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._events, 1 << 16):
                at = 0
                while at < len(data):
                    watch, mask, _cookie, size = struct.unpack_from("iIII", data, at)
                    name = data[at + 16 : at + 16 + size].rstrip(b"\0").decode()
                    if not (mask & IS_FOLDER and mask & READ):
                        self.note("kernel", str(Path(self._folders[watch], name)))
                    at += 16 + size

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if event in OPENED:
            path, mode, flags = args
            if isinstance(path, int):
                return
            written = bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)) if flags else False
            written = written or bool(mode and set(mode) & set("wax+"))
            self._path("writes" if written else "opens", path)
        elif event in CHANGED:
            if not isinstance(args[0], int):
                self._path("writes", args[0])
        elif event in ACTED and not _own_probe(event, args):
            self.note(event, repr(args)[:300])

    def _path(self, event: str, path: Any) -> None:
        text = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 (resolving would open links)
        allowed = self._written if event == "writes" else self._allowed + self._written
        if not text.startswith(allowed):
            self.note(event, text)


def _own_probe(event: str, args: tuple[Any, ...]) -> bool:
    """kvis' own trial of a file in a process of its own."""
    if event != "subprocess.Popen":
        return False
    command = list(args[1] or ())
    return (
        len(command) == 3
        and command[:2] == [sys.executable, "-c"]
        and command[2].startswith("from kvis_cli.models.files.probe import run; run(")
    )


def peak() -> int:
    """The most memory that this process and its children have had, in bytes."""
    return 1024 * sum(
        resource.getrusage(who).ru_maxrss
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )


def main() -> None:
    request = json.load(sys.stdin)
    watch = Watch(
        request["log"], request["allowed"], request["written"], request["watched_folders"]
    )
    answers: dict[str, dict[str, Any]] = {}

    import h5py  # noqa: F401
    from typer.testing import CliRunner

    from kvis_cli.cli.app import app
    from kvis_cli.errors import KvisError
    from kvis_cli.models.description.info import describe_model
    from kvis_cli.models.request import ModelSpec

    runner = CliRunner()
    for case in request["cases"]:
        watch.case, answer, before = case["name"], {}, peak()
        commands: dict[str, list[str]] = {
            "layers": ["layers", case["path"]],
            "cam": ["cam", case["path"], request["image"], "--out", request["out"]],
            "convert": ["convert", case["path"], request["out"] + "/converted.keras"],
        }
        if case["application"]:
            commands["cam"] += ["--arch", f"app:{case['application']}"]
            del commands["convert"]
        for name, command in commands.items():
            if case["name"] == "sound" and name != "layers":
                continue
            result = runner.invoke(app, command)
            answer[name] = [result.exit_code, result.output + result.stderr]
        watch.kernel()
        answer["grown"] = peak() - before
        answers[case["name"]] = answer

    watch.case = "tensorflow"
    from kvis_cli.runtime.tensorflow import import_tensorflow

    import_tensorflow()
    from kvis_cli.models.live.open import open_model

    watch.kernel()
    for case in request["cases"]:
        watch.case, before = case["name"], peak()
        specs = {"opened": ModelSpec(path=case["path"])}
        if application := case["application"]:
            specs["opened"] = ModelSpec(path=case["path"], arch=f"app:{application}")
            specs["named"] = ModelSpec(path=f"{application}:{case['path']}")
        for name, spec in specs.items():
            try:
                open_model(describe_model(spec))
                answers[case["name"]][name] = ""
            except KvisError as error:
                answers[case["name"]][name] = f"{type(error).__name__}: {error}"
        watch.kernel()
        answers[case["name"]]["grown"] += peak() - before
    control(watch, request, answers)
    Path(request["answers"]).write_text(json.dumps(answers))


def control(watch: Watch, request: dict[str, Any], answers: dict[str, Any]) -> None:
    """What must be seen: the same files without kvis, and each way of touching a canary."""
    import socket
    import subprocess

    import h5py
    import keras
    import tensorflow as tf

    paths = {case["name"]: case["path"] for case in request["cases"]}
    words, linked = request["words"], paths["external_link_keras2"]

    def by_keras(name: str) -> None:
        keras.saving.load_model(paths[name], compile=False, safe_mode=False)

    def by_hdf5() -> None:
        with h5py.File(linked) as h5:
            h5["model_weights/c/kernel"][:]

    def by_socket() -> None:
        socket.create_connection(("127.0.0.1", request["port"]), 5).close()

    for name, act in {
        "control open": lambda: Path(words).read_text(),
        "control gfile": lambda: tf.io.gfile.GFile(words).read(),
        "control hdf5": by_hdf5,
        "control socket": by_socket,
        "control process": lambda: subprocess.run(["true"], check=True),
        "control system": lambda: os.system("true"),
        "control write": lambda: Path(request["home"], "written").write_text("x"),
        "control lambda": lambda: by_keras("lambda"),
        "control lambda_keras3": lambda: by_keras("lambda_keras3"),
        "control string_lookup": lambda: by_keras("string_lookup"),
        "control saved_model_layer": lambda: by_keras("saved_model_layer"),
    }.items():
        watch.case = name
        # That it fails says nothing: what it touched before is the question.
        with contextlib.suppress(Exception):
            act()
        watch.kernel()


if __name__ == "__main__":
    main()
