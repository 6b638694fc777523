"""Which SavedModels are opened: their graph is read and judged before TensorFlow sees it.

A SavedModel is a program. TensorFlow runs whatever operations it holds, and some of them write
files, open sockets or run Python. Allowed are the operations of
``kvis_cli/data/savedmodel_operations.txt``, which compute and touch nothing outside.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import resources
from pathlib import Path

from kvis_cli.errors import ModelError, UntrustedError
from kvis_cli.models.files.graph_parts import Refused
from kvis_cli.models.files.protobuf import WireError
from kvis_cli.models.files.savedgraph import CHECKPOINT, SavedGraph

GRAPH_FILE = "saved_model.pb"
VARIABLES = "variables"
# TensorFlow takes the first of these that is there; only the graph that was read may be opened.
OTHER_GRAPH_FILES = ("saved_model.cpb", "saved_model.pbtxt")
# What is read is held in memory while it is looked through. The largest application has 20 MB.
MAX_GRAPH_BYTES = 512 << 20


@cache
def allowed_operations() -> frozenset[bytes]:
    """Return the operations that neither read nor write anything outside the model."""
    lines = resources.files("kvis_cli.data").joinpath("savedmodel_operations.txt").read_bytes()
    return frozenset(line for line in lines.splitlines() if line and not line.startswith(b"#"))


def check_savedmodel(folder: Path) -> SavedGraph:
    """Refuse a SavedModel that would do more than compute; give the graph that was judged.

    Parameters
    ----------
    folder
        Of the SavedModel.

    Returns
    -------
    SavedGraph
        The graph that was read; `opened_folder` writes it for TensorFlow.

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
        with path.open("rb") as stream:
            data = stream.read(MAX_GRAPH_BYTES + 1)
    except OSError as error:
        raise ModelError(f"'{path}' cannot be read.", f"{error.strerror or error}.") from None
    if len(data) > MAX_GRAPH_BYTES:
        raise ModelError(
            f"'{path}' is too large for a graph.",
            f"kvis looks through {MAX_GRAPH_BYTES >> 20} MiB at most; weights belong beside it.",
            _TRUST,
        )
    try:
        graph = SavedGraph(data, allowed_operations())
    except WireError as error:
        raise ModelError(
            f"'{path}' is damaged: {error}.", "", "Copy the folder again, or save the model again."
        ) from None
    if graph.findings:
        raise _refusal(folder, graph.findings)
    check_variables(folder, needed=b"VarHandleOp" in data)
    return graph


def check_variables(folder: Path, *, needed: bool = False) -> None:
    """Refuse a folder without the files of its variables.

    Parameters
    ----------
    folder
        Of the SavedModel.
    needed
        Whether its graph has variables.

    Raises
    ------
    ModelError
        Naming what is not there.
    """
    index = folder / VARIABLES / "variables.index"
    parts = sorted((folder / VARIABLES).glob("variables.data-?????-of-?????"))
    first = f"{VARIABLES}/variables.data-00000-of-00001"
    missing = ""
    if parts:
        count = int(parts[0].name[-5:]) if parts[0].name[-5:].isdecimal() else 0
        names = [f"variables.data-{n:05}-of-{count:05}" for n in range(count)]
        there = {part.name for part in parts}
        missing = next((f"{VARIABLES}/{name}" for name in names if name not in there), "")
        if not index.is_file():
            missing = f"{VARIABLES}/variables.index"
    elif index.is_file() or needed:
        missing = first
    if missing:
        raise ModelError(
            f"'{folder}' is not complete: there is no '{missing}' in it.",
            "A SavedModel keeps its weights there.",
            "Copy the whole folder again; Git LFS and archives may have left out the large file.",
        )


@contextmanager
def opened_folder(folder: Path, *, trust: bool) -> Iterator[Path]:
    """Make a folder for TensorFlow to open: the very bytes that were judged, and the variables.

    What saves and restores is cut out of the graph, and nothing else of the SavedModel is in the
    folder: no other graph, no Keras metadata, no assets. A trusted SavedModel is opened as it is.

    Parameters
    ----------
    folder
        Of the SavedModel.
    trust
        Whether to open it as it is.

    Raises
    ------
    ModelError, UntrustedError
        As `check_savedmodel`.
    """
    if trust:
        check_variables(folder)
        yield folder
        return
    graph = check_savedmodel(folder)
    with tempfile.TemporaryDirectory(prefix="kvis-") as temporary:
        copy = Path(temporary)
        with (copy / GRAPH_FILE).open("wb") as stream:
            stream.writelines(graph.without_saving())
        (copy / VARIABLES).symlink_to((folder / VARIABLES).resolve())
        yield copy


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


def _refusal(folder: Path, findings: list[Refused]) -> UntrustedError:
    first = findings[0]
    operation = first.operation
    if operation.encode() in CHECKPOINT:
        why = "reads or writes files" + ("" if first.node else ", and is called from outside")
    else:
        reasons = _REASONS.items()
        known = (does for does, parts in reasons if any(part in operation for part in parts))
        why = next(known, "is not among the operations that kvis knows to compute and nothing else")
    node = f"node '{first.node}'" if first.node else ""
    function = f"function '{first.function}'" if first.function else ""
    place = " of its ".join(part for part in (node, function) if part)
    others = ", ".join(found.operation or "one without a name" for found in findings[1:4])
    more = f" and {len(findings) - 4} more" if len(findings) > 4 else ""
    return UntrustedError(
        f"'{folder}' holds the operation {operation or '(without a name)'}, which {why}.",
        f"It is the {place}, and would run with all your rights."
        + (f" Others that are not allowed: {others}{more}." if others else ""),
        f"Save the model as .keras where its layers are known. {_TRUST}",
    )
