"""Files and names: no circles, no private names across files, nothing long, nothing twice."""

from __future__ import annotations

import ast
from collections import defaultdict

import pytest

from tests.contracts.covered import COVERED_BY
from tests.contracts.source import ROOT, imported, modules, tree

MAX_LINES = 400
MAX_MODULES = 16
# Commands are one file each, and `kvis --help` lists them: as many as fit on its page.
MAX_COMMANDS = 24
# What may import TensorFlow or Keras when it is imported; anything else answers without.
NEEDS_TENSORFLOW = (
    "kvis_cli.engines.",
    "kvis_cli.keras_vis.",
    "kvis_cli.models.live.",
    "kvis_cli.tasks.",
    "kvis_cli.training",
)
LIGHT_ENGINES = ("registry", "settings", "weightings", "engine_methods", "reduction", "gaussian")


def circles(edges: dict[str, set[str]]) -> list[set[str]]:
    """The strongly connected components of more than one file (Tarjan 1972)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(node: str) -> None:
        order[node] = low[node] = len(order)
        stack.append(node)
        for other in edges[node]:
            if other not in order:
                visit(other)
            if other in stack:
                low[node] = min(low[node], low[other])
        if low[node] == order[node]:
            component = set(stack[stack.index(node) :])
            del stack[stack.index(node) :]
            if len(component) > 1:
                found.append(component)

    for node in edges:
        if node not in order:
            visit(node)
    return found


def test_circles_are_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == [{"b", "c"}]


def test_no_circle_of_files():
    edges = {m: {name for name, _ in imported(m) if name in modules()} - {m} for m in modules()}
    assert circles(edges) == []


def test_no_private_name_of_another_module():
    for module in modules():
        aliases = {}
        for source, name in imported(module):
            assert not name.startswith("_") or name == "__version__", f"{module}: {source}.{name}"
            if not name:
                aliases[source.rpartition(".")[2]] = source
        for node in ast.walk(tree(module)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                private = node.attr.startswith("_") and not node.attr.startswith("__")
                assert not (private and node.value.id in aliases), f"{module}: {node.attr}"


def test_no_public_class_has_the_name_of_another():
    """The classes of keras-vis have its names, which may be those of engines."""
    places = defaultdict(list)
    for module in modules():
        if not module.startswith("kvis_cli.keras_vis"):
            for node in tree(module).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    places[node.name].append(module)
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_files_and_folders_can_be_overlooked():
    count = defaultdict(int)
    for path in modules().values():
        lines = len(path.read_text("utf-8").splitlines())
        assert lines <= MAX_LINES, f"{path.relative_to(ROOT)}: {lines} lines"
        count[path.parent] += path.name != "__init__.py"
    most = {ROOT / "kvis_cli/cli/commands": MAX_COMMANDS}
    assert {str(f): n for f, n in count.items() if n > most.get(f, MAX_MODULES)} == {}


@pytest.mark.parametrize("module", sorted(modules()))
def test_tensorflow_is_imported_where_it_computes(module):
    last = module.rpartition(".")[2]
    allowed = module.startswith(NEEDS_TENSORFLOW) and last not in LIGHT_ENGINES
    names = set()
    for node in tree(module).body:
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").partition(".")[0])
    assert allowed or not names & {"tensorflow", "keras"}


def test_every_module_has_a_test_of_its_path_or_is_covered_by_a_named_one():
    tests = {
        path.relative_to(ROOT / "tests").as_posix() for path in ROOT.glob("tests/**/test_*.py")
    }
    covered = {module: test for test, names in COVERED_BY.items() for module in names.split()}
    assert set(covered.values()) <= tests
    own, without = set(), set()
    for path in ROOT.glob("kvis_cli/**/*.py"):
        module = path.relative_to(ROOT / "kvis_cli")
        if path.name in ("__init__.py", "__main__.py"):
            continue
        if (module.parent / f"test_{path.stem}.py").as_posix() in tests:
            own.add(module.as_posix())
        else:
            without.add(module.as_posix())
    assert own, "the trees do not fit"
    assert without == covered.keys()
