"""The journal, resuming, and where names come from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kvis_cli.errors import InputError, OutputError
from kvis_cli.jobs.results.journal import Journal
from kvis_cli.jobs.results.resume import read_finished
from kvis_cli.jobs.results.row import SCHEMA, ResultRow
from kvis_cli.jobs.results.store import ResultStore, read_rows
from kvis_cli.paths import unique_names


def finished(folder: Path, task: str, *files: str) -> list[ResultRow]:
    for file in files:
        (folder / file).write_text("picture")
    return [ResultRow(task, file=file, of=len(files)) for file in files]


def test_a_line_cut_short_is_left_out_and_swallows_nothing(tmp_path):
    journal = Journal(tmp_path)
    journal.add("a", finished(tmp_path, "a", "a.png"))
    whole = journal.path.read_bytes()
    for cut in range(1, len(whole)):
        journal.path.write_bytes(whole + whole[:cut].replace(b'"a"', b'"x"'))
        journal = Journal(tmp_path)
        journal.add("b", finished(tmp_path, "b", "b.png"))
        tasks, _ = journal.read()
        assert {"a", "b"} <= set(tasks)


def test_a_task_counts_only_with_all_its_pictures(tmp_path):
    store = ResultStore(tmp_path)
    rows = finished(tmp_path, "a", "1.png", "2.png") + finished(tmp_path, "b", "3.png")
    store.write_manifest(rows)
    assert set(read_finished(tmp_path).rows) == {"a", "b"}
    (tmp_path / "2.png").unlink()
    assert set(read_finished(tmp_path).rows) == {"b"}
    # A row less is a picture less.
    store.write_manifest([row for row in rows if row.file == "1.png"])
    assert read_finished(tmp_path).rows == {}
    store.write_manifest([replace(rows[2], raw="gone.npz")])
    assert read_finished(tmp_path).rows == {}


def test_pictures_that_a_killed_run_may_have_replaced_are_not_trusted(tmp_path):
    store, journal = ResultStore(tmp_path), Journal(tmp_path)
    store.write_manifest(
        [
            *finished(tmp_path, "old", "cat_gradcam_1.png"),
            *finished(tmp_path, "other", "dog_gradcam_1.png"),
            *finished(tmp_path, "replaced", "dog_layercam_1.png"),
        ]
    )
    journal.begin(["cat_gradcam"])
    journal.add("new", finished(tmp_path, "new", "dog_layercam_1.png"))
    found = read_finished(tmp_path)
    assert set(found.rows) == {"other", "new"}
    assert found.interrupted


def test_a_failed_task_is_not_finished(tmp_path):
    ResultStore(tmp_path).write_manifest([ResultRow("a", "failed")])
    assert read_finished(tmp_path).rows == {}


def test_the_manifest_does_not_depend_on_the_order_of_work(tmp_path):
    rows = [ResultRow(str(i), file=f"{i}.png") for i in range(9)]
    store = ResultStore(tmp_path)
    store.write_manifest(rows)
    first = (tmp_path / "manifest.jsonl").read_bytes()
    store.write_manifest(reversed(rows))
    assert (tmp_path / "manifest.jsonl").read_bytes() == first


def test_rubbish_in_a_manifest_is_left_out(tmp_path):
    path = tmp_path / "manifest.jsonl"
    path.write_bytes(b'{"task": "a"}\n[1]\nnot json\n\xff\xfe\n{"task": "b"}')
    assert [row.task for row in read_rows(path)] == ["a", "b"]
    assert read_rows(tmp_path / "missing") == []


def test_rows_of_a_newer_schema_are_an_error_and_not_work_to_do(tmp_path):
    ResultStore(tmp_path).write_manifest([ResultRow("a", file="a.png", of=1)])
    path = tmp_path / "manifest.jsonl"
    path.write_text(path.read_text().replace(f'"schema": {SCHEMA}', f'"schema": {SCHEMA + 1}'))
    with pytest.raises(InputError, match="newer kvis"):
        read_finished(tmp_path)


def test_a_row_survives_its_file():
    row = ResultRow(
        "t",
        kind="cam",
        file="a.png",
        of=1,
        map="heatmap",
        score=1.5,
        places=[0, 2],
        warnings=["blank"],
        more={"x": 1},
    )
    written = row.to_json()
    assert ResultRow.from_json(written) == row
    assert written["schema"] == SCHEMA and written["x"] == 1
    # What a map has is there even where it is not known; what else is not known is not.
    assert written["probability"] is None and "enrichment" not in written
    assert not {"schema", "file", "of", "status"} & row.provenance().keys()


def test_a_journal_that_cannot_be_written(tmp_path):
    journal = Journal(tmp_path / "missing")
    with pytest.raises(OutputError):
        journal.add("a", [])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full here")
def test_a_line_that_a_full_disk_cut_short_swallows_nothing(tmp_path):
    journal = Journal(tmp_path)
    journal.add("a", finished(tmp_path, "a", "a.png"))
    kept = journal._stream
    journal._stream = full = Path("/dev/full").open("ab", buffering=0)  # noqa: SIM115
    with full, pytest.raises(OutputError, match="No space left"):
        journal.add("lost", [])
    journal._stream = kept
    kept.write(b'{"task": "half')
    journal.add("b", finished(tmp_path, "b", "b.png"))
    assert {"a", "b"} <= set(journal.read()[0])


def test_names_are_unique():
    paths = [Path(p) for p in ("a/cat.jpg", "b/cat.jpg", "b/dog.jpg", "b/cat.png", "x/b-cat.jpg")]
    names = unique_names(paths)
    assert len(set(names.values())) == 5
    assert names[Path("b/dog.jpg")] == "dog"
