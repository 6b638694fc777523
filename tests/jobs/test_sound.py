"""A result folder from outside says only what kvis would write."""

from __future__ import annotations

import json
import struct
import zlib

import pytest

from kvis_cli.errors import InputError, UsageError
from kvis_cli.images.finding import find_images
from kvis_cli.images.photo import read_photo
from kvis_cli.jobs.results.merge import merge_shards
from kvis_cli.jobs.results.resume import read_finished
from kvis_cli.jobs.results.sound import parse, sound_row, sound_run, whole_run
from kvis_cli.jobs.results.store import read_rows
from kvis_cli.report.data import load_run
from kvis_cli.report.write import write_report
from kvis_cli.spec.formats import REPORTS
from tests.helpers.rows import result_rows

ROW = {"task": "t", "of": 1, "file": "a.png", "model": "m.keras", "warnings": [], "score": 1.5}
RUN = {
    "kvis": "0.1.0", "versions": {"keras": "3"}, "device": "cpu", "shard": "0/1",
    "spec": {"models": [{"path": "m.keras"}], "images": [], "tasks": [{"cam": {}}]},
    "models": [], "images": [], "tasks": {"all": 1, "done": 1, "failed": 0}, "distrusted": 0,
    "seconds": 1.5, "seconds_by_model": {"m.keras": 1.5}, "failures": [],
}  # fmt: skip


@pytest.mark.parametrize(
    "wrong",
    [
        {"file": "../a.png"}, {"raw": "/etc/passwd"}, {"file": "x/../../a"}, {"file": "C:\\a.png"},
        {"file": "..\\a.png"}, {"file": "\\\\server\\a"}, {"file": "a\0.png"}, {"file": ""},
        {"file": 3}, {"warnings": "blank"}, {"warnings": [None]}, {"places": []},
        {"places": [1.5]}, {"places": [True]}, {"score": "1"}, {"score": 10**400},
        {"error": {"what": {}}}, {"task": None}, {"rows": [{"task": "t", "file": "../a"}]},
    ],
    ids=str,
)  # fmt: skip
def test_rows_that_kvis_does_not_write_are_left_out(wrong, tmp_path):
    assert sound_row(ROW) and not sound_row({**ROW, **wrong})
    lines = [json.dumps(ROW), json.dumps({**ROW, **wrong}), "NaN", "[" * 100_000]
    lines += [json.dumps({**ROW, "score": float("nan")}), '{"task": "t", "score": 1e999}']
    (tmp_path / "m.jsonl").write_text("\n".join(lines))
    assert read_rows(tmp_path / "m.jsonl") == result_rows([ROW])


def test_what_is_known_of_a_run_fits_or_is_not_known():
    assert sound_run(RUN) and whole_run(RUN) and sound_run({}) and not whole_run({})
    for wrong in ({"models": {}}, {"seconds": "1"}, {"versions": {"k": 1}}, {"tasks": {"all": 1}}):
        assert not whole_run({**RUN, **wrong})
    for text in ("NaN", "[1e999]", "[" * 100_000, "{"):
        with pytest.raises(ValueError):
            parse(text)


def shard(folder, row=None, **changes):
    folder.mkdir(parents=True)
    (folder / "manifest.jsonl").write_text(json.dumps({**ROW, **(row or {})}))
    (folder / "run.json").write_text(json.dumps({**RUN, **changes}))
    (folder / "a.png").write_bytes(b"a")
    return folder


def test_joining_copies_nothing_from_or_to_elsewhere(tmp_path):
    (tmp_path / "secret.png").write_bytes(b"secret")
    folder = shard(tmp_path / "s" / "shard", {"file": "../../secret.png"})
    assert read_finished(folder).rows == {}
    out = tmp_path / "x" / "y" / "out"
    assert merge_shards(out, [folder]) == []
    assert sorted(p.name for p in (tmp_path / "x").rglob("*.png")) == []
    sound = shard(tmp_path / "t" / "shard")
    assert [p.name for p in merge_shards(tmp_path / "joined", [sound])] == ["a.png"]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"tasks": {"all": 1, "done": None, "failed": 0}}, InputError),
        ({"spec": {"tasks": 3}}, InputError),
        ({"kvis": None}, InputError),
        ({"shard": "0/99999999999999999"}, UsageError),
        ({"shard": "x/1"}, UsageError),
        ({"shard": None}, UsageError),
    ],
)
def test_a_shard_that_kvis_did_not_write_is_one_error(changes, error, tmp_path):
    folder = shard(tmp_path / "shard", **changes)
    with pytest.raises(error):
        merge_shards(tmp_path / "out", [folder])


def test_reports_are_made_of_what_is_sound(tmp_path):
    folder = shard(tmp_path / "run", {"score": 1e308, "probability": None}, models=[3])
    assert load_run(folder).about == {}
    for name in REPORTS:
        assert write_report(folder, name).is_file()


def test_a_picture_of_few_bytes_and_many_pixels_is_refused(tmp_path):
    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">L", zlib.crc32(kind + data))
        return struct.pack(">L", len(data)) + kind + data + check

    header = struct.pack(">LLBBBBB", 9000, 9000, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    with pytest.raises(InputError, match="refused as unsafe"):
        read_photo(tmp_path / "a.png")


def test_paths_that_no_system_has_are_usage_errors():
    for text in ("~nobody-of-this-name/a.png", "a\0b.png"):
        with pytest.raises(UsageError):
            find_images([text])
