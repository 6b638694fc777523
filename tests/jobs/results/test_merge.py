"""Shards of unequal size."""

from __future__ import annotations

import json

from kvis_cli.spec.build import build_job


def test_a_shard_without_work_is_joined_too(tf, tiny_model, picture, tmp_path):
    from kvis_cli.jobs.planning.plan import Shard
    from kvis_cli.jobs.results.merge import merge_shards
    from kvis_cli.jobs.running.runner import Options, run_job

    out = tmp_path / "out"
    values = {
        "models": [str(tiny_model)],
        "images": [str(picture)],
        "tasks": [{"cam": {"class": 1}}],
        "out": str(out),
    }
    job = build_job(values)
    outcomes = [run_job(job, options=Options(shard=Shard(i, 3))) for i in range(3)]
    assert sorted(len(o.written) for o in outcomes) == [0, 0, 1]
    # A second time there is nothing new in any of them.
    assert not any(
        run_job(job, options=Options(resume=True, shard=Shard(i, 3))).written for i in range(3)
    )
    [path] = merge_shards(out)
    assert path.is_file()
    run = json.loads((out / "run.json").read_text())
    assert run["tasks"] == {"all": 1, "done": 1, "failed": 0}
    assert run["device"]
