"""What the graph of a SavedModel would do: read and judged before TensorFlow opens it.

A SavedModel is a program. TensorFlow runs whatever operations it holds, and some of them write
files, open sockets or run Python. Allowed are the operations of
``kvis_cli/data/savedmodel_operations.txt``, and those that save and restore the model's own
variables, where nothing that is computed leads to them.

The messages (SavedModel, MetaGraphDef, GraphDef, FunctionDef, NodeDef, AttrValue, SavedObjectGraph)
are those of ``tensorflow/core/protobuf`` and ``tensorflow/core/framework``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path

from kvis_cli.errors import ModelError, UntrustedError
from kvis_cli.models.protobuf import fields, submessages, text

GRAPH_FILE = "saved_model.pb"
# TensorFlow takes the first of these that is there; only the graph that was read may be opened.
OTHER_GRAPH_FILES = ("saved_model.cpb", "saved_model.pbtxt")
MAX_GRAPH_BYTES = 1 << 30
MAX_NODES = 2_000_000
# They touch the checkpoint that is being saved or restored.
SAVING = frozenset({"SaveV2", "MergeV2Checkpoints", "RestoreV2"})


@dataclass
class _Node:
    name: str
    operation: str
    inputs: tuple[str, ...]
    functions: tuple[str, ...]


@dataclass
class _Graph:
    """A MetaGraphDef, as far as it says what runs."""

    nodes: list[_Node] = field(default_factory=list)
    functions: dict[str, list[_Node]] = field(default_factory=dict)
    # Functions that the loaded object calls, and nodes that a signature or an initializer reaches.
    called: set[str] = field(default_factory=set)
    fetched: set[str] = field(default_factory=set)
    filename: str = ""


@cache
def allowed_operations() -> frozenset[str]:
    """The operations that neither read nor write anything outside the model."""
    lines = resources.files("kvis_cli.data").joinpath("savedmodel_operations.txt").read_text()
    return frozenset(line for line in lines.splitlines() if line and not line.startswith("#"))


def check_savedmodel(folder: Path) -> None:
    """Refuse a SavedModel that would do more than compute.

    Raises
    ------
    ModelError
        When its graph cannot be read.
    UntrustedError
        For an operation that is not allowed, with its name and place.
    """
    for name in OTHER_GRAPH_FILES:
        if (folder / name).exists():
            raise UntrustedError(
                f"'{folder}' holds '{name}' beside or instead of '{GRAPH_FILE}'.",
                "TensorFlow would run the graph in it, which kvis does not read.",
                f"Save the model again, or remove the file. {_TRUST}",
            )
    path = folder / GRAPH_FILE
    try:
        if path.stat().st_size > MAX_GRAPH_BYTES:
            raise ModelError(f"'{path}' is too large for a graph.", "The limit is 1 GiB.")
        data = memoryview(path.read_bytes())
        graphs = [_read(meta_graph) for meta_graph in submessages(data, 2)]
    except OSError as error:
        raise ModelError(f"'{path}' cannot be read.", f"{error.strerror or error}.") from None
    except ValueError as error:
        raise ModelError(
            f"'{path}' is damaged: {error}.", "", "Copy the folder again, or save the model again."
        ) from None
    for graph in graphs:
        _check(folder, graph)


def _read(meta_graph: memoryview) -> _Graph:
    graph = _Graph()
    left = MAX_NODES

    def nodes(holder: memoryview, number: int) -> Iterator[_Node]:
        nonlocal left
        for message in submessages(holder, number):
            left -= 1
            if left < 0:
                raise ValueError(f"it has more than {MAX_NODES:,} operations")
            yield _node(message)

    for number, value in fields(meta_graph):
        if not isinstance(value, memoryview):
            continue
        if number == 2:
            graph.nodes += nodes(value, 1)
            for function in submessages(value, 2, 1):
                names = [text(signature, 1) for signature in submessages(function, 1)] or [""]
                # A name that comes twice is the last one in protobuf; both bodies are judged.
                graph.functions.setdefault(names[-1], []).extend(nodes(function, 3))
        elif number == 3:
            graph.filename = _node_of(text(value, 1))
        elif number == 4:
            graph.fetched |= _main_operations(value)
        elif number == 5:
            for signature in submessages(value, 2):
                graph.fetched |= set(_tensors(signature))
        elif number == 7:
            graph.called |= {text(entry, 1) for entry in submessages(value, 2)}
    return graph


def _node(message: memoryview) -> _Node:
    name = operation = ""
    inputs: list[str] = []
    functions: list[str] = []
    for number, value in fields(message):
        if not isinstance(value, memoryview):
            continue
        if number == 1:
            name = _decoded(value)
        elif number == 2:
            operation = _decoded(value)
        elif number == 3:
            inputs.append(_decoded(value))
        elif number == 5:
            functions += _functions(value)
    return _Node(name, operation, tuple(map(_node_of, inputs)), tuple(functions))


def _functions(attribute: memoryview) -> Iterator[str]:
    """The functions that an entry of a node's attributes names."""
    for value in submessages(attribute, 2):
        for found, part in fields(value):
            if not isinstance(part, memoryview):
                continue
            if found == 10:
                yield text(part, 1)
            elif found == 1:
                yield from (text(function, 1) for function in submessages(part, 9))


def _main_operations(entry: memoryview) -> set[str]:
    """Nodes of a collection that is run when the model is loaded."""
    if "op" not in text(entry, 1):
        return set()
    return {_node_of(_decoded(name)) for name in submessages(entry, 2, 1, 1)}


def _decoded(value: memoryview) -> str:
    return bytes(value).decode("utf-8", "backslashreplace")


def _tensors(signature: memoryview) -> Iterator[str]:
    """The nodes whose values a signature gives."""
    for information in submessages(signature, 2, 2):
        pending = [information]
        while pending:
            for number, value in fields(pending.pop()):
                if not isinstance(value, memoryview):
                    continue
                if number == 1:
                    yield _node_of(_decoded(value))
                elif number in (4, 5):
                    # The parts of a sparse or composite tensor.
                    for part_number, part in fields(value):
                        if isinstance(part, memoryview):
                            if number == 4:
                                yield _node_of(_decoded(part))
                            elif part_number == 2:
                                pending.append(part)


def _node_of(tensor: str) -> str:
    """The node that gives a tensor: ``^node``, ``node:0`` or ``node:out:0``."""
    return tensor.removeprefix("^").partition(":")[0]


_TRUST = "If you trust the file, add --trust."
_FILES = (
    "File", "Dataset", "Reader", "Save", "Restore", "Summary", "Checkpoint", "Remap", "Dump",
    "Debug", "ImmutableConst", "Proto", "Skipgram",
)  # fmt: skip
_CONNECTIONS = ("Rpc", "Collective", "DataService", "Recv", "Send", "Nccl", "TPU")
# What a part of an operation's name says of it.
_REASONS = {
    "runs Python code": ("PyFunc",),
    "prints": ("Print",),
    "opens connections": _CONNECTIONS,
    "reads or writes files": _FILES,
}


def _check(folder: Path, graph: _Graph) -> None:
    known = allowed_operations() | SAVING | set(graph.functions)
    for place, nodes in [("", graph.nodes), *graph.functions.items()]:
        own = {node.name for node in nodes}
        for node in nodes:
            if node.operation not in known:
                raise _refusal(folder, node, place)
            if node.operation == "RestoreV2":
                # Of a function, what is no node is an argument.
                given = node.inputs[:1]
                right = given == (graph.filename,) if not place else not own & set(given)
                if not right:
                    raise _refusal(folder, node, place, "reads a file of its own choice")
    saving = _saving_functions(graph.functions)
    for name in sorted(saving & graph.called):
        raise _refusal(folder, _saving_node(graph.functions[name], saving), name)
    by_name = {node.name: node for node in graph.nodes}
    for node in _reached(by_name, graph.fetched):
        if _touches_checkpoints(node, saving):
            raise _refusal(folder, node, "")


def _touches_checkpoints(node: _Node, saving: set[str]) -> bool:
    return node.operation in SAVING | saving or not saving.isdisjoint(node.functions)


def _saving_functions(functions: dict[str, list[_Node]]) -> set[str]:
    """The functions that save or restore, or call one that does."""
    saving: set[str] = set()
    while True:
        found = {
            name
            for name, nodes in functions.items()
            if name not in saving and any(_touches_checkpoints(n, saving) for n in nodes)
        }
        if not found:
            return saving
        saving |= found


def _saving_node(nodes: Iterable[_Node], saving: set[str]) -> _Node:
    return next(node for node in nodes if _touches_checkpoints(node, saving))


def _reached(by_name: dict[str, _Node], start: Iterable[str]) -> Iterator[_Node]:
    """The nodes that have to run for the nodes `start`."""
    pending, seen = list(start), set(start)
    while pending:
        node = by_name.get(pending.pop())
        if node is None:
            continue
        yield node
        fresh = set(node.inputs) - seen
        seen |= fresh
        pending += fresh


def _refusal(folder: Path, node: _Node, function: str, does: str = "") -> UntrustedError:
    if not does:
        reasons = _REASONS.items()
        does = next((r for r, parts in reasons if any(p in node.operation for p in parts)), "")
    place = f"node '{node.name}'" + (f" of its function '{function}'" if function else "")
    why = does or "is not among the operations that kvis knows to compute and nothing else"
    return UntrustedError(
        f"'{folder}' holds the operation {node.operation or '(without a name)'}, which {why}.",
        f"It is the {place}, and would run with all your rights.",
        f"Save the model as .keras where its layers are known. {_TRUST}",
    )
