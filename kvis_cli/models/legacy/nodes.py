"""Operations that TensorFlow 2.0 to 2.3 kept as raw graph nodes, in the words of the later ones.

A ``TensorFlowOpLayer`` holds the node itself (``"op": "Sub"``) and the operands that are constants
by their places. TensorFlow 2.4 began to write the function that was called, with its arguments.
"""

from __future__ import annotations

import json
from typing import Any

Config = dict[str, Any]

# Operation → the function, and the names of its arguments after the first.
_FUNCTIONS: dict[str, tuple[str, ...]] = {
    "Abs": ("math.abs",),
    "Add": ("math.add", "y"),
    "AddV2": ("math.add", "y"),
    "BiasAdd": ("nn.bias_add", "bias"),
    "Cast": ("cast",),
    "ClipByValue": ("clip_by_value", "clip_value_min", "clip_value_max"),
    "Div": ("math.truediv", "y"),
    "Elu": ("nn.elu",),
    "Exp": ("math.exp",),
    "ExpandDims": ("expand_dims", "axis"),
    "LeakyRelu": ("nn.leaky_relu",),
    "Log": ("math.log",),
    "Max": ("math.reduce_max", "axis"),
    "Maximum": ("math.maximum", "y"),
    "Mean": ("math.reduce_mean", "axis"),
    "Min": ("math.reduce_min", "axis"),
    "Minimum": ("math.minimum", "y"),
    "Mul": ("math.multiply", "y"),
    "Neg": ("math.negative",),
    "Pow": ("math.pow", "y"),
    "RealDiv": ("math.truediv", "y"),
    "Relu": ("nn.relu",),
    "Relu6": ("nn.relu6",),
    "Reshape": ("reshape", "shape"),
    "Selu": ("nn.selu",),
    "Sigmoid": ("math.sigmoid",),
    "Softmax": ("nn.softmax",),
    "Softplus": ("math.softplus",),
    "Softsign": ("nn.softsign",),
    "Sqrt": ("math.sqrt",),
    "Square": ("math.square",),
    "Squeeze": ("squeeze",),
    "StridedSlice": ("__operators__.getitem",),
    "Sub": ("math.subtract", "y"),
    "Sum": ("math.reduce_sum", "axis"),
    "Tanh": ("math.tanh",),
    "Transpose": ("transpose", "perm"),
}
_REDUCTIONS = frozenset({"Max", "Mean", "Min", "Sum"})
_MASKS = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")


def node_operation(config: Config) -> str:
    """Return the name of the operation that a layer holds, ``"Sub"``."""
    return str(_node(config)["op"])


def as_call(config: Config, inbound: Any) -> tuple[str, Any] | None:
    """One node as a function and the call of it that TensorFlow 2.4 would have written.

    Parameters
    ----------
    config
        Of the ``TensorFlowOpLayer``.
    inbound
        One of its inbound nodes: references to the operands that are tensors.

    Returns
    -------
    function, node
        None for an operation that is not in the table.
    """
    node = _node(config)
    operation = str(node["op"])
    operands = [list(entry[:3]) for entry in inbound]
    for place, value in sorted((int(k), v) for k, v in (config.get("constants") or {}).items()):
        operands.insert(place, _constant(value))
    if operation == "ConcatV2":
        *parts, axis = operands
        first, *rest = parts
        return "concat", [[*first, {"axis": axis[2]}], *([*part, {}] for part in rest)]
    if operation not in _FUNCTIONS:
        return None
    function, *names = _FUNCTIONS[operation]
    first, *rest = operands
    if operation == "StridedSlice":
        keys = _slices(node, [operand[2] for operand in rest])
        return None if keys is None else (function, [*first, {"slice_spec": keys}])
    values = [operand[2] if _is_constant(operand) else operand for operand in rest]
    if len(values) != len(names):
        return None
    options: Config = dict(zip(names, values, strict=True))
    if operation in _REDUCTIONS:
        options["keepdims"] = bool(_attribute(node, "keep_dims", "b"))
    elif operation == "Squeeze":
        axes = (_attribute(node, "squeeze_dims", "list") or {}).get("i", [])
        options["axis"] = [int(axis) for axis in axes] or None
    elif operation == "LeakyRelu":
        options["alpha"] = float(_attribute(node, "alpha", "f") or 0.2)
    elif operation == "Cast":
        kind = str(_attribute(node, "DstT", "type") or "")
        options["dtype"] = {"DT_FLOAT": "float32", "DT_HALF": "float32"}.get(kind)
    elif operation == "BiasAdd":
        options["data_format"] = "NHWC" if _format(node) == "NHWC" else "NCHW"
    return function, [*first, options]


def _node(config: Config) -> Config:
    node = config["node_def"]
    found = json.loads(node) if isinstance(node, str) else node
    if not isinstance(found, dict) or "op" not in found:
        raise ValueError("a node without an operation")
    return found


def _attribute(node: Config, name: str, kind: str) -> Any:
    return (node.get("attr") or {}).get(name, {}).get(kind)


def _format(node: Config) -> str:
    # Texts are written in base64.
    return {"TkNIVw==": "NCHW"}.get(str(_attribute(node, "data_format", "s")), "NHWC")


def _constant(value: Any) -> list[Any]:
    if isinstance(value, dict):
        value = value.get("config", {}).get("value", value.get("value"))
    return ["_CONSTANT_VALUE", -1, value]


def _is_constant(operand: list[Any]) -> bool:
    return operand[0] == "_CONSTANT_VALUE"


def _slices(node: Config, bounds: list[Any]) -> list[Any] | None:
    """Return the slices of ``x[…]``, as the later layers wrote them."""
    if len(bounds) != 3 or not all(isinstance(bound, list) for bound in bounds):
        return None
    masks = [int(_attribute(node, name, "i") or 0) for name in _MASKS]
    keys: list[Any] = []
    for i, (start, stop, step) in enumerate(zip(*bounds, strict=True)):
        open_start, open_stop, ellipsis, new_axis, one = (mask >> i & 1 for mask in masks)
        if ellipsis:
            keys.append({"class_name": "__ellipsis__"})
        elif new_axis:
            keys.append(None)
        elif one:
            keys.append(int(start))
        else:
            keys.append(
                {
                    "start": None if open_start else start,
                    "stop": None if open_stop else stop,
                    "step": step,
                }
            )
    return keys
