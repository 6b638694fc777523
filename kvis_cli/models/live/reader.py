"""Reading a layer's tensor while the model runs.

The layer's ``call`` is wrapped for the time of one (traced) forward pass, so nested, shared and
subclassed models need no rebuilt graph, weights stay shared, and the model is left as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import keras

from kvis_cli.errors import UnknownNameError

Watch = Callable[[Any], None]


@dataclass(frozen=True)
class Tap:
    """One call of one layer: its path through nested models, and which of its calls."""

    path: str
    call: int = 0

    @classmethod
    def of(cls, address: str) -> Tap:
        """``base/conv@1`` as a tap."""
        path, _, call = address.partition("@")
        return cls(path, int(call) if call else 0)

    def __str__(self) -> str:
        return f"{self.path}@{self.call}" if self.call else self.path


@dataclass(frozen=True)
class Forward:
    """What one forward pass gave.

    Attributes
    ----------
    outputs
        The model's output tensors, flattened; empty when the pass stopped at a layer.
    taps
        The tensors that were asked for, in the order of the request.
    """

    outputs: list[Any]
    taps: list[Any]


class _StopForward(BaseException):
    """Leaves a forward pass once the last tapped layer has run. Keras wraps plain exceptions."""


class ModelReader:
    """Runs a model in inference mode and hands out the tensors of its layers.

    Parameters
    ----------
    model
        Any Keras 3 model on the TensorFlow backend; it is never changed.
    arrange
        From the explained input to all that the model takes, where that is more than one tensor.
    shown
        From the model's outputs to outputs ``(B, *positions, units)``, where they are not that.
    """

    def __init__(
        self,
        model: keras.Model,
        arrange: Callable[[Any], Any] | None = None,
        shown: Callable[[list[Any]], list[Any]] | None = None,
    ) -> None:
        self.model = model
        self.shown = shown or (lambda outputs: outputs)
        self.arrange = arrange or (lambda inputs: inputs)

    def operation(self, path: str) -> Any:
        """Return the layer or operation at `path` (``base/conv1``).

        Parameters
        ----------
        path
            Names of nested models and the layer, joined by ``/``.

        Returns
        -------
        Any
            The object of the model itself.

        Raises
        ------
        UnknownNameError
            When a part of the path names nothing.
        """
        current: Any = self.model
        for part in path.split("/"):
            table = {child.name: child for child in children(current)}
            if part not in table:
                raise UnknownNameError.of("layer", part, table, where=f"in '{current.name}'")
            current = table[part]
        return current

    def forward(
        self,
        inputs: Any,
        taps: Sequence[Tap] = (),
        *,
        watch: Watch | None = None,
        stop: bool = False,
    ) -> Forward:
        """Run the model once.

        Parameters
        ----------
        inputs
            The explained input. With `stop`, any size that the layers
            up to the tapped ones accept.
        taps
            The layer calls whose outputs are wanted.
        watch
            Called with each tapped tensor as soon as it exists (``tape.watch``), so that a tape
            records only what comes after it.
        stop
            Leave once all taps are there; nothing behind them is computed.

        Returns
        -------
        Forward
            The model's outputs, empty with `stop`, and the tapped tensors in the order of `taps`.

        Raises
        ------
        UnknownNameError
            For a layer that is not there, or was not called as often as a tap says.
        """
        found: dict[Tap, Any] = {}
        with ExitStack() as stack:
            for path in dict.fromkeys(tap.path for tap in taps):
                wanted = {tap.call: tap for tap in taps if tap.path == path}
                hook = _hook(wanted, found, watch, len(set(taps)) if stop else 0)
                stack.enter_context(wrapped_call(self.operation(path), hook))
            if stop:
                stack.enter_context(any_input_size(self.model))
            try:
                made = self.model(self.arrange(inputs), training=False)
                outputs = self.shown(keras.tree.flatten(made))
            except _StopForward:
                outputs = []
        for tap in taps:
            if tap not in found:
                raise UnknownNameError(
                    f"Layer '{tap}' was not reached.",
                    "The model runs without it, or calls it less often.",
                    "`kvis layers` lists the calls of each layer.",
                )
        return Forward(outputs, [found[tap] for tap in taps])


def _hook(
    wanted: dict[int, Tap], found: dict[Tap, Any], watch: Watch | None, stop_at: int
) -> Callable[[int, Any], None]:
    def hook(call: int, output: Any) -> None:
        tap = wanted.get(call)
        if tap is None:
            return
        tensor = keras.tree.flatten(output)[0]
        if watch is not None:
            watch(tensor)
        found[tap] = tensor
        if len(found) == stop_at:
            raise _StopForward

    return hook


@contextmanager
def wrapped_call(operation: Any, hook: Callable[[int, Any], Any]) -> Iterator[None]:
    """While open, `hook` gets ``(number of the call, output)`` of every call of `operation`.

    What it returns takes the output's place, unless it is None.
    """
    calls = 0
    attribute = "quantized_call" if getattr(operation, "quantization_mode", None) else "call"
    original = getattr(operation, attribute)

    def call(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        output = original(*args, **kwargs)
        number, calls = calls, calls + 1
        changed = hook(number, output)
        return output if changed is None else changed

    before = operation.__dict__.get(attribute)
    object.__setattr__(operation, attribute, call)
    try:
        yield
    finally:
        if before is None:
            object.__delattr__(operation, attribute)
        else:
            object.__setattr__(operation, attribute, before)


@contextmanager
def any_input_size(model: keras.Model) -> Iterator[None]:
    """While open, `model` and the models in it accept inputs of another size than their own."""
    changed = []
    try:
        for operation in walk(model):
            if hasattr(operation, "_run_through_graph") and not hasattr(
                operation, "_manual_input_spec"
            ):
                object.__setattr__(operation, "_manual_input_spec", [])
                changed.append(operation)
        yield
    finally:
        for operation in changed:
            object.__delattr__(operation, "_manual_input_spec")


def children(operation: Any) -> list[Any]:
    """Return the layers and operations directly inside `operation`."""
    if isinstance(operation, keras.Sequential):
        return list(operation.layers)
    if hasattr(operation, "operations"):
        return list(operation.operations)
    if hasattr(operation, "_flatten_layers"):
        return list(operation._flatten_layers(include_self=False, recursive=False))
    return []


def walk(operation: Any) -> Iterator[Any]:
    """`operation` and everything inside it, each once."""
    seen: set[int] = set()
    stack = [operation]
    while stack:
        current = stack.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        stack.extend(reversed(children(current)))
