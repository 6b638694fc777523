"""The documentation: it builds without a warning, and what it says to type can be typed."""

from __future__ import annotations

import ast
import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def generate():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def documented():
    made = generate()
    found = [(p.name, c) for p in PAGES for c in made.commands_of(p.read_text("utf-8"))]
    pages = {**made.commands(), **made.methods()}
    found += [(name, c) for name, text in pages.items() for c in made.commands_of(text)]
    return list(dict.fromkeys(found))


@pytest.mark.parametrize(("page", "line"), documented(), ids=lambda v: v[:70])
def test_every_documented_command_can_be_typed(page, line):
    """The command is there, and takes the options that are written."""
    import typer

    from kvis_cli.cli.app import app

    name, *arguments = shlex.split(line)[1:]
    group = typer.main.get_command(app)
    assert name in group.list_commands(None), f"{page}: {line}"
    command = group.load(name)
    known = {n for p in command.params for n in (*p.opts, *p.secondary_opts)} | {"--help", "-h"}
    for argument in arguments:
        if argument.startswith("-") and not re.fullmatch(r"-?\d.*", argument):
            assert argument.partition("=")[0] in known, f"{page}: {line}"
    # What a method is called is said by its registry, not by the parser.
    if "--method" in arguments and name in ("cam", "saliency"):
        from kvis_cli.cli.methods import describe_methods

        methods = {row["name"] for row in describe_methods(name)} | {"powercam"}
        wanted = arguments[arguments.index("--method") + 1].split(",")
        assert set(wanted) <= methods, f"{page}: {line}"


RUNNABLE = [
    (page, line)
    for page, line in documented()
    if "sample_models/" in line
    and "methods/" not in page
    and line.split()[1] in ("cam", "saliency")
]


@pytest.mark.slow
@pytest.mark.parametrize(("page", "line"), RUNNABLE, ids=lambda v: v[:70])
def test_documented_commands_on_the_sample_models_run(page, line, kvis, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    ran = kvis(*shlex.split(line)[1:], "--out", tmp_path)
    assert ran.code == 0, f"{page}: {line}\n{ran.err}"
    assert ran.out.splitlines()


def test_every_error_of_the_troubleshooting_page_is_one_of_kvis():
    said = set()
    for path in (ROOT / "kvis_cli").rglob("*.py"):
        said.update(
            filter(None, (text_of(node) for node in ast.walk(ast.parse(path.read_text("utf-8")))))
        )
    page = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")
    headings = re.findall(r"^### `(.+)`$", page, re.M)
    assert len(headings) > 20
    missing = [h for h in headings if h not in said]
    assert missing == []


def text_of(node):
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(v.value if isinstance(v, ast.Constant) else "…" for v in node.values)
    return None


def test_every_public_name_of_keras_vis_is_in_the_moving_page():
    import kvis_cli
    from kvis_cli.utils import utils

    page = (ROOT / "docs" / "keras-vis.md").read_text("utf-8")
    for name in ("losses", "regularizers", "callbacks", "grad_modifiers", "input_modifiers"):
        assert name in kvis_cli.__all__
        assert name in page
    for name in ("apply_modifications", "find_layer_idx", "load_img", "normalize", "overlay"):
        assert name in page
    assert callable(utils.stitch_images)


def test_examples_in_python_are_valid():
    for path in PAGES:
        for block in re.findall(r"```python\n(.*?)```", path.read_text("utf-8"), re.S):
            compile(block, str(path), "exec")


@pytest.mark.skipif(
    importlib.util.find_spec("material") is None, reason="the extra `docs` is not installed"
)
def test_the_documentation_builds_without_a_warning(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert not re.search(r"^WARNING", done.stderr, re.M), done.stderr
    pages = {p.name for p in (tmp_path / "site").rglob("*.html")}
    assert {"index.html", "gradcam.html", "watch.html", "troubleshooting.html"} <= pages
    shutil.rmtree(tmp_path / "site")
