from __future__ import annotations

from pathlib import Path

import pytest

from kvis_cli.errors import UsageError
from kvis_cli.images.finding import find_images
from kvis_cli.paths import natural_key


def test_files_folders_and_globs(tmp_path):
    for name in ("img10.png", "img9.png", "notes.txt", "sub/img1.JPG"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    names = [p.name for p in find_images([str(tmp_path)])]
    assert names == ["img9.png", "img10.png", "img1.JPG"]
    assert [p.name for p in find_images([str(tmp_path / "*.png")])] == ["img9.png", "img10.png"]
    both = find_images([str(tmp_path / "img10.png"), str(tmp_path / "img*.png")])
    assert [p.name for p in both] == ["img10.png", "img9.png"]
    with pytest.raises(UsageError, match=r"img9\.png"):
        find_images([str(tmp_path / "img9.pgn")])


def test_natural_order():
    names = ["epoch-10", "epoch-9", "epoch-100", "Epoch-1"]
    ordered = sorted((Path(n) for n in names), key=natural_key)
    assert [p.name for p in ordered] == ["Epoch-1", "epoch-9", "epoch-10", "epoch-100"]
