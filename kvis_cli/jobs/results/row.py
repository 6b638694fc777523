"""One row of a manifest: a picture that was made, or a task that failed.

The public description is ``docs/manifest.md``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from kvis_cli.explanation import Explanation
from kvis_cli.lazy import np

SCHEMA = 1
"""Version of the rows. Raised when a key changes its meaning or goes; new keys leave it."""

_ALWAYS = ("status", "file", "warnings")
# What a map has is there even where it is null.
_OF_MAPS = ("score", "probability", "max", "entropy")
# Known only once the whole task is done, or the same for the whole file.
_NOT_IN_PICTURES = ("schema", "status", "file", "of", "entry")


@dataclass(frozen=True)
class ResultRow:
    """A row. A field that is what it is by default is not in the file.

    Attributes
    ----------
    task
        Id of the task that it belongs to: a hash of model, image, settings and method.
    status
        ``done`` or ``failed``.
    kind, entry
        Kind of the task; what the entry of the job's tasks is called.
    model, model_name, model_sha256
        Its path, its name within the run, the hash of its content.
    image, image_name, image_sha256
        The same of the image.
    method, variant
        Registry name; what else tells the result from others of the method.
    layer, target, units
        What was read; what was explained, in words and as pairs of unit and weight.
    asked
        The class as ``--class`` names it, a rank resolved; empty for what is no class.
    output, region
        What the output is, where it is no classes; which part of it is explained.
    drawn
        What captions show instead of `target`, where no font has its letters.
    file, raw
        Files of the picture and of the raw arrays, below the result folder.
    places, of
        Which pictures of its task it is, from 0; how many the task has, None where some are left.
    score, probability
        The explained score; the model's own output for the target, where it is a probability.
    max, entropy, in_region, enrichment, limit
        Of the map: its largest value, its spread 0..1, its share in the region 0..1, that over the
        region's share of the area, the end of its palette.
    map
        ``heatmap``, ``signed`` or ``image``; empty where there is no map.
    top
        The model's first classes for the image: pairs of label and output.
    preprocess, placed, grid
        How the photo became the input; where that lies on it, left, top, right, bottom in pixels;
        where the map's cells lie on the input.
    warnings, caution
        What the user must know before believing the picture, and what holds for its method.
    error, hint
        Of a failed task: ``kind``, ``what`` and ``why``; what to do about it.
    more
        Keys of one method or kind of task.

    Examples
    --------
    >>> row = ResultRow(task="3f2a", kind="cam", method="gradcam", target="house", file="house.png")
    >>> ResultRow.from_json(row.to_json()) == row
    False
    """

    task: str = ""
    status: str = "done"
    kind: str = ""
    entry: str = ""
    model: str = ""
    model_name: str = ""
    model_sha256: str | None = None
    image: str = ""
    image_name: str = ""
    image_sha256: str | None = None
    method: str = ""
    variant: str = ""
    layer: str | None = None
    target: str | None = None
    units: Sequence[Sequence[float]] | None = None
    asked: str = ""
    output: str = ""
    region: str = ""
    drawn: str = ""
    file: str | None = None
    raw: str | None = None
    places: Sequence[int] = ()
    of: int | None = None
    score: float | None = None
    probability: float | None = None
    max: float | None = None
    entropy: float | None = None
    in_region: float | None = None
    enrichment: float | None = None
    limit: float | None = None
    map: str = ""
    top: Sequence[Sequence[Any]] | None = None
    preprocess: Any = None
    placed: Sequence[int] | None = None
    grid: Mapping[str, Any] | None = None
    warnings: Sequence[str] = ()
    caution: str = ""
    error: Mapping[str, str] | None = None
    hint: str | None = None
    more: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_explanation(
        cls, explanation: Explanation, *, more: Mapping[str, Any] | None = None, **known: Any
    ) -> ResultRow:
        """Describe a map.

        Parameters
        ----------
        explanation
            Its numbers, rounded to six digits.
        more
            Keys beside those of the explanation.
        **known
            Fields that an explanation does not have: the model, the image.

        Returns
        -------
        ResultRow
            Of the status ``done``.
        """
        e = explanation
        numbers = {
            name: value
            for name in ("channels", "modifier", "percentile")
            if (value := getattr(e, name))
        }
        return cls(
            method=e.method,
            variant=e.variant,
            layer=e.layer,
            target=e.target.label,
            units=[list(unit) for unit in e.target.units],
            score=six_digits(e.score),
            probability=six_digits(e.probability),
            max=six_digits(float(np.max(e.map))),
            map=e.kind,
            grid=e.grid.to_json() if e.grid else None,
            warnings=list(e.warnings),
            caution=e.caution,
            more={**e.extras, **numbers, **(more or {})},
            **known,
        )

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ResultRow:
        """Take a row of `to_json`, whose keys may be null or missing.

        What the values are is checked by `kvis_cli.jobs.results.sound`.
        """
        known = {k: v for k, v in value.items() if k in _FIELDS and v is not None}
        more = {k: v for k, v in value.items() if k not in _FIELDS and k != "schema"}
        return cls(**known, more=more)

    def to_json(self) -> dict[str, Any]:
        """Return the row as plain JSON values."""
        found: dict[str, Any] = {"schema": SCHEMA, **self.more}
        for name, missing in _FIELDS.items():
            value = getattr(self, name)
            there = value != missing or name in _ALWAYS
            if there or (self.map and name in _OF_MAPS) or (name == "of" and self.status == "done"):
                found[name] = list(value) if isinstance(value, tuple) else value
        return found

    def provenance(self) -> dict[str, Any]:
        """Return what goes into the picture itself."""
        found = {k: v for k, v in self.to_json().items() if k not in _NOT_IN_PICTURES}
        if not self.warnings:
            del found["warnings"]
        return found

    @property
    def place(self) -> int:
        """The first of `places`."""
        return min(self.places, default=0)

    @property
    def label(self) -> str:
        """The target as it can be drawn: its label, or the class index where no font has it."""
        return self.drawn or self.target or ""

    @property
    def caption(self) -> str:
        """``tabby 0.39`` or ``tabby 14.2``: the probability where there is one, else the score."""
        number = "" if self.score is None else f"{self.score:.3g}"
        if self.probability is not None:
            number = f"{self.probability:.3f}"
        return f"{self.label} {number}".strip()


# Field -> what stands for a key that is not there.
_FIELDS = {f.name: f.default for f in fields(ResultRow) if f.name != "more"}


def six_digits(value: float | None) -> float | None:
    """Round to what a float32 holds with certainty; None for what is not a number."""
    return None if value is None or not np.isfinite(value) else float(f"{value:.6g}")
