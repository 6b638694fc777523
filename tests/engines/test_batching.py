"""Batches are equal and no larger than asked; pieces of a path cover it once."""

from __future__ import annotations

import numpy as np
import pytest

from kvis_cli.engines.batching import in_batches
from kvis_cli.engines.saliency.batch import chunks


@pytest.mark.parametrize(
    ("count", "limit", "sizes"),
    [(10, 4, [4, 4, 2]), (9, 4, [3, 3, 3]), (7, 32, [7]), (5, 1, [1] * 5), (8, 3, [3, 3, 2])],
)
def test_batches(count, limit, sizes):
    seen = []

    def compute(rows, filled):
        seen.append(list(rows))
        assert filled == sizes[0]
        return [row * 10 for row in rows]

    done = in_batches(count, limit, compute)
    assert [len(rows) for rows in seen] == sizes
    assert [row for rows in seen for row in rows] == list(range(count))
    assert [value for part in done for value in part] == [row * 10 for row in range(count)]


@pytest.mark.parametrize(
    ("total", "batch", "limit"), [(64, 1, 16), (50, 3, 16), (5, 8, 4), (7, 2, 4)]
)
def test_pieces_of_a_path(total, batch, limit):
    pieces = list(chunks(total, batch, limit))
    allowed = max(1, limit // batch)
    assert {len(index) for index, _ in pieces} == {len(pieces[0][0])}
    assert len(pieces[0][0]) <= allowed
    assert len(pieces) == int(np.ceil(total / allowed))
    counted = np.zeros(total)
    for index, counts in pieces:
        np.add.at(counted, index, counts)
    np.testing.assert_array_equal(counted, 1)
