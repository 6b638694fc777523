"""Reads which operations the graph of a SavedModel holds, without TensorFlow and in bounded time.

Every operation that can run stands in ``saved_model.pb``: in the main graph, or in a function of
its library. Each SavedModel has some that save and restore its own variables. TensorFlow needs none
of them to open one of today (it restores by itself), so they are cut out of what it gets to see,
and whatever calls them is a finding. In the graphs of TensorFlow 1, which are restored by their own
operations, only those that save are cut out, and those that restore may depend on nothing but the
file name that TensorFlow gives them, and nothing else may depend on them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kvis_cli.models.files.graph_parts import (
    MetaGraph,
    Node,
    Refused,
    Span,
    dependents,
    expect_length,
    name_text,
    node_of,
)
from kvis_cli.models.files.protobuf import LENGTH, Walker, WireError, encoded

# The fields of TensorFlow's messages that are read here: saved_model.proto, meta_graph.proto,
# graph.proto, node_def.proto, function.proto, op_def.proto and attr_value.proto.
META_GRAPHS = 2
GRAPH_DEF, SAVER_DEF, COLLECTION_DEF, SIGNATURE_DEF, OBJECT_GRAPH_DEF = 2, 3, 4, 5, 7
NODE, LIBRARY = 1, 2
FUNCTION = 1
SIGNATURE, NODE_DEF, FUNCTION_ATTR = 1, 3, 5
NODE_NAME, NODE_OP, NODE_INPUT, NODE_ATTR = 1, 2, 3, 5
KEY, VALUE = 1, 2
LIST, FUNC, LIST_FUNC = 1, 10, 9
CALLED_NAME, CALLED_ATTR = 1, 2
OBJECT, CONCRETE_FUNCTIONS = 1, 2
SLOT_VARIABLES, OBJECT_FUNCTION, OBJECT_CONCRETE_FUNCTION = 3, 6, 8

SAVING = frozenset({b"SaveV2", b"MergeV2Checkpoints"})
CHECKPOINT = SAVING | {b"RestoreV2"}
# EfficientNetB0 has 100,000; this many take two seconds.
MAX_FIELDS = 2_000_000
MAX_DEPTH = 32
MAX_FINDINGS = 100
# Attributes shorter than this repeat themselves, and are looked at once.
_SHORT = 256
_BLOCK = 1 << 20


class SavedGraph:
    """The graph of one ``saved_model.pb``.

    Parameters
    ----------
    data
        Its bytes.
    allowed
        The operations that may run.

    Attributes
    ----------
    findings
        What may not run, one per operation.

    Raises
    ------
    WireError
        When the bytes are not a SavedModel.
    """

    def __init__(self, data: bytes, allowed: frozenset[bytes]) -> None:
        self.data = data
        self.findings: list[Refused] = []
        self._walker = Walker(data, MAX_FIELDS)
        self._allowed = allowed
        self._cuts: set[int] = set()
        self._nests: set[int] = set()
        self._seen: set[tuple[bytes, bool]] = set()
        self._named: set[bytes] = set()
        spans = list(self._walker.messages(0, len(data), META_GRAPHS))
        if not spans:
            raise WireError("it holds no graph")
        for span in spans:
            self._nests.add(span[0])
            # TensorFlow takes two ways to open one, by the same signs.
            graph = self._read(span)
            whole = len(spans) == 1 and OBJECT_GRAPH_DEF in graph.parts
            self._judge(graph, is_object_graph=whole)

    def without_saving(self) -> Iterator[bytes]:
        """Yield the bytes without what saves and restores, in pieces."""
        for piece in self._rebuilt(0, len(self.data))[1]:
            if isinstance(piece, bytes):
                yield piece
                continue
            for start in range(piece[0], piece[1], _BLOCK):
                yield self.data[start : min(piece[1], start + _BLOCK)]

    # --- reading ------------------------------------------------------------------------------

    def _read(self, span: Span) -> MetaGraph:
        found = MetaGraph()
        for number, wire, _, begin, end in self._walker.fields(*span):
            if wire == LENGTH:
                found.parts.setdefault(number, []).append((begin, end))
        found.graph = self._single(found.parts.get(GRAPH_DEF, []))
        self._single(found.parts.get(OBJECT_GRAPH_DEF, []))
        self._single(found.parts.get(SAVER_DEF, []))
        if found.graph is None:
            return found
        self._nests.add(found.graph[0])
        libraries = []
        for number, wire, begin, start, end in self._walker.fields(*found.graph):
            if number == NODE:
                node = self._node((start, end), wire, begin)
                self._note(found, node, b"")
            elif number == LIBRARY and wire == LENGTH:
                libraries.append((start, end))
        found.library = self._single(libraries)
        if found.library is not None:
            self._nests.add(found.library[0])
            for number, wire, begin, start, end in self._walker.fields(*found.library):
                if number == FUNCTION:
                    self._function(found, (start, end), wire, begin)
        return found

    def _function(self, found: MetaGraph, span: Span, wire: int, begin: int) -> None:
        expect_length(wire, begin)
        name, nodes, attrs = b"", [], []
        for number, inner, at, start, end in self._walker.fields(*span):
            if number == NODE_DEF:
                nodes.append(((start, end), inner, at))
            elif number == SIGNATURE:
                expect_length(inner, at)
                if name:
                    raise WireError(f"a function has two signatures (byte {at})")
                (name,) = self._walker.texts(start, end, KEY) or (b"",)
            elif number == FUNCTION_ATTR:
                expect_length(inner, at)
                attrs.append((start, end))
        if name in found.functions:
            raise WireError(f"it has two functions of one name (byte {begin})")
        found.functions[name] = (begin, span[1])
        for node in nodes:
            self._note(found, self._node(*node), name)
        self._note_calls(found, attrs, b"", name)

    def _node(self, span: Span, wire: int, begin: int) -> Node:
        expect_length(wire, begin)
        name, op, attrs = None, None, []
        for number, inner, at, start, end in self._walker.fields(*span):
            if number == NODE_ATTR:
                expect_length(inner, at)
                attrs.append((start, end))
            elif number == NODE_OP:
                expect_length(inner, at)
                if op is not None:
                    raise WireError(f"a node has two operations (byte {at})")
                op = self.data[start:end]
            elif number == NODE_NAME:
                expect_length(inner, at)
                if name is not None:
                    raise WireError(f"a node has two names (byte {at})")
                name = self.data[start:end]
        return Node(name or b"", op or b"", (begin, span[1]), attrs)

    def _note(self, found: MetaGraph, node: Node, function: bytes) -> None:
        if node.op not in self._allowed:
            key = (node.op, bool(function))
            found.ops.setdefault(key, (node.name, function))
            if node.op in CHECKPOINT:
                if function:
                    found.savers.setdefault(function, node.op)
                else:
                    found.checkpoint_nodes.append(node)
        self._note_calls(found, node.attrs, node.name, function)

    def _note_calls(
        self, found: MetaGraph, attrs: Iterable[Span], node: bytes, function: bytes
    ) -> None:
        for start, end in attrs:
            if end - start < _SHORT:
                key = (self.data[start:end], bool(function))
                if key in self._seen:
                    continue
                self._seen.add(key)
            for name in self._called((start, end)):
                found.calls.setdefault((name, bool(function)), (node, function))

    def _called(self, attr: Span, depth: int = 0) -> Iterator[bytes]:
        """Yield the functions that one attribute names; those in its own attributes, too."""
        if depth > MAX_DEPTH:
            raise WireError("its functions are nested too deep")
        for value in self._walker.messages(*attr, VALUE):
            called: list[Span] = []
            for number, wire, at, start, end in self._walker.fields(*value):
                if number in (LIST, FUNC):
                    expect_length(wire, at)
                    inner = self._walker.messages(start, end, LIST_FUNC)
                    called.extend([(start, end)] if number == FUNC else inner)
            for function in called:
                for number, wire, at, start, end in self._walker.fields(*function):
                    if number in (CALLED_NAME, CALLED_ATTR):
                        expect_length(wire, at)
                    if number == CALLED_NAME:
                        yield self.data[start:end]
                    elif number == CALLED_ATTR:
                        yield from self._called((start, end), depth + 1)

    def _single(self, spans: list[Span]) -> Span | None:
        if len(spans) > 1:
            # Protocol Buffers would join them; no writer makes two.
            raise WireError(f"it holds a part twice (byte {spans[1][0]})")
        return spans[0] if spans else None

    # --- judging ------------------------------------------------------------------------------

    def _judge(self, found: MetaGraph, *, is_object_graph: bool) -> None:
        for (op, _), (node, function) in found.ops.items():
            if op not in CHECKPOINT and op not in found.functions:
                self._refuse(op, node, function)
        for (name, inside), (node, function) in found.calls.items():
            if name in found.savers:
                if inside:
                    self._refuse(found.savers[name], node, function)
            elif name not in found.functions and name not in self._allowed:
                self._refuse(name, node, function)
        for (op, inside), (node, function) in found.ops.items():
            if inside and op in found.savers:
                self._refuse(found.savers[op], node, function)
        self._cuts.update(found.functions[name][0] for name in found.savers)
        if is_object_graph:
            # TensorFlow takes constants from its main graph, and never runs it.
            self._cuts.update(node.span[0] for node in found.checkpoint_nodes)
            self._cut_slots(*found.parts[OBJECT_GRAPH_DEF][0])
            for name in self._exposed(*found.parts[OBJECT_GRAPH_DEF][0]):
                if name in found.savers:
                    self._refuse(found.savers[name], b"", name)
        elif found.checkpoint_nodes or found.savers:
            self._judge_main_graph(found)

    def _cut_slots(self, start: int, stop: int) -> None:
        """Cut which variables are an optimizer's: old TensorFlow's optimizers cannot be made anew.

        They stay in the graph as variables of nobody.
        """
        for number, wire, _, begin, end in self._walker.fields(start, stop):
            if number != OBJECT or wire != LENGTH:
                continue
            for kind, _, at, _, _ in self._walker.fields(begin, end):
                if kind == SLOT_VARIABLES:
                    self._cuts.add(at)
                    self._nests.update((start, begin))

    def _exposed(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the functions that the object graph gives to whoever opens it."""
        for number, wire, _, begin, end in self._walker.fields(start, stop):
            if wire != LENGTH:
                continue
            if number == CONCRETE_FUNCTIONS:
                yield from self._walker.texts(begin, end, KEY)
            elif number == OBJECT:
                for kind, inner, _, at, last in self._walker.fields(begin, end):
                    if kind in (OBJECT_FUNCTION, OBJECT_CONCRETE_FUNCTION) and inner == LENGTH:
                        yield from self._walker.texts(at, last, 1)

    def _judge_main_graph(self, found: MetaGraph) -> None:
        """Of a graph of TensorFlow 1: cut what saves, and see that nothing else needs it.

        What restores stays, when it reads the file that TensorFlow names and nothing else needs it.
        """
        assert found.graph is not None
        users: dict[bytes, list[bytes]] = {}
        inputs: dict[bytes, list[bytes]] = {}
        spans: dict[bytes, int] = {}
        saving: dict[bytes, bytes] = {}
        restoring: list[bytes] = []
        for number, wire, begin, start, end in self._walker.fields(*found.graph):
            if number != NODE:
                continue
            node = self._node((start, end), wire, begin)
            if node.name in spans:
                raise WireError(f"it has two nodes of one name (byte {begin})")
            spans[node.name] = begin
            inputs[node.name] = [
                node_of(text) for text in self._walker.texts(start, end, NODE_INPUT)
            ]
            for name in inputs[node.name]:
                users.setdefault(name, []).append(node.name)
            called = {node.op, *(n for attr in node.attrs for n in self._called(attr))}
            for name in called & found.savers.keys():
                saving[node.name] = found.savers[name]
            if node.op in SAVING:
                saving[node.name] = node.op
            elif node.op in CHECKPOINT:
                restoring.append(node.name)
        # What TensorFlow feeds with a name, and what it fetches then, to restore the variables.
        fed, fetched = (
            {node_of(text) for span in found.parts.get(SAVER_DEF, ()) for text in texts(*span)}
            for texts in (self._filename_tensors, self._restore_ops)
        )
        wanted = set(self._fetched(found))
        cut = dependents(saving, users)
        if cut & (wanted | fed | fetched):
            root = next(iter(saving))
            self._refuse(saving[root], root, b"")
        self._cuts.update(spans[name] for name in cut)
        for root in restoring:
            if not fed.issuperset(inputs[root][:1] or [b""]):
                self._refuse(b"RestoreV2", root, b"")
        if dependents(restoring, users) & wanted:
            self._refuse(b"RestoreV2", restoring[0], b"")

    def _filename_tensors(self, start: int, stop: int) -> list[bytes]:
        return self._walker.texts(start, stop, 1)

    def _restore_ops(self, start: int, stop: int) -> list[bytes]:
        return self._walker.texts(start, stop, 3)

    def _fetched(self, found: MetaGraph) -> Iterator[bytes]:
        """Every node that a signature or a collection names."""
        for span in found.parts.get(SIGNATURE_DEF, ()):
            for signature in self._walker.messages(*span, VALUE):
                for number, wire, _, start, end in self._walker.fields(*signature):
                    if number in (1, 2) and wire == LENGTH:
                        for info in self._walker.messages(start, end, VALUE):
                            yield from self._tensor_names(info)
        for span in found.parts.get(COLLECTION_DEF, ()):
            for collection in self._walker.messages(*span, VALUE):
                for names in self._walker.messages(*collection, 1):
                    yield from (node_of(text) for text in self._walker.texts(*names, 1))

    def _tensor_names(self, info: Span, depth: int = 0) -> Iterator[bytes]:
        if depth > MAX_DEPTH:
            raise WireError("its signatures are nested too deep")
        for number, wire, _, start, end in self._walker.fields(*info):
            if wire != LENGTH:
                continue
            if number == 1:
                yield node_of(self.data[start:end])
            elif number == 4:
                for _, inner, _, begin, stop in self._walker.fields(start, end):
                    if inner == LENGTH:
                        yield node_of(self.data[begin:stop])
            elif number == 5:
                for part in self._walker.messages(start, end, 2):
                    yield from self._tensor_names(part, depth + 1)

    def _refuse(self, op: bytes, node: bytes, function: bytes) -> None:
        if op not in self._named and len(self._named) < MAX_FINDINGS:
            self._named.add(op)
            self.findings.append(Refused(name_text(op), name_text(node), name_text(function)))

    # --- cutting ------------------------------------------------------------------------------

    def _rebuilt(self, start: int, stop: int) -> tuple[int, list[Span | bytes]]:
        """Return the message without what is cut, and its size; lengths are written again."""
        size, kept = 0, start
        pieces: list[Span | bytes] = []
        for number, _, begin, at, end in self._walker.fields(start, stop):
            cut, nest = begin in self._cuts, at in self._nests and at < end
            if not (cut or nest):
                continue
            pieces.append((kept, begin))
            size += begin - kept
            kept = end
            if not cut:
                inner, parts = self._rebuilt(at, end)
                head = encoded(number << 3 | LENGTH) + encoded(inner)
                pieces += [head, *parts]
                size += len(head) + inner
        pieces.append((kept, stop))
        return size + stop - kept, pieces
