"""Class activation maps from gradients: the formulae, and what must hold for any engine."""

import numpy as np
import pytest

from tests.helpers.cam_literals import LITERALS, combine, eigen_of_contributions, relu
from tests.helpers.models import network_of_rank
from tests.helpers.oracles import literal_of
from tests.helpers.targets import targets


@pytest.fixture(scope="module")
def lib(tf):
    """What the tests need, once TensorFlow is there."""
    from kvis_cli.engines.cam.engine import CamEngine
    from kvis_cli.engines.cam.layers import CamLayer
    from kvis_cli.engines.cam.objective import Objective
    from kvis_cli.engines.cam.registry import Readings
    from kvis_cli.engines.cam.settings import CamSettings
    from kvis_cli.models.live.reader import ModelReader, Tap

    class Lib:
        pass

    found = Lib()
    for thing in (CamEngine, Readings, Objective, CamLayer, CamSettings, ModelReader, Tap):
        setattr(found, thing.__name__, thing)
    return found


@pytest.fixture(scope="module")
def net(tf):
    """A flat convolutional model with a head that is not linear: gradients vary over space."""
    import keras

    keras.utils.set_random_seed(11)
    inputs = keras.Input((20, 18, 3))
    x = keras.layers.Conv2D(6, 3, activation="relu", name="first")(inputs)
    x = keras.layers.Conv2D(9, 3, strides=2, activation="relu", name="second")(x)
    y = keras.layers.Conv2D(7, 3, activation="relu", name="third")(x)
    y = keras.layers.Flatten()(y)
    y = keras.layers.Dense(8, activation="tanh")(y)
    outputs = keras.layers.Dense(5, activation="softmax", name="classes")(y)
    model = keras.Model(inputs, outputs, name="net")
    # Values on either side of zero everywhere.
    rng = np.random.default_rng(12)
    for weight in model.trainable_weights:
        weight.assign(rng.normal(0, 0.3, weight.shape))
    return model


@pytest.fixture(scope="module")
def batch():
    return np.random.default_rng(2).normal(0, 1, (4, 20, 18, 3)).astype(np.float32)


def engine_of(lib, model, layers=("second",), methods=("gradcam",), **settings):
    objective = lib.Objective(**settings.pop("objective", {}))
    return lib.CamEngine(
        lib.ModelReader(model),
        [lib.CamLayer(lib.Tap.of(layer)) for layer in layers],
        methods,
        lib.CamSettings(objective, **settings),
    )


def classes(indices, count, units=5):
    return targets(count, units, *indices)


def independent(tf, model, layer, inputs, target):
    """Feature maps and the gradient of one logit, by a rebuilt graph and ``tf.gradients``."""
    import keras

    head = model.layers[-1]
    both = keras.Model(model.inputs, [model.get_layer(layer).output, head.input])

    @tf.function(autograph=False)
    def read(x):
        features, before = both(x, training=False)
        logits = tf.matmul(before, head.kernel) + head.bias
        return features, tf.gradients(logits[:, target], features)[0], logits

    features, gradient, logits = read(tf.constant(inputs))
    return (
        features.numpy().astype(np.float64),
        gradient.numpy().astype(np.float64),
        logits.numpy(),
    )


@literal_of(*LITERALS, layer=["first", "second"])
def test_every_method_is_its_formula(tf, lib, net, batch, layer):
    engine = engine_of(lib, net, [layer], tuple(LITERALS))
    found = engine(batch, *classes([3, 1], len(batch)))
    for t, target in enumerate([3, 1]):
        features, gradient, logits = independent(tf, net, layer, batch, target)
        np.testing.assert_allclose(found.scores[:, t], logits[:, target], atol=1e-5)
        for name, literal in LITERALS.items():
            for i in range(len(batch)):
                wanted = literal(features[i], gradient[i])
                got = found.maps[layer, name][i, t]
                assert wanted.max() > 0
                np.testing.assert_allclose(got, wanted, atol=1e-5 * wanted.max(), err_msg=name)


@pytest.mark.parametrize("shift", [-3.0, 0.0, 3.0])
def test_every_formula_holds_for_feature_maps_of_any_sign(tf, shift):
    from kvis_cli.engines.cam.reduction import REDUCTIONS
    from kvis_cli.engines.cam.registry import CAM_METHODS, Readings

    rng = np.random.default_rng(21)
    features = (rng.normal(0, 1, (3, 1, 6, 5, 7)) + shift).astype(np.float32)
    gradient = rng.normal(0.2, 1, (3, 2, 6, 5, 7)).astype(np.float32)
    for name, literal in LITERALS.items():
        method = CAM_METHODS[name]
        weighted = method.weighted(Readings(tf.constant(features), tf.constant(gradient)))
        found = REDUCTIONS[method.reduction](weighted).numpy()
        for i, t in np.ndindex(3, 2):
            wanted = literal(np.float64(features[i, 0]), np.float64(gradient[i, t]))
            np.testing.assert_allclose(
                found[i, t], wanted, atol=1e-5 * max(wanted.max(), 1e-3), err_msg=name
            )


def test_eigencam_is_not_blank_where_a_layer_without_rectifier_is_negative(tf):
    from kvis_cli.engines.cam.reduction import contribution_component, response_component

    # One response, strongest at the second position, and negative in every channel.
    strength = np.array([1, 4, 2, 1], np.float32).reshape(1, 1, 2, 2, 1)
    features = tf.constant(-strength * np.array([0.6, 0.8], np.float32))
    np.testing.assert_allclose(response_component(features), strength[..., 0], rtol=1e-5)
    # As contributions to a score these are evidence against it.
    np.testing.assert_array_equal(contribution_component(features), np.zeros((1, 1, 2, 2)))


@literal_of("finercam")
def test_finer_cam_subtracts_the_three_nearest_scores(tf, lib, net, batch):
    found = engine_of(lib, net, methods=["finercam"])(batch, *classes([3], len(batch)))
    parts = [independent(tf, net, "second", batch, c) for c in range(5)]
    logits = parts[0][2]
    for i in range(len(batch)):
        others = sorted(
            (c for c in range(5) if c != 3), key=lambda c: abs(logits[i, c] - logits[i, 3])
        )
        gradient = parts[3][1][i] - 0.6 * sum(parts[c][1][i] for c in others[:3]) / 3
        wanted = LITERALS["gradcam"](parts[3][0][i], gradient)
        np.testing.assert_allclose(found.maps["second", "finercam"][i, 0], wanted, atol=1e-5)


def shifted(net, constant):
    """The net with a constant added to all logits, which changes no probability."""
    import keras

    twin = keras.models.clone_model(net)
    twin.set_weights(net.get_weights())
    twin.layers[-1].bias.assign_add([constant] * 5)
    return twin


@pytest.mark.parametrize("constant", [-5.0, 5.0])
@pytest.mark.parametrize("group", [[3], [1, 4], [0, 2, 4]])
def test_a_constant_in_all_logits_changes_no_map(lib, net, batch, group, constant):
    methods = (*LITERALS, "finercam")
    weights = np.zeros((len(batch), 1, 5), np.float32)
    weights[..., group] = 1
    target = weights, np.full((len(batch), 1), -1, np.int32)
    plain = engine_of(lib, net, methods=methods)(batch, *target).maps
    moved = engine_of(lib, shifted(net, constant), methods=methods)(batch, *target).maps
    for key, value in plain.items():
        scale = (1e-2 if key[1] == "gradcam++norm" else 1e-4) * value.max()
        np.testing.assert_allclose(moved[key], value, atol=scale, err_msg=str(key))


def test_finer_cam_of_a_group_compares_its_mean(tf, lib, net, batch):
    weights = np.zeros((len(batch), 1, 5), np.float32)
    weights[..., [1, 4]] = 1
    target = weights, np.full((len(batch), 1), -1, np.int32)
    found = engine_of(lib, net, methods=["finercam"])(batch, *target)
    parts = [independent(tf, net, "second", batch, c) for c in range(5)]
    logits = parts[0][2]
    for i in range(len(batch)):
        mean = (logits[i, 1] + logits[i, 4]) / 2
        others = sorted((0, 2, 3), key=lambda c: abs(logits[i, c] - mean))
        share = sum(parts[c][1][i] for c in others) / 3
        gradient = parts[1][1][i] + parts[4][1][i] - 2 * 0.6 * share
        wanted = LITERALS["gradcam"](parts[1][0][i], gradient)
        np.testing.assert_allclose(found.maps["second", "finercam"][i, 0], wanted, atol=1e-5)


def test_several_layers_in_one_pass_equal_each_alone(lib, net, batch):
    target = classes([0, 2], len(batch))
    both = engine_of(lib, net, ["first", "second"], ("gradcam", "layercam"))(batch, *target)
    for layer in ("first", "second"):
        alone = engine_of(lib, net, [layer], ("gradcam", "layercam"))(batch, *target)
        for name in ("gradcam", "layercam"):
            np.testing.assert_allclose(
                both.maps[layer, name], alone.maps[layer, name], atol=1e-6, rtol=1e-5
            )


def test_all_negative_gradients_give_a_map_of_zeros_and_a_warning(tf, lib):
    from kvis_cli.tasks.base import map_warnings

    features = np.random.default_rng(0).random((1, 1, 7, 7, 2)).astype(np.float32)
    gradient = np.broadcast_to(np.float32([-0.1, -1.0]), features.shape)
    from kvis_cli.engines.cam.reduction import channel_sum
    from kvis_cli.engines.cam.registry import CAM_METHODS

    for name in ("gradcam", "gradcam++", "xgradcam", "hirescam", "layercam", "elementwise"):
        weighted = CAM_METHODS[name].weighted(
            lib.Readings(tf.constant(features), tf.constant(gradient))
        )
        raw = channel_sum(weighted).numpy()[0, 0]
        assert not raw.any(), name
        assert map_warnings(raw) == ("all values are zero",)


@pytest.mark.parametrize("cell", [(0, 0), (1, 5), (3, 3), (6, 2)])
def test_a_single_hot_cell_is_drawn_where_it_is(cell):
    from kvis_cli.render.overlay import Style, heatmap_view
    from kvis_cli.render.resize import resize_map
    from kvis_cli.render.scale import scale_map

    raw = np.zeros((7, 7), np.float32)
    raw[cell] = 3.0
    enlarged = resize_map(scale_map(raw).values, (224, 224))
    centre = (np.array(cell) + 0.5) * 32
    rows, columns = np.nonzero(enlarged == enlarged.max())
    peak = np.array([rows.mean() + 0.5, columns.mean() + 0.5])
    if min(cell) > 0 and max(cell) < 6:
        assert np.abs(peak - centre).max() <= 0.5
    else:  # The border is repeated outwards, so the plateau reaches to the edge.
        assert enlarged[int(centre[0]), int(centre[1])] > 0.96
    far = np.ones((7, 7), bool)
    far[max(cell[0] - 1, 0) : cell[0] + 2, max(cell[1] - 1, 0) : cell[1] + 2] = False
    outside = np.kron(far, np.ones((32, 32), bool))
    assert not enlarged[outside].any()
    picture = heatmap_view(np.zeros((224, 224, 3), np.uint8), raw, Style())
    zero = heatmap_view(np.zeros((1, 1, 3), np.uint8), np.zeros((1, 1), np.float32), Style())
    assert (picture[outside] == zero[0, 0]).all()


def test_the_model_is_left_as_it_was_found(lib, net, batch):
    before = {layer.name: set(vars(layer)) for layer in net.layers}
    weights = [np.array(w) for w in net.weights]
    predicted = net.predict(batch, verbose=0)
    found = engine_of(lib, net, ["first", "second"], tuple(LITERALS))(batch, *classes([1], 4))
    np.testing.assert_allclose(found.outputs, predicted, atol=1e-6)
    assert {layer.name: set(vars(layer)) for layer in net.layers} == before
    assert all(np.array_equal(a, w) for a, w in zip(weights, net.weights, strict=True))
    np.testing.assert_array_equal(net.predict(batch, verbose=0), predicted)


def test_a_batch_is_its_single_runs_in_any_order(lib, net, batch):
    methods = (*LITERALS, "finercam")
    engine = engine_of(lib, net, methods=methods)
    together = engine(batch, *classes([0, 4], 4)).maps
    turned = engine(batch[::-1], *classes([0, 4], 4)).maps
    for i in range(4):
        alone = engine(batch[i : i + 1], *classes([0, 4], 1)).maps
        for key, value in alone.items():
            # Where its coefficients add up to next to nothing, this one enlarges rounding.
            scale = (1e-2 if key[1] == "gradcam++norm" else 1e-5) * together[key].max()
            np.testing.assert_allclose(together[key][i], value[0], atol=scale, err_msg=str(key))
            np.testing.assert_allclose(turned[key][3 - i], value[0], atol=scale, err_msg=str(key))


def test_classes_are_arguments_and_cost_no_trace(lib, net, batch):
    engine = engine_of(lib, net)
    for index in range(5):
        engine(batch, *classes([index], 4))
    ranked = np.zeros((4, 1), np.int32)
    engine(batch, np.zeros((4, 1, 5), np.float32), ranked)
    assert engine.traces == 1


def test_a_rank_is_the_class_of_that_rank(lib, net, batch):
    engine = engine_of(lib, net)
    ranks = np.array([[0, 1]] * 4, np.int32)
    found = engine(batch, np.zeros((4, 2, 5), np.float32), ranks)
    order = np.argsort(-net.predict(batch, verbose=0), axis=1)
    assert (found.weights.argmax(-1) == order[:, :2]).all()
    for i in range(4):
        fixed = engine(batch, *classes(order[i, :2], 4))
        np.testing.assert_allclose(
            found.maps["second", "gradcam"][i], fixed.maps["second", "gradcam"][i]
        )


def test_contrast_is_the_difference_of_the_gradients(tf, lib, net, batch):
    weights, ranks = classes([3], 4)
    weights[:, 0, 1] = -1
    found = engine_of(lib, net)(batch, weights, ranks)
    features, plus, logits = independent(tf, net, "second", batch, 3)
    minus = independent(tf, net, "second", batch, 1)[1]
    np.testing.assert_allclose(found.scores[:, 0], logits[:, 3] - logits[:, 1], atol=1e-5)
    for i in range(4):
        wanted = LITERALS["gradcam"](features[i], plus[i] - minus[i])
        np.testing.assert_allclose(found.maps["second", "gradcam"][i, 0], wanted, atol=1e-5)


def test_decrease_turns_the_gradient_and_keeps_the_score(tf, lib, net, batch):
    found = engine_of(lib, net, methods=["gradcam", "layercam"], direction="decrease")(
        batch, *classes([3], 4)
    )
    features, gradient, logits = independent(tf, net, "second", batch, 3)
    np.testing.assert_allclose(found.scores[:, 0], logits[:, 3], atol=1e-5)
    for name in ("gradcam", "layercam"):
        for i in range(4):
            wanted = LITERALS[name](features[i], -gradient[i])
            np.testing.assert_allclose(found.maps["second", name][i, 0], wanted, atol=1e-5)


def test_maintain_weighs_channels_by_the_inverse_of_their_mean_gradient(tf, lib, net, batch):
    found = engine_of(lib, net, direction="maintain")(batch, *classes([3, 1], 4))
    for t, target in enumerate((3, 1)):
        features, gradient, _ = independent(tf, net, "second", batch, target)
        for i in range(4):
            size = np.abs(gradient[i].mean((0, 1)))
            # Nine channels: five per cent of them is none, so the smallest is the floor.
            wanted = relu(combine(1 / size, features[i]))
            got = found.maps["second", "gradcam"][i, t]
            np.testing.assert_allclose(got, wanted, rtol=1e-3)


@pytest.mark.parametrize("size", [1e-20, 1e15, 1e30])
def test_maps_are_finite_for_scores_of_any_size(tf, lib, size):
    from kvis_cli.engines.cam.reduction import REDUCTIONS
    from kvis_cli.engines.cam.registry import CAM_METHODS

    rng = np.random.default_rng(4)
    features = tf.constant(relu(rng.normal(0, 1, (1, 1, 7, 7, 12))).astype(np.float32))
    gradient = tf.constant((rng.normal(0, 1, (1, 1, 7, 7, 12)) * size).astype(np.float32))
    for name, method in CAM_METHODS.items():
        if method.weighted is not None:
            raw = REDUCTIONS[method.reduction](method.weighted(lib.Readings(features, gradient)))
            assert np.isfinite(raw.numpy()).all(), name
            assert raw.numpy().any(), name


@pytest.fixture(scope="module")
def pooled(tf):
    """Global average pooling and one Dense layer."""
    import keras

    keras.utils.set_random_seed(5)
    return keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            keras.layers.Conv2D(8, 3, activation="relu", name="maps"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(4, bias_initializer="random_normal", name="classes"),
        ]
    )


@literal_of("cam")
def test_behind_average_pooling_the_theory_holds(lib, pooled, batch):
    inputs = batch[:, :16, :16]
    found = engine_of(lib, pooled, ["maps"], ("gradcam", "hirescam", "xgradcam", "cam"))(
        inputs, *classes([2], 4, 4)
    )
    maps = {name: found.maps["maps", name][:, 0] for _, name in found.maps}
    for name in ("hirescam", "xgradcam"):
        np.testing.assert_allclose(maps[name], maps["gradcam"], atol=1e-6)
    bias = float(np.array(pooled.get_layer("classes").bias)[2])
    kernel = np.array(pooled.get_layer("classes").kernel)[:, 2]
    # The class map's mean and the bias are the logit.
    np.testing.assert_allclose(maps["cam"].mean((1, 2)) + bias, found.scores[:, 0], atol=1e-5)
    features = np.array(pooled.get_layer("maps")(inputs))
    for i in range(4):
        np.testing.assert_allclose(maps["cam"][i], combine(kernel, features[i]), atol=1e-5)


def test_xgradcam_conserves_the_score_of_a_head_without_bias(lib, tf, batch):
    import keras

    keras.utils.set_random_seed(6)
    model = keras.Sequential(
        [
            keras.Input((20, 18, 3)),
            keras.layers.Conv2D(8, 3, activation="relu", name="maps"),
            keras.layers.Flatten(),
            keras.layers.Dense(6, activation="relu", use_bias=False),
            keras.layers.Dense(3, use_bias=False),
        ]
    )
    from kvis_cli.engines.cam.registry import CAM_METHODS

    engine = engine_of(lib, model, ["maps"])

    @tf.function(autograph=False)
    def unrectified(x, w, r):
        features, scored, gradients, _ = engine._gradients(x, w, r)
        weighted = CAM_METHODS["xgradcam"].weighted(lib.Readings(features[0], gradients[0]))
        return tf.reduce_sum(weighted, axis=[2, 3, 4]), scored.scores

    weights, ranks = classes([0, 1, 2], 4, 3)
    total, scores = unrectified(tf.constant(batch), tf.constant(weights), tf.constant(ranks))
    np.testing.assert_allclose(total, scores, rtol=1e-4, atol=1e-5)


def test_noise_averages_the_powers_of_the_gradient(tf, lib, net, batch):
    settings = {"noise_samples": 3, "noise": 0.2, "seed": 9}
    target = classes([3], 4)
    found = engine_of(lib, net, methods=["gradcam", "gradcam++"], **settings)(batch, *target)
    features = independent(tf, net, "second", batch, 3)[0]
    deviation = 0.2 * (batch.max((1, 2, 3)) - batch.min((1, 2, 3)))[:, None, None, None]
    samples = []
    for number in range(3):
        noise = tf.random.stateless_normal(batch.shape[1:], [9, number]).numpy()
        samples.append(independent(tf, net, "second", batch + deviation * noise, 3)[1])
    first = np.mean(samples, 0)
    second = np.mean([g**2 for g in samples], 0)
    third = np.mean([g**3 for g in samples], 0)
    for i in range(4):
        wanted = LITERALS["gradcam"](features[i], first[i])
        np.testing.assert_allclose(found.maps["second", "gradcam"][i, 0], wanted, atol=1e-5)
        below = 2 * second[i] + features[i].sum((0, 1)) * third[i]
        alpha = second[i] / np.where(below == 0, 1, below)
        wanted = relu(combine((alpha * relu(first[i])).sum((0, 1)), features[i]))
        np.testing.assert_allclose(
            found.maps["second", "gradcam++"][i, 0], wanted, atol=1e-4 * wanted.max()
        )


def test_eigen_smooth_takes_the_first_component_of_the_weighted_maps(tf, lib, net, batch):
    found = engine_of(lib, net, methods=["layercam"], eigen_smooth=True)(batch, *classes([3], 4))
    features, gradient, _ = independent(tf, net, "second", batch, 3)
    for i in range(4):
        wanted = eigen_of_contributions(relu(gradient[i]) * features[i])
        np.testing.assert_allclose(
            found.maps["second", "layercam"][i, 0], wanted, atol=1e-5 * wanted.max(), rtol=1e-3
        )


def test_a_filter_is_a_target(tf, lib, net, batch):
    import keras

    objective = {"filter_layer": lib.Tap("third")}
    found = engine_of(lib, net, objective=objective)(batch, *classes([4], 4, 7))
    both = keras.Model(net.inputs, [net.get_layer("second").output, net.get_layer("third").output])

    @tf.function(autograph=False)
    def read(x):
        features, maps = both(x)
        score = tf.reduce_mean(maps[..., 4], axis=[1, 2])
        return features, tf.gradients(score, features)[0], score

    features, gradient, score = (t.numpy() for t in read(tf.constant(batch)))
    np.testing.assert_allclose(found.scores[:, 0], score, atol=1e-6)
    for i in range(4):
        wanted = LITERALS["gradcam"](features[i], gradient[i])
        np.testing.assert_allclose(found.maps["second", "gradcam"][i, 0], wanted, atol=1e-6)


def test_where_a_filter_fires_is_its_own_map(lib, net, batch):
    objective = {"filter_layer": lib.Tap("second")}
    found = engine_of(lib, net, objective=objective)(batch, *classes([2], 4, 9))
    import keras

    maps = keras.Model(net.inputs, net.get_layer("second").output).predict(batch, verbose=0)
    area = maps.shape[1] * maps.shape[2]
    np.testing.assert_allclose(
        found.maps["second", "gradcam"][:, 0], maps[..., 2] / area, atol=1e-7
    )


@pytest.fixture(scope="module")
def segmenter(tf):
    import keras

    keras.utils.set_random_seed(8)
    return keras.Sequential(
        [
            keras.Input((12, 12, 3)),
            keras.layers.Conv2D(5, 3, padding="same", activation="relu", name="maps"),
            keras.layers.Conv2D(3, 1, activation="softmax", name="pixels"),
        ]
    )


@pytest.mark.parametrize("region", ["predicted", "box", None])
def test_regions_of_a_segmentation(tf, lib, segmenter, batch, region):
    inputs = batch[:, :12, :12]
    output = segmenter.predict(inputs, verbose=0)
    box = np.zeros((12, 12), np.float32)
    box[2:5, 3:9] = 1
    chosen = {
        "predicted": (output.argmax(-1) == 1).astype(np.float32),
        "box": np.broadcast_to(box, (4, 12, 12)),
        None: np.ones((4, 12, 12), np.float32),
    }[region]
    chosen = chosen / chosen.sum((1, 2), keepdims=True)
    objective = {"region": box if region == "box" else region}
    found = engine_of(lib, segmenter, ["maps"], objective=objective)(inputs, *classes([1], 4, 3))
    features = np.array(segmenter.get_layer("maps")(inputs), np.float64)
    kernel = np.array(segmenter.get_layer("pixels").kernel)[0, 0, :, 1]
    bias = float(np.array(segmenter.get_layer("pixels").bias)[1])
    logits = features @ kernel + bias
    np.testing.assert_allclose(found.scores[:, 0], (logits * chosen).sum((1, 2)), rtol=1e-4)
    for i in range(4):
        gradient = chosen[i][..., None] * kernel
        wanted = LITERALS["gradcam"](features[i], gradient)
        np.testing.assert_allclose(found.maps["maps", "gradcam"][i, 0], wanted, atol=1e-4)


def test_the_predicted_region_of_one_sigmoid_has_two_sides(tf, lib, batch):
    import keras

    keras.utils.set_random_seed(9)
    model = keras.Sequential(
        [
            keras.Input((12, 12, 3)),
            keras.layers.Conv2D(5, 3, padding="same", activation="relu", name="maps"),
            keras.layers.Conv2D(1, 1, activation="sigmoid", name="pixels"),
        ]
    )
    inputs = batch[:, :12, :12]
    said = model.predict(inputs, verbose=0)[..., 0] > 0.5
    assert said.any() and not said.all()
    weights = np.float32([[[1.0], [-1.0]]] * 4)
    engine = engine_of(lib, model, ["maps"], objective={"region": "predicted"})
    found = engine(inputs, weights, np.full((4, 2), -1, np.int32))
    features = np.array(model.get_layer("maps")(inputs), np.float64)
    kernel = np.array(model.get_layer("pixels").kernel)[0, 0, :, 0]
    logits = features @ kernel + float(np.array(model.get_layer("pixels").bias)[0])
    for t, (sign, region) in enumerate(((1, said), (-1, ~said))):
        region = region / region.sum((1, 2), keepdims=True)
        np.testing.assert_allclose(
            found.scores[:, t], (sign * logits * region).sum((1, 2)), rtol=1e-4
        )
        for i in range(4):
            wanted = LITERALS["gradcam"](features[i], sign * region[i][..., None] * kernel)
            np.testing.assert_allclose(found.maps["maps", "gradcam"][i, t], wanted, atol=1e-4)


def test_channels_first_models_give_the_maps_of_their_channels_last_twins(tf, lib):
    import keras

    from kvis_cli.engines.cam.ablationcam import AblationCam
    from kvis_cli.engines.cam.fullgrad import FullGrad
    from kvis_cli.engines.cam.guided_gradcam import GuidedGradCam
    from kvis_cli.engines.cam.scorecam import ScoreCam

    def build(order):
        first = order == "channels_first"
        inputs = keras.Input((3, 14, 12) if first else (14, 12, 3))
        x = keras.layers.Conv2D(4, 3, activation="relu", data_format=order)(inputs)
        x = keras.layers.MaxPooling2D(data_format=order)(x)
        x = keras.layers.Conv2D(5, 3, activation="relu", data_format=order, name="maps")(x)
        x = keras.layers.GlobalAveragePooling2D(data_format=order)(x)
        return keras.Model(inputs, keras.layers.Dense(4, activation="softmax")(x))

    keras.utils.set_random_seed(3)
    last, first = build("channels_last"), build("channels_first")
    first.set_weights(last.get_weights())
    x = np.random.default_rng(1).normal(0, 1, (2, 14, 12, 3)).astype(np.float32)
    turned = np.moveaxis(x, -1, 1)
    try:
        predicted = np.asarray(first(turned))
    except (tf.errors.UnimplementedError, tf.errors.InvalidArgumentError) as error:
        pytest.skip(f"no channels_first convolution on this machine: {error}")
    np.testing.assert_allclose(predicted, last(x), atol=1e-6)
    shared = (*LITERALS, "finercam", "cam")
    for make in (None, ScoreCam, AblationCam, FullGrad, GuidedGradCam):
        found = []
        for model, given in ((last, x), (first, turned)):
            is_first = model is first
            settings = lib.CamSettings(lib.Objective(), channel_axis=1 if is_first else -1)
            layers = [lib.CamLayer(lib.Tap("maps"), is_first)]
            reader = lib.ModelReader(model)
            engine = (
                make(reader, layers, settings)
                if make
                else lib.CamEngine(reader, layers, shared, settings)
            )
            found.append(engine(given, *classes([0, 1, 2, 3], 2, 4)))
        assert found[0].maps.keys() == found[1].maps.keys()
        for key, value in found[0].maps.items():
            assert np.abs(value).max() > 0
            np.testing.assert_allclose(
                found[1].maps[key], value, atol=1e-5 * np.abs(value).max(), err_msg=str(key)
            )


@pytest.mark.parametrize("rank", [1, 3])
def test_sequences_and_volumes(tf, lib, rank):
    model = network_of_rank(rank)
    x = np.random.default_rng(1).normal(0, 1, (2, *model.input_shape[1:])).astype(np.float32)
    found = engine_of(lib, model, ["maps"], ("gradcam", "eigencam"))(x, *classes([1], 2, 3))
    features = np.array(model.get_layer("maps")(x))
    kernel = np.array(model.layers[-1].kernel)[:, 1]
    wanted = relu(features @ kernel / 6**rank)
    np.testing.assert_allclose(found.maps["maps", "gradcam"][:, 0], wanted, atol=1e-6)
    assert found.maps["maps", "eigencam"].shape == (2, 1, *(6,) * rank)


def test_a_map_of_one_position_and_a_vector_are_refused(lib, tf):
    import keras

    from kvis_cli.errors import UsageError

    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(4, 8, name="point"),
            keras.layers.Flatten(name="flat"),
            keras.layers.Dense(3),
        ]
    )
    x = np.zeros((1, 8, 8, 3), np.float32)
    for layer, said in (("point", "1×1"), ("flat", "no feature maps")):
        with pytest.raises(UsageError, match=said):
            engine_of(lib, model, [layer])(x, *classes([0], 1, 3))


def test_a_layer_without_influence_is_refused(lib, tf):
    import keras

    from kvis_cli.errors import UsageError

    inputs = keras.Input((8, 8, 3))
    a = keras.layers.Conv2D(4, 3, name="a")(inputs)
    b = keras.layers.Conv2D(4, 3, name="b")(inputs)
    outputs = [
        keras.layers.Dense(2, name=f"out_{i}")(keras.layers.GlobalAveragePooling2D()(x))
        for i, x in enumerate((a, b))
    ]
    model = keras.Model(inputs, outputs)
    x = np.ones((1, 8, 8, 3), np.float32)
    with pytest.raises(UsageError, match="does not depend on layer 'b'"):
        engine_of(lib, model, ["b"])(x, *classes([0], 1, 2))
    engine_of(lib, model, ["b"], objective={"output": 1})(x, *classes([0], 1, 2))


def test_nested_and_flat_twins_agree(lib, tf, net, batch):
    import keras

    inner = keras.Model(net.inputs, net.get_layer("third").output, name="base")
    inputs = keras.Input((20, 18, 3))
    x = inner(inputs)
    for layer in net.layers[-3:]:
        x = layer(x)
    nested = keras.Model(inputs, x)
    flat_maps = engine_of(lib, net, ["second"], tuple(LITERALS))(batch, *classes([2], 4)).maps
    nested_maps = engine_of(lib, nested, ["base/second"], tuple(LITERALS))(
        batch, *classes([2], 4)
    ).maps
    for name in LITERALS:
        np.testing.assert_allclose(
            nested_maps["base/second", name], flat_maps["second", name], atol=1e-6
        )


def test_h5_and_keras_files_give_the_same_maps(lib, tf, net, batch, tmp_path):
    import keras

    maps = []
    for name in ("net.keras", "net.h5"):
        net.save(tmp_path / name)
        model = keras.models.load_model(tmp_path / name, compile=False)
        maps.append(engine_of(lib, model)(batch, *classes([2], 4)).maps["second", "gradcam"])
    np.testing.assert_array_equal(*maps)


def test_settings_are_frozen(tf):
    """Compiled engines are kept under them."""
    from dataclasses import FrozenInstanceError

    from kvis_cli.engines.cam.settings import CamSettings

    with pytest.raises(FrozenInstanceError):
        CamSettings().noise = 0.5
