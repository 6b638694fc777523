"""Thresholds and power from maps whose difference is known."""

from __future__ import annotations

import json

import pytest

from kvis_cli.errors import ExitCode, NotEvaluatedError
from kvis_cli.gate.calibration.bounds import bound_of, weakest
from kvis_cli.gate.calibration.found import Calibration, write_thresholds
from kvis_cli.gate.calibration.levels import Questions, levels_of, notes_of, powers_of, values_of
from kvis_cli.gate.thresholds import NAME, read_thresholds
from kvis_cli.jobs.planning.sources import Source
from kvis_cli.metrics import spearman
from kvis_cli.spec.build import build_job
from kvis_cli.spec.gate import read_check
from tests.gate.conftest import blob
from tests.gate.test_judging import baseline_of, judged

COUNT = 40
DRIFT = {"drift": {"of": "retrain"}}
REGION = {"region": {"metric": "energy", "min": "calibrated"}}


@pytest.fixture
def asked(answer):
    """Twenty stars and twenty houses, of which half of the photo is the object."""

    def make(*checks, share=0.9):
        own = [answer(i, blob(i)) for i in range(COUNT)]
        job = build_job(
            {
                "models": ["m.keras"], "images": ["photo.png"], "tasks": ["cam"],
                "baseline": "base", "checks": list(checks), "pass": {"share": share},
            }
        )  # fmt: skip
        sources = {
            a.row.image_name: Source(a.folder / f"{a.row.image_name}.png", box=(0, 0, 30, 40))
            for a in own
        }
        checks = [read_check(check) for check in checks]
        return Questions(job, checks, sources, {}, own, baseline_of(own))

    return make


def variant(answer, name, amount, classes=(0, 1)):
    """Another model: of some classes its maps are mixed with others."""
    return [
        answer(i, blob(i) + (amount if i % 2 in classes else 0.1) * blob(500 + i), model=name)
        for i in range(COUNT)
    ]


def test_levels_are_bounds_of_the_weakest_values(answer, asked):
    questions = asked(DRIFT, REGION)
    good = {f"g{k}": variant(answer, f"g{k}", 0.1 + 0.02 * k) for k in range(4)}
    found = {(v.metric, v.label): v for v in levels_of(questions, good, 0.05)}
    assert set(found) == {(m, c) for m in ("spearman", "energy") for c in ("", "star", "house")}
    assert {v.asked for v in found.values()} == {None, "0", "1"}
    literal = []
    for answers in good.values():
        values = [spearman(blob(i), a.map()) for i, a in enumerate(answers) if i % 2 == 0]
        literal.append(weakest("spearman", values, 0.9))
    star = found["spearman", "star"]
    # Through cells of 8 bits.
    assert star.values == pytest.approx(literal, abs=0.02)
    # Two measures of two classes decide in one run.
    assert star.bound == bound_of("spearman", star.values, 0.05 / 4)
    assert star.bound.limit < min(star.values)


def test_the_power_names_the_class(answer, asked):
    questions = asked(DRIFT)
    good = {f"g{k}": variant(answer, f"g{k}", 0.1 + 0.02 * k) for k in range(4)}
    levels = levels_of(questions, good, 0.05)
    bad = {
        "stars": variant(answer, "stars", 8.0, classes=(0,)),
        "both": variant(answer, "both", 8.0),
        "none": variant(answer, "none", 0.13),
    }
    [power] = powers_of(questions, levels, bad, "bad", "retrain", 0.05)
    assert power.failing == {"stars": ["star"], "both": ["star", "house"], "none": []}
    assert power.caught == 2 and power.passing == ["none"]


def test_a_method_that_cannot_tell_says_so(answer, asked):
    questions = asked(DRIFT)
    good = {f"g{k}": variant(answer, f"g{k}", 0.1 + 0.02 * k) for k in range(4)}
    levels = levels_of(questions, good, 0.05)
    same = {"top-1-head": variant(answer, "c", 0.12), "all": variant(answer, "d", 9.0)}
    powers = powers_of(questions, levels, same, "control", "retrain", 0.05)
    found = Calibration("retrain", 0.9, 0.05, 4, levels, powers)
    text = "\n".join(found.sentences())
    assert "cannot tell a good model from one that knows nothing: re-initialised top-1-head" in text
    assert "finds 1 of 2 re-initialised models" in text
    assert "1/(k+1) = 20 %" in text and "assuming a normal spread between models" in text
    assert "measured" not in text
    assert [power.passing for power in found.blind] == [["top-1-head"]]
    able = powers_of(questions, levels, {"all": same["all"]}, "control", "retrain", 0.05)
    assert not Calibration("retrain", 0.9, 0.05, 4, levels, able).blind


def test_noise_beyond_the_threshold_is_said(answer, asked):
    good = {f"g{k}": variant(answer, f"g{k}", 0.1) for k in range(4)}
    [every, *_] = levels_of(asked(DRIFT), good, 0.05)
    noise = {"shifted by a pixel": 0.9, "re-encoded as JPEG": 0.1}
    level = type(every)(every.metric, every.method, None, "", every.values, noise, every.bound)
    assert level.worst_noise == 0.1
    said = Calibration("retrain", 0.9, 0.05, 4, [level], []).sentences()
    assert any("re-encoded as JPEG would fail (0.10)" in sentence for sentence in said)
    quiet = type(every)(every.metric, every.method, None, "", every.values, {}, every.bound)
    assert quiet.worst_noise is None


def test_blank_maps_of_good_models_give_no_threshold(answer, asked):
    questions = asked(DRIFT)
    good = {f"g{k}": variant(answer, f"g{k}", 0.1) for k in range(3)}
    good["g2"] = [
        answer(i, 0 * blob(i), model="g2") if i in (0, 2, 4) else a
        for i, a in enumerate(good["g2"])
    ]
    levels = levels_of(questions, good, 0.05)
    bounds = {level.label: level.bound for level in levels}
    assert bounds["star"] is None and bounds["house"] is not None
    assert any("spearman of gradcam, star: no threshold" in note for note in notes_of(levels))
    assert powers_of(questions, levels, good, "bad", "retrain", 0.05) == []
    [(_, values)] = [v for k, v in values_of(questions, good["g2"]).items() if k[2] == "0"]
    assert values.count(None) == 3 and len(values) == 20


def test_written_thresholds_are_those_that_check_reads(answer, asked, tmp_path):
    questions = asked(DRIFT, REGION)
    good = {f"g{k}": variant(answer, f"g{k}", 0.1 + 0.02 * k) for k in range(4)}
    levels = levels_of(questions, good, 0.05)
    found = Calibration("retrain", 0.9, 0.05, 4, levels, [])
    path = write_thresholds(tmp_path / "base", found)
    first = path.read_bytes()
    thresholds = read_thresholds(tmp_path / "base")
    assert {t.share for t in thresholds} == {0.9} and len(thresholds) == 6
    base, sources = questions.baseline, questions.sources
    given = {"baseline": base, "sources": sources, "thresholds": thresholds}
    fifth = judged(variant(answer, "fifth", 0.13), DRIFT, REGION, **given)
    assert fifth.exit_code == ExitCode.OK, [c.text for c in fifth.cases]
    assert len(fifth.cases) == 4
    worse = judged(variant(answer, "worse", 8.0, classes=(1,)), DRIFT, **given)
    assert [case.label for case in worse.failed] == ["house"]
    # Calibrated again, and beside thresholds of other models.
    document = json.loads(first)
    other = {**document["thresholds"][0], "of": "finetune"}
    path.write_text(json.dumps({**document, "thresholds": [*document["thresholds"], other]}))
    write_thresholds(tmp_path / "base", found)
    assert len(read_thresholds(tmp_path / "base")) == 7
    path.unlink()
    assert write_thresholds(tmp_path / "base", found).read_bytes() == first
    (tmp_path / "base" / NAME).write_text("{}")
    with pytest.raises(NotEvaluatedError, match="cannot be used"):
        write_thresholds(tmp_path / "base", found)


def test_thresholds_of_another_share_are_refused(answer, asked, tmp_path):
    questions = asked(DRIFT, share=0.5)
    good = {f"g{k}": variant(answer, f"g{k}", 0.1 + 0.02 * k) for k in range(4)}
    found = Calibration("retrain", 0.5, 0.05, 4, levels_of(questions, good, 0.05), [])
    write_thresholds(tmp_path / "base", found)
    thresholds = read_thresholds(tmp_path / "base")
    with pytest.raises(NotEvaluatedError, match="for another 'pass'") as caught:
        judged(good["g0"], DRIFT, baseline=questions.baseline, thresholds=thresholds)
    assert "calibrated for 50 %" in caught.value.why and "wants 90 %" in caught.value.why
