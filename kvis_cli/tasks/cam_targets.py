"""From the options of the ``cam`` task to what is explained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kvis_cli.engines.cam.objective import Objective
from kvis_cli.engines.scores import Region, ScoreKind
from kvis_cli.errors import UsageError
from kvis_cli.explanation import Target
from kvis_cli.models.description.output_regions import region_of_output
from kvis_cli.models.graph import autolayer
from kvis_cli.models.graph.architecture import LayerCall
from kvis_cli.models.live.open import OpenModel
from kvis_cli.models.live.reader import Tap
from kvis_cli.paths import safe_name
from kvis_cli.spec.cam import CamSpec
from kvis_cli.spec.saliency import SaliencySpec


@dataclass(frozen=True)
class Filters:
    """Filters of one layer as targets.

    Attributes
    ----------
    layer
        The layer call.
    channels
        How many it has.
    indices
        Which of them.
    """

    layer: LayerCall
    channels: int
    indices: list[int]

    def target(self, units: Sequence[tuple[int, float]]) -> Target:
        """Return the `Target` of one filter."""
        index = units[0][0]
        name = f"{safe_name(self.layer.path.replace('/', '.'))}-{index}"
        return Target(f"{self.layer.path} · filter {index}", name, tuple(units))


def filter_targets(opened: OpenModel, texts: Sequence[str]) -> Filters | None:
    """``LAYER:INDEX`` entries as targets; None for none.

    Parameters
    ----------
    opened
        The model.
    texts
        Such as ``block3_conv1:12``, all of one layer.

    Returns
    -------
    Filters or None
        Without repetition.

    Raises
    ------
    UsageError
        For an entry without an index, a filter that is not there, or filters of several layers.
    """
    if not texts:
        return None
    architecture = opened.info.architecture
    found: dict[int, LayerCall] = {}
    indices = []
    for text in texts:
        address, _, index = text.rpartition(":")
        if not address or not index.isdecimal():
            raise UsageError(
                f"'{text}' is not a filter.",
                f"'{index}' is not a number." if address else "It has no index.",
                "Write LAYER:INDEX, as block3_conv1:12; for saliency --layer LAYER --unit INDEX. "
                "Several are separated by commas.",
            )
        call = autolayer.resolve(architecture, address, model=opened.info.reference)
        found[id(call)] = call
        indices.append(int(index))
    if len(found) > 1:
        raise UsageError(
            "The filters are of several layers.",
            "One task explains filters of one layer.",
            "Run kvis once per layer, or write one task per layer in a job file.",
        )
    call = next(iter(found.values()))
    shape = call.output_shape or ()
    channels = (shape[1] if call.channels_first else shape[-1]) if len(shape) > 1 else None
    if channels is None:
        raise UsageError(f"Layer '{call.path}' has no channels.", f"Its output is {shape}.")
    for number in indices:
        if number >= channels:
            raise UsageError(
                f"Filter {number} is not among the {channels} of '{call.path}'.",
                "Filters are counted from 0.",
                f"Use 0 to {channels - 1}.",
            )
    return Filters(call, channels, list(dict.fromkeys(indices)))


def cam_objective(opened: OpenModel, task: CamSpec, filters: Filters | None) -> Objective:
    """Return what a task explains.

    Parameters
    ----------
    opened
        The model.
    task
        Its score and region.
    filters
        What is explained instead of classes, or None.

    Returns
    -------
    Objective
        What the CAM engines differentiate.

    Raises
    ------
    UsageError
        For a region of an output that is not a map, or options that exclude each other.
    """
    output = opened.info.output_index()
    if filters is not None:
        call = filters.layer
        return Objective(
            output=output,
            filter_layer=Tap(call.layer_path, call.call),
            channels_first=call.channels_first,
        )
    score, region = score_and_region(opened, task)
    return Objective(score, output, region)


def score_and_region(opened: OpenModel, task: CamSpec | SaliencySpec) -> tuple[ScoreKind, Region]:
    """Return what is read of an output, and where.

    Parameters
    ----------
    opened
        The model.
    task
        What is asked of it.

    Returns
    -------
    score
        ``auto`` resolved by what the output is.
    region
        None for all positions.

    Raises
    ------
    UsageError
        For a region of an output that is no map, and for a mask or an image without one.
    """
    info = opened.info
    form = info.output_form()
    region = region_of_output(task.region, form, info.reference, task.kind)
    if task.score == "auto":
        return ("logit" if form.has_classes else "probability"), region
    return task.score, region


def score_note(opened: OpenModel, task: CamSpec | SaliencySpec) -> str:
    """Say what the score is, where the output is a map; empty for classes and a single number."""
    form = opened.info.output_form()
    if not form.positions:
        return ""
    what = "the output" if not form.has_classes else "the class"
    where = {None: "all positions", "all": "all positions", "predicted": "what is predicted"}
    place = where.get(task.region, f"the region {task.region}")
    score, _ = score_and_region(opened, task)
    value = "" if score == "probability" or form.kind in ("image", "signal") else f" ({score})"
    return f"the output is {form.describe()}; score: the mean of {what}{value} over {place}"
