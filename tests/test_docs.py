"""The documentation: it builds without a warning, and names what is there."""

from __future__ import annotations

import ast
import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


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
    import kvis_cli.keras_vis
    from kvis_cli.keras_vis.utils import utils

    page = (ROOT / "docs" / "keras-vis.md").read_text("utf-8")
    for name in ("losses", "regularizers", "callbacks", "grad_modifiers", "input_modifiers"):
        assert name in kvis_cli.keras_vis.__all__
        assert name in page
    for name in ("apply_modifications", "find_layer_idx", "load_img", "normalize", "overlay"):
        assert name in page
    assert callable(utils.stitch_images)


def test_examples_in_python_are_valid():
    for path in PAGES:
        for block in re.findall(r"```python\n(.*?)```", path.read_text("utf-8"), re.S):
            compile(block, str(path), "exec")


@pytest.mark.slow
def test_the_page_about_python_runs(tf, monkeypatch, tmp_path):
    (tmp_path / "sample_models").symlink_to(ROOT / "sample_models")
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "python.md").read_text("utf-8")
    names: dict = {}
    for block in re.findall(r"```python\n(.*?)```", page, re.S):
        exec(compile(block, "python.md", "exec"), names)
    assert names["heat"].target.label == "house"
    assert names["heat"].probability > 0.9
    assert len(names["maps"]) == 4
    assert names["picture"].map.shape == (96, 96, 3)
    assert [e.target.name for e in names["filters"]] == ["0", "1", "2", "3"]
    assert names["shown"].shape == (96, 96, 3)
    assert (tmp_path / "heat.png").is_file()


def test_the_imports_of_the_page_about_keras_vis_work(tf):
    page = (ROOT / "docs" / "keras-vis.md").read_text("utf-8")
    for block in re.findall(r"```python\n(.*?)```", page, re.S):
        exec(compile(block, "keras-vis.md", "exec"), {})


@pytest.mark.slow
def test_the_page_about_training_runs(tf, monkeypatch, tmp_path):
    (tmp_path / "photos").mkdir()
    shutil.copy(ROOT / "sample_models/images/house.png", tmp_path / "photos/house.jpg")
    monkeypatch.chdir(tmp_path)
    model = tf.keras.models.load_model(ROOT / "sample_models/shapes.keras")
    model.compile("sgd", "sparse_categorical_crossentropy")
    names = {"model": model, "x": np.zeros((1, 96, 96, 3)), "y": np.zeros(1)}
    page = (ROOT / "docs" / "training.md").read_text("utf-8")
    for block in re.findall(r"```python\n(.*?)```", page, re.S):
        exec(compile(block, "training.md", "exec"), names)
    saved = sorted(path.name for path in (tmp_path / "attention/checkpoints").iterdir())
    assert saved == [f"epoch-{epoch:03d}.keras" for epoch in (5, 10, 15, 20)]
    assert (tmp_path / "attention/report.html").is_file()


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
