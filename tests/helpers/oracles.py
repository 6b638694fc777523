"""Which test is the oracle of a registered method or measure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

ORACLES: dict[str, list[str]] = {}
"""Name of a method or measure -> the tests that compare it with a literal replica."""


def literal_of(*names: str, **grid: Sequence[Any]) -> Callable[[Any], Any]:
    """Bind a test to what it is the literal replica of, over a grid of parameters.

    `tests.contracts.test_oracles` fails for a method or measure that no test is bound to.

    Parameters
    ----------
    *names
        Registry names of methods, or functions of `kvis_cli.metrics`.
    **grid
        Parameter of the test -> its values; the test runs for all combinations.
    """

    def bind(test: Any) -> Any:
        for name in names:
            ORACLES.setdefault(name, []).append(f"{test.__module__}.{test.__name__}")
        for parameter, values in grid.items():
            test = pytest.mark.parametrize(parameter, values)(test)
        return test

    return bind
