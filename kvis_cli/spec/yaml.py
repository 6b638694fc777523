"""YAML from a stranger: plain values only, bounded in size, no anchors that multiply."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from kvis_cli.errors import SpecError

MAX_YAML = 8 * 1024 * 1024
MAX_ALIASES = 1000


class _Loader(yaml.SafeLoader):
    """The safe loader, which also refuses repeated keys."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        if key_node.tag == "tag:yaml.org,2002:merge":
            continue
        key = loader.construct_object(key_node, deep=True)
        try:
            repeated = key in seen
        except TypeError:
            raise yaml.constructor.ConstructorError(
                None, None, "a key is a list or a mapping", key_node.start_mark
            ) from None
        if repeated:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key '{key}' is there twice", key_node.start_mark
            )
        seen.add(key)
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


def load_yaml(path: Path, *, limit: int = MAX_YAML) -> Any:
    """Read a YAML file.

    Raises
    ------
    SpecError
        With file, line and column: for a file that is missing, too large, not UTF-8, not YAML,
        holds tags, repeated keys, or more than a thousand aliases.
    """
    try:
        if path.stat().st_size > limit:
            raise SpecError(
                f"{path} is larger than {limit // 1024} KiB.", "", "It is read as YAML text."
            )
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise SpecError(f"Cannot read {path}.", f"{error.strerror or error}.") from None
    except UnicodeDecodeError:
        raise SpecError(f"{path} is not UTF-8 text.", "", "Save it as UTF-8.") from None
    try:
        aliases = sum(isinstance(t, yaml.AliasEvent) for t in yaml.parse(text, yaml.SafeLoader))
        if aliases > MAX_ALIASES:
            raise SpecError(f"{path} holds {aliases} aliases.", "That many multiply without end.")
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        hint = "YAML is indented with blanks, not tabs." if "\\t" in str(error.problem) else ""
        raise SpecError(f"{where}: {error.problem or error.context}.", "", hint) from None
    except yaml.YAMLError as error:
        raise SpecError(f"{path}: {' '.join(str(error).split())}.") from None
    except RecursionError:
        raise SpecError(f"{path} is nested too deeply.") from None
