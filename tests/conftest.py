"""What all tests share."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kvis_cli.runtime.tensorflow import set_environment
from tests.helpers.models import tiny_network

ROOT = Path(__file__).resolve().parents[1]
# Whichever test imports TensorFlow first, it is the TensorFlow of kvis.
set_environment()
# What kvis remembers of a user is not asked of, nor told to, the one who runs the tests.
_cache = tempfile.TemporaryDirectory(prefix="kvis-tests-")
os.environ["XDG_CACHE_HOME"] = _cache.name


# What may be left out on a machine that has everything: reasons, as they begin.
EXPECTED_SKIPS = (
    "TensorFlow has no strided dilated convolution",
    "keras-vis 0.4.1 gives maps in colours",
    "no channels_first convolution on this machine",
    "compared with its float32 twin",
)
_unexpected: list[str] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--no-unexpected-skips",
        action="store_true",
        help="fail when a test is skipped for a reason that is not in EXPECTED_SKIPS",
    )


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail") and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if not reason.startswith(EXPECTED_SKIPS):
            _unexpected.append(f"{report.nodeid}: {reason}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    if session.config.getoption("--no-unexpected-skips") and _unexpected:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if terminalreporter.config.getoption("--no-unexpected-skips"):
        for line in _unexpected:
            terminalreporter.write_line(f"UNEXPECTED SKIP {line}", red=True)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real models and photos, which are not part of the project."""
    folder = Path(os.environ.get("KVIS_REAL_DATA", ROOT.parent / "shared" / "real"))
    if not folder.is_dir():
        pytest.skip(f"the real models and photos are not here ({folder}); set KVIS_REAL_DATA")
    return folder


@pytest.fixture(scope="session")
def samples() -> Path:
    """The project's own sample models and images."""
    return ROOT / "sample_models"


@pytest.fixture(scope="session")
def tf():
    """TensorFlow, started as kvis starts it."""
    from kvis_cli.runtime.tensorflow import import_tensorflow

    import_tensorflow()
    import tensorflow

    return tensorflow


@dataclass(frozen=True)
class Ran:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def kvis() -> Callable[..., Ran]:
    """Run ``kvis ARGS`` in this process, where TensorFlow has to start only once."""
    from typer.testing import CliRunner

    from kvis_cli.cli.app import app

    runner = CliRunner()

    def run(*arguments: object) -> Ran:
        result = runner.invoke(app, [str(a) for a in arguments])
        return Ran(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture(scope="session")
def tiny_model(tf, tmp_path_factory) -> Path:
    """A model file of a few hundred weights: 16×16 RGB, three classes, softmax."""
    path = tmp_path_factory.mktemp("model") / "tiny.keras"
    tiny_network(3).save(path)
    return path


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A photo-like PNG of 40×30 pixels."""
    rng = np.random.default_rng(5)
    path = tmp_path / "photo.png"
    Image.fromarray(rng.integers(0, 256, (30, 40, 3), np.uint8)).save(path)
    return path
