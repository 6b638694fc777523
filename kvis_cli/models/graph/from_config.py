"""From the config of a model to its `Architecture`, without Keras."""

from __future__ import annotations

from collections.abc import Sequence

from kvis_cli.errors import ModelError
from kvis_cli.models.graph.architecture import Architecture, Endpoint, LayerCall
from kvis_cli.models.graph.config import (
    BROKEN,
    Config,
    as_shape,
    endpoint_references,
    is_functional,
    is_model,
    leading_shape,
    name_of,
)
from kvis_cli.models.graph.layers import count_parameters, output_shapes
from kvis_cli.models.graph.layers.rules import Inferred, Shape
from kvis_cli.models.graph.wiring import Wiring
from kvis_cli.shown import said

# A tensor: the call that makes it and which of its outputs it is.
Tensor = tuple["LayerCall", int]


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
        name, class_name = name_of(layer), str(layer.get("class_name", ""))
        config = layer.get("config")
        config = config if isinstance(config, dict) else {}
        shapes_in = tuple(_shape_of(tensor) for tensor in tensors)
        self._fill_unknown(layer, tensors, shapes_in)
        shapes_in = tuple(_shape_of(tensor) for tensor in tensors)
        if class_name == "InputLayer":
            shapes: Sequence[Shape | None] = stored
        else:
            shapes = output_shapes(class_name, config, shapes_in, _infer)
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
            params=count_parameters(class_name, config, shapes_in, _infer),
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
        shape = as_shape(build.get("input_shape"))
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
        if is_functional(self.config):
            names, keys = endpoint_references(self.config["input_layers"])
            by_name = {name_of(layer): layer for layer in self.layers}
            tensors = [
                self._input(by_name[name], shapes[i] if shapes else None, keys[i])
                for i, (name, _, _) in enumerate(names)
            ]
            found = self._functional(tensors)
            references, out_keys = endpoint_references(self.config["output_layers"])
            out_names = [name for name, _, _ in references]
        else:
            layer = self._sequential_input(model)
            tensors = [self._input(layer, shapes[0] if shapes else None, None)]
            found = self._sequential(tensors)
            out_keys = [None] * len(found)
            out_names = [call.name for call, _ in found]
            if self.layers and len(found) == 1:
                out_names = [name_of(self.layers[-1])]
        return [
            Endpoint(name, _shape_of(tensor), _dtype_of(tensor[0]), tensor[0], tensor[1], key)
            for name, tensor, key in zip(out_names, found, out_keys, strict=True)
        ]

    def _input(self, layer: Config, shape: Shape | None, key: str | None) -> Tensor:
        config = layer.get("config", {})
        if shape is None:
            shape = as_shape(config.get("batch_shape", config.get("batch_input_shape")))
        call = self.builder.add(self, layer, (), (shape,))
        self.builder.inputs.append(Endpoint(call.name, shape, _dtype_of(call), call, 0, key))
        return (call, 0)

    def _sequential_input(self, model: Config) -> Config:
        """Return the InputLayer that a Sequential has, or would have had."""
        first = self.layers[0] if self.layers else {}
        if first.get("class_name") == "InputLayer":
            return first
        shape, dtype = leading_shape(self.config)
        if shape is None:
            build = model.get("build_config")
            shape = as_shape(build.get("input_shape")) if isinstance(build, dict) else None
        return {
            "class_name": "InputLayer",
            "config": {"name": "input", "batch_shape": shape, "dtype": dtype},
        }

    # --- any model ---

    def run(self, tensors: list[Tensor]) -> list[Tensor]:
        return (
            self._functional(tensors) if is_functional(self.config) else self._sequential(tensors)
        )

    def _sequential(self, tensors: list[Tensor]) -> list[Tensor]:
        uses: dict[str, int] = {}
        for layer in self.layers:
            if layer.get("class_name") == "InputLayer":
                continue
            name = name_of(layer)
            tensors = self._call(layer, tensors, (), uses.get(name, 0))
            uses[name] = uses.get(name, 0) + 1
        return tensors

    def _functional(self, tensors: list[Tensor]) -> list[Tensor]:
        references, _ = endpoint_references(self.config["input_layers"])
        if len(references) != len(tensors):
            raise ValueError(f"{len(tensors)} tensors for {len(references)} inputs")
        graph = Wiring(self.config, self.layers)
        made: dict[tuple[str, int], list[Tensor]] = {}
        for (name, _, _), tensor in zip(references, tensors, strict=True):
            made[name, 0] = [tensor]
        waiting = [
            (layer, number, node)
            for layer in self.layers
            for number, node in enumerate(graph.nodes(layer))
            if (name_of(layer), number) not in made
        ]
        while waiting:
            later = []
            blocked: set[str] = set()
            for layer, number, node in waiting:
                name = name_of(layer)
                # The calls of a shared layer are numbered in the order in which they are made.
                if name in blocked or any(ref[:2] not in made for ref in node):
                    blocked.add(name)
                    later.append((layer, number, node))
                    continue
                found = [made[ref[:2]][ref[2]] for ref in node]
                made[name, number] = self._call(layer, found, graph.stored(name, number), number)
            if len(later) == len(waiting):
                names = ", ".join(sorted({name_of(layer) for layer, _, _ in later})[:5])
                raise ValueError(f"a loop, or a missing layer, before {names}")
            waiting = later
        return [made[ref[:2]][ref[2]] for ref in graph.outputs]

    def _call(
        self, layer: Config, tensors: list[Tensor], stored: Sequence[Shape | None], use: int
    ) -> list[Tensor]:
        config = layer.get("config")
        if isinstance(config, list):
            config = {"name": name_of(layer), "layers": config}
        if not isinstance(config, dict) or not is_model(config):
            if layer.get("class_name") == "GetItem":
                # What it slices stands in the call, not in the config.
                key = layer["inbound_nodes"][use]["args"][1]
                layer = {**layer, "config": {**(config or {}), "key": key}}
            call = self.builder.add(self, layer, tensors, stored, use)
            return [(call, i) for i in range(len(call.output_shapes))]
        mark = f"@{use}" if use else ""
        name = name_of(layer)
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


def read_architecture(
    config: Config, *, input_shapes: Sequence[Shape | None] | None = None
) -> Architecture:
    """Read the graph of ``{"class_name": ..., "config": {...}}``.

    Parameters
    ----------
    config
        The config of a Functional or Sequential model of Keras 2 or 3. Anything else gives
        an architecture with ``is_graph`` False.
    input_shapes
        Shapes, batch included, to use in place of those in the config.

    Returns
    -------
    Architecture
        Layer calls in execution order, with shapes and connections; nested models inlined.

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
    if not isinstance(inner, dict) or not is_model(inner):
        return Architecture(name, class_name, is_graph=False)
    try:
        builder = _Builder(trust_stored_shapes=input_shapes is None)
        scope = _Scope(builder, "", "", 0, inner)
        outputs = scope.run_top(config, input_shapes)
    except ModelError:
        raise
    except BROKEN as error:
        reason = said(error)
        raise ModelError(
            "The model's architecture cannot be read.",
            f"Its config is not a graph of layers ({type(error).__name__}: {reason}).",
            "The file is damaged, or was written by something other than Keras.",
        ) from error
    return Architecture(
        name,
        class_name,
        tuple(builder.calls),
        tuple(builder.inputs),
        tuple(outputs),
        builder.models,
    )


def _infer(config: Config, shape: Shape) -> Inferred:
    """Return a model inside of a layer, called on one tensor."""
    inner = read_architecture(config, input_shapes=[shape])
    return Inferred([output.shape for output in inner.outputs], inner.params)
