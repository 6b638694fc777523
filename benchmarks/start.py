"""What one command costs: instant answers, and one picture against a bare script."""

from __future__ import annotations

import compileall
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import Report, alternating, seconds

ROOT = Path(__file__).resolve().parents[1]
MODEL = ROOT / "sample_models" / "shapes.keras"
PICTURE = ROOT / "sample_models" / "images" / "star.png"

BARE = """
import sys
import numpy as np
from PIL import Image
import keras, tensorflow as tf
model = keras.saving.load_model(sys.argv[1], compile=False)
size = model.inputs[0].shape[1:3]
image = Image.open(sys.argv[2]).convert("RGB").resize(size[::-1])
x = tf.constant(np.asarray(image, np.float32)[None])
with tf.GradientTape() as tape:
    tape.watch(x)
    score = model(x, training=False)[:, 1]
print(float(tf.reduce_sum(abs(tape.gradient(score, x)))))
"""


def main() -> int:
    """Measure and print."""
    report = Report("Start-up")
    kvis = [sys.executable, "-m", "kvis_cli"]
    # Installing compiles; an edited module would be compiled at every start where the environment
    # forbids Python to keep the result.
    compileall.compile_dir(ROOT / "kvis_cli", quiet=1)

    def run(*arguments: object) -> None:
        subprocess.run([str(a) for a in arguments], capture_output=True)

    with tempfile.TemporaryDirectory() as folder:
        h5 = Path(folder) / "model.h5"
        script = "import sys, keras; keras.saving.load_model(sys.argv[1]).save(sys.argv[2])"
        run(sys.executable, "-c", script, MODEL, h5)
        for name, arguments in {
            "kvis --help": ["--help"],
            "kvis cam --help": ["cam", "--help"],
            "kvis layers model.keras": ["layers", MODEL],
            "kvis layers model.h5": ["layers", h5],
            "a wrong option": ["cam", MODEL, PICTURE, "--no-such-option"],
            "a missing file": ["cam", MODEL, "missing.png"],
        }.items():
            report.at_most(name, seconds(lambda a=arguments: run(*kvis, *a), 5), 0.6, "s")
        bare, ours = alternating(
            lambda: run(sys.executable, "-c", BARE, MODEL, PICTURE),
            lambda: run(*kvis, "cam", MODEL, PICTURE, "-c", "1", "-o", folder),
        )
    report.add("bare script, one gradient", f"{bare:.2f} s")
    report.at_most("kvis cam, one picture", ours / bare, 1.15)
    return report.show()


if __name__ == "__main__":
    sys.exit(main())
