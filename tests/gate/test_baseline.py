"""The baseline file: what is written is read, and what is not kvis' is refused by name."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from kvis_cli.errors import NotEvaluatedError
from kvis_cli.gate.accepting import added
from kvis_cli.gate.baseline import (
    HEAD,
    Baseline,
    Kept,
    image_key,
    parse_baseline,
    read_baseline,
    settings_key,
    to_text,
    write_baseline,
)
from kvis_cli.gate.cells import Cells, to_cells

SETTINGS = [
    {"kind": "cam", "method": name, "version": 4, "layer": ["auto"], "text": "a b"}
    for name in ("gradcam", "layercam", "eigencam")
]


def digest(text):
    return hashlib.sha256(str(text).encode()).hexdigest()


def drawn(seed, side=12, signed=False):
    raw = np.random.default_rng(seed).normal(size=(side, side))
    return to_cells(raw if signed else np.maximum(raw, 0), signed)


def sample(images=3, side=12, model="epoch 3", seed=0):
    keys = {image_key(digest(i)): f"photos/katze {i}.jpg" for i in range(images)}
    kept = [
        Kept((image, settings_key(s), "281"), model, 14.25 + i, 0.875, "tabby, tabby cat", cells)
        for i, image in enumerate(keys)
        for s, cells in ((s, drawn(seed + i, side, signed=i % 2 == 1)) for s in SETTINGS)
    ]
    settings = {settings_key(s): s for s in SETTINGS}
    return Baseline(keys, {model: digest(model)[:16]}, settings, tuple(kept))


def test_what_is_written_is_read(tmp_path):
    baseline = sample()
    odd = replace(
        baseline.kept[0], first="-", probability=None, cells=Cells(np.zeros((3, 9), "u1"))
    )
    baseline = replace(baseline, kept=(odd, *baseline.kept[1:]))
    path = write_baseline(tmp_path, baseline)
    found = read_baseline(tmp_path)
    assert set(found.kept) == set(baseline.kept)
    assert (found.images, found.models, found.settings) == (
        baseline.images,
        baseline.models,
        baseline.settings,
    )
    # Sorted lines of plain text; the same content gives the same bytes, in any order.
    lines = path.read_text("ascii").splitlines()
    assert lines[1:-1] == sorted(lines[1:-1])
    shuffled = replace(baseline, kept=baseline.kept[::-1])
    assert to_text(shuffled) == path.read_text() == to_text(found)
    assert parse_baseline(path.read_text().replace("\n", "\r\n"), path) == found


@pytest.mark.parametrize(("side", "limit"), [(12, 100_000), (28, 350_000)])
def test_size_of_100_images_and_3_methods(side, limit, tmp_path):
    path = write_baseline(tmp_path, sample(100, side))
    assert path.stat().st_size <= limit
    assert len(read_baseline(tmp_path).kept) == 300


def damaged(text):
    """How a file can be wrong -> its text, and what is said of it."""
    lines = text.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("q "))
    digit = "1" if lines[at][60] != "1" else "2"

    def with_line(line, check=True):
        if check:
            line = f"{line} {hashlib.sha256(line.encode()).hexdigest()[:8]}"
        return "\n".join([*lines[:at], line, *lines[at + 1 :], ""])

    q = lines[at].rpartition(" ")[0]
    fields = q.split(" ")
    return {
        "cut in a line": (text[: len(text) // 2], "cut short"),
        "cut between lines": ("\n".join(lines[:-1]) + "\n", "cut short"),
        "foreign": ("name,score\ncat,1\n", "first line"),
        "empty": ("", "first line"),
        "newer": (text.replace(HEAD, "kvis-baseline 2"), "another version"),
        "edited": (with_line(lines[at][:60] + digit + lines[at][61:], False), "checksum"),
        "line gone": (
            "\n".join(line for line in lines if line[:2] != "i ") + "\n",
            "does not list",
        ),
        "conflict": (with_line("<<<<<<< HEAD", False), "conflict"),
        "other kind": (with_line("x 1 2"), "no known kind"),
        "few fields": (with_line("q 1 2"), "Line"),
        "huge grid": (with_line(" ".join([*fields[:-2], "99x99h", "-"])), "at most 28x28"),
        "wrong cells": (with_line(" ".join([*fields[:-1], "0000"])), "as many"),
        "bad base85": (with_line(" ".join([*fields[:-1], '"""'])), "Line"),
        "nan": (with_line(" ".join([*fields[:6], "nan", *fields[7:]])), "number"),
        "fourth": (with_line(" ".join([*fields[:5], "4", *fields[6:]])), "at most 3"),
        "other settings": (with_line('s 01234567 {"a":1}'), "other settings"),
        "deep": (with_line("s 01234567 " + "[" * 20_000), "Line"),
        "long": (with_line("s 01234567 " + "1" * 70_000), "too long"),
        "twice": ("\n".join([*lines[:at], lines[at], *lines[at:], ""]), "twice"),
    }


@pytest.mark.parametrize("how", damaged(to_text(sample())))
def test_what_is_not_a_baseline_is_refused_by_name(how, tmp_path):
    text, said = damaged(to_text(sample()))[how]
    (tmp_path / "baseline.txt").write_text(text)
    with pytest.raises(NotEvaluatedError, match=said) as caught:
        read_baseline(tmp_path)
    assert (
        caught.value.exit_code == 3 and "git" in caught.value.hint
    ) or "Update" in caught.value.hint
    assert (tmp_path / "baseline.txt").read_text() == text


def test_a_baseline_that_is_not_there_or_no_text(tmp_path):
    with pytest.raises(NotEvaluatedError, match="no baseline") as caught:
        read_baseline(tmp_path)
    assert "--update-baseline" in caught.value.hint
    (tmp_path / "baseline.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(NotEvaluatedError, match="no text"):
        read_baseline(tmp_path)


def test_a_run_replaces_all_or_only_what_is_named():
    old, new = sample(seed=0), sample(seed=50)
    assert added(old, new) == new
    question, model = new.kept[4].question, new.kept[4].model
    part = added(old, new, only=[(question, model)])
    changed = [k for k in part.kept if k not in old.kept]
    assert changed == [new.kept[4]] and len(part.kept) == len(old.kept)
    # A smaller job drops what it does not ask; with `only` it stays.
    small = sample(1, seed=50)
    assert len(added(old, small).images) == 1
    assert len(added(old, small, only=[(k.question, k.model) for k in small.kept]).images) == 3


def test_up_to_three_variants_stand_beside_each_other():
    baseline = sample(1, seed=0)
    for count, seed in enumerate((0, 10, 20), 1):
        baseline = added(baseline, sample(1, seed=seed), beside=True)
        assert len(baseline.kept) == 3 * count
    found = parse_baseline(to_text(baseline), None)
    assert all(len(v) == 3 for v in found.variants("epoch 3").values())
    with pytest.raises(NotEvaluatedError, match="more than 3"):
        added(baseline, sample(1, seed=30), beside=True)


def test_a_model_is_compared_with_its_own_answers_or_the_only_ones():
    one, two = sample(model="a"), sample(model="b", seed=9)
    assert one.variants("a") == one.variants("new")
    both = added(one, two, only=[(k.question, k.model) for k in two.kept])
    assert both.models.keys() == {"a", "b"}
    assert both.variants("a") == one.variants("a") and both.variants("b") == two.variants("b")
    assert both.variants("new") == {}
