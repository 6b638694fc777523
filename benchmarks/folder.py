"""A folder of photos: Grad-CAM maps alone, and all the way from files to files."""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.measure import Report, alternating, seconds
from kvis_cli.runtime.tensorflow import import_tensorflow

ROOT = Path(__file__).resolve().parents[1]
LAYER = "conv_pw_13_relu"


def make_photos(folder: Path, count: int) -> list[Path]:
    """Photo-like JPEG files of 400 × 400 pixels: random crops of the sample images."""
    rng = np.random.default_rng(0)
    sources = [
        Image.open(p).convert("RGB").resize((800, 800))
        for p in sorted((ROOT / "sample_models" / "images").glob("*.png"))
    ]
    paths = []
    for number in range(count):
        left, top = rng.integers(0, 400, 2)
        crop = sources[number % len(sources)].crop((left, top, left + 400, top + 400))
        paths.append(folder / f"{number:04}.jpg")
        crop.save(paths[-1], quality=90)
    return paths


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--peers", action=argparse.BooleanOptionalAction, default=True)
    options = parser.parse_args()
    import_tensorflow()
    import keras
    import tensorflow as tf

    from kvis_cli.jobs.running.runner import run_job
    from kvis_cli.models.description.info import describe_model
    from kvis_cli.models.live.open import open_model
    from kvis_cli.models.request import ModelSpec
    from kvis_cli.render.png import encode_png
    from kvis_cli.spec.build import build_job

    report = Report(f"A folder of {options.photos} photos, MobileNet (alpha 0.5), Grad-CAM")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photos = make_photos(folder, options.photos)
        keras.utils.set_random_seed(0)
        path = folder / "mobilenet.keras"
        keras.applications.MobileNet(alpha=0.5, weights=None).save(path)
        batch = options.batch
        inputs = np.random.default_rng(1).normal(size=(batch, 224, 224, 3)).astype(np.float32)

        def bare_function():
            model = keras.saving.load_model(path, compile=False)
            tapped = keras.Model(model.input, [model.get_layer(LAYER).output, model.output])

            @tf.function(autograph=False)
            def bare(x, c):
                with tf.GradientTape(watch_accessed_variables=False) as tape:
                    tape.watch(x)
                    features, outputs = tapped(x, training=False)
                    score = tf.gather(outputs, c, axis=1)
                return features, tape.gradient(score, features)

            return bare

        # Maps alone, both compiled and warm.
        opened = open_model(describe_model(ModelSpec(path=str(path))))
        explain = _explainer(opened)
        bare = bare_function()
        bare(inputs, 7)
        explain(inputs)
        rounds = 5

        def loop(function):
            for _ in range(rounds):
                function(inputs)

        bare_s, maps_s = alternating(lambda: loop(lambda x: bare(x, 7)), lambda: loop(explain), 5)
        report.add("bare batched forward + backward", f"{rounds * batch / bare_s:.0f} photos/s")
        report.at_least("maps alone, throughput against it", bare_s / maps_s, 0.85)

        # End to end, both with their own model load and compilation.
        job = {
            "models": [{"path": str(path)}],
            "images": [str(p) for p in photos],
            "tasks": [{"cam": {"class": "7", "layer": LAYER}}],
            "batch_size": batch,
        }
        outs = iter(range(99))

        def ours():
            run_job(build_job({**job, "out": str(folder / f"out{next(outs)}")}))

        ours()
        pictures = [np.asarray(Image.open(p)) for p in sorted((folder / "out0").glob("*.png"))]

        def parts(encode):
            decoded = [
                np.asarray(Image.open(p).convert("RGB").resize((224, 224)), np.float32)
                for p in photos
            ]
            function = bare_function()
            for start in range(0, len(decoded), batch):
                x = np.stack(decoded[start : start + batch]) / 127.5 - 1
                if len(x) < batch:
                    x = np.concatenate([x, np.zeros((batch - len(x), *x.shape[1:]), np.float32)])
                function(x.astype(np.float32), 7)
            for number, picture in enumerate(pictures):
                encode(picture, folder / f"bare{number}.png")

        for encoder, encode in {
            "Pillow": lambda p, path: Image.fromarray(p).save(path, compress_level=1),
            "kvis": lambda p, path: path.write_bytes(encode_png(p)),
        }.items():
            parts_s, ours_s = alternating(lambda encode=encode: parts(encode), ours)
            report.add(f"bare parts one by one, PNG by {encoder}", f"{parts_s:.2f} s")
            report.at_most("end to end against them", ours_s / parts_s, 1.1)
        if options.peers:
            _peers(report, path, inputs, maps_s / rounds / batch)
    return report.show()


def _explainer(opened):
    from kvis_cli.events import Listener
    from kvis_cli.spec.build import build_job
    from kvis_cli.tasks.registry import TASKS

    job = build_job(
        {
            "models": [{"path": opened.info.reference}],
            "tasks": [{"cam": {"class": "7", "layer": LAYER}}],
        }
    )
    task = TASKS["cam"](opened, job.tasks[0], job)
    return lambda inputs: list(task.explain(inputs, Listener()))


def _peers(report: Report, path: Path, inputs: np.ndarray, ours: float) -> None:
    import keras

    model = keras.saving.load_model(path, compile=False)
    few = inputs[:4]
    with contextlib.suppress(ImportError):
        from tf_keras_vis.gradcam import Gradcam
        from tf_keras_vis.utils.scores import CategoricalScore

        gradcam = Gradcam(model)
        score = CategoricalScore([7] * len(few))
        gradcam(score, few, penultimate_layer=LAYER)
        spent = seconds(lambda: gradcam(score, few, penultimate_layer=LAYER)) / len(few)
        report.add("tf-keras-vis, time per map against kvis", f"{spent / ours:.1f} ×")
    with contextlib.suppress(ImportError):
        from tf_explain.core.grad_cam import GradCAM

        began = time.perf_counter()
        GradCAM().explain((few, None), model, class_index=7, layer_name=LAYER)
        spent = (time.perf_counter() - began) / len(few)
        report.add("tf-explain, time per map against kvis", f"{spent / ours:.1f} ×")


if __name__ == "__main__":
    sys.exit(main())
