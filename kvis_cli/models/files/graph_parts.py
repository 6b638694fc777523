"""What is noted of a SavedModel's graph while it is read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from kvis_cli.models.files.protobuf import LENGTH, WireError
from kvis_cli.shown import shown

_SHOWN = 80


Span = tuple[int, int]


@dataclass(frozen=True)
class Refused:
    """An operation that may not run, and where it stands.

    Attributes
    ----------
    operation
        Its name; of what saves or restores and is called, the operation that does it.
    node
        The node that holds it or calls it; empty where a function is called from outside.
    function
        The function of the node; empty in the main graph.
    """

    operation: str
    node: str
    function: str


@dataclass
class Node:
    """A node that matters: its name, its operation, where it stands."""

    name: bytes
    op: bytes
    span: Span
    attrs: list[Span]


@dataclass
class MetaGraph:
    """A main graph with its functions: what TensorFlow calls a meta graph."""

    graph: Span | None = None
    library: Span | None = None
    parts: dict[int, list[Span]] = field(default_factory=dict)
    functions: dict[bytes, Span] = field(default_factory=dict)
    # Of what is not allowed or calls a function: the first place, as (node, function).
    ops: dict[tuple[bytes, bool], tuple[bytes, bytes]] = field(default_factory=dict)
    calls: dict[tuple[bytes, bool], tuple[bytes, bytes]] = field(default_factory=dict)
    savers: dict[bytes, bytes] = field(default_factory=dict)
    checkpoint_nodes: list[Node] = field(default_factory=list)


def expect_length(wire: int, at: int) -> None:
    """Refuse a field that is not of a length and bytes."""
    if wire != LENGTH:
        raise WireError(f"byte {at} has the wrong type")


def node_of(text: bytes) -> bytes:
    """Return the node of an input: ``^node``, ``node`` or ``node:1``."""
    return text.removeprefix(b"^").partition(b":")[0]


def dependents(roots: Iterable[bytes], users: dict[bytes, list[bytes]]) -> set[bytes]:
    """Return the nodes that depend on `roots`, and themselves."""
    reached, pending = set(roots), list(roots)
    while pending:
        for name in users.get(pending.pop(), ()):
            if name not in reached:
                reached.add(name)
                pending.append(name)
    return reached


def name_text(name: bytes) -> str:
    """Return a name of the file for a message: one line, printable, not too long."""
    text = shown(name[: 4 * _SHOWN].decode("utf-8", "replace"))
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
