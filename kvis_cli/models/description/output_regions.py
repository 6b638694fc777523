"""The part of an output that is explained, where it has positions."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Literal

from kvis_cli.errors import UsageError
from kvis_cli.models.graph.forms import OutputForm

if TYPE_CHECKING:
    from kvis_cli.images.regions import Weights


def region_of_output(
    text: str | None,
    form: OutputForm,
    reference: str,
    command: str = "saliency",
    photo: str = "photo.jpg",
) -> Weights | Literal["predicted"] | None:
    """Return the part of an output that is explained.

    Parameters
    ----------
    text
        The option: see `kvis_cli.images.regions.parse_region`; None for all positions of a class.
    form
        What the output is.
    reference
        The model, for the example in the message.
    command
        The command of the example.
    photo
        Its image.

    Returns
    -------
    callable, ``predicted`` or None
        Weights for an output of a size.

    Raises
    ------
    UsageError
        For a region that the output cannot have, and for a mask or an image without one.
    InputError
        For a picture that cannot be read.
    """
    axes = len(form.positions)
    if text is None:
        if form.has_classes:
            return None
        raise UsageError(
            f"Which part of the output of {reference} is explained?",
            f"It is {form.describe()}, without classes: the score is the mean of a region of it.",
            f"Name the region: kvis {command} {shlex.quote(reference)} "
            f"{shlex.quote(photo)} --region {example_region(form)}",
        )
    if not axes:
        raise UsageError(
            "A region needs a model whose output is a map.",
            f"This output is {form.describe()}.",
            "Leave --region out.",
        )
    from kvis_cli.images.regions import PREDICTED, parse_region

    found = parse_region(text, axes)
    if found is not None:
        return found
    if form.kind in ("image", "signal"):
        raise UsageError(
            f"{'An' if form.kind == 'image' else 'A'} {form.kind} predicts nothing.",
            "`predicted` is where a mask or a map of classes says it.",
            f"Write --region {example_region(form)}.",
        )
    return PREDICTED


def refuse_maximized(form: OutputForm, reference: str, layer: str) -> None:
    """Refuse to maximize a class of an output that has none.

    Parameters
    ----------
    form
        What the output is.
    reference
        The model, for the example in the message.
    layer
        The layer that makes the output, likewise.

    Raises
    ------
    UsageError
        With the command that maximises a channel of that layer.
    """
    if not form.has_classes:
        raise UsageError(
            f"The output of {reference} has no class to maximize.",
            f"It is {form.describe()}.",
            "Name a layer and a channel: "
            f"kvis maximize {shlex.quote(reference)} --layer {shlex.quote(layer)} --unit 0",
        )


def example_region(form: OutputForm) -> str:
    """Return a region that such an output has, for an example to type."""
    if form.kind == "mask":
        return "predicted"
    return {1: "0.25,0.75", 2: "0.25,0.25,0.75,0.75"}.get(len(form.positions), "all")
