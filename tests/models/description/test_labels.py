"""Label files of every usual form, and finding a class by its name."""

from __future__ import annotations

import json

import pytest

from kvis_cli.errors import SpecError, UnknownNameError
from kvis_cli.models.description.labels import Labels, imagenet, read_labels


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.txt", "cat\ndog\n", ["cat", "dog"]),
        ("a.txt", "0 cat\n1 hot dog\n", ["cat", "hot dog"]),
        ("a.txt", "1 dog\n0 cat\n", ["cat", "dog"]),
        ("a.txt", "7 up\n7 down\n", ["7 up", "7 down"]),
        ("a.txt", "\ufeff0 кошка\r\n1 собака\r\n", ["кошка", "собака"]),
        ("a.json", json.dumps(["cat", "dog"]), ["cat", "dog"]),
        ("a.json", json.dumps({"1": "dog", "0": "cat"}), ["cat", "dog"]),
        ("a.json", json.dumps({"dog": 1, "cat": 0}), ["cat", "dog"]),
        ("a.json", json.dumps({"0": ["n01", "cat"], "1": ["n02", "dog"]}), ["cat", "dog"]),
    ],
)
def test_forms_of_label_files(tmp_path, name, text, expected):
    path = tmp_path / name
    path.write_text(text, "utf-8")
    assert list(read_labels(path).names) == expected


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.txt", b""),
        ("a.txt", b"\xff\xfe\x00cat"),
        ("a.json", b"{"),
        ("a.json", b'{"0": "cat", "2": "dog"}'),
        ("a.json", b'"cat"'),
        ("a.json", b'[{"a": 1}]'),
        ("a.json", b"[" * 100_000),
    ],
)
def test_files_that_are_no_labels(tmp_path, name, data):
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(SpecError):
        read_labels(path)


def test_a_missing_file(tmp_path):
    with pytest.raises(SpecError, match=r"nowhere\.txt"):
        read_labels(tmp_path / "nowhere.txt")


def test_imagenet_is_in_the_order_of_keras():
    labels = imagenet()
    assert len(labels.names) == 1000
    known = {0: "tench", 1: "goldfish", 20: "water_ouzel", 281: "tabby", 294: "brown_bear"}
    assert {i: labels.name(i) for i in known} == known
    assert labels.name(999) == "toilet_tissue"


def test_finding_a_class_by_name():
    labels = imagenet()
    assert labels.index("water ouzel") == labels.index("Water_Ouzel") == 20
    with pytest.raises(UnknownNameError, match="water_ouzel"):
        labels.index("water_ousel")
    with pytest.raises(UnknownNameError, match="134 or 517"):
        labels.index("crane")
    with pytest.raises(UnknownNameError, match="--labels"):
        Labels().index("cat")
