"""Which layer a class activation map is taken at, and how a layer is addressed.

Pure graph work on an `Architecture`: the right target is the last spatial tensor that *dominates*
the explained output, that is, one that every path from the input passes. A branch, a tensor before
its activation, or a 1×1 map is never chosen.
"""

from __future__ import annotations

from dataclasses import dataclass

from kvis_cli.errors import UnknownNameError, UsageError
from kvis_cli.models.graph.architecture import Architecture, LayerCall
from kvis_cli.models.graph.layers import has_role


@dataclass(frozen=True)
class LayerChoice:
    """The layer that was chosen, and why, as a sentence."""

    call: LayerCall
    reason: str


def choose_cam_layer(architecture: Architecture, output_index: int = 0) -> LayerChoice:
    """Choose the tensor at which a class activation map is taken.

    It is the last tensor with a spatial extent above 1 in every direction that all paths from the
    input to the output pass, behind layers that only pool, drop, flatten or pad.

    Parameters
    ----------
    architecture
        The model.
    output_index
        Which output is explained.

    Returns
    -------
    LayerChoice
        The layer call, and why it was chosen.

    Raises
    ------
    UsageError
        The model has no such tensor, or does not say what it computes.
    """
    if not architecture.is_graph:
        raise UsageError(
            f"No layer can be chosen for '{architecture.name}'.",
            f"It is a subclassed model ({architecture.class_name}): its file does not say how its "
            "layers are connected.",
            "Name a layer with `--layer`.",
        )
    if not 0 <= output_index < len(architecture.outputs):
        raise UsageError(
            f"No output {output_index}.", f"The model has {len(architecture.outputs)}."
        )
    output = architecture.outputs[output_index]
    features = _with_features(architecture)
    last = _output_stage(output.call, features)
    spatial = [
        call
        for call in dominators(architecture, output.call)
        if call.index <= last.index and id(call) in features and is_spatial(call)
    ]
    if not spatial:
        raise UsageError(
            f"No layer of '{architecture.name}' can carry a class activation map.",
            "There is no spatial layer (a feature map larger than 1×1) that the whole output "
            "passes through.",
            "`kvis saliency` needs no such layer; or name one with `--layer`.",
        )
    rank = len(spatial[-1].output_shape or ())
    images = {len(endpoint.shape or ()) for endpoint in architecture.inputs}
    if rank not in images and max(images) > rank:
        # A picture's own rank comes before that of a sequence made from it.
        spatial = [c for c in spatial if len(c.output_shape or ()) == max(images)] or spatial
    chosen = found = spatial[-1]
    while is_passive(chosen) and len(chosen.inputs) == 1:
        before = chosen.inputs[0]
        if id(before) not in features or not is_spatial(before):
            break
        chosen = before
    size = "×".join("?" if n is None else str(n) for n in chosen.spatial_shape or ())
    reason = f"the last {size} feature map that the whole output passes through"
    if chosen is not found:
        reason += f", before {found.path} ({found.class_name})"
    if len(architecture.outputs) > 1:
        reason += f", for output '{output.name}'"
    return LayerChoice(chosen, reason)


def cam_candidates(architecture: Architecture) -> set[LayerCall]:
    """Return the calls whose output can carry a class activation map of some output."""
    if not architecture.is_graph:
        return set()
    features = _with_features(architecture)
    useful: set[int] = set()
    pending = [endpoint.call for endpoint in architecture.outputs]
    while pending:
        call = pending.pop()
        if id(call) not in useful:
            useful.add(id(call))
            pending.extend(call.inputs)
    return {
        call
        for call in architecture
        if id(call) in features and id(call) in useful and is_spatial(call)
    }


def is_spatial(call: LayerCall) -> bool:
    """Whether the output has an extent above 1 in every spatial direction (unknown counts)."""
    sizes = call.spatial_shape or ()
    return len(sizes) > 0 and all(size is None or size > 1 for size in sizes)


def resolve(architecture: Architecture, address: str | int, *, model: str = "MODEL") -> LayerCall:
    """Find the layer call at `address`.

    Parameters
    ----------
    architecture
        The model.
    address
        A path (``base/conv1``), a name (also of a layer inside a nested model when it is the only
        one of that name), a later use (``conv@1``), a nested model (its output), or a row number,
        counted from the end when negative.
    model
        The file's name, for the message.

    Returns
    -------
    LayerCall
        The only one at that address.

    Raises
    ------
    UnknownNameError
        Nothing, or more than one thing, has that address.
    """
    text = str(address).strip().strip("/")
    calls = architecture.calls
    for call in calls:
        if text == call.path or (call.call and text == f"{call.layer_path}@{call.call}"):
            return call
    if text in architecture.models:
        return architecture.models[text]
    number = text[1:] if text.startswith("-") else text
    if number.isdecimal():
        index = int(text)
        if -len(calls) <= index < len(calls):
            return calls[index]
        raise UnknownNameError(
            f"No layer {index}.",
            f"The model has {len(calls)}: 0 to {len(calls) - 1}, or -1 from the end.",
            f"`kvis layers {model}` lists them.",
        )
    inside = [call for call in calls if call.path.endswith("/" + text)]
    inside += [call for path, call in architecture.models.items() if path.endswith("/" + text)]
    if len(inside) == 1:
        return inside[0]
    if inside:
        raise UnknownNameError(
            f"Layer '{text}' is not the only one of that name.",
            "There are " + ", ".join(f"'{call.path}'" for call in inside[:8]) + ".",
            "Give the whole path.",
        )
    known = [*(call.path for call in calls), *architecture.models]
    known += [call.name for call in calls if call.depth]
    raise UnknownNameError.of(
        "layer", text, known, hint=f"`kvis layers {model}` lists all {len(calls)}."
    )


def is_passive(call: LayerCall) -> bool:
    """Whether a map over the output shows nothing more than one over the input."""
    if call.class_name == "Activation":
        return call.config.get("activation") == "linear"
    return has_role(call.class_name, "passive")


def _with_features(architecture: Architecture) -> set[int]:
    """Return the ids of the calls that a feature-computing layer stands before, or is."""
    found: set[int] = set()
    for call in architecture:
        name = call.class_name
        prepares = has_role(name, "preparing") or has_role(name, "passive")
        # An unknown class is taken to compute features, too.
        own = has_role(name, "feature") or not (prepares or name.startswith("Random"))
        if own or any(id(before) in found for before in call.inputs):
            found.add(id(call))
    return found


def _output_stage(output: LayerCall, features: set[int]) -> LayerCall:
    """Return the last call that may be a target.

    Where the output is itself a map (segmentation), its own head says nothing about where the
    model looks: the target lies before the layer that makes the classes.
    """
    call = output
    if not is_spatial(call):
        return call
    while len(call.inputs) == 1 and not has_role(call.class_name, "feature"):
        call = call.inputs[0]
    before = [c for c in call.inputs if id(c) in features]
    return before[0] if len(call.inputs) == 1 and before else output


def dominators(architecture: Architecture, output: LayerCall) -> list[LayerCall]:
    """Return the calls that every path from the (spatial) inputs to `output` passes, in order."""
    useful: set[int] = set()
    pending = [output]
    while pending:
        call = pending.pop()
        if id(call) not in useful:
            useful.add(id(call))
            pending.extend(call.inputs)
    inputs = [endpoint.call for endpoint in architecture.inputs if id(endpoint.call) in useful]
    # Numbers that come in beside a picture do not go through its feature maps.
    sources = [call for call in inputs if len(call.output_shape or ()) >= 3] or inputs
    reached = {id(call) for call in sources}
    order = []
    for call in architecture:
        if id(call) in useful and (
            id(call) in reached or any(id(before) in reached for before in call.inputs)
        ):
            reached.add(id(call))
            order.append(call)
    # In execution order a call lies on all paths exactly when no edge goes past it.
    place = {id(call): i for i, call in enumerate(order)}
    last_use = dict.fromkeys(place, 0)
    for call in order:
        for before in call.inputs:
            if id(before) in place:
                last_use[id(before)] = place[id(call)]
    furthest = max((place[id(call)] for call in sources), default=0)
    found = []
    for i, call in enumerate(order):
        if furthest <= i:
            found.append(call)
        furthest = max(furthest, last_use[id(call)])
    return found
