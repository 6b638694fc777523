"""The CAM family: how well each method finds the object, and what many maps cost beside one."""

from __future__ import annotations

import argparse
import sys
from typing import Any

import numpy as np

from benchmarks.measure import Report, alternating
from kvis_cli.runtime.tensorflow import import_tensorflow

GRADIENT_VARIANTS = (
    "gradcam", "gradcam++", "xgradcam", "hirescam", "layercam", "elementwise", "eigengradcam",
)  # fmt: skip
LAYER = "conv_pw_13_relu"
QUALITY_SEED = 77_000


def quality(scenes: int) -> Report:
    """Measures against the known masks of scenes that the model was never trained on."""
    from kvis_cli import metrics
    from kvis_cli.engines.cam.registry import CAM_METHODS
    from kvis_cli.events import Listener
    from kvis_cli.models.description.info import describe_model
    from kvis_cli.models.live.open import open_model
    from kvis_cli.render.resize import resize_map
    from kvis_cli.spec.build import build_job
    from kvis_cli.tasks.cam import CamTask
    from sample_models.scenes import CLASSES, draw_scene

    rng = np.random.default_rng(QUALITY_SEED)
    drawn = [draw_scene(rng, i % len(CLASSES)) for i in range(scenes)]
    images = np.stack([scene.image for scene in drawn])
    # Plain CAM needs a model with an average before its head, where it is the same as Grad-CAM.
    methods = [name for name in CAM_METHODS if name != "cam"]
    spec = {"method": methods, "class": [str(i) for i in range(len(CLASSES))]}
    job = build_job({"models": [{"path": "sample_models/shapes.keras"}], "tasks": [{"cam": spec}]})
    opened = open_model(describe_model(job.models[0]))
    maps: dict[str, list[np.ndarray]] = {name: [] for name in methods}
    per_class: dict[int, Any] = {}
    for i, scene in enumerate(drawn):
        # One engine per class, so that the costly methods explain nothing that is not looked at.
        of_class = scene.class_index
        if of_class not in per_class:
            task = job.tasks[0].model_copy(update={"class_": [str(of_class)]})
            per_class[of_class] = CamTask(opened, task, job)
        [answer] = per_class[of_class].explain(opened.to_inputs(images[i : i + 1]), Listener())
        for explanation in answer.explanations:
            raw = np.maximum(resize_map(explanation.map, images.shape[1:3]), 0)
            maps[explanation.method].append(raw)
    size = images.shape[1:3]
    maps["random map"] = [resize_map(rng.random((12, 12)), size) for _ in drawn]
    report = Report(f"CAM quality on {scenes} held-out scenes of shapes.keras")
    measured = {name: _measured(metrics, opened, drawn, found) for name, found in maps.items()}
    heading = "pointing  energy  enrichment  deletion ↓  insertion ↑"
    report.add("method", heading)
    for name, (hit, energy, ratio, deleted, inserted) in measured.items():
        values = f"{hit:8.3f} {energy:7.3f} {ratio:11.2f} {deleted:11.3f} {inserted:12.3f}"
        if name in GRADIENT_VARIANTS:
            report.add(name, values, "pointing ≥ 0.9", hit >= 0.9)
        else:
            report.add(name, values)
    return report


def _measured(metrics: Any, opened: Any, scenes: list[Any], maps: list[np.ndarray]) -> list[float]:
    rows = []
    for scene, raw in zip(scenes, maps, strict=True):
        grey = np.full_like(scene.image, 127)
        blurred = _blurred(scene.image)

        def probability(frames: np.ndarray, index: int = scene.class_index) -> np.ndarray:
            outputs = opened.model.predict_on_batch(opened.to_inputs(frames))
            return np.asarray(outputs)[:, index]

        rows.append(
            [
                *(
                    # A blank map finds nothing.
                    0.0
                    if isinstance(found := measure(raw, scene.mask), metrics.Undefined)
                    else found
                    for measure in (
                        metrics.pointing_game,
                        metrics.energy_in_mask,
                        metrics.enrichment,
                    )
                ),
                metrics.deletion(scene.image, raw, grey, probability).area,
                metrics.insertion(scene.image, raw, blurred, probability).area,
            ]
        )
    return [float(value) for value in np.mean(rows, axis=0)]


def _blurred(image: np.ndarray) -> np.ndarray:
    from PIL import Image, ImageFilter

    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(8)))


def speed(batch: int, repeats: int, peers: bool) -> Report:
    """Ratios to the bare operations, on MobileNet with random weights."""
    import keras
    import tensorflow as tf

    from kvis_cli.engines.cam.engine import CamEngine
    from kvis_cli.engines.cam.layers import CamLayer
    from kvis_cli.engines.cam.scorecam import ScoreCam
    from kvis_cli.engines.cam.settings import CamSettings
    from kvis_cli.models.live.reader import ModelReader, Tap

    keras.utils.set_random_seed(0)
    # 256 channels in the last map, as the narrowest ImageNet MobileNet has them.
    model = keras.applications.MobileNet(weights=None, alpha=0.25)
    reader, layers = ModelReader(model), [CamLayer(Tap(LAYER))]
    inputs = np.random.default_rng(0).uniform(-1, 1, (batch, 224, 224, 3)).astype(np.float32)
    weights = np.zeros((batch, 1, 1000), np.float32)
    weights[:, 0, np.arange(batch)] = 1
    ranks = np.full((batch, 1), -1, np.int32)
    report = Report(f"CAM speed, MobileNet (alpha 0.25), batch of {batch}")

    one = CamEngine(reader, layers, ["gradcam"])
    seven = CamEngine(reader, layers, GRADIENT_VARIANTS)
    targets = np.arange(batch)
    bare = _bare(tf, keras, model, targets)
    for warm in (one, seven):
        warm(inputs, weights, ranks)
    bare(inputs)
    several, single = alternating(
        lambda: seven(inputs, weights, ranks), lambda: one(inputs, weights, ranks), repeats
    )
    report.at_most("seven gradient variants at once / one", several / single, 1.2)
    maps, raw = alternating(
        lambda: one(inputs, weights, ranks), lambda: bare(inputs)[1].numpy(), repeats
    )
    report.at_least("throughput of maps / bare forward+backward", raw / maps, 0.85)
    report.add("maps per second", f"{batch / maps:.0f}")

    portion = 32
    engine = ScoreCam(reader, layers, CamSettings(batch_size=portion))
    forward = tf.function(lambda images: model(images, training=False), autograph=False)
    frames = tf.constant(np.repeat(inputs[:1], portion, axis=0))

    def forwards() -> None:
        for _ in range(256 // portion):
            forward(frames).numpy()

    def score_cam() -> None:
        engine(inputs[:1], weights[:1], ranks[:1])

    score_cam()
    forwards()
    ours, plain = alternating(score_cam, forwards, repeats)
    report.at_most("Score-CAM of 256 channels / the forwards it needs", ours / plain, 1.15)
    if peers:
        theirs = _peer(keras, model, inputs[:1])
        theirs()
        ours, other = alternating(score_cam, theirs, max(1, repeats // 2))
        report.at_most("Score-CAM / that of tf-keras-vis", ours / other, 1.0)
    return report


def _bare(tf: Any, keras: Any, model: Any, targets: np.ndarray) -> Any:
    body = keras.Model(model.inputs, [model.get_layer(LAYER).output, model.output])

    @tf.function(autograph=False)
    def run(images: Any) -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(images)
            features, outputs = body(images, training=False)
            scores = tf.gather(outputs.op.inputs[0], targets, axis=1, batch_dims=1)
        return features, tape.gradient(scores, features)

    return run


def _peer(keras: Any, model: Any, image: np.ndarray) -> Any:
    from tf_keras_vis.scorecam import Scorecam
    from tf_keras_vis.utils.scores import CategoricalScore

    scorecam = Scorecam(model, clone=False)
    return lambda: scorecam(CategoricalScore([0]), image, penultimate_layer=LAYER)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=60)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--peers", action=argparse.BooleanOptionalAction, default=True)
    options = parser.parse_args()
    import_tensorflow()
    reports = [quality(options.scenes), speed(options.batch, options.repeats, options.peers)]
    return max(report.show() for report in reports)


if __name__ == "__main__":
    sys.exit(main())
