"""A batch that is being explained, and how its points are cut into what fits into memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from kvis_cli.lazy import np, tf


@dataclass
class Batch:
    """What every method starts from.

    Attributes
    ----------
    inputs
        ``(B, …)``.
    weights
        ``(B, T, units)``, ranks resolved on the clean inputs: noise does not change the class.
    scores
        ``(B, T)`` of the clean inputs.
    """

    inputs: Any
    weights: Any
    scores: Any
    _shared: dict[Any, Any] = field(default_factory=dict, repr=False)

    def of_targets(self, index: np.ndarray) -> Batch:
        """Return the same inputs for some of the targets."""
        return Batch(
            self.inputs,
            tf.gather(self.weights, index, axis=1),
            tf.gather(self.scores, index, axis=1),
        )

    def share(self, key: Any, value: Any) -> None:
        """Keep what is known already."""
        self._shared[key] = value

    def shared(self, key: Any, compute: Callable[[], Any]) -> Any:
        """Return what `compute` gives.

        Computed once for all methods that ask with the same `key`.
        """
        if key not in self._shared:
            self._shared[key] = compute()
        return self._shared[key]


@dataclass(frozen=True)
class Attribution:
    """What a method found.

    Attributes
    ----------
    values
        float32 ``(B, T, …)`` with the shape of an input; spatial only for methods that see no
        channels.
    extras
        Numbers about it, each ``(B, T)``.
    """

    values: Any
    extras: dict[str, np.ndarray] = field(default_factory=dict)


def chunks(total: int, batch: int, limit: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Cut `total` points per input of a batch into equal pieces.

    Parameters
    ----------
    total
        Points per input.
    batch
        Inputs in the batch.
    limit
        Points computed at once, at least one per input.

    Yields
    ------
    index, counts
        int ``(s,)`` and float32 ``(s,)``: consecutive point numbers, and 1, or 0 for those that
        fill the last piece up to the common size and were in the piece before.
    """
    pieces = -(-total // max(1, limit // batch))
    size = -(-total // pieces)
    for start in range(0, total, size):
        index = np.arange(size) + min(start, total - size)
        yield index, (index >= start).astype(np.float32)
