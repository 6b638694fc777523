"""Do saliency maps find the object, and the cheat? On scenes that no model was trained on."""

from __future__ import annotations

import numpy as np
import pytest

from kvis_cli.engines.saliency import SALIENCY_METHODS, SaliencySettings
from kvis_cli.metrics import enrichment

SEED = 40_000
SCENES = 48
LEAST = 2.0


@pytest.fixture(scope="module")
def explain(tf, samples):
    """Maps of a sample model with each method's own modifier, ``{method: (N, H, W)}``."""
    import keras

    from kvis_cli.engines.saliency.engine import SaliencyEngine
    from kvis_cli.models.live.reader import ModelReader

    def run(name, images, classes, methods):
        model = keras.saving.load_model(samples / name, compile=False)
        units = model.output_shape[-1]
        settings = SaliencySettings(low=0.0, high=255.0, samples=32, steps=32, batch_size=96)
        rise = SaliencySettings(low=0.0, high=255.0, samples=300, batch_size=96)
        reader = ModelReader(model)
        engines = [
            SaliencyEngine(reader, [m for m in methods if m != "rise"], settings=settings),
            SaliencyEngine(reader, [m for m in methods if m == "rise"], settings=rise),
        ]
        found = {method: [] for method in methods}
        for start in range(0, len(images), 24):
            part = images[start : start + 24].astype(np.float32)
            weights = np.zeros((len(part), 1, units), np.float32)
            weights[np.arange(len(part)), 0, classes[start : start + 24]] = 1
            ranks = np.full((len(part), 1), -1, np.int32)
            for engine in engines:
                if engine.methods:
                    for shown in engine(part, weights, ranks).maps:
                        found[shown.method.name].extend(shown.values[:, 0])
        return found

    return run


def mean_enrichment(found, masks):
    return {
        method: float(np.mean([enrichment(m, k) for m, k in zip(maps, masks, strict=True)]))
        for method, maps in found.items()
    }


@pytest.mark.slow
def test_saliency_lies_on_the_object(explain, capsys):
    from sample_models.scenes import make_scenes

    images, masks, labels = make_scenes(SCENES, SEED)
    found = mean_enrichment(explain("shapes.keras", images, labels, list(SALIENCY_METHODS)), masks)
    with capsys.disabled():
        print(f"\n{SCENES} scenes, the object covers {masks.mean():.1%}: energy in mask over area")
        for method, value in found.items():
            print(f"  {method:22} {value:5.2f}")
    for method, value in found.items():
        assert value >= LEAST, method


@pytest.mark.slow
def test_saliency_of_the_cheating_model_lies_on_the_mark(explain, capsys):
    from sample_models.scenes import MARKED_CLASS, make_marked_scenes

    images, marks, labels = make_marked_scenes(SCENES, SEED)
    methods = ["gradient", "smoothgrad", "integrated_gradients", "occlusion", "rise"]
    found = explain("shapes_shortcut.keras", images, np.full_like(labels, MARKED_CLASS), methods)
    values = mean_enrichment(found, marks)
    with capsys.disabled():
        print("\nthe mark of the shortcut model: energy in mark over area")
        for method, value in values.items():
            print(f"  {method:22} {value:5.2f}")
    for method, value in values.items():
        assert value >= LEAST, method


@pytest.mark.slow
def test_saliency_of_the_counting_model_lies_on_the_apples(explain):
    from sample_models.scenes import make_apples

    images, masks, counts = make_apples(SCENES, SEED)
    some = counts > 0
    images, masks = images[some], masks[some]
    found = explain("apples.keras", images, np.zeros(len(images), int), ["gradient", "smoothgrad"])
    for method, value in mean_enrichment(found, masks).items():
        assert value >= LEAST, method
