"""Photos whose class is known."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from kvis_cli.errors import KvisError, UsageError
from kvis_cli.explain.truth import Tried, _by_chance, clearly_better, indices_of, read_truth
from kvis_cli.models.description.labels import Labels
from kvis_cli.models.description.preprocessing import PRESETS
from kvis_cli.models.description.targets import Head, class_index


def test_folders_and_tables(tmp_path):
    files = [tmp_path / "cat" / "1.png", tmp_path / "dog" / "1.png", tmp_path / "dog" / "2.png"]
    assert list(read_truth("folders", files).values()) == ["cat", "dog", "dog"]
    table = tmp_path / "t.csv"
    # A file name that two rows have says nothing; a path does.
    table.write_text("id,split,label\ncat/1.png,a,Cat\ndog/1.png,a,Dog\n2.png,a,Dog\n")
    assert read_truth(str(table), files) == dict(zip(files, ["Cat", "Dog", "Dog"], strict=True))
    table.write_text("name,what\nelsewhere/1.png,Cat\nother/1.png,Dog\n2.png,Dog\n")
    assert read_truth(str(table), files) == {files[2]: "Dog"}
    table.write_text("image\n1.png\n")
    with pytest.raises(KvisError, match="one column"):
        read_truth(str(table), files)


def test_names_without_labels_are_taken_in_order():
    truth = {Path("a"): "dog", Path("b"): "cat", Path("c"): "ape"}
    found, note = indices_of(truth, Head(3, Labels()))
    assert found == {Path("a"): 2, Path("b"): 1, Path("c"): 0} and "alphabetical" in note
    with pytest.raises(UsageError, match="names 3 classes, and the model has 4"):
        indices_of(truth, Head(4, Labels()))
    numbers, note = indices_of({Path("a"): "3"}, Head(4, Labels()))
    assert numbers == {Path("a"): 3} and not note
    labels = Labels(("ape", "cat", "dog"))
    assert indices_of(truth, Head(3, labels))[0][Path("a")] == 2


def test_one_sigmoid_unit_has_two_classes():
    head = Head(1, Labels(("no", "yes")), binary=True)
    assert [class_index(text, head) for text in ("no", "yes", "0", "1")] == [0, 1, 0, 1]
    output = np.array([[0.2], [0.9]])
    np.testing.assert_allclose(head.values(output), [[0.8, 0.2], [0.1, 0.9]])


@pytest.mark.parametrize(("better", "worse"), [(5, 0), (7, 2), (3, 3), (0, 4), (0, 0)])
def test_the_sign_test_is_the_sum_of_its_coins(better, worse):
    right = np.array([True] * better + [False] * worse + [True, False])
    used = np.array([False] * better + [True] * worse + [True, False])
    n = better + worse
    heads = sum(1 for coins in range(2**n) if bin(coins).count("1") >= better)
    assert _by_chance(right, used) == pytest.approx(heads / 2**n)


def test_a_lead_by_chance_is_no_lead():
    used = PRESETS["unit"]
    ways = [PRESETS[name] for name in ("signed", "none", "caffe", "torch", "standardize")]

    def tried(lead):
        p = math.pow(2, -lead)
        return [Tried(ways[0], lead, 20, p), Tried(used, 0, 20)] + [
            Tried(way, 0, 20) for way in ways[1:]
        ]

    # Five ways were tried beside the one that is used: 1 in 100, not 1 in 20.
    assert clearly_better(tried(6), used) is None
    assert clearly_better(tried(7), used).preprocessing == ways[0]
    assert clearly_better([Tried(used, 9, 20), Tried(ways[0], 9, 20)], used) is None
