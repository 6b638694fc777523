"""Backward rules of guided backpropagation and the deconvnet, on every rectifier of a model.

A rule takes effect while a ``tf.function`` is traced: TensorFlow asks its registry for the gradient
function of each operation, and for that time the registry answers with the changed rule. So
custom layers that call ``tf.nn.relu``, nested and shared models are covered like plain layers, the
forward pass is the very same operations, and nothing of the model is touched or copied.

Notation: a rectifier ``y = f(x)`` gets the gradient ``g = ∂score/∂y`` from above.

==========================  =====================  ==========================================
rule                        hands down             paper
==========================  =====================  ==========================================
gradient                    ``f'(x)·g``
``guided``                  ``f'(x)·max(g, 0)``    Springenberg et al. 2014, arXiv:1412.6806
``deconv``, ``rectified``,  ``max(g, 0)``          Zeiler & Fergus 2013, arXiv:1311.2901
``relu``
==========================  =====================  ==========================================

Rectifiers are ReLU with or without maximum, slope and threshold, ReLU6, LeakyReLU and PReLU. Smooth
activations (sigmoid, tanh, silu, gelu, elu, selu, softplus, the hard sigmoid and its product) have
no such rule in the papers: they keep their derivative and are counted, so that a model of both
kinds is reported as what it is. Max-pooling hands the gradient to the winner of the forward pass,
which are the deconvnet's switches: all that it takes from the picture. A model that scales down by
strides instead gives the same deconvnet map for every picture (Springenberg et al. 2014, section
3.4, for that reason have the guided rule); that is reported too.

In a SavedModel only operations are left of the layers: ReLU, ReLU6 and LeakyReLU are there as such,
while PReLU and a ReLU with a threshold are several operations with a rule of their own each.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

import keras
import tensorflow as tf
from keras.src.activations.activations import ReLU as _ReLU
from keras.src.backend.tensorflow import nn as _keras_nn
from tensorflow.python.eager.polymorphic_function import concrete_function as _concrete
from tensorflow.python.framework import ops as _ops

from kvis_cli.errors import UnknownNameError, UsageError

Local = Callable[[Any], Any]
"""``g -> f'(x)·g``."""
Rule = Callable[[Local, Any], Any]
"""``(local, g) -> what is handed down``."""


def guided(local: Local, gradient: Any) -> Any:
    """``f'(x)·max(g, 0)``: positive gradients through active units."""
    return local(tf.nn.relu(gradient))


def deconv(local: Local, gradient: Any) -> Any:
    """``max(g, 0)``, whatever the forward pass was."""
    del local
    return tf.nn.relu(gradient)


BACKPROP_MODIFIERS: dict[str, Rule] = {
    "guided": guided,
    "deconv": deconv,
    "rectified": deconv,
    "relu": deconv,
}
"""What `backprop_modifier` takes by name."""

_RECTIFIERS = ("Relu", "Relu6", "LeakyRelu")
_SMOOTH = {
    "Sigmoid": "sigmoid or silu",
    "Tanh": "tanh",
    "Erf": "gelu",
    "Erfc": "gelu",
    "Elu": "elu",
    "Selu": "selu",
    "Softplus": "softplus",
    "Softsign": "softsign",
}
_HARD_SIGMOID = "kvis_hard_sigmoid"
_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
# They know a tensor's size, not its values.
_SHAPES = {"Shape", "ShapeN", "Rank", "Size", "ZerosLike", "OnesLike"}
# The registry is one for the process.
_lock = threading.RLock()


@dataclass
class Rectifiers:
    """How much of a model a rule reached.

    Attributes
    ----------
    name
        The rule.
    changed
        Rectifiers with the changed rule.
    kept
        Activations with their own derivative, by name.
    blind
        Whether nothing of the input is left in the gradient.
    """

    name: str
    kept: Counter[str] = field(default_factory=Counter)
    blind: bool = False
    _seen: set[str] = field(default_factory=set, repr=False)

    @property
    def changed(self) -> int:
        """How many rectifiers have the rule."""
        return len(self._seen)

    @property
    def activations(self) -> int:
        """All activations between the input and the score."""
        return self.changed + self.kept.total()

    def describe(self) -> str:
        """``guided: 27 of 27 activations are rectifiers and were changed``."""
        kept = ", ".join(f"{count} {kind}" for kind, count in sorted(self.kept.items()))
        rest = f"; {kept} kept their derivative" if kept else ""
        return (
            f"{self.name}: {self.changed} of {self.activations} activations are rectifiers and "
            f"were changed{rest}"
        )

    def finish(self, score: Any) -> None:
        """Count what was kept on the way to `score`, after the gradient was taken.

        Parameters
        ----------
        score
            The tensor that was differentiated, in the traced graph.

        Raises
        ------
        UsageError
            When no rectifier was changed: the result would be the plain gradient.
        """
        self.kept = _smooth_activations(score)
        if self.changed == 0:
            kept = ", ".join(f"{n} {kind}" for kind, n in sorted(self.kept.items()))
            raise UsageError(
                f"There is no rectifier that '{self.name}' could change.",
                f"Between the input and the score there are {kept or 'no activations'}; the rule "
                "is defined for ReLU and its kin.",
                "Use a method that needs none: gradient, smoothgrad, integrated_gradients.",
            )


@contextmanager
def backprop_modifier(name: str | Rule | None) -> Iterator[Rectifiers]:
    """Change the backward rule of all rectifiers. Inside a ``tf.function`` only.

    Both the forward pass and ``tape.gradient`` belong inside. Functions that the model calls are
    inlined for the time; those of a SavedModel cannot be, and neither find a gradient in their
    caches nor leave one there.

    Parameters
    ----------
    name
        A key of `BACKPROP_MODIFIERS`, a rule of one's own, or None for the plain gradient.

    Yields
    ------
    Rectifiers
        Counts; call `Rectifiers.finish` once the gradient is taken.

    Raises
    ------
    UnknownNameError
        For a name that is not registered.

    Examples
    --------
    The plain gradient is ``[0, -1]``; guided backpropagation lets nothing negative pass.

    >>> def gradient(x):
    ...     with backprop_modifier("guided") as rectifiers, tf.GradientTape() as tape:
    ...         tape.watch(x)
    ...         score = tf.reduce_sum(-tf.nn.relu(x))
    ...         result = tape.gradient(score, x)
    ...     rectifiers.finish(score)
    ...     return result
    >>> tf.function(gradient, autograph=False)(tf.constant([-1.0, 2.0])).numpy().tolist()
    [0.0, 0.0]
    """
    if name is None:
        yield Rectifiers("gradient")
        return
    rule = find_rule(name)
    found = Rectifiers(name if isinstance(name, str) else getattr(name, "__name__", "own rule"))
    with _lock, ExitStack() as stack:
        for kind in _RECTIFIERS:
            stack.enter_context(_registered(kind, _changed(kind, rule, found)))
        stack.enter_context(_composed_rectifiers(rule, found))
        stack.enter_context(_inlined_functions())
        stack.enter_context(_uncached_gradients())
        yield found


def find_rule(name: str | Rule) -> Rule:
    """Return the rule called `name`; a callable is its own rule."""
    if callable(name):
        return name
    if name not in BACKPROP_MODIFIERS:
        raise UnknownNameError.of("backprop modifier", name, BACKPROP_MODIFIERS)
    return BACKPROP_MODIFIERS[name]


@contextmanager
def _registered(kind: str, function: Callable[[Any, Any], Any]) -> Iterator[None]:
    entry = _ops._gradient_registry._registry[kind]
    before = entry["type"]
    entry["type"] = function
    try:
        yield
    finally:
        entry["type"] = before


def _changed(kind: str, rule: Rule, found: Rectifiers) -> Callable[[Any, Any], Any]:
    original = _ops._gradient_registry.lookup(kind)

    def gradient(operation: Any, upstream: Any) -> Any:
        # A tape hands over only the tensors that the original gradient needs.
        tensor = (operation.outputs or operation.inputs)[0]
        found._seen.add(f"{kind} {tensor.name}")
        return rule(lambda g: original(operation, g), upstream)

    return gradient


@contextmanager
def _composed_rectifiers(rule: Rule, found: Rectifiers) -> Iterator[None]:
    """Rectifiers that Keras writes as several operations, as one; and the hard sigmoid as none.

    The rule of each of the parts would not add up to the rule of the whole: PReLU is
    ``relu(x) - α·relu(-x)``, and the second part would let negative gradients pass.
    """
    relu, prelu, hard_sigmoid = _ReLU.static_call, keras.layers.PReLU.call, _keras_nn.hard_sigmoid

    @wraps(relu)
    def static_call(
        x: Any, negative_slope: float = 0.0, max_value: Any = None, threshold: Any = 0.0
    ) -> Any:
        y = relu(x, negative_slope, max_value, threshold)
        plain = threshold == 0 and (
            max_value is None if negative_slope != 0 else max_value in (None, 6)
        )
        if plain:
            return y
        x = tf.convert_to_tensor(x)
        above = x > tf.cast(threshold, x.dtype) if threshold != 0 else x > 0
        inside = above if max_value is None else above & (x < tf.cast(max_value, x.dtype))
        slope = tf.cast(inside, x.dtype)
        if negative_slope != 0:
            slope = tf.where(above, slope, tf.cast(negative_slope, x.dtype))
        return _as_one(x, y, slope, rule, found)

    @wraps(prelu)
    def prelu_call(layer: Any, inputs: Any) -> Any:
        y = prelu(layer, inputs)
        alpha = tf.cast(tf.convert_to_tensor(layer.alpha), inputs.dtype)
        slope = tf.where(inputs > 0, tf.ones_like(inputs), alpha * tf.ones_like(inputs))
        return _as_one(inputs, y, slope, rule, found)

    @wraps(hard_sigmoid)
    def hard_sigmoid_call(x: Any) -> Any:
        x = tf.convert_to_tensor(x)
        slope = tf.where(tf.abs(x) < 3, tf.ones_like(x) / 6, tf.zeros_like(x))
        with tf.name_scope(_HARD_SIGMOID):
            y = hard_sigmoid(x)
        return _as_one(x, y, slope, lambda local, g: local(g), None)

    _ReLU.static_call = staticmethod(static_call)
    keras.layers.PReLU.call = prelu_call
    _keras_nn.hard_sigmoid = hard_sigmoid_call
    try:
        yield
    finally:
        _ReLU.static_call = staticmethod(relu)
        keras.layers.PReLU.call = prelu
        _keras_nn.hard_sigmoid = hard_sigmoid


def _as_one(x: Any, y: Any, slope: Any, rule: Rule, found: Rectifiers | None) -> Any:
    """`y` with the gradient that `rule` makes of ``slope·g`` with respect to `x` alone."""

    @tf.custom_gradient
    def block(x: Any, y: Any) -> Any:
        def gradient(upstream: Any) -> tuple[Any, None]:
            if found is not None:
                found._seen.add(f"composed {y.name}")
            return rule(lambda g: g * slope, upstream), None

        return tf.identity(y), gradient

    return block(x, tf.stop_gradient(y))


@contextmanager
def _inlined_functions() -> Iterator[None]:
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


@contextmanager
def _uncached_gradients() -> Iterator[None]:
    """Let concrete functions, as in a SavedModel, build their gradients again and forget them."""
    build = _concrete._DelayedRewriteGradientFunctions.forward_backward
    select = _concrete.ConcreteFunction._select_forward_and_backward_functions

    def build_anew(functions: Any, *arguments: Any, **options: Any) -> Any:
        with _emptied(functions, "_cached_function_pairs"):
            return build(functions, *arguments, **options)

    def select_anew(function: Any, *arguments: Any, **options: Any) -> Any:
        with (
            _emptied(function, "_first_order_tape_functions"),
            _emptied(function, "_higher_order_tape_functions"),
        ):
            return select(function, *arguments, **options)

    _concrete._DelayedRewriteGradientFunctions.forward_backward = build_anew
    _concrete.ConcreteFunction._select_forward_and_backward_functions = select_anew
    try:
        yield
    finally:
        _concrete._DelayedRewriteGradientFunctions.forward_backward = build
        _concrete.ConcreteFunction._select_forward_and_backward_functions = select


@contextmanager
def _emptied(owner: Any, cache: str) -> Iterator[None]:
    before = getattr(owner, cache)
    setattr(owner, cache, {})
    try:
        yield
    finally:
        setattr(owner, cache, before)


def _smooth_activations(*scores: Any) -> Counter[str]:
    """Activations of other kinds among the operations that `scores` are made of."""
    found: Counter[str] = Counter()
    for operation in _operations(scores):
        inputs = [tensor.op for tensor in operation.inputs]
        if operation.type in _CALLS:
            called = operation.graph._get_function(operation.get_attr("f").name)
            if called is not None and called.graph is not None:
                found += _smooth_activations(*called.graph.outputs)
        elif operation.type == "Relu6" and _HARD_SIGMOID in operation.name:
            found["hard sigmoid or hard silu"] += 1
        elif operation.type in _SMOOTH and not _counted_already(operation, inputs):
            found[_SMOOTH[operation.type]] += 1
    return found


def depends_on(tensor: Any, inputs: Any, given: Any = None) -> bool:
    """Whether a symbolic tensor is made of the values of `inputs`; what `given` is does not count.

    For a gradient: whether two inputs of one size may have different ones.
    """
    below = () if given is None else (given.op.name,)
    return any(o is inputs.op for o in _operations([tensor], below))


def _operations(tensors: Iterable[Any], without: Container[str] = ()) -> Iterator[Any]:
    """Yield the operations that symbolic tensors are made of, except what `without` names."""
    seen: set[str] = set()
    stack = [tensor.op for tensor in tensors]
    while stack:
        operation = stack.pop()
        if operation.name not in seen and operation.name not in without:
            seen.add(operation.name)
            if operation.type not in _SHAPES:
                stack.extend(tensor.op for tensor in operation.inputs)
            yield operation


def _counted_already(operation: Any, inputs: list[Any]) -> bool:
    # Mish is tanh of softplus: one activation.
    return operation.type == "Tanh" and any(i.type == "Softplus" for i in inputs)
