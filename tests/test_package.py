"""``import kvis_cli`` is instant, and its names are there when they are used."""

from __future__ import annotations

import subprocess
import sys

PROBE = """
import sys, time
begun = time.perf_counter()
import kvis_cli
from kvis_cli import explain, Explanation, KvisError
import kvis_cli.keras_vis as vis
vis.callbacks, vis.losses, vis.regularizers, vis.grad_modifiers, vis.input_modifiers
vis.backprop_modifiers
from kvis_cli.keras_vis.utils import utils
import numpy
utils.stitch_images([numpy.zeros((2, 2, 3))])
utils.lookup_imagenet_labels([20, 71])
seconds = time.perf_counter() - begun
assert set(kvis_cli.__all__) <= set(dir(kvis_cli))
heavy = {"tensorflow", "keras", "scipy", "matplotlib", "cv2"} & set(sys.modules)
print("IMPORTED", sorted(heavy), "SECONDS", seconds)
"""


def test_importing_kvis_imports_no_tensorflow():
    done = subprocess.run(
        [sys.executable, "-c", PROBE], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "IMPORTED []" in done.stdout


def test_importing_the_package_alone_imports_nothing_of_it():
    code = "import sys, kvis_cli; print([m for m in sys.modules if m.startswith('kvis_cli.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_there(tf):
    import kvis_cli

    for name in kvis_cli.__all__:
        assert getattr(kvis_cli, name) is not None
    assert (
        kvis_cli.keras_vis.backprop_modifiers.guided
        is kvis_cli.keras_vis.backprop_modifiers.get("guided")
    )
    try:
        kvis_cli.visualize_cam  # noqa: B018
    except AttributeError as error:
        assert "visualize_cam" in str(error)
    else:
        raise AssertionError("an unknown name was found")
