"""Images of a job: tables, classes, regions; and the numbers that regions give."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kvis_cli.errors import InputError, SpecError, UnknownNameError
from kvis_cli.images.fitting import Placement
from kvis_cli.jobs.planning.sources import Source, find_sources, read_table
from kvis_cli.jobs.results.regions import region_numbers, region_of
from kvis_cli.metrics import entropy
from kvis_cli.spec.images import CsvSpec, ImageSpec


def table(folder: Path, text: str, **columns: str) -> list[Source]:
    path = folder / "gate.csv"
    path.write_text(text, encoding="utf-8-sig")
    return read_table(CsvSpec(csv=str(path), **columns))


def test_a_table(tmp_path):
    text = "file;label;place\na.png;tabby cat;1 2 3.5 4\n/abs/b.png;;\n\nsub/c.png;20,22+23;\n"
    found = table(tmp_path, text, image="file", **{"class": "label"}, box="place")
    assert found == [
        Source(tmp_path / "a.png", ("tabby cat",), (1, 2, 3.5, 4)),
        Source(Path("/abs/b.png")),
        Source(tmp_path / "sub/c.png", ("20", "22+23")),
    ]


@pytest.mark.parametrize(
    ("text", "columns", "error", "says"),
    [
        ("", {}, SpecError, "is empty"),
        ("imge\na.png", {}, UnknownNameError, "Did you mean 'imge'"),
        ("image,box\na.png,1 2 3", {"box": "box"}, SpecError, "gate.csv:2: '1 2 3' is not a box"),
        ('image\n"' + "x" * 200_000, {}, SpecError, "gate.csv:"),
    ],
)
def test_bad_tables(tmp_path, text, columns, error, says):
    with pytest.raises(error) as caught:
        table(tmp_path, text, **columns)
    assert says in str(caught.value)


def test_an_image_that_is_named_twice_is_one_with_both_classes(tmp_path):
    path = tmp_path / "a.png"
    Image.new("RGB", (4, 4)).save(path)
    entries = [
        str(path),
        ImageSpec(path=str(path), class_=["1"], mask="m/{stem}.png"),
        ImageSpec(path=str(path), class_=["2", "1"], box=(0, 0, 1, 1)),
    ]
    assert find_sources(entries) == [Source(path, ("1", "2"), (0, 0, 1, 1), Path("m/a.png"))]


def test_entropy_of_known_maps():
    assert entropy(np.ones((3, 5), np.float32)) == pytest.approx(1)
    assert entropy(np.eye(1, 9, dtype=np.float32)) == 0
    # Two equal cells of sixteen: log 2 / log 16.
    assert entropy(np.float32([[1, -1, 0, 0]] + [[0] * 4] * 3)) == pytest.approx(0.25)
    assert entropy(np.zeros((2, 2), np.float32)) is None
    assert entropy(np.ones((1, 1), np.float32)) is None


def test_a_box_has_its_exact_share():
    region = region_of(Source(Path("x"), box=(25, 10, 75, 35)), 50, 100)
    assert region is not None and region.shape == (50, 100)
    assert region.sum() == 50 * 25
    even = region_numbers(np.ones((4, 4), np.float32), Placement(0, 0, 100, 50), region, 50, 100)
    assert even["in_region"] == pytest.approx(50 * 25 / 5000, rel=1e-6)
    assert even["enrichment"] == pytest.approx(1, rel=1e-6)
    # Half covered cells count half, and a large photo is looked at on a coarser grid.
    large = region_of(Source(Path("x"), box=(0, 0, 1025, 2048)), 2048, 2048)
    assert large is not None and large.shape == (256, 256)
    assert large.mean() == pytest.approx(1025 / 2048, rel=1e-6)


def test_a_mask_and_attention_inside_and_outside(tmp_path):
    mask = np.zeros((40, 40), np.uint8)
    mask[:, 20:] = 255
    Image.fromarray(mask).save(tmp_path / "m.png")
    region = region_of(Source(Path("x"), mask=tmp_path / "m.png"), 40, 40)
    assert region is not None
    whole = Placement(0, 0, 40, 40)
    raw = np.zeros((40, 40), np.float32)
    raw[5, 30] = 2
    assert region_numbers(raw, whole, region, 40, 40) == {"in_region": 1, "enrichment": 2}
    assert region_numbers(raw[:, ::-1], whole, region, 40, 40) == {"in_region": 0, "enrichment": 0}
    # Signed maps count by their size, blank ones not at all.
    raw[5, 3] = -2
    assert region_numbers(raw, whole, region, 40, 40)["in_region"] == pytest.approx(0.5)
    assert region_numbers(raw * 0, whole, region, 40, 40) == {}


def test_a_region_outside_the_image(tmp_path):
    assert region_of(Source(Path("x")), 10, 10) is None
    with pytest.raises(InputError, match="holds nothing"):
        region_of(Source(Path("x"), box=(20, 20, 30, 30)), 10, 10)
