"""Raw maps against tf-keras-vis, where it is right: flat Functional models in float32."""

import numpy as np
import pytest

pytestmark = pytest.mark.conformance


@pytest.fixture(scope="module")
def net(tf):
    """The same weights with and without the final softmax."""
    import keras

    pytest.importorskip("tf_keras_vis")
    keras.utils.set_random_seed(31)
    inputs = keras.Input((24, 24, 3))
    x = keras.layers.Conv2D(8, 3, activation="relu")(inputs)
    x = keras.layers.MaxPooling2D()(x)
    x = keras.layers.Conv2D(6, 3, activation="relu", name="maps")(x)
    y = keras.layers.Flatten()(x)
    y = keras.layers.Dense(8, activation="relu")(y)
    logits = keras.layers.Dense(5, name="logits")(y)
    return keras.Model(inputs, logits)


@pytest.fixture(scope="module")
def batch():
    return np.random.default_rng(7).normal(0, 1, (3, 24, 24, 3)).astype(np.float32)


def ours(net, batch, method, target):
    from kvis_cli.engines.cam.engine import CamEngine
    from kvis_cli.engines.cam.layers import CamLayer
    from kvis_cli.models.live.reader import ModelReader, Tap

    weights = np.zeros((len(batch), 1, 5), np.float32)
    weights[..., target] = 1
    engine = CamEngine(ModelReader(net), [CamLayer(Tap("maps"))], [method])
    found = engine(batch, weights, np.full((len(batch), 1), -1, np.int32))
    return found.maps["maps", method][:, 0]


def theirs(make, net, batch, target, **options):
    from tf_keras_vis.utils.scores import CategoricalScore

    return np.array(
        make(net, clone=False)(
            CategoricalScore([target] * len(batch)),
            batch,
            penultimate_layer="maps",
            seek_penultimate_conv_layer=False,
            expand_cam=False,
            normalize_cam=False,
            **options,
        )
    )


@pytest.mark.parametrize("target", [0, 3])
@pytest.mark.parametrize(
    ("method", "module", "name"),
    [("gradcam", "gradcam", "Gradcam"), ("layercam", "layercam", "Layercam")],
)
def test_raw_maps_are_equal(net, batch, method, module, name, target):
    from importlib import import_module

    make = getattr(import_module(f"tf_keras_vis.{module}"), name)
    wanted = theirs(make, net, batch, target)
    got = ours(net, batch, method, target)
    assert wanted.max() > 0
    np.testing.assert_allclose(got, wanted, atol=1e-5 * wanted.max())


@pytest.mark.parametrize("target", [0, 3])
def test_grad_cam_plus_plus_as_its_authors_code_has_it(net, batch, target):
    from tf_keras_vis.gradcam_plus_plus import GradcamPlusPlus

    wanted = theirs(GradcamPlusPlus, net, batch, target)
    got = ours(net, batch, "gradcam++norm", target)
    for i in range(len(batch)):
        # Their factor exp(score) is the same over a map.
        scale = wanted[i].max()
        ratio = got[i].max() / scale if scale else 1.0
        # Their coefficients near a pole are in single precision, which costs them some digits.
        np.testing.assert_allclose(got[i], wanted[i] * ratio, atol=3e-5 * got[i].max())
    assert (wanted.max((1, 2)) > 0).any()


def test_score_cam_is_the_authors_code(tf, net, batch):
    """github.com/haofanwang/Score-CAM enlarges a map with bilinear interpolation and half-pixel
    centres, scales it by its own extremes and weights it by the probability of the class.

    tf-keras-vis and torchcam differ in more than one of these, so they cannot be the judge.
    """
    import keras

    from kvis_cli.engines.cam.layers import CamLayer
    from kvis_cli.engines.cam.scorecam import ScoreCam
    from kvis_cli.engines.cam.settings import CamSettings
    from kvis_cli.models.live.reader import ModelReader, Tap

    target = 2
    softmax = keras.Model(net.inputs, keras.layers.Softmax()(net.output))
    engine = ScoreCam(ModelReader(softmax), [CamLayer(Tap("maps"))], CamSettings())
    weights = np.zeros((3, 1, 5), np.float32)
    weights[..., target] = 1
    got = engine(batch, weights, np.full((3, 1), -1, np.int32)).maps["maps", "scorecam"][:, 0]
    maps = keras.Model(net.inputs, net.get_layer("maps").output).predict_on_batch(batch)
    for i, image in enumerate(batch):
        wanted = np.zeros(maps.shape[1:3])
        for k in range(maps.shape[-1]):
            # half-pixel centres, as torch.nn.functional.interpolate(align_corners=False)
            mask = tf.image.resize(maps[i, ..., k : k + 1], image.shape[:2]).numpy()
            if mask.max() == mask.min():
                continue
            mask = (mask - mask.min()) / (mask.max() - mask.min())
            wanted += softmax(image[None] * mask).numpy()[0, target] * maps[i, ..., k]
        np.testing.assert_allclose(got[i], np.maximum(wanted, 0), atol=1e-5 * wanted.max())
