"""TensorFlow operations inside a Keras 2 graph, said as layers and operations of Keras 3.

Keras 2 wraps arithmetic on symbolic tensors in ``TFOpLambda`` and ``SlicingOpLambda`` layers (until
TensorFlow 2.3 in ``TensorFlowOpLayer``); ``preprocess_input`` inside a model is the usual source.
Keras 3 has no such layers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kvis_cli.models.legacy.nodes import as_call, node_operation

Config = dict[str, Any]
# A tensor is written as a reference of Keras 2: [layer, call, output].
Operand = Any

_ARITHMETIC = {
    "__operators__.add": "add",
    "add": "add",
    "math.add": "add",
    "math.divide": "divide",
    "math.multiply": "multiply",
    "math.subtract": "subtract",
    "math.truediv": "divide",
    "multiply": "multiply",
    "nn.bias_add": "add",
    "realdiv": "divide",
    "subtract": "subtract",
    "truediv": "divide",
}
_MERGES = {
    "add": "Add",
    "math.maximum": "Maximum",
    "math.minimum": "Minimum",
    "maximum": "Maximum",
    "minimum": "Minimum",
    "multiply": "Multiply",
    "subtract": "Subtract",
}
_ACTIVATIONS = {
    "elu": "elu",
    "exp": "exponential",
    "gelu": "gelu",
    "hard_sigmoid": "hard_sigmoid",
    "log_softmax": "log_softmax",
    "relu": "relu",
    "relu6": "relu6",
    "selu": "selu",
    "sigmoid": "sigmoid",
    "silu": "silu",
    "softmax": "softmax",
    "softplus": "softplus",
    "softsign": "softsign",
    "swish": "silu",
    "tanh": "tanh",
}
_UNARY = {
    "abs": "Absolute",
    "log": "Log",
    "negative": "Negative",
    "sqrt": "Sqrt",
    "square": "Square",
}
_REDUCTIONS = {"reduce_max": "Max", "reduce_mean": "Mean", "reduce_min": "Min", "reduce_sum": "Sum"}
_CLASSES = frozenset({"SlicingOpLambda", "TFOpLambda", "TensorFlowOpLayer"})


def is_op(layer: Config) -> bool:
    """Whether a layer wraps a TensorFlow operation."""
    return layer.get("class_name") in _CLASSES


def operation_name(layer: Config) -> str:
    """Return what a layer that `is_op` computes, as its file calls it."""
    config = layer["config"]
    return node_operation(config) if "node_def" in config else str(config["function"])


def upgrade_op(layer: Config) -> Config | None:
    """One wrapped operation as a layer, or operation, of Keras 3.

    Parameters
    ----------
    layer
        A ``TensorFlowOpLayer`` or ``TFOpLambda`` of a config.

    Returns
    -------
    dict or None
        The new layer under the same name, with its ``inbound_nodes``; None for an operation that
        is not in the table.
    """
    config = layer["config"]
    name = str(layer.get("name") or config["name"])
    nodes = layer.get("inbound_nodes") or []
    try:
        if layer["class_name"] == "TensorFlowOpLayer":
            calls = [as_call(config, node) for node in nodes]
        else:
            calls = [(str(config["function"]), node) for node in nodes]
        converted = [call and _one(call[0], name, call[1]) for call in calls]
    except ZeroDivisionError:
        return None
    if not converted or any(item is None for item in converted):
        return None
    found = [item for item in converted if item is not None]
    first = found[0][0]
    if any(item[0] != first for item in found):
        return None
    return {**first, "inbound_nodes": [item[1] for item in found]}


def _one(function: str, name: str, node: Any) -> tuple[Config, Any] | None:
    operands, options = _operands(node)
    options.pop("name", None)
    short = function.rpartition(".")[2]
    if function in _ARITHMETIC:
        return _arithmetic(_ARITHMETIC[function], name, operands, options)
    if function in _MERGES:
        tensors = [*operands, options.pop("y", None)]
        if any(_is_numeric(tensor) for tensor in tensors):
            return _operation("numpy", _MERGES[function], name, tensors)
        return _merge(_MERGES[function], name, tensors)
    if short in _ACTIVATIONS and options.get("axis", -1) in (None, -1) and len(operands) == 1:
        return _layer("Activation", name, operands, activation=_ACTIVATIONS[short])
    if short == "leaky_relu":
        return _layer("LeakyReLU", name, operands, negative_slope=options.get("alpha", 0.2))
    if short in _UNARY and len(operands) == 1:
        return _operation("numpy", _UNARY[short], name, operands)
    if short in _REDUCTIONS:
        axis, keep = options.get("axis"), bool(options.get("keepdims"))
        return _operation("numpy", _REDUCTIONS[short], name, operands, axis=axis, keepdims=keep)
    special = _SPECIAL.get(short)
    return special(name, operands, options) if special else None


def _operands(node: Any) -> tuple[list[Operand], Config]:
    """Return the positional operands of a call and its keyword arguments."""
    if node and isinstance(node[0], str):
        return [_operand(node)], dict(node[3]) if len(node) > 3 else {}
    options: Config = {}
    for entry in node:
        options.update(entry[3] if len(entry) > 3 else {})
    return [_operand(entry) for entry in node], options


def _operand(entry: Any) -> Operand:
    return entry[2] if entry[0] == "_CONSTANT_VALUE" else list(entry[:3])


def _is_tensor(value: Operand) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 3
        and isinstance(value[0], str)
        and isinstance(value[1], int)
    )


def _arithmetic(
    kind: str, name: str, operands: list[Operand], options: Config
) -> tuple[Config, Any] | None:
    first = operands[0]
    second = operands[1] if len(operands) > 1 else options.get("y", options.get("bias"))
    if options.get("data_format") not in (None, "NHWC", "channels_last"):
        return None
    if _is_tensor(first) and _is_tensor(second):
        if kind == "divide":
            return _operation("numpy", "TrueDivide", name, [first, second])
        return _merge(_MERGES[kind], name, [first, second])
    if _is_tensor(second):
        if kind == "divide":
            return _operation("numpy", "TrueDivide", name, [first, second])
        tensor, constant = second, first
        scale, offset = {
            "add": (1.0, constant),
            "multiply": (constant, 0.0),
            "subtract": (-1.0, constant),
        }[kind]
    elif _is_tensor(first) and _is_numeric(second):
        tensor = first
        scale, offset = {
            "add": (1.0, second),
            "divide": (_map(second, lambda v: 1.0 / v), 0.0),
            "multiply": (second, 0.0),
            "subtract": (1.0, _map(second, lambda v: -v)),
        }[kind]
    else:
        return None
    if not (_is_numeric(scale) and _is_numeric(offset)):
        return None
    return _layer("Rescaling", name, [tensor], scale=scale, offset=offset)


def _is_numeric(value: Any) -> bool:
    if isinstance(value, list):
        return all(_is_numeric(item) for item in value)
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _map(value: Any, function: Callable[[float], float]) -> Any:
    if isinstance(value, list):
        return [_map(item, function) for item in value]
    return function(value)


def _merge(class_name: str, name: str, tensors: list[Operand]) -> tuple[Config, Any] | None:
    if not all(_is_tensor(tensor) for tensor in tensors):
        return None
    return _layer(class_name, name, tensors)


def _layer(
    class_name: str, name: str, tensors: list[Operand], **config: Any
) -> tuple[Config, Any] | None:
    if not all(_is_tensor(tensor) for tensor in tensors):
        return None
    layer = {
        "module": "keras.layers",
        "class_name": class_name,
        "config": {"name": name, **config},
        "registered_name": None,
        "name": name,
    }
    return layer, [[*tensor, {}] for tensor in tensors]


def _operation(
    module: str, class_name: str, name: str, operands: list[Any], **config: Any
) -> tuple[Config, Any]:
    layer = {
        "module": f"keras.src.ops.{module}",
        "class_name": class_name,
        "config": {"name": name, **config},
        "registered_name": class_name,
        "name": name,
    }
    return layer, {"args": [_tensor(operand) for operand in operands], "kwargs": {}}


def _tensor(operand: Operand) -> Any:
    if not _is_tensor(operand):
        if isinstance(operand, list):
            return [_tensor(item) for item in operand]
        return operand
    # The file gives no shape here, Keras wants one and then ignores it.
    return {
        "class_name": "__keras_tensor__",
        "config": {
            "shape": [None],
            "dtype": "float32",
            "keras_history": operand,
            "shape_unknown": True,
        },
    }


def _getitem(name: str, operands: list[Operand], options: Config) -> tuple[Config, Any] | None:
    key: list[Any] = []
    for item in options.get("slice_spec") or []:
        if isinstance(item, dict) and "start" in item:
            config = {part: item.get(part) for part in ("start", "stop", "step")}
            key.append({"class_name": "__slice__", "config": config})
        elif isinstance(item, dict) and item.get("class_name") == "__ellipsis__":
            key.append({"class_name": "__ellipsis__", "config": {}})
        elif item is None or isinstance(item, int):
            key.append(item)
        else:
            return None
    return _operation("numpy", "GetItem", name, [*operands, key]) if key else None


def _concat(name: str, operands: list[Operand], options: Config) -> tuple[Config, Any] | None:
    return _layer("Concatenate", name, operands, axis=options.get("axis", -1))


def _reshape(name: str, operands: list[Operand], options: Config) -> tuple[Config, Any] | None:
    shape = options.get("shape")
    if not isinstance(shape, list) or not all(isinstance(n, int) for n in shape[1:]):
        return None
    if shape[0] not in (-1, None) or -1 in shape[1:]:
        return _operation("numpy", "Reshape", name, operands, newshape=shape)
    return _layer("Reshape", name, operands, target_shape=shape[1:])


def _transpose(name: str, operands: list[Operand], options: Config) -> tuple[Config, Any] | None:
    axes = options.get("perm")
    if axes is not None and not _is_numeric(axes):
        return None
    return _operation("numpy", "Transpose", name, operands, axes=axes)


def _cast(name: str, operands: list[Operand], options: Config) -> tuple[Config, Any] | None:
    dtype = options.get("dtype")
    return _operation("core", "Cast", name, operands, dtype=dtype) if dtype else None


def _clip(name: str, operands: list[Operand], options: Config) -> tuple[Config, Any] | None:
    low, high = options.get("clip_value_min"), options.get("clip_value_max")
    if not (_is_numeric(low) and _is_numeric(high)):
        return None
    return _operation("numpy", "Clip", name, operands, x_min=low, x_max=high)


def _power(name: str, operands: list[Operand], options: Config) -> tuple[Config, Any] | None:
    return _operation("numpy", "Power", name, [*operands, *_listed(options.get("y"))])


def _listed(value: Any) -> list[Any]:
    return [] if value is None else [value]


def _axis_operation(class_name: str) -> Callable[..., tuple[Config, Any] | None]:
    def convert(name: str, operands: list[Operand], options: Config) -> tuple[Config, Any]:
        return _operation("numpy", class_name, name, operands, axis=options.get("axis"))

    return convert


def _stack(name: str, operands: list[Operand], options: Config) -> tuple[Config, Any] | None:
    return _operation("numpy", "Stack", name, [operands], axis=options.get("axis", 0))


def _resize(name: str, operands: list[Operand], options: Config) -> tuple[Config, Any] | None:
    size, method = options.get("size"), str(options.get("method") or "bilinear").lower()
    if not (isinstance(size, list) and len(size) == 2 and _is_numeric(size)):
        return None
    if options.get("antialias") or method not in ("bilinear", "nearest", "bicubic"):
        return None
    return _layer("Resizing", name, operands, height=size[0], width=size[1], interpolation=method)


def _l2_normalize(name: str, operands: list[Operand], options: Config) -> tuple[Config, Any] | None:
    return _layer("UnitNormalization", name, operands, axis=options.get("axis", -1))


_SPECIAL: dict[str, Callable[[str, list[Operand], Config], tuple[Config, Any] | None]] = {
    "cast": _cast,
    "clip_by_value": _clip,
    "concat": _concat,
    "expand_dims": _axis_operation("ExpandDims"),
    "getitem": _getitem,
    "l2_normalize": _l2_normalize,
    "pow": _power,
    "reshape": _reshape,
    "resize": _resize,
    "squeeze": _axis_operation("Squeeze"),
    "stack": _stack,
    "transpose": _transpose,
}
