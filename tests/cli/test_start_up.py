"""What can answer at once imports neither TensorFlow nor anything else that takes long."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.output_models import KINDS

PROBE = """
import json, sys
from kvis_cli.cli.app import app
try:
    app(json.loads(sys.argv[1]), standalone_mode=False)
except SystemExit:
    pass
except BaseException as error:
    print(type(error).__name__)
heavy = {"tensorflow", "keras", "matplotlib", "scipy", "cv2", "numpy", "pygments", "markdown_it"}
heavy &= set(sys.modules)
print("IMPORTED", json.dumps(sorted(heavy)))
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["cam", "--help"],
        ["layers", "MODEL"],
        ["layers", "MODEL", "--json"],
        ["layers", "missing.keras"],
        ["cam", "MODEL", "missing.png"],
        ["cam", "missing.keras", "PICTURE"],
        ["cam", "MODEL", "PICTURE", "--overlay", "7"],
        ["cam", "MODEL", "PICTURE", "--no-such-option"],
        ["cam", "MODEL", "PICTURE", "--method", "gradcma"],
        ["cam", "MODEL", "PICTURE", "--colormap", "jett"],
    ],
    ids=" ".join,
)
def test_nothing_slow_is_imported(arguments, tiny_model, picture, tmp_path):
    assert imported(arguments, tiny_model, picture, tmp_path) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["cam", "MODEL", "PICTURE", "--layer", "secnd"],
        ["saliency", "MODEL", "PICTURE", "--class", "1000"],
        ["maximize", "MODEL", "--preprocess", "sined"],
    ],
    ids=" ".join,
)
def test_what_the_model_has_not_is_said_without_tensorflow(
    arguments, tiny_model, picture, tmp_path
):
    assert imported(arguments, tiny_model, picture, tmp_path) in ([], ["numpy"])
    assert not (tmp_path / "kvis-out").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["saliency", "signal", "PICTURE"],
        ["cam", "generator", "PICTURE"],
        ["cam", "mask", "PICTURE"],
        ["cam", "pixels", "PICTURE"],
    ],
    ids=" ".join,
)
def test_what_does_not_fit_the_model_is_said_without_tensorflow(tf, arguments, picture, tmp_path):
    model = tmp_path / "model.keras"
    KINDS[arguments[1]][0]().save(model)
    arguments = [arguments[0], "MODEL", arguments[2]]
    assert imported(arguments, model, picture, tmp_path) in ([], ["numpy"])
    assert not (tmp_path / "kvis-out").exists()


def imported(arguments, model, picture, folder):
    places = {"MODEL": str(model), "PICTURE": str(picture)}
    done = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps([places.get(a, a) for a in arguments])],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=120,
    )
    _, _, found = done.stdout.strip().rpartition("IMPORTED ")
    assert found, done.stderr
    return json.loads(found)


def test_rich_is_whole_again_after_help_was_drawn():
    """The stand-ins that make help fast are there only while Typer's help is imported."""
    code = (
        "from kvis_cli.cli.rich_help import import_rich_help; import_rich_help()\n"
        "from rich.markdown import Markdown; from rich.traceback import Traceback\n"
        "import io, rich.console as c; out = io.StringIO()\n"
        "c.Console(file=out, width=40).print(Markdown('# Title'))\n"
        "print('Title' in out.getvalue(), hasattr(Traceback, 'extract'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["True", "True"], done.stderr


def test_stdout_holds_only_paths_and_stderr_no_noise_of_tensorflow(tiny_model, picture, tmp_path):
    environment = {**os.environ, "NO_COLOR": "1"}
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
    command = [sys.executable, "-m", "kvis_cli", "cam", str(tiny_model), str(picture)]
    done = subprocess.run(
        [*command, "-o", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        env=environment,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert all(Path(line).is_file() for line in done.stdout.splitlines())
    assert done.stdout.splitlines()
    assert "\x1b" not in done.stdout + done.stderr
    for noise in ("oneDNN", "cuda", "absl", "WARNING", "tensorflow/"):
        assert noise not in done.stderr
    assert any(line.startswith("layer second") for line in done.stderr.splitlines())

    quiet = subprocess.run(
        [*command, "-o", str(tmp_path / "out"), "--quiet"],
        capture_output=True,
        text=True,
        env=environment,
        timeout=300,
    )
    assert quiet.returncode == 0
    assert quiet.stderr == ""
    assert quiet.stdout == done.stdout
