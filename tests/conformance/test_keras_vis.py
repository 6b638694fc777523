"""keras-vis itself against the functions of its names.

It is looked for in ``KVIS_KERAS_VIS`` (a checkout of 0.5.0, or a wheel), then as the wheel of 0.4.1
that ``make`` puts beside the environment. That release divided gradients by their root mean square,
so only its first step can be ours.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.conformance

CHILD = Path(__file__).with_name("keras_vis_child.py")


def keras_vis() -> Path | None:
    named = os.environ.get("KVIS_KERAS_VIS")
    if named:
        return Path(named)
    wheels = sorted(Path(sys.prefix, "peers").glob("keras_vis-*.whl"))
    return wheels[-1] if wheels else None


@pytest.fixture(scope="module")
def model(tf):
    import keras

    keras.utils.set_random_seed(8)
    return keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            keras.layers.Conv2D(4, 3, activation="relu", bias_initializer="random_normal"),
            keras.layers.Conv2D(5, 3, activation="relu", bias_initializer="random_normal"),
            keras.layers.Flatten(),
            keras.layers.Dense(6, activation="relu", bias_initializer="random_normal"),
            keras.layers.Dense(4, name="values"),
        ]
    )


@pytest.fixture(scope="module")
def theirs(model, tmp_path_factory):
    """keras-vis' answers, and what it was asked about."""
    source = keras_vis()
    if source is None or not source.exists():
        pytest.skip("keras-vis is not here: set KVIS_KERAS_VIS, or run `make test-all`")
    folder = tmp_path_factory.mktemp("keras-vis")
    rng = np.random.default_rng(9)
    asked = {
        "image": rng.uniform(0, 1, (16, 16, 3)).astype(np.float32),
        "start": rng.normal(0.5, 0.05, (16, 16, 3)).astype(np.float32),
    }
    weights = {f"weight{n}": w for n, w in enumerate(model.get_weights())}
    np.savez(folder / "given.npz", **asked, **weights)
    done = subprocess.run(
        [sys.executable, CHILD, source, folder / "given.npz", folder / "answers.npz"],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return {**asked, **np.load(folder / "answers.npz")}


@pytest.mark.parametrize("unit", [0, 3])
@pytest.mark.parametrize("modifier", [None, "guided", "relu"])
def test_saliency_is_theirs_but_for_the_scale(model, theirs, modifier, unit):
    """Theirs runs from 0 at the smallest gradient; ours from 0 at none."""
    from kvis_cli.keras_vis.visualization import visualize_saliency

    if f"saliency {modifier} {unit}" not in theirs:
        pytest.skip(
            "keras-vis 0.4.1 gives maps in colours: set KVIS_KERAS_VIS to a checkout of 0.5.0"
        )
    wanted = np.squeeze(theirs[f"saliency {modifier} {unit}"]).astype(float)
    found = visualize_saliency(model, 4, unit, theirs["image"], backprop_modifier=modifier)
    low, high = found.min(), found.max()
    # They add 1e-7 to what they divide by.
    np.testing.assert_allclose((found - low) / (high - low), wanted, rtol=1e-4, atol=1e-6)


def test_activation_maximization_is_their_loop(model, theirs):
    from kvis_cli.keras_vis.visualization import visualize_activation

    told: list[tuple[list[float], np.ndarray]] = []

    class Recorder:
        def callback(self, i, named, overall, grads, value):
            told.append(([v for _, v in named] + [overall], grads))

        def on_end(self):
            pass

    picture = visualize_activation(
        model, 4, 2, seed_input=theirs["start"], input_range=(0.0, 1.0), max_iter=20,
        preset="keras-vis", callbacks=[Recorder()],
    )  # fmt: skip
    losses = np.array([losses for losses, _ in told])
    exact = np.isclose(np.linalg.norm(theirs["grads"][0]), 1, atol=1e-3)
    # Theirs are named in another order, or in another form, only in total.
    wanted = theirs["losses"][:, -1]
    steps = 20 if exact else 1
    np.testing.assert_allclose(losses[:steps, -1], wanted[:steps], rtol=1e-4)
    for step in range(steps):
        own, other = told[step][1].ravel(), theirs["grads"][step].ravel()
        cosine = own @ other / np.linalg.norm(own) / np.linalg.norm(other)
        assert cosine > 1 - 1e-5
        if exact:
            assert np.linalg.norm(own) == pytest.approx(1, abs=1e-4)
    if exact:
        np.testing.assert_allclose(np.squeeze(theirs["activation"]), picture, atol=1e-3)
