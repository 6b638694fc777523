"""Layers around another layer or a whole model."""

from __future__ import annotations

from kvis_cli.models.graph.layers.rules import (
    Config,
    Infer,
    Shape,
    count_parameters,
    output_shapes,
    role,
    shapes_rule,
    wrapper_parameter_rule,
)
from kvis_cli.models.graph.layers.sizes import known


@shapes_rule("Bidirectional")
def _bidirectional_shape(config: Config, inputs: list[Shape], infer: Infer) -> list[Shape] | None:
    inner = config["layer"]
    shapes = output_shapes(inner["class_name"], inner["config"], inputs[:1], infer)
    if shapes[0] is None:
        return None
    out, states = shapes[0], [shape for shape in shapes[1:] if shape is not None]
    mode = config.get("merge_mode", "concat")
    if mode is None:
        return [out, out, *states, *states]
    if mode == "concat":
        out = (*out[:-1], None if out[-1] is None else 2 * out[-1])
    return [out, *states, *states]


@shapes_rule("TimeDistributed")
def _time_distributed_shape(
    config: Config, inputs: list[Shape], infer: Infer
) -> list[Shape] | None:
    inner = config["layer"]
    frame = (inputs[0][0], *inputs[0][2:])
    shapes = _wrapped_shapes(inner, frame, infer)
    if any(shape is None for shape in shapes):
        return None
    return [(shape[0], inputs[0][1], *shape[1:]) for shape in shapes if shape is not None]


def _wrapped_shapes(layer: Config, shape: Shape, infer: Infer) -> list[Shape | None]:
    """Return the output shapes of a serialised layer, or whole model, called on one tensor."""
    if "layers" in layer["config"]:
        return infer(layer, shape).shapes
    return output_shapes(layer["class_name"], layer["config"], [shape], infer)


@shapes_rule("SpectralNormalization")
def _spectral_shape(config: Config, inputs: list[Shape], infer: Infer) -> list[Shape] | None:
    shapes = _wrapped_shapes(config["layer"], inputs[0], infer)
    return [shape for shape in shapes if shape is not None] or None


@wrapper_parameter_rule("Bidirectional")
def _bidirectional_parameters(config: Config, inputs: list[Shape], infer: Infer) -> int:
    layers = [config["layer"], config.get("backward_layer") or config["layer"]]
    return sum(_of(layer, inputs[0], infer) for layer in layers)


@wrapper_parameter_rule("TimeDistributed")
def _time_distributed_parameters(config: Config, inputs: list[Shape], infer: Infer) -> int:
    return _of(config["layer"], (inputs[0][0], *inputs[0][2:]), infer)


@wrapper_parameter_rule("SpectralNormalization")
def _spectral_parameters(config: Config, inputs: list[Shape], infer: Infer) -> int:
    inner = config["layer"]
    # One power-iteration vector, as long as the kernel's last axis.
    return _of(inner, inputs[0], infer) + int(
        inner["config"].get("filters") or inner["config"]["units"]
    )


def _of(layer: Config, shape: Shape, infer: Infer) -> int:
    if "layers" in layer["config"]:
        return known(infer(layer, shape).params)
    return known(count_parameters(layer["class_name"], layer["config"], [shape], infer))


role("feature", "Bidirectional", "SpectralNormalization", "TFSMLayer", "TimeDistributed")
