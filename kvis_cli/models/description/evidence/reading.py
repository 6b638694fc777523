"""What reaches the layers of a model under each hypothesis about its inputs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kvis_cli.lazy import np
from kvis_cli.models.description.evidence.forward import Arrays, NotKnown, cost_of, run_layer
from kvis_cli.models.description.evidence.weights import ReadWeights
from kvis_cli.models.graph.architecture import Architecture, LayerCall

# Multiplications for all photos under one hypothesis; about a fifth of a second.
MOST_WORK = 1.5e9
# A part of this side has the statistics of the whole photo, where no layer asks for its size.
SIDE = 64
_OF_ONE_SIZE = ("Dense", "Flatten", "Reshape", "Permute")


@dataclass(frozen=True)
class Step:
    """One layer on the way.

    Attributes
    ----------
    call
        The layer.
    inputs
        float32 ``(N, …, C)`` each.
    weights
        In the order of Keras 3.
    output
        float32 ``(N, …, C)``; of a normalisation its output in inference.
    """

    call: LayerCall
    inputs: Arrays
    weights: Arrays
    output: np.ndarray


def steps(architecture: Architecture, x: np.ndarray, read: ReadWeights) -> Iterator[Step]:
    """Run a model of one input layer by layer, as long as every layer is known and it is cheap.

    Parameters
    ----------
    architecture
        The model.
    x
        float32 ``(N, H, W, C)`` model inputs.
    read
        Gives the weights of a layer.
    """
    made: dict[LayerCall, np.ndarray] = {}
    entry = architecture.inputs[0].call
    work = 0.0
    for call in architecture.calls:
        if call is entry:
            made[call] = x
            continue
        try:
            inputs = [made[source] for source in call.inputs]
            weights = read(call)
            work += cost_of(call, inputs, weights)
            if work > MOST_WORK:
                return
            made[call] = run_layer(call, inputs, weights)
        except (NotKnown, KeyError):
            return
        yield Step(call, inputs, weights, made[call])


def first_normalisation(architecture: Architecture) -> LayerCall | None:
    """Return the first layer that keeps the statistics of its input; None where there is none."""
    for call in architecture.calls:
        if call.class_name == "BatchNormalization":
            return call
    return None


def size_needed(
    architecture: Architecture, until: LayerCall | None, height: int, width: int
) -> tuple[int, int]:
    """Return the size of the inputs that the layers up to `until` have to be given."""
    for call in architecture.calls:
        if call is until:
            return min(height, SIDE), min(width, SIDE)
        if call.class_name in _OF_ONE_SIZE:
            break
    return height, width
