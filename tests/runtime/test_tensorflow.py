"""Device selection, proved on a CPU that is split into logical devices."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from kvis_cli.errors import UsageError
from kvis_cli.runtime.tensorflow import check_device

PLACEMENT = """
import json, sys
from pathlib import Path
from kvis_cli.runtime.tensorflow import import_tensorflow
import_tensorflow()
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
half = tf.config.LogicalDeviceConfiguration()
tf.config.set_logical_device_configuration(cpu, [half, half, half])

from kvis_cli.jobs.running import runner
from kvis_cli.models.live.reader import ModelReader
from kvis_cli.spec.build import build_job

placed = []
forward = ModelReader.forward
def spy(self, *arguments, **options):
    result = forward(self, *arguments, **options)
    placed.extend(w.value.device for w in self.model.weights)
    with tf.init_scope():  # out of the function that is being traced, into eager execution
        computed = tf.function(lambda: self.model.weights[0].value * 2.0)()
    placed.append(computed.backing_device)
    return result

ModelReader.forward = spy
model, image, out, device = sys.argv[1:]
job = build_job({"models": [{"path": model}], "images": [image], "tasks": [{"cam": {}}],
                 "out": out, "device": device})
outcome = runner.run_job(job)
run = json.loads((Path(out) / "run.json").read_text())
print(json.dumps({"placed": sorted(set(placed)), "recorded": run["device"],
                  "written": len(outcome.written)}))
"""


@pytest.mark.parametrize(("device", "index"), [("cpu", 0), ("cpu:2", 2)])
def test_everything_is_computed_on_the_device_that_was_asked_for(
    tiny_model, picture, tmp_path, device, index
):
    done = subprocess.run(
        [sys.executable, "-c", PLACEMENT, tiny_model, picture, tmp_path / "out", device],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["written"] == 1
    assert result["recorded"] == device
    assert result["placed"]
    assert {name.split("device:")[1] for name in result["placed"]} == {f"CPU:{index}"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("auto", ("auto", None)),
        ("CPU", ("cpu", None)),
        ("gpu", ("gpu", None)),
        ("gpu:3", ("gpu", 3)),
    ],
)
def test_devices_are_parsed_without_tensorflow(text, expected):
    assert check_device(text) == expected


@pytest.mark.parametrize("text", ["", "tpu", "gpu:", "gpu:-1", "auto:1", "gpu:x"])
def test_what_is_no_device(text):
    with pytest.raises(UsageError, match="gpu:N"):
        check_device(text)


def test_devices_and_doctor_answer(kvis):
    listed = json.loads(kvis("devices", "--json").out)["devices"]
    assert {"name": "cpu", "kind": "CPU"}.items() <= listed[0].items()
    assert "cpu" in kvis("devices").out
    examined = kvis("doctor", "--json")
    document = json.loads(examined.out)
    assert examined.code == (0 if document["ok"] else 3)
    names = {f["name"] for f in document["findings"]}
    assert {"python", "tensorflow", "keras", "device", "memory", "weights"} <= names
    assert "tensorflow" in kvis("doctor").out


def test_doctor_tells_what_is_wrong_and_how_to_mend_it(kvis, monkeypatch):
    from importlib import metadata

    from kvis_cli.cli import diagnosis

    def version(name: str) -> str:
        if name == "h5py":
            raise metadata.PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(diagnosis.metadata, "version", version)
    ran = kvis("doctor")
    assert ran.code == 3
    assert "✗ h5py" in ran.out
    assert "pip install h5py" in ran.out


def test_weights_that_are_not_there_say_which_file_goes_where(tmp_path, picture):
    """In its own process: Keras reads its home folder once."""
    done = subprocess.run(
        [sys.executable, "-m", "kvis_cli", "cam", "mobilenet_v2", picture, "-o", tmp_path / "o"],
        capture_output=True,
        text=True,
        timeout=300,
        env={
            "PATH": "/usr/bin:/bin",
            "KERAS_HOME": str(tmp_path / "keras"),
            "https_proxy": "http://127.0.0.1:9",
            "http_proxy": "http://127.0.0.1:9",
        },
    )
    assert done.returncode == 3, done.stderr
    assert "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224.h5" in done.stderr
    assert str(tmp_path / "keras" / "models") in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_an_application_with_random_weights_and_with_a_file(kvis, tf, picture, tmp_path):
    import keras

    model = keras.applications.MobileNet(weights=None)
    weights = Path(tmp_path / "weights.weights.h5")
    model.save_weights(weights)
    ran = kvis("cam", f"mobilenet:{weights}", picture, "-o", tmp_path / "out", "--class", "281")
    assert ran.code == 0, ran.err
    assert "layer conv_pw_13_relu (7×7)" in ran.err
    wrong = kvis("cam", f"mobilenet_v2:{weights}", picture, "-o", tmp_path / "out")
    assert wrong.code == 3
    assert "not those of mobilenet_v2" in wrong.err
