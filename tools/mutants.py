"""Mutations of the maths, and whether the tests notice: ``python tools/mutants.py --count 100``.

A mutant is one change of one operator, comparison, number, boolean or keyword argument in the
engines, the renderer, the measures or the graph. Left out by rule are text, logging, type hints,
what only makes up an error message, and values of a registry that are words. The draw has a fixed
seed, so that two people speak of the same mutants.

mutmut and cosmic-ray start a test process per mutant, which here means importing TensorFlow a
hundred times; this tool imports it once and forks. A survivor needs a test, or a line in
``tests/mutants.md`` that says why it is equivalent.
"""

from __future__ import annotations

import argparse
import ast
import importlib.abc
import importlib.machinery
import os
import random
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "kvis_cli"
SOURCES = ("engines", "render", "metrics", "gate", "models/graph")
# What to run for a module: the first prefix that fits, the most direct tests first.
TESTS = {
    "engines/cam": "engines/cam engines/test_target_groups.py cli/test_cam.py",
    "engines/saliency": "engines/test_batching.py engines/saliency cli/test_saliency.py",
    "engines/activation_maximization/published": "engines/activation_maximization/test_literals.py "
    "keras_vis",
    "engines/activation_maximization": "engines/activation_maximization cli/test_maximize.py "
    "cli/test_filters.py",
    "engines/backprop_modifiers": "engines/test_backprop_modifiers.py engines/saliency",
    "engines/gradient_modifiers": "engines/test_gradient_modifiers.py engines/saliency",
    "engines/scores": "engines/test_scores.py engines/cam engines/saliency",
    "engines/resampling": "engines/cam/test_perturbation.py",
    "engines/batching": "engines/test_batching.py engines/activation_maximization",
    "gate": "gate cli/test_check.py cli/test_compare.py",
    "metrics": "metrics gate jobs/planning/test_sources.py",
    "models/graph/bounds": "models/graph/test_bounds.py cli/test_filters.py",
    "models/graph": "models/graph models/description/test_cam_layers.py "
    "models/legacy/test_upgrade.py cli/test_layers.py",
    "render": "render cli/test_cam.py",
}
SECONDS = 240

_COMPARE = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_BINARY = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip
_SILENT = {"note", "_note", "stage", "progress", "warn"}


@dataclass(frozen=True)
class Mutant:
    """One change: the file, which of its places, and what it is in words."""

    path: Path
    place: int
    line: int
    text: str

    @property
    def name(self) -> str:
        return f"{self.path.relative_to(PACKAGE)}:{self.line} {self.text}"


class Places(ast.NodeTransformer):
    """Visits what can be changed; changes the place number `target`."""

    def __init__(self, target: int = -1) -> None:
        self.target = target
        self.found: list[tuple[int, str]] = []

    def _here(self, node: ast.AST, text: str) -> bool:
        self.found.append((getattr(node, "lineno", 0), text))
        return len(self.found) - 1 == self.target

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        return node

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        return node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if node.value is not None:
            node.value = self.visit(node.value)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        if node.name.startswith(("describe", "_warnings", "__repr__", "__str__")):
            return node
        defaults = node.args.defaults
        node.args.defaults = [self.visit(value) for value in defaults]
        node.args.kw_defaults = [v and self.visit(v) for v in node.args.kw_defaults]
        node.body = [self.visit(statement) for statement in node.body]
        return node

    def visit_If(self, node: ast.If) -> ast.AST:
        if ast.unparse(node.test) == "TYPE_CHECKING":
            return node
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        name = (
            node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        )
        if (
            name in _SILENT
            or name.endswith("Error")
            or name in ("TypeVar", "option", "engine", "weighting", "register")
        ):
            return node
        self.generic_visit(node)
        for keyword in list(node.keywords):
            if keyword.arg and not (
                isinstance(keyword.value, ast.Constant) and isinstance(keyword.value.value, str)
            ):
                if keyword.arg in (
                    "autograph",
                    "reduce_retracing",
                    "strict",
                    "stacklevel",
                    "parallel_iterations",
                    "watch_accessed_variables",
                    "dtype",
                ):
                    continue
                if self._here(node, f"without {keyword.arg}= in {ast.unparse(node)[:60]}"):
                    node.keywords.remove(keyword)
                    break
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        other = _COMPARE.get(type(node.ops[0]))
        if other and self._here(node, f"{ast.unparse(node)[:70]} -> {other.__name__}"):
            node.ops[0] = other()
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        text = isinstance(node.left, ast.Constant | ast.JoinedStr) and isinstance(
            getattr(node.left, "value", ""), str
        )
        other = _BINARY.get(type(node.op))
        if other and not text and self._here(node, f"{ast.unparse(node)[:70]} -> {other.__name__}"):
            node.op = other()
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        self.generic_visit(node)
        if self._here(
            node, f"{ast.unparse(node)[:70]} -> {'or' if isinstance(node.op, ast.And) else 'and'}"
        ):
            node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        return node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.op, ast.Not | ast.USub) and self._here(
            node, f"{ast.unparse(node)[:70]} -> without"
        ):
            return node.operand
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        value = node.value
        if isinstance(value, bool):
            if self._here(node, f"{value} -> {not value}"):
                return ast.copy_location(ast.Constant(not value), node)
        elif isinstance(value, int | float):
            other = value + 1 if isinstance(value, int) else value * 2 + 0.5
            if self._here(node, f"{value} -> {other}"):
                return ast.copy_location(ast.Constant(other), node)
        return node


def every_mutant() -> list[Mutant]:
    """All places of all sources, in a fixed order."""
    found = []
    for source in SOURCES:
        root = PACKAGE / source
        for path in sorted([root] if root.suffix else root.rglob("*.py")):
            places = Places()
            places.visit(ast.parse(path.read_text("utf-8")))
            found += [Mutant(path, i, line, text) for i, (line, text) in enumerate(places.found)]
    return found


def mutated(mutant: Mutant) -> ast.Module:
    """The syntax tree of the file with the one change."""
    tree = ast.parse(mutant.path.read_text("utf-8"))
    return ast.fix_missing_locations(Places(mutant.place).visit(tree))


class Hook(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports the mutated module in the place of its file."""

    def __init__(self, mutant: Mutant) -> None:
        self.mutant = mutant
        parts = mutant.path.relative_to(ROOT).with_suffix("").parts
        self.module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def find_spec(self, name, path=None, target=None):
        if name != self.module:
            return None
        package = self.mutant.path.name == "__init__.py"
        spec = importlib.machinery.ModuleSpec(
            name, self, origin=str(self.mutant.path), is_package=package
        )
        spec.has_location = True
        return spec

    def exec_module(self, module) -> None:
        module.__file__ = str(self.mutant.path)
        exec(compile(mutated(self.mutant), str(self.mutant.path), "exec"), module.__dict__)


def tests_of(mutant: Mutant) -> list[str]:
    """The test files that concern a module."""
    name = mutant.path.relative_to(PACKAGE).as_posix()
    files = next(files for prefix, files in TESTS.items() if name.startswith(prefix))
    return [str(ROOT / "tests" / file) for file in files.split()]


def survives(mutant: Mutant) -> bool:
    """Whether the tests pass in spite of the change; a hang is noticed, too."""
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        sys.meta_path.insert(0, Hook(mutant))
        import pytest

        only = "not slow and not conformance and not browser"
        options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", only]
        os._exit(int(pytest.main([*options, *tests_of(mutant)])))
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.1)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def main() -> int:
    """Draw mutants and try them; 1 when one survives that is not explained."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--part", default="0/1", help="only part I of N of the draw")
    parser.add_argument("--only", default="", help="only mutants whose name holds this")
    asked = parser.parse_args()
    everything = every_mutant()
    drawn = random.Random(asked.seed).sample(everything, min(asked.count, len(everything)))
    part, parts = map(int, asked.part.split("/"))
    drawn = [m for m in drawn[part::parts] if asked.only in m.name]
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras  # noqa: F401
    import pytest  # noqa: F401
    import tensorflow  # noqa: F401

    explained = (ROOT / "tests" / "mutants.md").read_text("utf-8")
    killed, unexplained = 0, 0
    for mutant in drawn:
        began = time.monotonic()
        lives = survives(mutant)
        known = f"`{mutant.name}`" in explained
        killed += not lives
        unexplained += lives and not known
        verdict = ("equivalent" if known else "SURVIVES") if lives else "killed"
        print(f"{verdict:10} {time.monotonic() - began:5.0f} s  {mutant.name}", flush=True)
    print(f"{killed} of {len(drawn)} killed, {unexplained} survivors without a word")
    return int(unexplained > 0)


if __name__ == "__main__":
    sys.exit(main())
