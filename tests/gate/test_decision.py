"""What decides, against literal sums of fractions and a worked example."""

import math
import random
from fractions import Fraction

import pytest

from kvis_cli.gate.decision import Tally, Verdict, binomial_tail, decide, holm


def literal_tail(passed, images, wanted):
    # As precise as a float needs, and not of 53 binary digits to the power of n.
    w = Fraction(wanted).limit_denominator(10**6)
    return sum(math.comb(images, i) * w**i * (1 - w) ** (images - i) for i in range(passed + 1))


@pytest.mark.parametrize("images", [1, 3, 20, 57, 300])
@pytest.mark.parametrize("wanted", [0.95, 0.5, 0.123, 0.999])
def test_tail_is_the_sum_of_the_terms(images, wanted):
    for passed in {0, images // 3, images // 2, images - 2, images - 1, images} - {-1}:
        expected = float(literal_tail(passed, images, wanted))
        assert binomial_tail(passed, images, wanted) == pytest.approx(expected, rel=1e-9)


def test_tail_at_its_ends():
    assert binomial_tail(19, 20, 0.95) == pytest.approx(1 - 0.95**20)
    assert binomial_tail(20, 20, 1.0) == 1
    assert binomial_tail(19, 20, 1.0) == 0
    assert binomial_tail(0, 5, 0.0) == 1
    assert 0.4 < binomial_tail(95_000, 100_000, 0.95) < 0.6


def test_holm_of_a_worked_example():
    # 0.01·4, 0.02·3, 0.03·2 raised to what came before, 0.04·1 likewise.
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.5, 0.4, 0.3]) == pytest.approx([0.9, 0.9, 0.9])
    assert holm([0.01]) == [0.01]
    assert holm([]) == []
    assert holm([0.6, 0.7]) == [1.0, 1.0]


def test_holm_is_the_step_down_procedure():
    """Reject the smallest while it is at most alpha / (how many are left)."""
    rng = random.Random(1)
    for _ in range(200):
        values = [rng.random() ** 3 for _ in range(rng.randint(1, 8))]
        alpha, rejected = 0.05, set()
        for rank, index in enumerate(sorted(range(len(values)), key=values.__getitem__)):
            if values[index] > alpha / (len(values) - rank):
                break
            rejected.add(index)
        assert {i for i, p in enumerate(holm(values)) if p <= alpha} == rejected


def test_verdicts():
    decisions = decide([Tally(19, 20, 0.95), Tally(10, 20, 0.95), Tally(3, 3, 0.95)])
    assert [d.verdict for d in decisions] == [Verdict.PASSED, Verdict.FAILED, Verdict.TOO_FEW]
    assert str(decide([Tally(19, 20, 0.95)])[0]) == "19 of 20 pass, 95 % wanted: passes (p = .64)"
    assert "too few images: 3 cannot show 95 %" in str(decisions[2])
    assert "fails (p < .001" in str(decisions[1])
    # What is nowhere near fails with three images, too.
    assert decide([Tally(0, 3, 0.95)])[0].verdict is Verdict.FAILED
    assert decide([Tally(0, 0, 0.95)])[0].verdict is Verdict.NOT_EVALUATED
    assert Tally(19, 19, 0.95).too_few and not Tally(20, 20, 0.95).too_few


def test_every_single_one_is_a_share_of_one():
    assert decide([Tally(2, 2, 1.0)])[0].verdict is Verdict.PASSED
    assert decide([Tally(999, 1000, 1.0)])[0].verdict is Verdict.FAILED


def test_checks_correct_each_other_and_empty_ones_do_not():
    doubtful = Tally(16, 20, 0.95)
    alone = decide([doubtful])[0]
    assert alone.p_value == pytest.approx(0.0159, abs=1e-4)
    assert alone.verdict is Verdict.FAILED
    good, empty = Tally(20, 20, 0.95), Tally(0, 0, 0.95)
    among = decide([doubtful, *[good] * 3])
    assert among[0].corrected == pytest.approx(4 * alone.p_value)
    assert among[0].verdict is Verdict.PASSED
    assert decide([doubtful, *[empty] * 9])[0] == alone
    assert decide([doubtful], alpha=0.01)[0].verdict is Verdict.PASSED


def test_a_good_model_fails_as_often_as_alpha_says():
    """40 classes of 25 images, each image passing with exactly the wanted probability."""
    rng, failed, runs = random.Random(7), 0, 400
    for _ in range(runs):
        tallies = [Tally(sum(rng.random() < 0.9 for _ in range(25)), 25, 0.9) for _ in range(40)]
        failed += any(d.verdict is Verdict.FAILED for d in decide(tallies))
    assert failed / runs <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)


@pytest.mark.parametrize("wrong", [(3, 2, 0.9), (1, 2, 0.0), (1, 2, 1.1), (-1, 2, 0.5)])
def test_what_is_no_tally(wrong):
    with pytest.raises(ValueError, match="no tally"):
        Tally(*wrong)
    with pytest.raises(ValueError, match="alpha"):
        decide([], alpha=1)
