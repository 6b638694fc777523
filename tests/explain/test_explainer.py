"""One model, opened once, explained as often as wanted."""

from __future__ import annotations

import gc
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from kvis_cli.errors import SpecError, UsageError
from kvis_cli.render.png import read_metadata
from tests.helpers.models import tiny_network


@pytest.fixture
def photos():
    return np.random.default_rng(7).integers(0, 256, (3, 30, 40, 3), np.uint8)


@pytest.fixture
def model(tf):
    return tiny_network(5)


def labels(folder, first):
    path = folder / "labels.txt"
    path.write_text(f"{first}\ngreen\nblue\n")
    return str(path)


def test_it_gives_what_the_command_gives(kvis, tiny_model, picture, tmp_path):
    from kvis_cli import Explainer

    ran = kvis(
        "cam", tiny_model, picture, "-c", "1", "-m", "gradcam,scorecam", "--raw", "-o", tmp_path
    )
    assert ran.code == 0, ran.err
    found = Explainer(str(tiny_model)).cam(picture, class_=1, method=["gradcam", "scorecam"])
    for e in found:
        [raw] = tmp_path.glob(f"*_{e.method}_1.npz")
        np.testing.assert_array_equal(e.raw, np.load(raw)["map"])
        [png] = tmp_path.glob(f"*_{e.method}_1.png")
        np.testing.assert_array_equal(e.picture(), np.asarray(Image.open(png)))


def test_many_calls_are_one_trace_whatever_the_class(model, photos, tf):
    from kvis_cli import Explainer
    from kvis_cli.models.live.session import live_model

    explainer = Explainer(model)
    first = [e.raw for e in explainer.cam(photos, class_=1)]
    tracemalloc.start()
    for i in range(60):
        explainer.cam(photos, class_=i % 3)
        if i == 10:
            gc.collect()
            before = tracemalloc.get_traced_memory()[0]
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 200_000
    [opened] = live_model(model).opened._values.values()
    [task] = opened.engines._values.values()
    assert [engine.traces for engine in task.engines] == [1]
    for a, b in zip(first, explainer.cam(photos, class_=1), strict=True):
        np.testing.assert_array_equal(a, b.raw)


def test_the_least_recently_used_engine_goes_first(model, photos, monkeypatch):
    from kvis_cli import Explainer
    from kvis_cli.models.live import open as opening
    from kvis_cli.models.live.session import live_model

    monkeypatch.setattr(opening, "MOST_ENGINES", 2)
    explainer = Explainer(model)
    for method in ("gradcam", "layercam", "gradcam", "eigencam"):
        explainer.cam(photos, method=method)
    [opened] = live_model(model).opened._values.values()
    kept = [task.task.method for task in opened.engines._values.values()]
    assert kept == [["gradcam"], ["eigencam"]]


def test_weights_that_are_trained_on_and_layers_that_are_replaced_are_seen(model, photos, tf):
    import keras

    from kvis_cli import Explainer

    explainer = Explainer(model)
    before = explainer.saliency(photos[0], class_=1)[0].raw
    layer = model.get_layer("second")
    layer.set_weights([w * 1.5 + 0.1 for w in layer.get_weights()])
    trained = explainer.saliency(photos[0], class_=1)[0].raw
    assert np.abs(trained - before).max() > 1e-3 * np.abs(before).max()
    np.testing.assert_array_equal(trained, Explainer(model).saliency(photos[0], class_=1)[0].raw)
    model.get_layer("first").activation = keras.activations.tanh
    changed = explainer.saliency(photos[0], class_=1)[0].raw
    twin = keras.models.clone_model(model)
    twin.set_weights(model.get_weights())
    np.testing.assert_allclose(
        changed, Explainer(twin).saliency(photos[0], class_=1)[0].raw, atol=1e-6
    )
    assert np.abs(changed - trained).max() > 1e-4 * np.abs(trained).max()


def test_predictions_and_layers(model, photos, tf, tmp_path):
    from kvis_cli import Explainer

    explainer = Explainer(model, labels=labels(tmp_path, "red"), batch_size=2)
    resized = [
        np.asarray(Image.fromarray(p).resize((16, 16), Image.Resampling.BILINEAR)) for p in photos
    ]
    outputs = model.predict_on_batch(np.stack(resized).astype(np.float32))
    for row, output in zip(explainer.predict(photos, top=2), outputs, strict=True):
        order = np.argsort(-output)[:2]
        assert [label for label, _ in row] == [("red", "green", "blue")[i] for i in order]
        np.testing.assert_allclose([p for _, p in row], output[order], atol=1e-5)
    rows = explainer.layers()
    assert [row["path"] for row in rows if row["auto"]] == ["second"]
    assert any("preprocessing none" in note for note in explainer.notes)


def test_explanations_show_themselves(model, photos, tmp_path, tf):
    from kvis_cli import Explainer

    found = Explainer(model, labels=labels(tmp_path, "<b>red")).saliency(photos, class_=0)
    one = found[0]
    assert one.picture("side-by-side").shape == (
        30,
        2 * 40 + (one.picture("side-by-side").shape[1] - 80),
        3,
    )
    np.testing.assert_array_equal(one.overlay(alpha=0.0), photos[0])
    path = one.save(tmp_path / "deep" / "heat.png", view="heatmap", colormap="viridis")
    np.testing.assert_array_equal(
        np.asarray(Image.open(path)), one.picture("heatmap", colormap="viridis")
    )
    assert '"method":"gradient"' in read_metadata(path)["kvis"]
    assert one._repr_png_().startswith(b"\x89PNG")
    page = found._repr_html_()
    assert page.count("<img") == 3 and "<b>red" not in page and "&lt;b&gt;red" in page
    sheet = found.sheet(columns=3)
    assert sheet.shape[1] > 3 * 40 and found._repr_png_().startswith(b"\x89PNG")
    assert type(found[:2]) is type(found) and len(found[:2]) == 2


def test_pictures_made_from_the_model_alone_show_themselves(model, tf):
    from kvis_cli import Explainer

    explainer = Explainer(model)
    [picture] = explainer.maximize(class_=1, steps=3)
    assert picture.picture().shape == (16, 16, 3)
    np.testing.assert_array_equal(picture.picture(), picture.optimized.pixels)
    kernels = explainer.filters(layer="first", weights=True)
    assert kernels[0].picture().shape == (3, 3, 3)


def test_a_blank_map_says_so_where_it_is_shown(tf, photos):
    from kvis_cli import Explainer

    model = tiny_network(5)
    model.get_layer("second").set_weights([0 * w for w in model.get_layer("second").get_weights()])
    [heat] = Explainer(model).cam(photos[0], class_=0)
    assert heat.warnings and heat.warnings[0][:20] in heat._repr_html_()


def test_wrong_options_are_said_at_once(tf, model, photos):
    from kvis_cli import Explainer

    with pytest.raises(SpecError, match="did you mean 'preprocess'"):
        Explainer(model, preproces="unit")
    with pytest.raises(UsageError, match="A Keras model"):
        Explainer(3)
    with pytest.raises(UsageError, match="pictures on disk"):
        Explainer(model).cam(photos[0], overlay=0.3)
    with pytest.raises(SpecError, match="unknown key 'clas'"):
        Explainer(model).cam(photos[0], clas=1)
