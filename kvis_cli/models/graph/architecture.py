"""A model's architecture as a flat graph of layer calls, read from its config without Keras.

Nested models are inlined: what remains are the calls of real layers, each with an address such
as ``base/conv1``. A shared layer has one call per use (``conv``, ``conv@1`` ...).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from kvis_cli.errors import ModelError
from kvis_cli.models.graph.parameters import count_parameters
from kvis_cli.models.graph.shapes import Shape, output_shapes
from kvis_cli.shown import said

Config = dict[str, Any]

# What reading a config that no Keras wrote may raise.
_BROKEN = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
# Larger than any tensor dimension or number of outputs.
_MAX_SIZE = 1 << 40
_MAX_OUTPUTS = 10_000

# A tensor: the call that makes it and which of its outputs it is.
Tensor = tuple["LayerCall", int]
# A reference inside a functional config: layer name, call number, output number.
Reference = tuple[str, int, int]


@dataclass(eq=False)
class LayerCall:
    """One use of one layer.

    Attributes
    ----------
    path
        The address of this call: names of the nested models and of the layer, joined by ``/``;
        ``@k`` marks the (k+1)-th use of a shared layer or model.
    layer_path
        The address of the layer itself: `path` without ``@k``.
    call
        0 for the layer's first use in execution order, 1 for its second ...
    name, class_name, config
        As in the file.
    index
        Row number in execution order.
    inputs
        The calls whose outputs it reads, in argument order, without repetition.
    input_shapes
        The shape of each tensor that it reads, batch included; None when unknown.
    output_shapes
        The shape of each tensor that it makes.
    params
        Number of weights, None when unknown. The uses of a shared layer share them.
    depth
        How many nested models it is inside of.
    """

    path: str
    layer_path: str
    call: int
    name: str
    class_name: str
    config: Config = field(repr=False)
    index: int
    inputs: tuple[LayerCall, ...] = field(repr=False)
    input_shapes: tuple[Shape | None, ...] = field(repr=False)
    output_shapes: tuple[Shape | None, ...]
    params: int | None = None
    depth: int = 0

    @property
    def output_shape(self) -> Shape | None:
        """The shape of the first output, batch included; None when unknown."""
        return self.output_shapes[0] if self.output_shapes else None

    @property
    def filters(self) -> int | None:
        """How many channels or units the output has, None when unknown."""
        shape = self.output_shape
        if shape is None or len(shape) < 2 or self.class_name == "InputLayer":
            return None
        if len(shape) > 2 and self.channels_first:
            return shape[1]
        return shape[-1]

    @property
    def channels_first(self) -> bool:
        """Whether the channels of its output stand before the spatial dimensions.

        A layer that does not say it (an activation, an addition) keeps the order of what it reads.
        """
        pending, seen = [self], set()
        while pending:
            call = pending.pop(0)
            if id(call) in seen:
                continue
            seen.add(id(call))
            stated = call.config.get("data_format")
            if stated in ("channels_first", "channels_last"):
                return bool(stated == "channels_first")
            if call.class_name == "BatchNormalization" and len(call.output_shape or ()) > 3:
                axis = call.config.get("axis", -1)
                axis = axis[0] if isinstance(axis, list) and axis else axis
                return bool(axis == 1)
            if call.class_name in ("Dense", "Reshape", "Permute", "Embedding"):
                return False
            pending.extend(call.inputs)
        return False

    @property
    def spatial_shape(self) -> Shape | None:
        """The sizes between batch and channels; empty for a vector, None when unknown."""
        shape = self.output_shape
        if shape is None:
            return None
        if len(shape) < 3:
            return ()
        return shape[2:] if self.channels_first else shape[1:-1]


@dataclass(frozen=True)
class Endpoint:
    """An input or output of the model: its name, shape (batch included), dtype and tensor."""

    name: str
    shape: Shape | None
    dtype: str
    call: LayerCall = field(repr=False)
    output: int = 0
    key: str | None = None


@dataclass
class Architecture:
    """The flat graph of a model.

    Attributes
    ----------
    name, class_name
        Of the model itself.
    calls
        All layer calls in execution order, the inputs first used included.
    inputs, outputs
        What goes in and out, in the model's own order. `key` is set for dict inputs and outputs.
    models
        Nested models: address → the call that makes their (first) output.
    is_graph
        False for a subclassed model, whose config does not say what it computes.
    """

    name: str
    class_name: str
    calls: tuple[LayerCall, ...] = ()
    inputs: tuple[Endpoint, ...] = ()
    outputs: tuple[Endpoint, ...] = ()
    models: dict[str, LayerCall] = field(default_factory=dict)
    is_graph: bool = True

    @classmethod
    def from_config(
        cls, config: Config, *, input_shapes: Sequence[Shape | None] | None = None
    ) -> Architecture:
        """Read the graph of ``{"class_name": ..., "config": {...}}``.

        Parameters
        ----------
        config
            The config of a Functional or Sequential model of Keras 2 or 3. Anything else gives
            an architecture with ``is_graph`` False.
        input_shapes
            Shapes, batch included, to use in place of those in the config.

        Raises
        ------
        ModelError
            The graph refers to layers that do not exist, or has a loop.
        """
        class_name = str(config.get("class_name", "Model"))
        inner = config.get("config")
        if isinstance(inner, list):
            inner = {"name": "sequential", "layers": inner}
        name = str(inner.get("name") or class_name.lower()) if isinstance(inner, dict) else ""
        if not isinstance(inner, dict) or not _is_model(inner):
            return cls(name, class_name, is_graph=False)
        try:
            builder = _Builder(trust_stored_shapes=input_shapes is None)
            scope = _Scope(builder, "", "", 0, inner)
            outputs = scope.run_top(config, input_shapes)
        except ModelError:
            raise
        except _BROKEN as error:
            reason = said(error)
            raise ModelError(
                "The model's architecture cannot be read.",
                f"Its config is not a graph of layers ({type(error).__name__}: {reason}).",
                "The file is damaged, or was written by something other than Keras.",
            ) from error
        return cls(
            name,
            class_name,
            tuple(builder.calls),
            tuple(builder.inputs),
            tuple(outputs),
            builder.models,
        )

    @property
    def params(self) -> int | None:
        """Number of weights, each shared layer counted once; None when a layer is unknown."""
        total, seen = 0, set()
        for call in self.calls:
            if call.layer_path in seen:
                continue
            seen.add(call.layer_path)
            if call.params is None:
                return None
            total += call.params
        return total

    def __iter__(self) -> Iterator[LayerCall]:
        return iter(self.calls)

    def __len__(self) -> int:
        return len(self.calls)


class _Builder:
    """Collects the calls of all scopes in execution order."""

    def __init__(self, trust_stored_shapes: bool) -> None:
        self.trust_stored_shapes = trust_stored_shapes
        self.calls: list[LayerCall] = []
        self.inputs: list[Endpoint] = []
        self.models: dict[str, LayerCall] = {}
        self._uses: dict[str, int] = {}

    def uses(self, layer_path: str) -> int:
        """How often `layer_path` was used before; counts this use."""
        used = self._uses.get(layer_path, 0)
        self._uses[layer_path] = used + 1
        return used

    def add(
        self,
        scope: _Scope,
        layer: Config,
        tensors: Sequence[Tensor],
        stored: Sequence[Shape | None] = (),
        use: int = 0,
    ) -> LayerCall:
        """Append one call of a layer.

        `stored` are the output shapes that the file itself gives, `use` how often this scope
        called the layer before.
        """
        name, class_name = _name_of(layer), str(layer.get("class_name", ""))
        config = layer.get("config")
        config = config if isinstance(config, dict) else {}
        shapes_in = tuple(_shape_of(tensor) for tensor in tensors)
        self._fill_unknown(layer, tensors, shapes_in)
        shapes_in = tuple(_shape_of(tensor) for tensor in tensors)
        if class_name == "InputLayer":
            shapes: Sequence[Shape | None] = stored
        else:
            shapes = output_shapes(class_name, config, shapes_in)
        if class_name != "InputLayer":
            inside = scope.depth > 0 or not self.trust_stored_shapes
            shapes = _merged(shapes, stored) if inside else _merged(stored, shapes)
        layer_path = scope.layer_prefix + name
        call = LayerCall(
            path=scope.prefix + name + (f"@{use}" if use else ""),
            layer_path=layer_path,
            call=self.uses(layer_path),
            name=name,
            class_name=class_name,
            config=config,
            index=len(self.calls),
            inputs=tuple(dict.fromkeys(tensor[0] for tensor in tensors)),
            input_shapes=shapes_in,
            output_shapes=tuple(shapes),
            params=count_parameters(class_name, config, shapes_in),
            depth=scope.depth,
        )
        self.calls.append(call)
        return call

    @staticmethod
    def _fill_unknown(
        layer: Config, tensors: Sequence[Tensor], shapes: Sequence[Shape | None]
    ) -> None:
        """Keras 3 stores what a layer was built on: that is its predecessor's output shape."""
        build = layer.get("build_config")
        if len(tensors) != 1 or shapes[0] is not None or not isinstance(build, dict):
            return
        call, output = tensors[0]
        shape = _as_shape(build.get("input_shape"))
        if shape is not None:
            known = list(call.output_shapes)
            known[output] = shape
            call.output_shapes = tuple(known)


class _Scope:
    """One model's config, at its place among the nested models."""

    def __init__(
        self, builder: _Builder, prefix: str, layer_prefix: str, depth: int, config: Config
    ) -> None:
        self.builder, self.config, self.depth = builder, config, depth
        self.prefix, self.layer_prefix = prefix, layer_prefix
        self.layers = [layer for layer in config["layers"] if isinstance(layer, dict)]

    # --- the outermost model ---

    def run_top(self, model: Config, shapes: Sequence[Shape | None] | None) -> list[Endpoint]:
        if _is_functional(self.config):
            names, keys = _endpoint_references(self.config["input_layers"])
            by_name = {_name_of(layer): layer for layer in self.layers}
            tensors = [
                self._input(by_name[name], shapes[i] if shapes else None, keys[i])
                for i, (name, _, _) in enumerate(names)
            ]
            found = self._functional(tensors)
            references, out_keys = _endpoint_references(self.config["output_layers"])
            out_names = [name for name, _, _ in references]
        else:
            layer = self._sequential_input(model)
            tensors = [self._input(layer, shapes[0] if shapes else None, None)]
            found = self._sequential(tensors)
            out_keys = [None] * len(found)
            out_names = [call.name for call, _ in found]
            if self.layers and len(found) == 1:
                out_names = [_name_of(self.layers[-1])]
        return [
            Endpoint(name, _shape_of(tensor), _dtype_of(tensor[0]), tensor[0], tensor[1], key)
            for name, tensor, key in zip(out_names, found, out_keys, strict=True)
        ]

    def _input(self, layer: Config, shape: Shape | None, key: str | None) -> Tensor:
        config = layer.get("config", {})
        if shape is None:
            shape = _as_shape(config.get("batch_shape", config.get("batch_input_shape")))
        call = self.builder.add(self, layer, (), (shape,))
        self.builder.inputs.append(Endpoint(call.name, shape, _dtype_of(call), call, 0, key))
        return (call, 0)

    def _sequential_input(self, model: Config) -> Config:
        """The InputLayer that a Sequential has, or would have had."""
        first = self.layers[0] if self.layers else {}
        if first.get("class_name") == "InputLayer":
            return first
        shape, dtype = _leading_shape(self.config)
        if shape is None:
            build = model.get("build_config")
            shape = _as_shape(build.get("input_shape")) if isinstance(build, dict) else None
        return {
            "class_name": "InputLayer",
            "config": {"name": "input", "batch_shape": shape, "dtype": dtype},
        }

    # --- any model ---

    def run(self, tensors: list[Tensor]) -> list[Tensor]:
        return (
            self._functional(tensors) if _is_functional(self.config) else self._sequential(tensors)
        )

    def _sequential(self, tensors: list[Tensor]) -> list[Tensor]:
        uses: dict[str, int] = {}
        for layer in self.layers:
            if layer.get("class_name") == "InputLayer":
                continue
            name = _name_of(layer)
            tensors = self._call(layer, tensors, (), uses.get(name, 0))
            uses[name] = uses.get(name, 0) + 1
        return tensors

    def _functional(self, tensors: list[Tensor]) -> list[Tensor]:
        references, _ = _endpoint_references(self.config["input_layers"])
        if len(references) != len(tensors):
            raise ValueError(f"{len(tensors)} tensors for {len(references)} inputs")
        graph = _Graph(self.config, self.layers)
        made: dict[tuple[str, int], list[Tensor]] = {}
        for (name, _, _), tensor in zip(references, tensors, strict=True):
            made[name, 0] = [tensor]
        waiting = [
            (layer, number, node)
            for layer in self.layers
            for number, node in enumerate(graph.nodes(layer))
            if (_name_of(layer), number) not in made
        ]
        while waiting:
            later = []
            blocked: set[str] = set()
            for layer, number, node in waiting:
                name = _name_of(layer)
                # The calls of a shared layer are numbered in the order in which they are made.
                if name in blocked or any(ref[:2] not in made for ref in node):
                    blocked.add(name)
                    later.append((layer, number, node))
                    continue
                found = [made[ref[:2]][ref[2]] for ref in node]
                made[name, number] = self._call(layer, found, graph.stored(name, number), number)
            if len(later) == len(waiting):
                names = ", ".join(sorted({_name_of(layer) for layer, _, _ in later})[:5])
                raise ValueError(f"a loop, or a missing layer, before {names}")
            waiting = later
        return [made[ref[:2]][ref[2]] for ref in graph.outputs]

    def _call(
        self, layer: Config, tensors: list[Tensor], stored: Sequence[Shape | None], use: int
    ) -> list[Tensor]:
        config = layer.get("config")
        if isinstance(config, list):
            config = {"name": _name_of(layer), "layers": config}
        if not isinstance(config, dict) or not _is_model(config):
            if layer.get("class_name") == "GetItem":
                # What it slices stands in the call, not in the config.
                key = layer["inbound_nodes"][use]["args"][1]
                layer = {**layer, "config": {**(config or {}), "key": key}}
            call = self.builder.add(self, layer, tensors, stored, use)
            return [(call, i) for i in range(len(call.output_shapes))]
        mark = f"@{use}" if use else ""
        name = _name_of(layer)
        inner = _Scope(
            self.builder,
            f"{self.prefix}{name}{mark}/",
            f"{self.layer_prefix}{name}/",
            self.depth + 1,
            config,
        )
        found = inner.run(tensors)
        if found:
            self.builder.models[f"{self.prefix}{name}{mark}"] = found[0][0]
        return found


def nested_numbering(config: Config) -> dict[str, tuple[int, int]]:
    """The number that the first call of each nested model has in a functional config.

    Returns
    -------
    dict
        Layer name → (in the references between layers, in `output_layers`), 0 or 1 each.
    """
    layers = [layer for layer in config["layers"] if isinstance(layer, dict)]
    return _Graph(config, layers).shifts


class _Graph:
    """The wiring of one functional config, in the numbering of Keras 3's layers.

    Keras 2 counts the call that a nested model makes of itself, so that its first use is number 1,
    and both versions count it where they list a model's outputs.
    """

    def __init__(self, config: Config, layers: list[Config]) -> None:
        names = {_name_of(layer) for layer in layers}
        self._raw: dict[str, list[list[Reference]]] = {}
        self._stored: dict[str, dict[tuple[int, int], Shape]] = {}
        for layer in layers:
            name = _name_of(layer)
            nodes = layer.get("inbound_nodes") or []
            self._raw[name] = [self._references(node, names) for node in nodes]
            if layer.get("class_name") != "InputLayer" and not all(self._raw[name]):
                raise ValueError(f"'{name}' is called on nothing")
        outputs, _ = _endpoint_references(config["output_layers"])
        self.shifts = {
            name: self._shift(layer, outputs)
            for layer in layers
            if _is_model_layer(layer)
            for name in [_name_of(layer)]
        }
        self._inbound = {name: shift[0] for name, shift in self.shifts.items()}
        outward = {name: shift[1] for name, shift in self.shifts.items()}
        self.outputs = [(name, n - outward.get(name, 0), t) for name, n, t in outputs]

    def nodes(self, layer: Config) -> list[list[Reference]]:
        return [
            [(name, n - self._inbound.get(name, 0), t) for name, n, t in node]
            for node in self._raw[_name_of(layer)]
        ]

    def stored(self, name: str, number: int) -> list[Shape | None]:
        """The output shapes that the file gives for one call; empty when it gives none."""
        number += self._inbound.get(name, 0)
        shapes = {t: s for (n, t), s in self._stored.get(name, {}).items() if n == number}
        return [shapes.get(t) for t in range(max(shapes) + 1)] if shapes else []

    def _shift(self, layer: Config, outputs: list[Reference]) -> tuple[int, int]:
        """How far the references to a nested model are off, inside the graph and at its outputs."""
        name = _name_of(layer)
        calls = set(range(len(self._raw[name])))
        nodes = [ref for nodes in self._raw.values() for node in nodes for ref in node]
        inside = {number for layer_name, number, _ in nodes if layer_name == name}
        outside = {number for layer_name, number, _ in outputs if layer_name == name}
        # Every call is referred to by somebody, so hardly more than one numbering covers them all.
        # Among the outputs both versions count a functional model's own call; Keras 3 does not
        # for a Sequential.
        functional = isinstance(layer["config"], dict) and _is_functional(layer["config"])
        usual = [(0, 1), (1, 1), (0, 0)] if functional else [(0, 0), (1, 1), (0, 1)]
        for shift_in, shift_out in usual:
            if {n - shift_in for n in inside} | {n - shift_out for n in outside} == calls:
                return shift_in, shift_out
        return 0, 0

    def _references(self, node: Any, names: set[str]) -> list[Reference]:
        found: list[Reference] = []
        if isinstance(node, dict) and ("args" in node or "kwargs" in node):
            self._collect(node.get("args"), found)
            self._collect(node.get("kwargs"), found)
        else:
            self._collect_legacy(node, names, found)
        return found

    def _collect(self, value: Any, found: list[Reference]) -> None:
        if isinstance(value, list):
            for item in value:
                self._collect(item, found)
        elif isinstance(value, dict):
            if value.get("class_name") == "__keras_tensor__":
                name, number, output = value["config"]["keras_history"]
                if not 0 <= int(output) < _MAX_OUTPUTS:
                    raise ValueError(f"output {output} of '{name}'")
                found.append((name, int(number), int(output)))
                shape = _as_shape(value["config"].get("shape"))
                if shape is not None and not value["config"].get("shape_unknown"):
                    self._stored.setdefault(name, {})[int(number), int(output)] = shape
            else:
                # Keras flattens by sorted keys.
                for _, item in sorted(value.items()):
                    self._collect(item, found)

    def _collect_legacy(self, value: Any, names: set[str], found: list[Reference]) -> None:
        if isinstance(value, dict):
            for item in value.values():
                self._collect_legacy(item, names, found)
        elif isinstance(value, list):
            if _is_reference(value):
                if value[0] in names:
                    found.append((value[0], int(value[1]), int(value[2])))
                elif value[0] != "_CONSTANT_VALUE":
                    raise ValueError(f"unknown layer '{value[0]}'")
                if len(value) > 3:
                    self._collect_legacy(value[3], names, found)
            else:
                for item in value:
                    self._collect_legacy(item, names, found)


def _is_reference(value: list[Any]) -> bool:
    return (
        len(value) in (3, 4)
        and isinstance(value[0], str)
        and type(value[1]) is int
        and (type(value[2]) is int or value[0] == "_CONSTANT_VALUE")
    )


def _endpoint_references(value: Any) -> tuple[list[Reference], list[str | None]]:
    """The references in `input_layers` or `output_layers`, and their dict keys."""
    references: list[Reference] = []
    keys: list[str | None] = []

    def visit(item: Any, key: str | None) -> None:
        if isinstance(item, dict):
            # Keras flattens by sorted keys.
            for inner, entry in sorted(item.items()):
                visit(entry, str(inner))
        elif isinstance(item, list):
            if len(item) >= 3 and isinstance(item[0], str):
                references.append((item[0], int(item[1]), int(item[2])))
                keys.append(key)
            else:
                for entry in item:
                    visit(entry, key)

    visit(value, None)
    return references, keys


def _is_model(config: Config) -> bool:
    return isinstance(config.get("layers"), list)


def _is_functional(config: Config) -> bool:
    return "input_layers" in config and "output_layers" in config


def _is_model_layer(layer: Config) -> bool:
    config = layer.get("config")
    return isinstance(config, list) or (isinstance(config, dict) and _is_model(config))


def _name_of(layer: Config) -> str:
    config = layer.get("config")
    inner = config.get("name") if isinstance(config, dict) else None
    name = layer.get("name") or inner
    return str(name) if name else str(layer.get("class_name", "layer")).lower()


def _leading_shape(config: Config) -> tuple[Shape | None, str]:
    """The input shape that a Sequential's config states somewhere, and its dtype."""
    shape = _as_shape(config.get("build_input_shape"))
    layers = config.get("layers") or []
    first = layers[0] if layers and isinstance(layers[0], dict) else {}
    inner = first.get("config")
    if isinstance(inner, list):
        inner = {"layers": inner}
    if not isinstance(inner, dict):
        return shape, "float32"
    stated = _as_shape(inner.get("batch_shape", inner.get("batch_input_shape")))
    if stated is None and _is_functional(inner):
        references, _ = _endpoint_references(inner["input_layers"])
        names = {_name_of(layer): layer for layer in inner["layers"]}
        entry = names[references[0][0]]["config"] if references else {}
        stated = _as_shape(entry.get("batch_shape", entry.get("batch_input_shape")))
    elif stated is None and _is_model(inner):
        stated, _ = _leading_shape(inner)
    if stated is None and first.get("build_config"):
        stated = _as_shape(first["build_config"].get("input_shape"))
    dtype = inner.get("dtype") if first.get("class_name") == "InputLayer" else None
    return stated or shape, dtype if isinstance(dtype, str) else "float32"


def _as_shape(value: Any) -> Shape | None:
    """A shape from JSON, or None when it is not one."""
    if not isinstance(value, (list, tuple)):
        return None
    sizes = [None if size is None else size for size in value]
    if not all(size is None or (type(size) is int and 0 <= size < _MAX_SIZE) for size in sizes):
        return None
    return tuple(sizes)


def _shape_of(tensor: Tensor) -> Shape | None:
    call, output = tensor
    return call.output_shapes[output] if output < len(call.output_shapes) else None


def _merged(first: Sequence[Shape | None], second: Sequence[Shape | None]) -> list[Shape | None]:
    """Each shape from `first`, or from `second` where `first` does not know it."""
    length = max(len(first), len(second))
    padded = [list(shapes) + [None] * (length - len(shapes)) for shapes in (first, second)]
    return [a if a is not None else b for a, b in zip(*padded, strict=True)]


def _dtype_of(call: LayerCall) -> str:
    dtype = call.config.get("dtype")
    if isinstance(dtype, dict):
        dtype = dtype.get("config", {}).get("name")
    if not isinstance(dtype, str):
        return "float32"
    return {"mixed_float16": "float16", "mixed_bfloat16": "bfloat16"}.get(dtype, dtype)
