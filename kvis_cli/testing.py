"""Attention as a unit test: ``assert_attention`` fails when a model stops looking at the object.

It is a plain function, for pytest or any other runner; importing it is instant.

Examples
--------
::

    from kvis_cli.testing import assert_attention

    def test_the_model_looks_at_the_star():
        assert_attention(
            "model.keras", "photos/star.png", class_="star", box=(20, 10, 80, 70), enrichment=2
        )
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from kvis_cli.errors import UsageError
from kvis_cli.lazy import np
from kvis_cli.metrics import Undefined, energy_in_mask, pointing_game
from kvis_cli.metrics import enrichment as enrichment_of
from kvis_cli.metrics.undefined import Measured

if TYPE_CHECKING:
    from kvis_cli.explain import Compared, ShownExplanation

__all__ = ["AttentionError", "assert_attention"]

Box = tuple[float, float, float, float]
_REGION = {"enrichment": enrichment_of, "energy": energy_in_mask, "pointing": pointing_game}


class AttentionError(AssertionError):
    """A model does not look where it should.

    Parameters
    ----------
    message
        What was measured, and what was wanted.
    measured
        What was measured: name -> value, or why it has none.

    Examples
    --------
    >>> AttentionError("enrichment is 0.4, wanted ≥ 2", {"enrichment": 0.4}).measured
    {'enrichment': 0.4}
    """

    def __init__(self, message: str, measured: Mapping[str, Measured]) -> None:
        super().__init__(message)
        self.measured = dict(measured)


def assert_attention(
    model: Any,
    image: Any,
    *,
    box: Box | None = None,
    mask: Any = None,
    enrichment: float | None = None,
    energy: float | None = None,
    pointing: float | None = None,
    avoid: Box | None = None,
    at_most: float = 0.15,
    like: Any = None,
    spearman: float | None = None,
    pearson: float | None = None,
    iou: float | None = None,
    ssim: float | None = None,
    centroid: float | None = None,
    kind: Literal["cam", "saliency"] = "cam",
    save: str | Path | None = None,
    **options: Any,
) -> dict[str, Measured]:
    """Fail unless a model looks where it should in an image.

    Parameters
    ----------
    model
        A live Keras model, a file, an application's name, or an `Explainer`.
    image
        A file or an array ``(H, W, C)`` in 0..255.
    box
        Where the model should look: left, top, right, bottom in pixels of the image.
    mask
        The same as an array ``(H, W)`` over the image; what is above 0 is inside.
    enrichment
        The least that passes, of the box or mask; see `kvis_cli.metrics`.
    energy
        The least that passes, of the box or mask; see `kvis_cli.metrics`.
    pointing
        The least that passes, of the box or mask; see `kvis_cli.metrics`.
    avoid
        Where the model should not look: left, top, right, bottom in shares of the image, 0 to 1.
    at_most
        The largest share of the heat that may lie in `avoid`, 0 to 1.
    like
        Another model or `Explainer`, whose map the model's is compared with, for the class that
        the other predicts unless one is named.
    spearman
        The least that passes, of the two maps; of `centroid` the most.
    pearson
        The least that passes, of the two maps; of `centroid` the most.
    iou
        The least that passes, of the two maps; of `centroid` the most.
    ssim
        The least that passes, of the two maps; of `centroid` the most.
    centroid
        The least that passes, of the two maps; of `centroid` the most.
    kind
        The kind of map.
    save
        A file to which the picture is written when the model fails.
    **options
        As for `kvis_cli.explain.cam` and `kvis_cli.explain.saliency`: ``class_``, ``method``,
        ``layer``, ``labels`` …

    Returns
    -------
    dict of str to float or Undefined
        What was measured, by the names of the arguments.

    Raises
    ------
    AttentionError
        When a measure is beyond its limit or has no value, as of a blank map.
    UsageError
        When nothing is asked, a limit lacks what it is about, or several maps are made.
    """
    of_region = {"enrichment": enrichment, "energy": energy, "pointing": pointing}
    of_pair = {"spearman": spearman, "pearson": pearson, "iou": iou, "ssim": ssim}
    of_pair["centroid"] = centroid
    regions = _asked(of_region, box is not None or mask is not None, "box=… or mask=…")
    pairs = _asked(of_pair, like is not None, "like=…")
    if not (regions or pairs or avoid):
        raise UsageError("assert_attention is asked nothing.", "", "Give box=… and enrichment=2.")
    found, pair = _explained(model, image, like, kind, options)
    measured: dict[str, Measured] = {}
    wrong: list[str] = []
    if regions:
        share = _share(found, box, mask)
        for name, limit in regions.items():
            measured[name] = _REGION[name](found.map, share)
            _judge(name, measured[name], limit, False, wrong)
    for name, limit in pairs.items():
        assert pair is not None
        measured[name] = pair[name]
        _judge(name, measured[name], limit, name == "centroid", wrong)
    if avoid is not None:
        height, width = _size(found)
        left, top, right, bottom = avoid
        edges = (left * width, top * height, right * width, bottom * height)
        measured["avoid"] = energy_in_mask(found.map, _share(found, edges, None))
        _judge("avoid", measured["avoid"], at_most, True, wrong)
    if wrong:
        where = "" if save is None else f" Its picture: {found.save(save)}"
        about = f"{found.method} of {found.target.label} in {found.model}"
        raise AttentionError(f"{about}: {'; '.join(wrong)}.{where}", measured)
    return measured


def _asked(limits: Mapping[str, float | None], there: bool, needs: str) -> dict[str, float]:
    given = {name: limit for name, limit in limits.items() if limit is not None}
    if given and not there:
        raise UsageError(f"'{next(iter(given))}' has nothing to measure.", "", f"Give {needs}.")
    if there and not given:
        raise UsageError(
            f"{needs} needs a limit.", "What is enough depends on it.",
            f"Give one of {', '.join(limits)}.",
        )  # fmt: skip
    return given


def _explained(
    model: Any, image: Any, like: Any, kind: Literal["cam", "saliency"], options: dict[str, Any]
) -> tuple[ShownExplanation, Compared | None]:
    from kvis_cli import explain

    if like is not None:
        pairs = explain.compare(like, model, [image], kind=kind, **options)
        _one(pairs)
        return pairs[0].b, pairs[0]
    explained = getattr(model if isinstance(model, explain.Explainer) else explain, kind)
    alone = [] if isinstance(model, explain.Explainer) else [model]
    maps = explained(*alone, [image], **options)
    _one(maps)
    return maps[0], None


def _one(found: Sequence[Any]) -> None:
    if len(found) != 1:
        raise UsageError(
            f"assert_attention judges one map, and {len(found)} were made.",
            "",
            "Name one class, one method and one layer.",
        )


def _judge(name: str, value: Measured, limit: float, small: bool, wrong: list[str]) -> None:
    wanted = f"wanted {'≤' if small else '≥'} {limit:g}"
    if isinstance(value, Undefined):
        wrong.append(f"{name} has no value: {value}, {wanted}")
    elif value > limit if small else value < limit:
        wrong.append(f"{name} is {value:.3g}, {wanted}")


def _size(found: ShownExplanation) -> tuple[int, int]:
    assert found.photo is not None
    return int(found.photo.shape[0]), int(found.photo.shape[1])


def _share(found: ShownExplanation, box: Box | None, mask: Any) -> np.ndarray:
    """Which share of each cell of the map is inside."""
    from kvis_cli.gate.regions import box_share, cell_edges, mask_share

    if found.map.ndim != 2 or found.placement is None:
        raise UsageError(f"A map of the shape {found.map.shape} has no regions.")
    shape = int(found.map.shape[0]), int(found.map.shape[1])
    grid = found.grid if found.grid is not None and found.grid.applied else None
    rows, columns = cell_edges(shape, found.placement, grid)
    if mask is None:
        assert box is not None
        return box_share(rows, columns, box)
    inside = np.asarray(mask)
    if inside.ndim != 2:
        raise UsageError(f"A mask has two axes, this one has the shape {inside.shape}.")
    return mask_share(rows, columns, inside > 0, _size(found))
