"""The prose of the project: what people read of it, without code and without what is quoted."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.contracts.source import ROOT

# In this order; line breaks stay, so that lines can be counted.
_CODE = [
    re.compile(r"^```.*?^```", re.M | re.S),
    re.compile(r"^ *(>>>|\.\.\.) .*$", re.M),
    re.compile(r"(``?)(?!`).+?\1", re.S),
    re.compile(r"\]\([^)]*\)|<[^>\n]*>|https?://\S+"),
    re.compile(r"'[^'\s]+'|\"[^\"\n]+\""),
    # Flags, keys, paths, calls, names of several words: what has a sign in it that words have not.
    re.compile(r"--?\w[\w-]*|\{[^}\n]*\}|%\w|\w*[_/=*][\w./=*-]*|\w+\.\w[\w.]*|\w+\("),
    re.compile(r"\b\w*[a-z][A-Z]\w*"),
]
# As ruff formats them.
_COMMENT = re.compile(r"(?:^ *|  )# (.*)$")
_INDENTED = re.compile(r"^(?: {4}|\t).*$", re.M)
# Parameters and results, whose description is indented below.
_ENTRY = re.compile(r"^( *)\*{0,2}\w+(?:(?:, | or | of )\*{0,2}\w+)*\n(?=\1 {4}\S)", re.M)


def without_code(text: str) -> str:
    """A text without code spans, examples, flags, file names and identifiers."""
    for pattern in _CODE:
        text = pattern.sub(lambda found: " " + "\n" * found[0].count("\n"), text)
    return text


def prose_of_python(source: str, strings: bool) -> Iterator[tuple[int, str]]:
    """Comments and docstrings with their lines; with `strings` also texts of several words."""
    for number, line in enumerate(source.splitlines(), 1):
        comment = _COMMENT.search(line)
        if comment:
            yield number, without_code(comment[1])
    docstrings = set()
    # Parents come before their children.
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and node.body:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                docstrings.add(first.value)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if node in docstrings:
                yield node.lineno, without_code(_ENTRY.sub("\n", node.value))
            elif strings and " " in node.value.strip():
                yield node.lineno, without_code(node.value)


def prose_of_markdown(text: str) -> Iterator[tuple[int, str]]:
    yield 1, without_code(_INDENTED.sub("", text))


def prose_of_comments(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        _, sign, comment = line.partition("# ")
        yield number, without_code(comment if sign else "")


FOLDERS = ("benchmarks", "configs", "docs", "kvis_cli", "sample_models", "tests", "tools")
SUFFIXES = (".md", ".py", ".toml", ".yaml", ".yml")


@cache
def files() -> list[Path]:
    """The files of the project that hold prose."""
    found = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")]
    found += [path for path in ROOT.iterdir() if path.is_file()]
    return sorted(p for p in found if p.suffix in SUFFIXES or p.name == "Makefile")


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """Pairs of a line and the prose that begins there."""
    name = path.relative_to(ROOT).as_posix()
    if path.suffix == ".py":
        yield from prose_of_python(path.read_text("utf-8"), name.startswith("kvis_cli/"))
    elif path.suffix == ".md":
        yield from prose_of_markdown(path.read_text("utf-8"))
    else:
        yield from prose_of_comments(path.read_text("utf-8"))
