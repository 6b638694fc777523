"""Files made to attack: opened in a watched process, where nothing outside of them is touched.

What counts is what the process was seen to do, by Python's audit events and by the kernel's record
of the folders that nobody may touch, and never its exit code. SECURITY.md lists the holes.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.helpers import malicious

ROOT = Path(__file__).resolve().parents[2]


MIB = 1 << 20
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux' own")


class Seen:
    """What the watched process did, by case, and what it answered."""

    def __init__(self, folder: Path) -> None:
        secrets, home, out = folder / "secrets", folder / "home", folder / "out"
        for path in (home, out, folder / "tmp", folder / "cwd"):
            path.mkdir()
        (folder / "cwd/canary_module.py").write_text("raise SystemExit('imported')\n")
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setblocking(False)
        canaries = malicious.Canaries(secrets, listener.getsockname()[1])
        canaries.write()
        self.cases = malicious.build(folder / "models", canaries)
        malicious.write_keras(folder / "models/sound.keras", malicious.model())
        sound = malicious.Case("sound", (), (), folder / "models/sound.keras")
        request = {
            "cases": [
                {"name": c.name, "path": str(c.path), "application": c.application}
                for c in (sound, *self.cases)
            ],
            "image": str(ROOT / "sample_models/images/house.png"),
            "out": str(out),
            "words": str(canaries.words),
            "home": str(home),
            "port": canaries.port,
            "log": str(folder / "log"),
            "answers": str(folder / "answers.json"),
            "allowed": [
                *{sys.prefix, sys.base_prefix, *sysconfig.get_paths().values()},
                str(ROOT / "kvis_cli"), str(ROOT / "tests/helpers/watched.py"),
                # What an editable installation knows of itself.
                *map(str, ROOT.glob("*.egg-info")),
                str(ROOT / "sample_models/images"), str(folder / "models"), str(home / ".keras"),
                "/proc/", "/sys/", "/dev/", "/usr/", "/lib", "/etc/ld.so", "/etc/localtime",
            ],
            "written": [
                str(out), str(folder / "tmp"), str(folder / "answers.json"), "/dev/null",
                str(home / ".keras"),
            ],
            "watched_folders": [str(secrets), str(canaries.saved), str(home), str(folder / "cwd")],
        }  # fmt: skip
        environment = {
            "PATH": os.environ.get("PATH", ""), "HOME": str(home), "TMPDIR": str(folder / "tmp"),
            "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "TF_CPP_MIN_LOG_LEVEL": "3",
        }  # fmt: skip
        ran = subprocess.run(
            [sys.executable, str(ROOT / "tests/helpers/watched.py")],
            input=json.dumps(request),
            cwd=folder / "cwd",
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (folder / "answers.json").exists(), ran.stderr[-3000:]
        self.answers = json.loads((folder / "answers.json").read_text())
        self.events: dict[str, list[str]] = {}
        for line in (folder / "log").read_text().splitlines():
            event = json.loads(line)
            self.events.setdefault(event["case"], []).append(f"{event['event']} {event['what']}")
        self.connections = 0
        while True:
            try:
                listener.accept()[0].close()
            except BlockingIOError:
                break
            self.connections += 1
        listener.close()
        self.home = sorted(p.name for p in home.iterdir())


@pytest.fixture(scope="module")
def seen(tmp_path_factory) -> Seen:
    return Seen(tmp_path_factory.mktemp("untrusted"))


def test_nothing_outside_of_a_model_is_touched(seen):
    names = {case.name for case in seen.cases}
    assert {name: seen.events[name] for name in names & seen.events.keys()} == {}


def test_starting_and_opening_a_sound_model_touches_nothing_either(seen):
    # Keras' folder in the home; Python asks for the processor; urllib3 asks whether there is IPv6.
    usual = r"kernel .*/home/\.keras|subprocess\.Popen \('uname', .*|socket\.bind .*\('::1', 0\)\)"
    for name in ("start", "sound", "tensorflow"):
        assert [e for e in seen.events.get(name, []) if not re.fullmatch(usual, e)] == [], name
    assert seen.answers["sound"]["layers"][0] == 0
    assert seen.answers["sound"]["opened"] == ""
    # What the control wrote, and Keras' settings.
    assert set(seen.home) <= {".keras", "written"}


def test_absurd_sizes_take_no_memory(seen):
    # The bombs declare 4 GB; opening a small model takes a few MB.
    grown = {c.name: seen.answers[c.name]["grown"] // MIB for c in seen.cases if "bomb" in c.name}
    assert len(grown) == 3
    assert max(grown.values()) < 300, grown


def test_every_refusal_names_the_layer_and_the_reason(seen):
    for case in seen.cases:
        answers = seen.answers[case.name]
        assert answers["opened"], case.name
        said = {name: answers[name] for name in ("opened", "named") if name in answers}
        said |= {name: answers[name][1] for name in ("cam", "convert") if name in answers}
        for name, text in said.items():
            text = " ".join(text.split())
            missing = [word for word in case.words if word not in text]
            assert not missing, (case.name, name, missing, text)
        assert all(answers[n][0] != 0 for n in ("cam", "convert") if n in answers), case.name


@pytest.mark.parametrize(
    ("control", "event"),
    [
        ("open", "opens .*words.txt"),
        ("open", "kernel .*words.txt"),
        ("gfile", "kernel .*words.txt"),
        ("hdf5", "kernel .*other.h5"),
        ("socket", "socket.connect"),
        ("process", "subprocess.Popen"),
        ("system", "os.system"),
        ("write", "writes .*/written"),
        ("write", "kernel .*/written"),
        ("lambda", "opens .*words.txt"),
        ("lambda_keras3", "opens .*words.txt"),
        ("string_lookup", "kernel .*words.txt"),
        ("saved_model_layer", "kernel .*saved_model.pb"),
    ],
)
def test_the_watch_sees_what_it_has_to(seen, control, event):
    """Keras alone does with these files what they were made for."""
    events = seen.events.get(f"control {control}", [])
    assert any(re.fullmatch(f"{event}.*", e) for e in events), events


def test_the_only_connection_is_the_control(seen):
    assert seen.connections == 1


def test_every_published_hole_has_a_file(seen):
    covered = {hole for case in seen.cases for hole in case.holes}
    text = (ROOT / "SECURITY.md").read_text()
    listed = set(re.findall(r"\b(?:CVE-\d{4}-\d+|GHSA(?:-\w{4}){3})\b", text))
    assert covered == listed
