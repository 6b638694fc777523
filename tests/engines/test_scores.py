"""Scores of outputs with positions: segmentation models, their regions and their two-sided ones."""

import numpy as np
import pytest


@pytest.fixture(scope="module")
def logits():
    return np.random.default_rng(8).normal(0, 2, (2, 3, 4, 3)).astype(np.float32)


def scores(tf, logits, activation, weights, kind="logit", region=None):
    from kvis_cli.engines.scores import score_targets

    weights = np.broadcast_to(np.float32(weights), (len(logits), *np.shape(weights)))

    @tf.function(autograph=False)
    def run(x):
        output = {"softmax": tf.nn.softmax, "sigmoid": tf.sigmoid}[activation](x)
        ranks = tf.fill(weights.shape[:2], -1)
        found = score_targets(output, tf.constant(weights), ranks, kind, region)
        return found.scores, found.values

    return [part.numpy() for part in run(tf.constant(logits))]


def softmax(x):
    powers = np.exp(np.float64(x) - x.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def sigmoid(x):
    return 1 / (1 + np.exp(-np.float64(x)))


@pytest.mark.parametrize("kind", ["logit", "probability", "log-probability"])
@pytest.mark.parametrize("region", [None, "drawn", "predicted"])
def test_a_class_of_a_segmentation_over_its_region(tf, logits, kind, region):
    drawn = np.random.default_rng(9).uniform(0, 1, (3, 4)).astype(np.float32)
    weights = np.eye(3)[[2, 0]]
    given = drawn if region == "drawn" else region
    found, values = scores(tf, logits, "softmax", weights, kind, given)
    p = softmax(logits)
    of = {"logit": logits, "probability": p, "log-probability": np.log(p)}[kind]
    for t, unit in enumerate((2, 0)):
        share = {None: 1 / 12, "drawn": drawn, "predicted": logits.argmax(-1) == unit}[region]
        share = np.broadcast_to(share, (2, 3, 4))[..., None]
        per_unit = (of * share).sum((1, 2)) / share.sum((1, 2))
        np.testing.assert_allclose(found[:, t], per_unit[:, unit], rtol=1e-5)
        # What other classes score over the same region.
        np.testing.assert_allclose(values[:, t % values.shape[1]], per_unit, rtol=1e-5)


@pytest.mark.parametrize("kind", ["logit", "probability", "log-probability"])
@pytest.mark.parametrize("region", [None, "predicted"])
def test_both_sides_of_a_sigmoid_per_position(tf, logits, kind, region):
    logits = logits[..., :1]
    found, _ = scores(tf, logits, "sigmoid", [[1.0], [-1.0]], kind, region)
    for t, sign in enumerate((1, -1)):
        side = sign * logits[..., 0]
        of = {"logit": side, "probability": sigmoid(side)}.get(kind, np.log(sigmoid(side)))
        share = np.broadcast_to(1 if region is None else side > 0, side.shape)
        wanted = (of * share).sum((1, 2)) / share.sum((1, 2))
        np.testing.assert_allclose(found[:, t], wanted, rtol=1e-5)


def test_the_mean_over_no_position_is_zero_and_has_no_gradient(tf):
    from kvis_cli.engines.scores import score_targets

    @tf.function(autograph=False)
    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            ones = tf.ones((1, 1, 1))
            found = score_targets(tf.sigmoid(x), ones, tf.constant([[-1]]), region="predicted")
        return found.scores, tape.gradient(found.scores, x)

    # Nowhere is the sigmoid above a half.
    score, gradient = run(tf.fill((1, 3, 4, 1), -2.0))
    assert score.numpy() == 0
    assert not gradient.numpy().any()


def test_a_region_may_be_made_for_the_size_of_the_output(tf, logits):
    asked = []

    def half(size):
        asked.append(size)
        return np.pad(np.ones((size[0], size[1] // 2), np.float32), ((0, 0), (0, size[1] // 2)))

    found, _ = scores(tf, logits, "softmax", np.eye(3)[[1]], region=half)
    assert asked == [(3, 4)]
    np.testing.assert_allclose(found[:, 0], logits[:, :, :2, 1].mean((1, 2)), rtol=1e-5)
