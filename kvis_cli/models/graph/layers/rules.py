"""The table of Keras' layer classes: output shapes, numbers of weights, roles.

A class is entered by the module of its family, with rules that read its config, from Keras 2 or 3,
and the shapes of its inputs. Shapes include the batch; an unknown size is None inside a shape, and
an unknown shape is None.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Shape = tuple[int | None, ...]
Config = dict[str, Any]


@dataclass(frozen=True)
class Inferred:
    """What calling a whole model gives: the shapes of its outputs, and its number of weights."""

    shapes: list[Shape | None]
    params: int | None


Infer = Callable[[Config, Shape], Inferred]
"""From the config of a model inside of a layer, and the shape that it is called on."""
ShapeRule = Callable[[Config, list[Shape]], Shape | None]
ShapesRule = Callable[[Config, list[Shape], Infer], list[Shape] | None]
ParameterRule = Callable[[Config, list[Shape]], int]
WrapperRule = Callable[[Config, list[Shape], Infer], int]

Role = Literal["passive", "feature", "preparing", "refining", "plain", "in_front", "reshaping"]
ROLES: dict[Role, str] = {
    "passive": "only pools, drops, flattens or pads: a map over its output shows nothing more than "
    "one over what it reads",
    "feature": "computes features",
    "preparing": "scales, resizes, normalises or augments: what only such layers have touched is "
    "still the input",
    "refining": "follows a feature layer and changes its values, not what it is about",
    "plain": "leaves every value as it is between feature maps and a linear head",
    "in_front": "may stand between the input and the layer that scales it",
    "reshaping": "may follow the activation that ends an output",
}
"""Role -> what a layer class of it does."""

_UNREADABLE = (ArithmeticError, AttributeError, LookupError, MemoryError, TypeError, ValueError)


@dataclass
class LayerRules:
    """What is known of one class.

    Attributes
    ----------
    shapes
        Gives the shapes of all outputs; None where there is no rule.
    parameters
        Counts the weights, trained or not; None where the class has none.
    roles
        See `ROLES`.
    """

    shapes: ShapesRule | None = None
    parameters: WrapperRule | None = None
    roles: set[Role] = field(default_factory=set)


LAYERS: dict[str, LayerRules] = {}
"""Class name -> its rules. Filled by importing `kvis_cli.models.graph.layers`."""

# Their output depends on the first tensor alone, so masks and states may be unknown.
_FROM_ONE_INPUT = {"LSTM", "GRU", "SimpleRNN", "Bidirectional", "TimeDistributed"}


def _entry(name: str) -> LayerRules:
    return LAYERS.setdefault(name, LayerRules())


def shape_rule(*names: str) -> Callable[[ShapeRule], ShapeRule]:
    """Enter the rule for the one output of classes."""

    def enter(rule: ShapeRule) -> ShapeRule:
        def shapes(config: Config, inputs: list[Shape], infer: Infer) -> list[Shape] | None:
            found = rule(config, inputs)
            return None if found is None else [found]

        for name in names:
            _entry(name).shapes = shapes
        return rule

    return enter


def shapes_rule(*names: str) -> Callable[[ShapesRule], ShapesRule]:
    """Enter the rule for all outputs of classes, which may hold other layers."""

    def enter(rule: ShapesRule) -> ShapesRule:
        for name in names:
            _entry(name).shapes = rule
        return rule

    return enter


def parameter_rule(*names: str) -> Callable[[ParameterRule], ParameterRule]:
    """Enter the rule that counts the weights of classes."""

    def enter(rule: ParameterRule) -> ParameterRule:
        for name in names:
            _entry(name).parameters = lambda config, inputs, infer: rule(config, inputs)
        return rule

    return enter


def wrapper_parameter_rule(*names: str) -> Callable[[WrapperRule], WrapperRule]:
    """Enter the rule that counts the weights of classes which hold other layers."""

    def enter(rule: WrapperRule) -> WrapperRule:
        for name in names:
            _entry(name).parameters = rule
        return rule

    return enter


def role(kind: Role, *names: str) -> None:
    """Give a role to classes; see `ROLES`."""
    for name in names:
        _entry(name).roles.add(kind)


def has_role(class_name: str, kind: Role) -> bool:
    """Whether a class is known to have a role."""
    return class_name in LAYERS and kind in LAYERS[class_name].roles


def dimensions(*names: str) -> tuple[str, ...]:
    """Return the 1-D, 2-D and 3-D classes of each name.

    ``Conv_Transpose`` has the rank at ``_``.
    """
    return tuple(
        name.replace("_", f"{n}D") if "_" in name else f"{name}{n}D"
        for name in names
        for n in (1, 2, 3)
    )


def known_classes() -> set[str]:
    """Return the names of the classes whose output shape is known."""
    return {name for name, rules in LAYERS.items() if rules.shapes is not None}


def no_model(config: Config, shape: Shape) -> Inferred:
    """Refuse to look into a model; see `Infer`."""
    raise ValueError("a model inside of a layer")


def output_shapes(
    class_name: str, config: Config, inputs: Sequence[Shape | None], infer: Infer = no_model
) -> list[Shape | None]:
    """Infer the shapes of all outputs of one layer call.

    Parameters
    ----------
    class_name
        Keras' class name, such as ``"Conv2D"``.
    config
        The layer's own config.
    inputs
        The shapes of the tensors that it is called on.
    infer
        Infers a model inside of the layer.

    Returns
    -------
    list of shapes
        One entry per output tensor; ``[None]`` when the class or an input shape is not known.
    """
    there = [tuple(shape) for shape in inputs if shape is not None]
    rules = LAYERS.get(class_name)
    if rules is None or rules.shapes is None:
        return [None]
    if len(there) < len(inputs) and class_name not in _FROM_ONE_INPUT:
        return [None]
    try:
        found = rules.shapes(config, there, infer)
    except _UNREADABLE:
        # A config that Keras itself would refuse: the shape stays unknown.
        return [None]
    return [None] if found is None else [shape if _is_shape(shape) else None for shape in found]


def _is_shape(shape: Shape | None) -> bool:
    """Whether a shape that came out of a config holds sizes and nothing else."""
    return shape is not None and all(size is None or isinstance(size, int) for size in shape)


def count_parameters(
    class_name: str, config: Config, inputs: Sequence[Shape | None], infer: Infer = no_model
) -> int | None:
    """Count the weights of one layer, trained or not.

    Parameters
    ----------
    class_name
        Keras' class name, such as ``"Conv2D"``.
    config
        The layer's own config.
    inputs
        The shapes of the tensors that it is called on, batch included.
    infer
        Infers a model inside of the layer.

    Returns
    -------
    int or None
        None when the class is not one of Keras', or a size that it needs is unknown.
    """
    rules = LAYERS.get(class_name, LayerRules())
    if rules.parameters is None:
        return 0 if rules.shapes is not None or class_name == "InputLayer" else None
    there = [shape for shape in inputs if shape is not None]
    try:
        return int(rules.parameters(config, there, infer))
    except _UNREADABLE:
        return None
