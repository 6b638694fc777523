"""Untrusted YAML: plain values only, bounded in size, no anchors that multiply.

Scalars are read as YAML 1.2 reads them: ``no``, ``on`` and ``12:30`` are texts, ``1e-3`` is a
number.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from kvis_cli.errors import SpecError

MAX_YAML = 1024 * 1024
MAX_NODES = 100_000

Place = tuple[int, int]
"""Line and column, both counted from 1."""


@dataclass(frozen=True)
class Document:
    """A YAML file, and where each part of it stands.

    Attributes
    ----------
    value
        Its plain values.
    places
        Path of keys and indices -> where the key or the list item stands.
    """

    value: Any
    places: dict[tuple[Any, ...], Place] = field(default_factory=dict)

    def place(self, path: Sequence[Any]) -> Place:
        """Where `path` stands; where it is not written, the nearest part around it that is."""
        known = tuple(path)
        while known and known not in self.places:
            known = known[:-1]
        return self.places.get(known, (1, 1))


class _Loader(yaml.SafeLoader):
    """The safe loader with the scalars of YAML 1.2, which also refuses repeated keys."""


# A copy: the table of the parent class serves everybody.
_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("int", r"^[-+]?(?:0|[1-9][0-9]*)$", "-+0123456789"),
    (
        "float",
        r"^(?:[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan)$",
        "-+0123456789.",
    ),
    ("merge", r"^<<$", "<"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), list(_first))


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Hashable, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        if key_node.tag == "tag:yaml.org,2002:merge":
            continue
        key = loader.construct_object(key_node, deep=True)
        try:
            repeated = key in seen
        except TypeError:
            raise _problem(key_node, "a key is a list or a mapping") from None
        if repeated:
            raise _problem(key_node, f"the key '{key}' is there twice")
        seen.add(key)
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


def _unknown_tag(loader: _Loader, node: yaml.Node) -> Any:
    raise _problem(node, f"the tag '{node.tag.replace('tag:yaml.org,2002:', '!!')}' is not allowed")


def _problem(node: yaml.Node, text: str) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, text, node.start_mark)


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)
_Loader.add_constructor(None, _unknown_tag)
for _name in ("timestamp", "binary", "omap", "pairs", "set"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_name}", _unknown_tag)


def load_yaml(path: Path, *, limit: int = MAX_YAML) -> Any:
    """Return the plain values of a YAML file. Raises as `load_document` does."""
    return load_document(path, limit=limit).value


def load_document(path: Path, *, limit: int = MAX_YAML) -> Document:
    """Read a YAML file.

    Parameters
    ----------
    path
        The file.
    limit
        Largest size in bytes.

    Returns
    -------
    Document
        The value, with the place of every key.

    Raises
    ------
    SpecError
        With file, line and column: for a file that is missing, too large, not UTF-8, not YAML,
        that holds tags or repeated keys, or whose anchors multiply beyond `MAX_NODES` values.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(limit + 1)
    except OSError as error:
        raise SpecError(f"Cannot read '{path}'.", f"{error.strerror or error}.") from None
    if len(data) > limit:
        raise SpecError(f"'{path}' is larger than {limit // 1024} KiB.", "It is read as YAML text.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise SpecError(f"'{path}' is not UTF-8 text.", "", "Save it as UTF-8.") from None
    return parse_document(text, str(path))


def parse_document(text: str, name: str) -> Document:
    """Parse YAML text; `name` is what messages call it. Raises as `load_document` does."""
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return Document(None)
        if _size(node, {}, set()) > MAX_NODES:
            raise SpecError(
                f"{name} holds more than {MAX_NODES} values once its anchors are filled in."
            )
        value = loader.construct_document(node)
        places: dict[tuple[Any, ...], Place] = {}
        _locate(loader, node, (), places)
        return Document(value, places)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        problem = " ".join((error.problem or error.context or "").split())
        tab = "\\t" in problem or (mark is not None and _tab_before(text, mark.line))
        hint = "YAML is indented with blanks, not with tabs." if tab else ""
        raise SpecError(f"{where}: {problem}.", "", hint) from None
    except yaml.YAMLError as error:
        raise SpecError(f"{name}: {' '.join(str(error).split())}.") from None
    except ValueError as error:
        # Python refuses integers of thousands of digits.
        raise SpecError(f"{name}: {error}.") from None
    except RecursionError:
        raise SpecError(f"{name} is nested too deeply.") from None


def _tab_before(text: str, line: int) -> bool:
    lines = text.splitlines()
    found = lines[line] if line < len(lines) else ""
    return "\t" in found[: len(found) - len(found.lstrip())]


def _size(node: yaml.Node, known: dict[int, int], above: set[int]) -> int:
    """How many values a node stands for once its aliases are filled in."""
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) in above:
        raise _problem(node, "an anchor holds itself")
    if id(node) not in known:
        above.add(id(node))
        children = (
            [child for pair in node.value for child in pair]
            if isinstance(node, yaml.MappingNode)
            else node.value
        )
        known[id(node)] = 1 + sum(_size(child, known, above) for child in children)
        above.discard(id(node))
    return known[id(node)]


def _locate(
    loader: _Loader, node: yaml.Node, path: tuple[Any, ...], places: dict[tuple[Any, ...], Place]
) -> None:
    places.setdefault(path, _place(node))
    if isinstance(node, yaml.MappingNode):
        for key_node, child in node.value:
            below = (*path, loader.construct_object(key_node, deep=True))
            places[below] = _place(key_node)
            _locate(loader, child, below, places)
    elif isinstance(node, yaml.SequenceNode):
        for index, child in enumerate(node.value):
            _locate(loader, child, (*path, index), places)


def _place(node: yaml.Node) -> Place:
    return node.start_mark.line + 1, node.start_mark.column + 1
