"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


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
    from kvis_cli.jobs.tensorflow import import_tensorflow

    import_tensorflow()
    import tensorflow

    return tensorflow
