"""A package of someone else's adds a method and a palette, and a broken one does no harm."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

PACKAGE = {
    "power/__init__.py": "",
    "power/cam.py": '''
from kvis_cli.engines.cam.registry import weighting
from kvis_cli.lazy import tf


@weighting("powercam", "Doe 2026")
def powercam(r):
    """Grad-CAM with the square root of each channel.

    ``ReLU(Σ_k α_k √A_k)``, ``α_k = mean(G_k)``
    """
    weights = tf.reduce_mean(r.gradient, axis=r.space, keepdims=True)
    return weights * tf.sqrt(tf.nn.relu(r.features))
''',
    "power/gradient.py": """
from kvis_cli.engines.saliency.batch import Attribution
from kvis_cli.engines.saliency.registry import register


@register("cubed", "Doe 2026", "1 forward, 1 backward", "The cube of the gradient.", pointwise=True)
def cubed(score, settings):
    return lambda batch: Attribution(score.point(batch)[0] ** 3)
""",
    "power/colours.py": """
def ember():
    return [(i, i // 2, 0) for i in range(256)]
""",
    "power/losses.py": """
from kvis_cli.engines.activation_maximization.losses import Loss
from kvis_cli.lazy import tf


class Dark(Loss):
    name = "dark"

    def __call__(self, view, arguments):
        return tf.reduce_mean(view.images, axis=(1, 2, 3))


def bright(view):
    return -tf.reduce_mean(view.images, axis=(1, 2, 3))
""",
    "power-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: power\nVersion: 1.0\n",
    "power-1.0.dist-info/entry_points.txt": """
[kvis.methods]
power_cam = power.cam
power_gradient = power.gradient
broken = power.missing

[kvis.losses]
dark = power.losses:Dark
bright = power.losses:bright

[kvis.palettes]
ember = power.colours:ember
""",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    for name, text in PACKAGE.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return folder


def run(site, *arguments, code=None):
    command = [*(["-c", code] if code else ["-m", "kvis_cli"]), *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{Path(__file__).parents[1]}"}
    return subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, env=environment, timeout=300
    )


def test_methods_are_listed_without_tensorflow_and_a_broken_package_is_told_of(site):
    done = run(site, "methods", "--json")
    assert done.returncode == 0, done.stderr
    found = {row["name"]: row for row in json.loads(done.stdout)["methods"]}
    assert found["powercam"]["about"] == "Grad-CAM with the square root of each channel."
    assert found["cubed"]["command"] == "saliency"
    assert "gradcam" in found
    assert "smoothgrad" in found
    assert done.stderr.count("'broken'") == 1
    assert "power.missing" in done.stderr
    code = "import sys, kvis_cli.engines.saliency as s; print('cubed' in s.SALIENCY_METHODS)"
    assert run(site, code=code + "; print('tensorflow' in sys.modules)").stdout.split() == [
        "True",
        "False",
    ]


def test_a_command_computes_the_method_in_the_palette(site, tf, tiny_model, picture, tmp_path):
    import keras

    out = tmp_path / "out"
    done = run(
        site, "cam", tiny_model, picture, "--method", "gradcam,powercam", "--class", "1",
        "--colormap", "ember", "--view", "heatmap", "--raw", "-o", out,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    [path] = out.glob("*powercam*.npz")
    found = np.load(path)["map"]

    # The same by the formula: a channel's weight is its mean gradient.
    from PIL import Image

    from kvis_cli.images.fitting import fit_photo

    model = keras.models.load_model(tiny_model)
    part = keras.Model(model.inputs[0], model.get_layer("second").output)
    image = fit_photo(np.asarray(Image.open(picture).convert("RGB")), 16, 16, 3)[0]
    features = part(image[np.newaxis].astype(np.float32)).numpy()[0]
    kernel, bias = model.get_layer("hidden").get_weights()
    bent = np.tanh(features.mean(axis=(0, 1)) @ kernel + bias)
    classes = model.get_layer("classes").get_weights()[0][:, 1]
    weights = kernel @ ((1 - bent**2) * classes) / features[..., 0].size
    expected = np.maximum((np.sqrt(features) * weights).sum(-1), 0)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)

    [shown] = out.glob("*powercam*.png")
    colours = np.asarray(Image.open(shown)).reshape(-1, 3)
    assert (colours[:, 2] == 0).all()
    assert (colours[:, 1] == colours[:, 0] // 2).all()


LINES = """
import sys
from typer.testing import CliRunner
from kvis_cli.cli.app import app

for name, weight in (("dark", 100000), ("bright", 100000), ("drak", 1), ("dark", "x")):
    line = ["maximize", sys.argv[1], "--class", "1", "--steps", "30", "--preset", "atlas"]
    line += ["--loss", f"{name}:{weight}", "--raw", "-o", f"{sys.argv[2]}/{name}"]
    done = CliRunner().invoke(app, line)
    print(done.exit_code, " ".join(done.stderr.split()) if done.exit_code else "")
"""


def test_a_loss_of_a_package_is_named_with_its_weight(site, tf, tiny_model, tmp_path):
    from PIL import Image

    done = run(site, tiny_model, tmp_path, code=LINES)
    ends = done.stdout.splitlines()
    assert [end[:1] for end in ends] == ["0", "0", "2", "2"], done.stderr
    assert "Did you mean 'dark'?" in ends[2]
    assert "dark:0.5" in ends[3]
    means = {}
    for name in ("dark", "bright"):
        with Image.open(next((tmp_path / name).glob("*.png"))) as image:
            means[name] = np.asarray(image).mean()
        assert f"loss {name}" in np.load(next((tmp_path / name).glob("*.npz")))
    assert means["dark"] < 40
    assert means["bright"] > 215
