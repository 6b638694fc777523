"""Make the pictures of the gallery again: ``python docs/gallery.py`` in the project's folder."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

DOCS = Path(__file__).parent
WIDTH = 1400


def entries() -> list[tuple[Path, list[str]]]:
    """The pictures of the page with the words of the command under each."""
    page = re.sub(r"\\\n\s*", "", (DOCS / "gallery.md").read_text("utf-8"))
    found = re.findall(r"!\[[^\]]*\]\(([^)]+)\)\s+kvis ([^\n]+)", page)
    return [(DOCS / path, shlex.split(words)) for path, words in found]


def smaller(sheet: Path) -> Image.Image:
    """A sheet as the page shows it."""
    with Image.open(sheet) as image:
        shown = image.convert("RGB")
    if shown.width > WIDTH:
        height = round(shown.height * WIDTH / shown.width)
        shown = shown.resize((WIDTH, height), Image.Resampling.LANCZOS)
    return shown


def main() -> None:
    for path, words in entries():
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "kvis_cli", *words, "--out", folder]
            subprocess.run(command, check=True, cwd=DOCS.parent)
            [sheet] = Path(folder).rglob("grid*.png")
            smaller(sheet).save(path, quality=85, optimize=True)
        print(path)


if __name__ == "__main__":
    main()
