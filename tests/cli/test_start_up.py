"""What can answer without TensorFlow does not import it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROBE = """
import json, sys
from kvis_cli.cli.app import app
try:
    app(json.loads(sys.argv[1]), standalone_mode=False)
except SystemExit:
    pass
except BaseException as error:
    print(type(error).__name__)
heavy = {"tensorflow", "keras", "matplotlib", "scipy", "cv2"} & set(sys.modules)
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
    ],
    ids=" ".join,
)
def test_tensorflow_is_not_imported(arguments, tiny_model, picture, tmp_path):
    places = {"MODEL": str(tiny_model), "PICTURE": str(picture)}
    arguments = [places.get(a, a) for a in arguments]
    done = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps(arguments)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=120,
    )
    assert "IMPORTED []" in done.stdout, done.stdout + done.stderr


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
