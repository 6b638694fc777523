"""The same questions put to two models, in Python."""

import numpy as np
import pytest

from kvis_cli.errors import UsageError
from kvis_cli.metrics import MEASURES, Undefined, compare_maps
from tests.helpers.models import tiny_network


@pytest.fixture
def photos():
    return np.random.default_rng(7).integers(0, 256, (2, 30, 40, 3), np.uint8)


@pytest.fixture(scope="module")
def models(tf):
    return tiny_network(5), tiny_network(6)


@pytest.mark.parametrize("kind", ["cam", "saliency"])
def test_a_model_is_perfectly_like_itself(models, photos, kind):
    from kvis_cli import explain

    found = explain.compare(models[0], models[0], photos, kind=kind, class_="top3")
    assert [pair.image for pair in found] == [0, 0, 0, 1, 1, 1]
    for pair in found:
        for name, value in pair.measures.items():
            if not isinstance(value, Undefined):
                assert value == (0.0 if name == "centroid" else 1.0), name
        assert pair.drop == 0 and pair.flipped is False
    assert any(isinstance(pair["spearman"], float) for pair in found)


def test_the_second_is_asked_about_the_class_of_the_first(models, photos):
    from kvis_cli import Explainer, explain

    a, b = (Explainer(model) for model in models)
    found = explain.compare(a, b, photos, method=["gradcam", "layercam"])
    assert len(found) == 4
    for pair in found:
        photo = photos[pair.image]
        top = a.predict(photo)[0][0][0]
        assert pair.first == (top, b.predict(photo)[0][0][0])
        assert pair.flipped == (pair.first[0] != pair.first[1])
        assert pair.a.target == pair.b.target and pair.a.target.label == top
        [mine] = a.cam(photo, method=pair.a.method)
        [theirs] = b.cam(photo, method=pair.a.method, class_=pair.a.target.asked)
        assert pair.measures == compare_maps(mine.map, theirs.map)
        assert set(pair.measures) == set(MEASURES)
        assert pair.drop == pytest.approx(mine.probability - theirs.probability)


def test_what_cannot_be_compared(models, photos):
    from kvis_cli import Explainer, explain

    with pytest.raises(UsageError, match="option of a model"):
        explain.compare(*map(Explainer, models), photos, preprocess="none")
    with pytest.raises(UsageError, match="Unknown layer"):
        explain.compare(*models, photos, layer="nothing_of_it")
