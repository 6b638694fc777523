"""A small job of several models and images, run by the real command in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.models import tiny_network

JOB = """\
version: 1
models: ["epoch-*.keras"]
images: [photos]
tasks:
  - cam: {method: [gradcam, layercam], class: [top1, 2]}
batch_size: 2
output: out
"""


ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Job:
    """A job file in a folder, and how to run it."""

    folder: Path

    @property
    def file(self) -> Path:
        return self.folder / "job.yaml"

    def command(self, out: str, *options: str) -> list[str]:
        start = [sys.executable, "-m", "kvis_cli", "run", str(self.file)]
        return [*start, "-o", str(self.folder / out), *options]

    def run(self, out: str, *options: str, fault: str = "") -> subprocess.CompletedProcess[str]:
        command = self.command(out, *options)
        if fault:
            command[command.index("kvis_cli")] = "tests.helpers.faults"
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            cwd=ROOT if fault else None,
            env={**os.environ, "KVIS_TEST_FAULT": fault},
            timeout=1800,
        )

    def manifest(self, out: str) -> str:
        return (self.folder / out / "manifest.jsonl").read_text()

    def pixels(self, out: str) -> dict[str, np.ndarray]:
        root = self.folder / out
        return {
            p.relative_to(root).as_posix(): np.asarray(Image.open(p))
            for p in sorted(root.rglob("*.png"))
        }

    def assert_same(self, one: str, other: str) -> None:
        """The same pixels and the same manifest."""
        assert self.manifest(one) == self.manifest(other)
        mine, others = self.pixels(one), self.pixels(other)
        assert mine.keys() == others.keys() and mine
        for name, picture in mine.items():
            np.testing.assert_array_equal(picture, others[name], err_msg=name)


def make_models(folder: Path, names: list[str]) -> None:
    for seed, name in enumerate(names):
        tiny_network(seed).save(folder / name)


def make_photos(folder: Path, count: int) -> None:
    folder.mkdir()
    rng = np.random.default_rng(11)
    for i in range(count):
        small = rng.integers(0, 256, (6, 8, 3), np.uint8)
        Image.fromarray(small).resize((40, 30)).save(folder / f"p{i}.png")


@pytest.fixture(scope="session")
def job(tf, tmp_path_factory) -> Job:
    """Three models × five photos × two methods, with the results of one clean run in ``clean``."""
    folder = tmp_path_factory.mktemp("job")
    make_models(folder, ["epoch-1.keras", "epoch-2.keras", "epoch-10.keras"])
    make_photos(folder / "photos", 5)
    (folder / "job.yaml").write_text(JOB)
    job = Job(folder)
    ran = job.run("clean")
    assert ran.returncode == 0, ran.stderr
    return job
