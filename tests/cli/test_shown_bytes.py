"""What strangers write into names, labels and files reaches no terminal: bytes of the command."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import unicodedata
import zipfile
from pathlib import Path

import pytest

from kvis_cli.shown import UNSAFE, shown

# A title, a colour that kvis never uses, reversed text, a CSI of one byte, and markup of Rich.
EVIL = "a\x1b[35m\x1b]0;own\x07\u202eRED\u200b\x9b[link=x]y"


def command(*arguments: object, folder: Path, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "kvis_cli", *map(str, arguments)],
        capture_output=True,
        cwd=folder,
        env={**os.environ, "NO_COLOR": "1", **environment},
        timeout=120,
    )


def on_a_terminal(*arguments: object, folder: Path) -> str:
    """What reaches the terminal, without the codes that are Rich's own."""
    import pty

    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "kvis_cli", *map(str, arguments)],
        cwd=folder,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "300"},
    )
    os.close(theirs)
    found = b""
    try:
        while data := os.read(ours, 1 << 16):
            found += data
    except OSError:
        # Linux' way to say that nobody has the terminal open any more.
        pass
    process.wait()
    os.close(ours)
    assert b"\x1b[35m" not in found
    text = re.sub(r"\x1b\[[0-9;?]*[mhlKA]", "", found.decode())
    return text.replace("\r", "")


def harmless(output: bytes | str) -> str:
    """The text, once it is sure that nothing in it acts."""
    text = output if isinstance(output, str) else output.decode()
    acting = {c for c in text if unicodedata.category(c) in UNSAFE} - {"\n"}
    assert not acting, text
    return text


@pytest.fixture
def evil_model(samples, tmp_path) -> Path:
    """The sample model, one layer of which has an evil name, with evil labels."""
    path = tmp_path / "evil.keras"
    with zipfile.ZipFile(samples / "shapes.keras") as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "config.json":
                data = data.replace(b'"conv6_relu"', json.dumps(EVIL).encode())
            new.writestr(name, data)
    labels = ["disc", "b" + EVIL, "c", "d", "e", "f"]
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    (tmp_path / "labels.txt").write_text("\n".join(labels), "utf-8")
    return path


@pytest.fixture
def photo(samples, tmp_path) -> Path:
    path = tmp_path / "photo.png"
    shutil.copy(next(iter(sorted((samples / "images").glob("*.png")))), path)
    return path


def test_layers(evil_model, tmp_path):
    done = command("layers", evil_model, folder=tmp_path)
    assert done.returncode == 0 and harmless(done.stdout).count(shown(EVIL)) >= 2
    assert shown(EVIL) in harmless(on_a_terminal("layers", evil_model, folder=tmp_path))
    asked = command("layers", evil_model, "--json", folder=tmp_path)
    harmless(asked.stdout)
    assert EVIL in [row["path"] for row in json.loads(asked.stdout)["layers"]]


@pytest.mark.parametrize("labels", ["labels.txt", "labels.json"])
def test_labels_and_a_class_that_is_none(labels, evil_model, photo, tmp_path):
    typo = "b" + EVIL.replace("RED", "REF")
    options = ["cam", evil_model, photo, "--labels", tmp_path / labels, "--class", typo]
    done = command(*options, folder=tmp_path)
    text = harmless(done.stderr)
    assert done.returncode == 2 and done.stdout == b""
    # The lines of a text file end at an escape sequence's U+0085, U+2028 and the like only.
    assert shown(typo) in text and "Did you mean" in text
    assert shown("b" + EVIL) in text
    assert shown(typo) in harmless(on_a_terminal(*options, folder=tmp_path))


def test_names_of_files_that_are_not_there(tmp_path):
    for name in (f"{EVIL}.keras", b"caf\xe9\x1b[35m.keras"):
        done = subprocess.run(
            [sys.executable, "-m", "kvis_cli", "layers", name], capture_output=True, cwd=tmp_path
        )
        assert done.returncode == 3 and shown(os.fsdecode(name)) in harmless(done.stderr)


def test_keys_of_a_job_file_and_of_a_sidecar(evil_model, tmp_path):
    key, value = json.dumps(EVIL + "\nwarning: x"), json.dumps(EVIL)
    job = tmp_path / "job.yaml"
    job.write_text(f"version: 1\nmodels: [{{path: x, {key}: 1}}]\nimages: [x]\n{value}: 2\n")
    done = command("run", job, folder=tmp_path)
    lines = harmless(done.stderr).splitlines()
    assert done.returncode == 2 and shown(EVIL) in done.stderr.decode()
    assert lines[0].startswith("error: ") and not any(x.startswith("warning") for x in lines)
    evil_model.with_name("evil.kvis.yaml").write_text(f"preprocess: {value}\n{key}: 1\n")
    done = command("layers", evil_model, folder=tmp_path)
    assert done.returncode == 2 and shown(EVIL) in harmless(done.stderr)


def test_options_that_typer_refuses(tmp_path):
    for arguments in ([f"--{EVIL}"], [EVIL], ["cam", f"--{EVIL}"], ["cam", "m", "--steps", EVIL]):
        for text in (
            harmless(command(*arguments, folder=tmp_path, COLUMNS="300").stderr),
            harmless(on_a_terminal(*arguments, folder=tmp_path)),
        ):
            assert "Error" in text


def test_paths_are_their_bytes_for_programs(tmp_path):
    folder = os.path.join(os.fsencode(tmp_path), b"caf\xe9 \x1b[35m")  # noqa: PTH118
    os.mkdir(folder)  # noqa: PTH102
    for name in (b"caf\xe9.keras", b"caf\xe9.png"):
        Path(os.fsdecode(folder), os.fsdecode(name)).touch()
    done = command("init", os.fsdecode(folder), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == os.path.join(folder, b"job.yaml") + b"\n"  # noqa: PTH118
    assert shown(os.fsdecode(folder)) in harmless(done.stderr)
    # The job file names the model by an escape that means these bytes.
    again = command("run", Path(os.fsdecode(folder), "job.yaml"), "--dry-run", folder=tmp_path)
    assert "caf\\udce9.keras" in harmless(again.stdout + again.stderr)
    assert "There is no" not in again.stderr.decode()
    shown_to_a_person = on_a_terminal("init", os.fsdecode(folder), "--force", folder=tmp_path)
    assert shown(os.fsdecode(folder)) in harmless(shown_to_a_person)


def test_what_keras_says(tf, kvis, evil_model, photo, tmp_path):
    """TensorFlow takes no such name for a scope: Keras' exception repeats it, in bold."""
    ran = kvis("saliency", evil_model, photo, "-o", tmp_path / "out", "--traceback")
    assert ran.code == 1
    text = harmless(ran.err.replace("\t", ""))
    assert f"'{shown(EVIL)}' is not a valid scope name" in text
    assert r"\x1b[1m" not in text.rpartition("error: ")[2]


@pytest.fixture
def evil_surroundings(evil_model, photo, samples) -> tuple[Path, Path]:
    """A model that works, among evil names: its sidecar, its labels, its file and the photo's."""
    model = evil_model.with_name(f"m{EVIL}.keras")
    shutil.copy(samples / "shapes.keras", model)
    lines = ["preprocess: none", "labels: labels.json", "layer: conv6_relu"]
    model.with_name(f"m{EVIL}.kvis.yaml").write_text("\n".join(lines))
    return model, photo.rename(photo.parent / f"p{EVIL}.png")


@pytest.mark.slow
@pytest.mark.parametrize("terminal", [False, True])
def test_a_whole_run(evil_surroundings, tmp_path, terminal):
    model, photo = evil_surroundings
    out = tmp_path / os.fsdecode(b"caf\xe9")
    options = ["cam", model, photo, "--class", "1", "-o", out, "--raw", "--grid"]
    if terminal:
        text = harmless(on_a_terminal(*options, folder=tmp_path))
    else:
        done = command(*options, folder=tmp_path)
        assert done.returncode == 0, done.stderr
        text = harmless(done.stderr)
        lines = done.stdout.splitlines()
        assert lines and all(os.path.exists(line) for line in lines)  # noqa: PTH110
    for name in (model.name, photo.name, "b" + EVIL):
        assert shown(name) in text


@pytest.mark.slow
def test_a_job_and_its_reports(evil_surroundings, tmp_path):
    model, photo = evil_surroundings
    job = {
        "models": [{"path": str(model)}],
        "images": [str(photo), str(tmp_path / f"{EVIL}.png")],
        "tasks": [{"cam": {"class": "1"}}],
        "output": "out",
        "report": ["html", "json", "junit", "markdown"],
    }
    (tmp_path / f"{EVIL}.png").write_bytes(b"no picture")
    (tmp_path / "job.yaml").write_text(json.dumps(job))
    done = command("run", "job.yaml", "--json", folder=tmp_path)
    assert done.returncode == 1
    harmless(done.stderr)
    events = [json.loads(line) for line in harmless(done.stdout).splitlines()]
    assert EVIL in json.dumps(events, ensure_ascii=False).replace("\\u001b", "\x1b").replace(
        "\\u0007", "\x07"
    )
    import xml.etree.ElementTree as ET

    out = tmp_path / "out"
    for file in ("report.html", "junit.xml", "report.md", "report.json", "run.json"):
        text = (out / file).read_text("utf-8")
        harmless(text.replace("\t", ""))
        assert "RED" in text
    ET.parse(out / "junit.xml")
    assert json.loads((out / "report.json").read_text("utf-8"))
    harmless(on_a_terminal("run", "job.yaml", "--force", folder=tmp_path))
