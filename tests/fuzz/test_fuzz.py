"""Every reader takes what its campaigns begin with, and what they once found."""

from __future__ import annotations

from pathlib import Path

import pytest

from kvis_cli.errors import KvisError
from tests.fuzz import campaign, corpus, harnesses

HERE = Path(__file__).parent

SEEDS = corpus.seeds()
# A child for each of them.
NATIVE = [name for name, reader in harnesses.READERS.items() if reader.native]


def test_every_reader_has_seeds_and_most_of_them_are_sound(tmp_path):
    assert SEEDS.keys() == harnesses.READERS.keys()
    # Seeds that are meant to be refused.
    refused = {"model_kind", "job_file", "hdf5_attributes"}
    for name in SEEDS.keys() - refused - {*NATIVE}:
        folder = tmp_path / name
        folder.mkdir()
        try:
            harnesses.READERS[name].run(SEEDS[name][0], folder)
        except KvisError as error:
            pytest.fail(f"{name}: {error}")


@pytest.mark.parametrize("name", harnesses.READERS)
def test_replay(name, tmp_path):
    cases = [p.read_bytes() for p in sorted((HERE / "cases" / name).glob("*"))]
    rough = [data[: len(data) * n // 4] for data in SEEDS[name][:2] for n in (0, 1, 2, 3)]
    rough = rough[::3] if name in NATIVE else rough
    for number, data in enumerate([*SEEDS[name], *rough, *cases]):
        folder = tmp_path / str(number)
        folder.mkdir()
        began = campaign.cpu_seconds()
        harnesses.execute(name, data, folder)
        assert campaign.cpu_seconds() - began < campaign.SECONDS_EACH
