"""The graph of a model that only its code describes: read from one symbolic run of it.

While the model is traced, every layer's output is noted; which layer reads which is then found by
walking the TensorFlow graph backwards. So subclassed models get the same `Architecture` as all
others, with plain operations between the layers accounted for.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import keras
import tensorflow as tf

from kvis_cli.models.graph.architecture import Architecture, Endpoint, LayerCall
from kvis_cli.models.live.pre_activation import pre_activation
from kvis_cli.models.live.reader import children, wrapped_call

Shape = tuple[int | None, ...]


def traced_architecture(model: keras.Model, inputs: Any, names: Any) -> Architecture:
    """Return the layer calls of one run, as a graph.

    Parameters
    ----------
    model
        A built model; it is run symbolically, once, in inference mode.
    inputs
        Its input as a structure of ``tf.TensorSpec``.
    names
        The same structure with the name of each input.

    Returns
    -------
    Architecture
        In the order in which the layers were called.
    """
    recorder = _Recorder()

    def run(given: Any) -> Any:
        recorder.begin(given, keras.tree.flatten(names))
        with ExitStack() as stack:
            for path, operation in _inside(model, ""):
                hook = recorder.hook(path, operation)
                stack.enter_context(wrapped_call(operation, hook))
            outputs = model(given, training=False)
        recorder.end(outputs)
        return outputs

    tf.function(run, autograph=False).get_concrete_function(inputs)
    return Architecture(
        model.name,
        type(model).__name__,
        tuple(recorder.calls),
        tuple(recorder.inputs),
        tuple(recorder.outputs),
    )


def complete_shapes(
    architecture: Architecture, model: keras.Model, inputs: Any, names: Any
) -> None:
    """Fill in the shapes that the file does not tell (of custom layers), by one traced run."""
    traced = traced_architecture(model, inputs, names)
    shapes = {(call.layer_path, call.call): call.output_shapes for call in traced}
    for call in architecture:
        if call.output_shape is None:
            call.output_shapes = shapes.get((call.layer_path, call.call), call.output_shapes)
            if call.params is None:
                call.params = _parameters_within(traced, call.layer_path)
    known = {(call.layer_path, call.call): call for call in architecture}
    architecture.outputs = tuple(
        output if output.shape is not None else replace(output, shape=found.shape)
        for output, found in zip(architecture.outputs, traced.outputs, strict=True)
    )
    for call in architecture:
        call.input_shapes = tuple(
            known[before.layer_path, before.call].output_shape for before in call.inputs
        )


def _parameters_within(architecture: Architecture, path: str) -> int | None:
    """Return the weights of a layer and of the layers inside it."""
    counts = {
        call.layer_path: call.params
        for call in architecture
        if call.layer_path == path or call.layer_path.startswith(f"{path}/")
    }
    known = [count for count in counts.values() if count is not None]
    return sum(known) if known and len(known) == len(counts) else None


def _own_parameters(operation: Any) -> int | None:
    """Return how many weights a layer has, without those of the layers inside it."""
    if not getattr(operation, "built", False) or not hasattr(operation, "count_params"):
        return None
    inner = [child for child in children(operation) if hasattr(child, "count_params")]
    return int(operation.count_params() - sum(child.count_params() for child in inner))


class _Recorder:
    """Notes the calls of a trace and who made which tensor."""

    def __init__(self) -> None:
        self.calls: list[LayerCall] = []
        self.inputs: list[Endpoint] = []
        self.outputs: list[Endpoint] = []
        self._makers: dict[str, LayerCall] = {}
        self._graph: Any = None

    def begin(self, given: Any, names: list[str]) -> None:
        self._graph = tf.compat.v1.get_default_graph()
        for name, tensor in zip(names, keras.tree.flatten(given), strict=True):
            call = self._add(name, "InputLayer", {}, name, 0, [tensor], 0, ())
            shape, dtype = tuple(tensor.shape), tensor.dtype.name
            self.inputs.append(Endpoint(name, shape, dtype, call))

    def hook(self, path: str, operation: Any) -> Any:
        def note(number: int, output: Any) -> None:
            tensors = [t for t in keras.tree.flatten(output) if tf.is_tensor(t)]
            # What runs inside a loop or a branch has no tensor of the outer graph.
            if not tensors or getattr(tensors[0], "graph", None) is not self._graph:
                return
            inputs = self._readers(tensors)
            try:
                config = operation.get_config()
            except Exception:  # a custom layer may have none
                config = {}
            params = _own_parameters(operation)
            self._add(path, type(operation).__name__, config, operation.name, number, tensors,
                      params, inputs)  # fmt: skip

        return note

    def end(self, outputs: Any) -> None:
        keys = list(outputs) if isinstance(outputs, dict) else None
        tensors = [outputs[k] for k in sorted(keys)] if keys else keras.tree.flatten(outputs)
        names = sorted(keys) if keys else []
        for number, tensor in enumerate(tensors):
            maker = self._makers.get(tensor.name)
            if maker is None:
                _, activation = pre_activation(tensor)
                name = f"output_{number}" if len(tensors) > 1 else "output"
                config = {"activation": "linear" if activation == "none" else activation}
                inputs = self._readers([tensor])
                maker = self._add(name, "Operations", config, name, 0, [tensor], 0, inputs)
            name = names[number] if names else maker.name
            shape, dtype = tuple(tensor.shape), tensor.dtype.name
            key = names[number] if names else None
            self.outputs.append(Endpoint(name, shape, dtype, maker, 0, key))

    def _add(
        self,
        path: str,
        class_name: str,
        config: dict[str, Any],
        name: str,
        number: int,
        tensors: list[Any],
        params: int | None,
        inputs: tuple[LayerCall, ...],
    ) -> LayerCall:
        call = LayerCall(
            path=f"{path}@{number}" if number else path,
            layer_path=path,
            call=number,
            name=name,
            class_name=class_name,
            config=config,
            index=len(self.calls),
            inputs=inputs,
            input_shapes=tuple(before.output_shape for before in inputs),
            output_shapes=tuple(tuple(t.shape) for t in tensors),
            params=params,
            depth=path.count("/"),
        )
        self.calls.append(call)
        for tensor in tensors:
            self._makers.setdefault(tensor.name, call)
        return call

    def _readers(self, tensors: list[Any]) -> tuple[LayerCall, ...]:
        """Return the nearest recorded calls that `tensors` were computed from."""
        found: dict[int, LayerCall] = {}
        # A layer that hands its input on unchanged, or a block that ends in a layer of its own.
        pending = []
        for tensor in tensors:
            maker = self._makers.get(tensor.name)
            if maker is not None:
                found[id(maker)] = maker
            else:
                pending.extend(tensor.op.inputs)
        seen: set[str] = set()
        while pending:
            tensor = pending.pop()
            if tensor.name in seen:
                continue
            seen.add(tensor.name)
            maker = self._makers.get(tensor.name)
            if maker is not None:
                found[id(maker)] = maker
            else:
                pending.extend(tensor.op.inputs)
        return tuple(sorted(found.values(), key=lambda call: call.index))


def _inside(operation: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Every layer and operation inside, each once, with its path."""
    seen: set[int] = {id(operation)}
    pending = [(prefix, operation)]
    while pending:
        above, current = pending.pop(0)
        for child in children(current):
            if id(child) in seen or type(child).__name__ == "InputLayer":
                continue
            seen.add(id(child))
            path = f"{above}{child.name}"
            yield path, child
            pending.append((f"{path}/", child))
