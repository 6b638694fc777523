"""What --class and --contrast mean."""

import numpy as np
import pytest

from kvis_cli.errors import UnknownNameError, UsageError
from kvis_cli.models.description.labels import Labels
from kvis_cli.models.description.targets import Head, Request, encode, parse_classes

HEAD = Head(4, Labels(("tabby cat", "bear", "salt+pepper", "Bear_cub"), "test"))
BINARY = Head(1, Labels(("no person", "person"), "test"), binary=True)
REGRESSION = Head(1, Labels())


def unit(index, weight=1.0):
    return Request(((index, weight),))


@pytest.mark.parametrize(
    ("texts", "wanted"),
    [
        (["2"], [unit(2)]),
        (["bear"], [unit(1)]),
        (["TABBY_CAT"], [unit(0)]),
        (["bear cub"], [unit(3)]),
        (["top1"], [Request(rank=0)]),
        (["top"], [Request(rank=0)]),
        (["Top3"], [Request(rank=0), Request(rank=1), Request(rank=2)]),
        (["1+3"], [Request(((1, 1.0), (3, 1.0)))]),
        (["bear + tabby cat"], [Request(((1, 1.0), (0, 1.0)))]),
        (["2+2"], [unit(2, 2.0)]),
        (["salt+pepper"], [unit(2)]),
        (["2", "salt+pepper", "top1", "top2"], [unit(2), Request(rank=0), Request(rank=1)]),
    ],
)
def test_classes(texts, wanted):
    assert parse_classes(texts, HEAD) == wanted


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("4", "Class 4 is not among the model's 4 outputs"),
        ("-1", "Class -1"),
        ("top0", "asks for 0 classes"),
        ("top5", "asks for 5 classes"),
        ("1+9", "Class 9"),
    ],
)
def test_classes_beyond_the_outputs(text, said):
    with pytest.raises(UsageError, match=said):
        parse_classes([text], HEAD)


def test_unknown_and_ambiguous_labels():
    with pytest.raises(UnknownNameError) as caught:
        parse_classes(["baer"], HEAD)
    assert "bear" in str(caught.value) + caught.value.hint
    twice = Head(3, Labels(("crane", "bird", "crane"), "test"))
    with pytest.raises(UnknownNameError) as caught:
        parse_classes(["crane"], twice)
    assert "2 classes" in str(caught.value) and "0 or 2" in caught.value.hint
    with pytest.raises(UnknownNameError) as caught:
        parse_classes(["bear"], Head(3, Labels()))
    assert "--labels" in caught.value.hint


def test_a_label_of_another_model():
    with pytest.raises(UsageError, match="number 3"):
        parse_classes(["Bear_cub"], Head(3, HEAD.labels))


def test_one_sigmoid_is_two_classes():
    assert parse_classes(["person"], BINARY) == [unit(0)]
    assert parse_classes(["0"], BINARY) == [unit(0, -1.0)]
    assert parse_classes(["top2"], BINARY) == [Request(rank=0), Request(rank=1)]
    with pytest.raises(UsageError, match="both classes of one sigmoid"):
        parse_classes(["0+1"], BINARY)
    with pytest.raises(UsageError, match="Class 2"):
        parse_classes(["2"], BINARY)
    assert BINARY.target(((0, -1.0),)).label == "no person"
    assert BINARY.target(((0, -1.0),)).name == "0-no-person"
    assert BINARY.target(((0, 1.0),)).name == "1-person"


def test_a_regression_has_no_rank():
    assert parse_classes(["top1"], REGRESSION) == [unit(0)]
    assert parse_classes(["0"], REGRESSION) == [unit(0)]
    with pytest.raises(UsageError, match="Class 1"):
        parse_classes(["1"], REGRESSION)


def test_contrast():
    difference = Request(((1, 1.0), (3, -1.0)))
    assert parse_classes(["bear"], HEAD, ["3"]) == [difference]
    assert parse_classes(["0"], HEAD, ["bear", "Bear_cub"]) == [difference]
    assert parse_classes(["top2"], HEAD, ["3"]) == [
        Request(((3, -1.0),), 0),
        Request(((3, -1.0),), 1),
    ]
    with pytest.raises(UsageError, match="the class itself"):
        parse_classes(["3"], HEAD, ["3"])
    with pytest.raises(UsageError, match="nothing to contrast"):
        parse_classes(["0"], REGRESSION, ["0"])
    target = HEAD.target(difference.units)
    assert (target.label, target.name) == ("bear - Bear_cub", "1-3")


def test_targets_for_people_and_files():
    assert HEAD.target(((0, 1.0),)).name == "0-tabby-cat"
    both = HEAD.target(((1, 1.0), (3, 1.0)))
    assert (both.label, both.name) == ("bear + Bear_cub", "1+3")


def test_encode():
    requests = [unit(2), Request(((1, 1.0), (3, -1.0))), Request(rank=1), Request(((0, -1.0),), 0)]
    weights, ranks = encode(requests, 2, 4)
    assert weights.dtype == np.float32 and ranks.dtype == np.int32
    wanted = [[0, 0, 1, 0], [0, 1, 0, -1], [0, 0, 0, 0], [-1, 0, 0, 0]]
    np.testing.assert_array_equal(weights, [wanted, wanted])
    np.testing.assert_array_equal(ranks, [[-1, -1, 1, 0]] * 2)


@pytest.mark.parametrize("activation", [None, "softmax", "tanh"])
def test_scores_of_encoded_classes(tf, activation):
    from kvis_cli.engines.scores import score_targets

    logits = np.float32([[0.1, 2.0, -1.0, 0.5], [3.0, -2.0, 0.2, 0.1]])
    requests = [unit(2), Request(((1, 1.0), (3, -1.0))), Request(rank=1), Request(((0, -1.0),), 0)]

    @tf.function(autograph=False)
    def run(x, weights, ranks):
        output = {None: tf.identity, "softmax": tf.nn.softmax, "tanh": tf.tanh}[activation](x)
        found = score_targets(output, weights, ranks)
        return found.scores, found.weights

    scores, weights = run(tf.constant(logits), *map(tf.constant, encode(requests, 2, 4)))
    np.testing.assert_allclose(scores, [[-1.0, 1.5, 0.5, 1.9], [0.2, -2.1, 0.2, 0.0]], atol=1e-6)
    np.testing.assert_array_equal(weights[:, 2].numpy().argmax(-1), [3, 2])


def test_scores_of_one_sigmoid(tf):
    from kvis_cli.engines.scores import score_targets

    logits = np.float32([[2.0], [-3.0]])
    requests = [unit(0), unit(0, -1.0), Request(rank=0), Request(rank=1)]

    @tf.function(autograph=False)
    def run(x, weights, ranks, kind):
        return score_targets(tf.sigmoid(x), weights, ranks, kind).scores

    weights, ranks = map(tf.constant, encode(requests, 2, 1))
    scores = run(tf.constant(logits), weights, ranks, "logit")
    np.testing.assert_allclose(scores, [[2, -2, 2, -2], [-3, 3, 3, -3]], atol=1e-6)
    p = 1 / (1 + np.exp(-logits[:, 0]))
    scores = run(tf.constant(logits), weights, ranks, "probability")
    np.testing.assert_allclose(
        scores, [[p[0], 1 - p[0], p[0], 1 - p[0]], [p[1], 1 - p[1], 1 - p[1], p[1]]], atol=1e-6
    )
