"""Score-CAM, Ablation-CAM, FullGrad and Guided Grad-CAM against their formulae."""

import numpy as np
import pytest

from tests.helpers.models import network_of_rank
from tests.helpers.oracles import literal_of
from tests.helpers.targets import targets


def relu(x):
    return np.maximum(x, 0)


@pytest.fixture(scope="module")
def lib(tf):
    import keras

    from kvis_cli.engines.cam.layers import CamLayer
    from kvis_cli.engines.cam.objective import Objective
    from kvis_cli.engines.cam.registry import CAM_METHODS
    from kvis_cli.engines.cam.settings import CamSettings
    from kvis_cli.models.live.reader import ModelReader, Tap

    class Lib:
        def __call__(self, model, name, layer="maps", objective=None, **settings):
            settings = CamSettings(Objective(**(objective or {})), **settings)
            layers = [CamLayer(Tap.of(layer))]
            return CAM_METHODS[name].make(ModelReader(model), layers, settings)

    found = Lib()
    found.keras = keras
    return found


@pytest.fixture(scope="module")
def net(lib):
    """Convolution, normalisation, and a head whose gradient varies over space."""
    keras = lib.keras
    keras.utils.set_random_seed(21)
    inputs = keras.Input((12, 10, 3))
    x = keras.layers.Rescaling(0.7, offset=-0.3)(inputs)
    x = keras.layers.Conv2D(4, 3, activation="relu", bias_initializer="random_normal")(x)
    x = keras.layers.Conv2D(5, 3, bias_initializer="random_normal")(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.ReLU(name="maps")(x)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dense(6, activation="relu", bias_initializer="random_normal")(x)
    outputs = keras.layers.Dense(4, activation="softmax", bias_initializer="random_normal")(x)
    model = keras.Model(inputs, outputs)
    rng = np.random.default_rng(3)
    for weight in model.layers[4].weights:
        weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    return model


@pytest.fixture(scope="module")
def batch():
    return np.random.default_rng(2).normal(0, 1, (3, 12, 10, 3)).astype(np.float32)


def classes(indices, count, units=4):
    return targets(count, units, *indices)


def logits_of(model, keras):
    """The model up to the values before its softmax, and what the layer gives."""
    head = model.layers[-1]
    body = keras.Model(model.inputs, [model.get_layer("maps").output, head.input])

    def run(inputs):
        maps, before = body.predict_on_batch(inputs)
        return maps, before @ np.array(head.kernel) + np.array(head.bias)

    return run


def combine(weights, maps):
    return relu(sum(w * maps[..., k] for k, w in enumerate(weights)))


def bilinear(raw, size):
    """Half-pixel centres, borders repeated."""
    result = np.zeros(size)
    for i in range(size[0]):
        for j in range(size[1]):
            y = np.clip((i + 0.5) * raw.shape[0] / size[0] - 0.5, 0, raw.shape[0] - 1)
            x = np.clip((j + 0.5) * raw.shape[1] / size[1] - 0.5, 0, raw.shape[1] - 1)
            y0, x0 = int(y), int(x)
            y1, x1 = min(y0 + 1, raw.shape[0] - 1), min(x0 + 1, raw.shape[1] - 1)
            fy, fx = y - y0, x - x0
            result[i, j] = (1 - fy) * ((1 - fx) * raw[y0, x0] + fx * raw[y0, x1]) + fy * (
                (1 - fx) * raw[y1, x0] + fx * raw[y1, x1]
            )
    return result


def mask_of(channel, size):
    """As the authors' code has it: enlarged first, then scaled to 0…1."""
    large = bilinear(channel, size)
    extent = large.max() - large.min()
    return (large - large.min()) / extent if extent > 0 else np.zeros_like(large)


def masked(image, channel):
    return image * mask_of(channel, image.shape[:2])[..., None]


@pytest.mark.parametrize("first", [False, True])
def test_score_cam_masks_reach_0_and_1_at_the_input_size(tf, lib, net, first):
    from kvis_cli.engines.cam.scorecam import ScoreCam

    maps = np.random.default_rng(6).gamma(1.0, 1.0, (4, 3, 6)).astype(np.float32)
    maps[..., 5] = 2.0
    from kvis_cli.engines.cam.layers import CamLayer
    from kvis_cli.engines.cam.settings import CamSettings
    from kvis_cli.models.live.reader import ModelReader, Tap

    settings = CamSettings(channel_axis=1 if first else -1)
    engine = ScoreCam(ModelReader(net), [CamLayer(Tap("maps"))], settings)
    image = np.zeros((2, 11, 9) if first else (11, 9, 2), np.float32)
    found = tf.function(engine._masks)(tf.constant(maps), tf.constant(image)).numpy()
    found = found[:, 0] if first else found[..., 0]
    for k in range(6):
        np.testing.assert_allclose(found[k], mask_of(maps[..., k], (11, 9)), atol=1e-5)
    np.testing.assert_allclose(found[:5].max((1, 2)), 1, atol=1e-5)
    assert (found[5] == 0).all()


@literal_of("scorecam", batch_size=[3, 16])
def test_score_cam_is_its_formula(lib, net, batch, batch_size):
    found = lib(net, "scorecam", batch_size=batch_size)(batch, *classes([1, 2], 3))
    maps, logits = logits_of(net, lib.keras)(batch)
    np.testing.assert_allclose(found.scores, logits[:, [1, 2]], atol=1e-5)
    for i in range(3):
        inputs = np.stack([masked(batch[i], maps[i, ..., k]) for k in range(5)])
        p = net.predict_on_batch(inputs)
        for t, target in enumerate((1, 2)):
            wanted = combine(p[:, target], maps[i])
            np.testing.assert_allclose(found.maps["maps", "scorecam"][i, t], wanted, atol=1e-5)


@pytest.mark.parametrize("direction", ["increase", "decrease"])
def test_score_cam_without_probabilities_uses_the_rise_above_blank(lib, net, batch, direction):
    keras = lib.keras
    model = keras.Model(net.inputs, net.layers[-2].output)
    found = lib(model, "scorecam", direction=direction)(batch, *classes([3], 3, 6))
    maps = keras.Model(net.inputs, net.get_layer("maps").output).predict_on_batch(batch)
    blank = model.predict(np.zeros_like(batch[:1]), verbose=0)[0, 3]
    for i in range(3):
        inputs = np.stack([masked(batch[i], maps[i, ..., k]) for k in range(5)])
        # A rectified output is a score of its own.
        rise = model.predict_on_batch(inputs)[:, 3] - blank
        wanted = combine(-rise if direction == "decrease" else rise, maps[i])
        np.testing.assert_allclose(found.maps["maps", "scorecam"][i, 0], wanted, atol=1e-5)


@literal_of("ablationcam", batch_size=[2, 16])
def test_ablation_cam_is_its_formula(lib, net, batch, batch_size):
    found = lib(net, "ablationcam", batch_size=batch_size)(batch, *classes([1, 2], 3))
    keras = lib.keras
    maps, logits = logits_of(net, keras)(batch)
    features = keras.Input(maps.shape[1:])
    x = features
    for layer in net.layers[-3:-1]:
        x = layer(x)
    tail = keras.Model(features, x)
    head = net.layers[-1]
    for i in range(3):
        silenced = np.repeat(maps[i : i + 1], 5, axis=0)
        for k in range(5):
            silenced[k, ..., k] = 0
        scores = tail.predict_on_batch(silenced) @ np.array(head.kernel) + np.array(head.bias)
        for t, target in enumerate((1, 2)):
            whole = logits[i, target]
            weights = [(whole - scores[k, target]) / abs(whole) for k in range(5)]
            wanted = combine(weights, maps[i])
            np.testing.assert_allclose(
                found.maps["maps", "ablationcam"][i, t], wanted, atol=2e-5 * max(1, wanted.max())
            )


def test_ablation_where_a_branch_goes_past_the_layer(lib, batch):
    keras = lib.keras
    keras.utils.set_random_seed(2)
    inputs = keras.Input((12, 10, 3))
    a = keras.layers.Conv2D(4, 3, activation="relu", name="maps")(inputs)
    b = keras.layers.Conv2D(3, 3, activation="relu")(inputs)
    x = keras.layers.Concatenate()([a, b])
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(4, name="head")(x))
    found = lib(model, "ablationcam")(batch, *classes([1], 3))
    maps = keras.Model(inputs, a).predict_on_batch(batch)
    kernel = np.array(model.get_layer("head").kernel)[:4, 1]
    for i in range(3):
        weights = maps[i].mean((0, 1)) * kernel / abs(found.scores[i, 0])
        wanted = combine(weights, maps[i])
        np.testing.assert_allclose(found.maps["maps", "ablationcam"][i, 0], wanted, atol=1e-5)


@pytest.mark.parametrize("name", ["scorecam", "ablationcam"])
def test_fewer_channels_are_those_that_vary_most(lib, net, batch, name):
    maps, _ = logits_of(net, lib.keras)(batch)
    every = lib(net, name)(batch, *classes([1], 3)).maps["maps", name]
    some = lib(net, name, max_channels=2)(batch, *classes([1], 3)).maps["maps", name]
    all_again = lib(net, name, max_channels=99)(batch, *classes([1], 3)).maps["maps", name]
    np.testing.assert_array_equal(every, all_again)
    assert np.abs(every - some).max() > 1e-3
    for i in range(3):
        kept = np.argsort(-maps[i].std(axis=(0, 1)))[:2]
        # Channels outside are zero, so places where only they were warm are cold.
        cold = ~(maps[i][..., kept] > 0).any(axis=-1)
        assert not some[i, 0][cold].any()
        assert some[i, 0].any()


@pytest.mark.parametrize("name", ["scorecam", "ablationcam"])
def test_no_more_inputs_at_once_than_the_batch_size(lib, net, batch, name):
    engine = lib(net, name, batch_size=2)
    asked = []
    original = engine._ask[0]
    engine._ask[0] = lambda *arguments: asked.append(len(arguments[2])) or original(*arguments)
    engine(batch, *classes([1], 3))
    # Five channels in portions of two, for each of three images; the last is filled up.
    assert asked == [2] * 9


@pytest.mark.parametrize("name", ["scorecam", "ablationcam", "fullgrad", "guided_gradcam"])
def test_a_batch_is_its_single_runs_and_classes_cost_no_trace(lib, net, batch, name):
    engine = lib(net, name, batch_size=2)
    together = engine(batch, *classes([0, 3], 3))
    traces = engine.traces
    engine(batch[::-1], *classes([1, 2], 3))
    assert engine.traces == traces
    single = lib(net, name)
    for i in range(3):
        alone = single(batch[i : i + 1], *classes([0, 3], 1))
        for key, value in alone.maps.items():
            np.testing.assert_allclose(
                together.maps[key][i], value[0], atol=2e-5 * max(1e-3, value.max())
            )


def test_fullgrad_accounts_for_the_whole_score(lib, net, batch):
    found = lib(net, "fullgrad")(batch, *classes([0, 1, 2, 3], 3))
    accounted = found.extras["", "fullgrad"]["accounted"]
    np.testing.assert_allclose(accounted, 1, atol=1e-3)


@literal_of("fullgrad", target=[0, 2])
def test_fullgrad_is_its_formula(tf, lib, net, batch, target):
    keras = lib.keras
    found = lib(net, "fullgrad")(batch, *classes([target], 3)).maps["", "fullgrad"][:, 0]
    rescaling, first, second, norm = net.layers[1:5]
    head = net.layers[-1]
    linear = (first, second)

    @tf.function(autograph=False)
    def read(x):
        y0 = x * 0.7 - 0.3
        z1 = tf.nn.conv2d(y0, linear[0].kernel, 1, "VALID") + linear[0].bias
        z2 = tf.nn.conv2d(tf.nn.relu(z1), linear[1].kernel, 1, "VALID") + linear[1].bias
        scale = norm.gamma / tf.sqrt(norm.moving_variance + norm.epsilon)
        z3 = z2 * scale + (norm.beta - norm.moving_mean * scale)
        flat = tf.reshape(tf.nn.relu(z3), [3, -1])
        hidden = net.layers[-2]
        before = tf.nn.relu(flat @ hidden.kernel + hidden.bias)
        score = (before @ head.kernel + head.bias)[:, target]
        gradients = tf.gradients(score, [x, y0, z1, z2, z3])
        return gradients, norm.beta - norm.moving_mean * scale

    gradients, offset = read(tf.constant(batch))
    gx, g0, g1, g2, g3 = (g.numpy() for g in gradients)
    parts = [
        gx * batch,
        g0 * -0.3,
        g1 * np.array(first.bias),
        g2 * np.array(second.bias),
        g3 * offset.numpy(),
    ]
    assert rescaling.offset == -0.3 and isinstance(norm, keras.layers.BatchNormalization)
    for i in range(3):
        wanted = np.zeros((12, 10))
        for part in parts:
            strength = np.abs(part[i])
            strength = (strength - strength.min()) / (strength.max() - strength.min())
            for k in range(strength.shape[-1]):
                wanted += bilinear(strength[..., k], (12, 10))
        np.testing.assert_allclose(found[i], wanted, atol=1e-4)


@literal_of("guided_gradcam")
def test_guided_gradcam_is_the_product(tf, lib, net, batch):
    found = lib(net, "guided_gradcam")(batch, *classes([1], 3)).maps["maps", "guided_gradcam"]
    hidden, head = net.layers[-2:]

    @tf.custom_gradient
    def guided_relu(x):
        y = tf.nn.relu(x)
        return y, lambda g: tf.where(x > 0, tf.nn.relu(g), 0.0)

    _, first, second, norm = net.layers[1:5]

    @tf.function(autograph=False)
    def read(x):
        z = tf.nn.conv2d(x * 0.7 - 0.3, first.kernel, 1, "VALID") + first.bias
        z = tf.nn.conv2d(guided_relu(z), second.kernel, 1, "VALID") + second.bias
        z = norm(z, training=False)
        flat = tf.reshape(guided_relu(z), [3, -1])
        before = guided_relu(flat @ hidden.kernel + hidden.bias)
        score = (before @ head.kernel + head.bias)[:, 1]
        return tf.gradients(score, x)[0]

    lines = np.abs(read(tf.constant(batch)).numpy()).max(-1)
    from kvis_cli.engines.cam.engine import CamEngine
    from kvis_cli.engines.cam.layers import CamLayer
    from kvis_cli.models.live.reader import ModelReader, Tap

    cam = CamEngine(ModelReader(net), [CamLayer(Tap("maps"))])(batch, *classes([1], 3))
    for i in range(3):
        heat = bilinear(cam.maps["maps", "gradcam"][i, 0], (12, 10))
        np.testing.assert_allclose(found[i, 0], lines[i] * heat, atol=1e-5)


@pytest.mark.parametrize("name", ["scorecam", "ablationcam", "fullgrad", "guided_gradcam"])
def test_the_model_is_left_as_it_was_found(lib, net, batch, name):
    before = {layer.name: set(vars(layer)) for layer in net.layers}
    activations = [getattr(layer, "activation", None) for layer in net.layers]
    predicted = net.predict_on_batch(batch)
    found = lib(net, name)(batch, *classes([0], 3))
    np.testing.assert_allclose(found.outputs, predicted, atol=1e-6)
    assert {layer.name: set(vars(layer)) for layer in net.layers} == before
    assert [getattr(layer, "activation", None) for layer in net.layers] == activations
    np.testing.assert_array_equal(net.predict_on_batch(batch), predicted)


def test_binary_score_cam_has_two_sides(lib, batch):
    keras = lib.keras
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((12, 10, 3)),
            keras.layers.Conv2D(4, 3, activation="relu", name="maps"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    weights = np.float32([[[1.0], [-1.0]]] * 3)
    found = lib(model, "scorecam")(batch, weights, np.full((3, 2), -1, np.int32))
    maps = np.array(model.layers[0](batch))
    for i in range(3):
        inputs = np.stack([masked(batch[i], maps[i, ..., k]) for k in range(4)])
        p = model.predict_on_batch(inputs)[:, 0]
        for t, weight in enumerate((p, 1 - p)):
            wanted = combine(weight, maps[i])
            np.testing.assert_allclose(found.maps["maps", "scorecam"][i, t], wanted, atol=1e-5)


@pytest.mark.parametrize("rank", [1, 3])
@pytest.mark.parametrize("name", ["scorecam", "fullgrad", "guided_gradcam"])
def test_sequences_and_volumes(lib, name, rank):
    model = network_of_rank(rank, "softmax")
    x = np.random.default_rng(1).normal(0, 1, (2, *model.input_shape[1:])).astype(np.float32)
    found = lib(model, name)(x, *classes([1], 2, 3))
    key = next(iter(found.maps))
    side = 6 if name == "scorecam" else 8
    assert found.maps[key].shape == (2, 1, *(side,) * rank)
    assert found.maps[key].max() > 0
    if name == "fullgrad":
        np.testing.assert_allclose(found.extras[key]["accounted"], 1, atol=1e-3)
