"""The maps of a run as its checks look at them: read once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from kvis_cli.errors import InputError
from kvis_cli.gate.answers import MapAnswer
from kvis_cli.gate.baseline import Baseline, Kept, Question
from kvis_cli.gate.cells import Cells, to_cells
from kvis_cli.gate.regions import (
    Box,
    box_share,
    cell_edges,
    mask_share,
    photo_size,
    read_mask,
)
from kvis_cli.gate.thresholds import Threshold
from kvis_cli.jobs.planning.sources import Source
from kvis_cli.metrics import Undefined

# Maps of so few cells are kept; others are read once per check, so that memory stays bounded.
SMALL = 28 * 28


@dataclass
class Maps:
    """The maps of a run, read once and kept small.

    Attributes
    ----------
    answers
        Model name -> its answers.
    sources
        Image name -> its box and mask.
    baseline
        What was accepted; None without.
    thresholds
        What was calibrated.
    job
        The job file, for messages.
    """

    answers: Mapping[str, Sequence[MapAnswer]]
    sources: Mapping[str, Source] = field(default_factory=dict)
    baseline: Baseline | None = None
    thresholds: Sequence[Threshold] = ()
    job: str = "job.yaml"
    _raw: dict[int, np.ndarray] = field(default_factory=dict)
    _cells: dict[int, Cells | Undefined] = field(default_factory=dict)
    _kept: dict[str, dict[Question, list[Kept]]] = field(default_factory=dict)
    _sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    _masks: dict[str, np.ndarray] = field(default_factory=dict)

    def raw(self, answer: MapAnswer) -> np.ndarray:
        """Return the raw map. Raises `InputError` where it cannot be read."""
        if id(answer) in self._raw:
            return self._raw[id(answer)]
        raw = answer.map()
        if raw.size <= SMALL:
            self._raw[id(answer)] = raw
        return raw

    def cells(self, answer: MapAnswer) -> Cells | Undefined:
        """Return the map as a baseline keeps it. Raises `InputError` as `raw`."""
        if id(answer) not in self._cells:
            self._cells[id(answer)] = to_cells(self.raw(answer), answer.row.map == "signed")
        return self._cells[id(answer)]

    def kept(self, model: str, question: Question) -> list[Kept]:
        """Return what was accepted as the answer to a question."""
        if self.baseline is None:
            return []
        if model not in self._kept:
            self._kept[model] = self.baseline.variants(model)
        return self._kept[model].get(question, [])

    def is_blank(self, answer: MapAnswer) -> bool:
        """Whether there is nothing in a map. Raises `InputError` as `raw`."""
        raw = self.raw(answer)
        if not np.isfinite(raw).all():
            return True
        return not (raw.any() if answer.row.map == "signed" else (raw > 0).any())

    def size(self, answer: MapAnswer) -> tuple[int, int]:
        """Return height and width of the photo."""
        name = answer.row.image
        if name not in self._sizes:
            source = self.sources.get(answer.row.image_name)
            place = answer.placement
            self._sizes[name] = (
                photo_size(source.path, place) if source else (place.bottom, place.right)
            )
        return self._sizes[name]

    def share(self, answer: MapAnswer, box: Box | None, mask: Path | None = None) -> np.ndarray:
        """Return the share of each cell that a mask, or else a box in pixels, covers.

        Parameters
        ----------
        answer
            Whose cells are meant.
        box
            Left, top, right, bottom in pixels of the photo.
        mask
            A picture whose bright half is inside.

        Returns
        -------
        numpy.ndarray
            float64 0..1, of the map's shape.

        Raises
        ------
        InputError
            For a mask that cannot be read, and as `raw`.
        """
        raw = self.raw(answer)
        shape = int(raw.shape[0]), int(raw.shape[1])
        rows, columns = cell_edges(shape, answer.placement, answer.grid(shape))
        if mask is not None:
            name = str(mask)
            if name not in self._masks:
                self._masks[name] = read_mask(mask)
            return mask_share(rows, columns, self._masks[name], self.size(answer))
        if box is None:
            raise InputError(f"'{answer.row.image_name}' has neither a box nor a mask.")
        return box_share(rows, columns, box)
