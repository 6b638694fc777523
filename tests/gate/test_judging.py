"""Checks on maps whose verdict is known."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from kvis_cli.errors import ExitCode, NotEvaluatedError
from kvis_cli.gate.baseline import Baseline, Kept
from kvis_cli.gate.cells import Cells, to_cells
from kvis_cli.gate.decision import Verdict
from kvis_cli.gate.judging import judge
from kvis_cli.gate.maps import Maps
from kvis_cli.gate.thresholds import Threshold
from kvis_cli.gate.verdicts import worst
from kvis_cli.jobs.planning.sources import Source
from kvis_cli.metrics import area_average, energy_in_mask, spearman
from kvis_cli.spec.gate import PassSpec, read_check
from tests.gate.conftest import blob

PASSING = PassSpec.model_validate({"share": 0.9})
COUNT = 40


def baseline_of(*answer_lists, change=lambda cells: cells, model="model"):
    kept = [
        Kept(
            a.question, model, a.row.score, a.row.probability, a.first,
            change(to_cells(a.map(), a.row.map == "signed")),
        )
        for answers in answer_lists
        for a in answers
    ]  # fmt: skip
    images = {k.question[0]: "image" for k in kept}
    return Baseline(images, {model: "0" * 16}, {}, tuple(kept))


def judged(answers, *checks, baseline=None, passing=PASSING, sources=None, **more):
    by_model = answers if isinstance(answers, dict) else {"model": answers}
    maps = Maps(by_model, sources or {}, baseline, more.pop("thresholds", ()))
    return judge(maps, [read_check(check) for check in checks], passing, **more)


def verdicts(judgement):
    return {(c.check, c.model, c.label): c.verdict.value for c in judgement.cases}


def test_a_model_against_its_own_baseline_is_exactly_perfect(answer):
    answers = [answer(i, blob(i, (30, 33))) for i in range(COUNT)]
    checks = [
        {"drift": {"metric": m, "max" if m == "centroid" else "min": 0 if m == "centroid" else 1}}
        for m in ("spearman", "pearson", "iou", "ssim", "centroid")
    ]
    checks += [{"prediction": {"flips": 0, "drop": 0}}, {"drift": {"of": "conversion"}}]
    found = judged(
        answers, *checks, baseline=baseline_of(answers), passing=PassSpec.model_validate({"any": 1})
    )
    assert set(verdicts(found).values()) == {"passed"} and found.exit_code == ExitCode.OK
    values = {f.value for case in found.cases[:4] for f in case.findings}
    assert values == {1.0}


@pytest.mark.parametrize("signed", [False, True])
def test_one_step_in_any_cell_is_noticed_by_no_check(answer, signed):
    """Another CPU, thread count or oneDNN setting."""
    kind = "signed" if signed else "heatmap"
    answers = [answer(i, blob(i) - 0.3 * signed, map=kind) for i in range(COUNT)]
    rng = np.random.default_rng(1)

    def moved(cells):
        steps = cells.values.astype(int) + rng.integers(-1, 2, cells.shape)
        return Cells(steps.clip(0, 255).astype(np.uint8), cells.signed)

    every = PassSpec.model_validate({"any": True})
    found = judged(
        answers, {"drift": {"min": 1.0}}, {"drift": {"metric": "iou", "min": 1.0}},
        baseline=baseline_of(answers, change=moved), passing=every,
    )  # fmt: skip
    assert set(verdicts(found).values()) == {"passed"}


def test_the_class_that_looks_elsewhere_is_named_and_no_other(answer):
    good = [answer(i, blob(i)) for i in range(COUNT)]
    base = baseline_of(good)
    # The mean over all images falls little; that of the stars is gone.
    now = [
        answer(i, blob(i)[::-1, ::-1] if i % 2 == 0 else blob(i), model="new") for i in range(COUNT)
    ]
    found = judged({"model": now}, {"drift": {"min": 0.8}}, baseline=base)
    assert verdicts(found) == {
        ("drift spearman", "model", "star"): "failed",
        ("drift spearman", "model", "house"): "passed",
    }
    assert found.exit_code == ExitCode.FAILED
    assert "star" in found.headline and "house" not in found.headline
    case = found.failed[0]
    for finding in case.findings:
        number = int(finding.answer.row.image_name.partition("-")[2])
        kept, new = (to_cells(m, False).map() for m in (blob(number), blob(number)[::-1, ::-1]))
        assert finding.value == pytest.approx(spearman(kept, new), abs=1e-9)
    # The worst images come first, each once.
    values = [finding.value for _, finding in worst(found, 5)]
    assert len(values) == 5 and values == sorted(values)
    assert values[0] == min(f.value for f in case.findings)


def test_images_of_predicted_classes_are_judged_together(answer):
    from dataclasses import replace

    answers = [replace(answer(i, blob(i)), known=False) for i in range(4)]
    found = judged(answers, {"drift": {"min": 0.5}}, baseline=baseline_of(answers))
    assert [(c.label, len(c.findings)) for c in found.cases] == [("", 4)]
    together = PassSpec.model_validate({"per": "model"})
    answers = [answer(i, blob(i)) for i in range(4)]
    found = judged(
        answers, {"drift": {"min": 0.5}}, baseline=baseline_of(answers), passing=together
    )
    assert [(c.label, len(c.findings)) for c in found.cases] == [("", 4)]


def test_region_of_a_box_and_of_a_mask(answer, tmp_path):
    answers = [answer(i, blob(i)) for i in range(2)]
    mask = np.zeros((40, 60), np.uint8)
    mask[:10, :30] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    path = tmp_path / "x.png"
    sources = {
        answers[0].row.image_name: Source(path, box=(0, 0, 30, 10)),
        answers[1].row.image_name: Source(path, mask=tmp_path / "mask.png"),
    }
    found = judged(answers, {"region": {"metric": "energy", "min": 0.2}}, sources=sources)
    share = area_average(mask / 255, (12, 12))
    for case, a in zip(found.cases, answers, strict=True):
        assert case.findings[0].value == pytest.approx(energy_in_mask(a.map(), share), abs=1e-6)
    ratio = judged(answers, {"region": {"min": 1.0}}, sources=sources)
    for one, other in zip(ratio.cases, found.cases, strict=True):
        assert one.findings[0].value == pytest.approx(other.findings[0].value / (1 / 8), rel=1e-5)
    hit = np.zeros((12, 12))
    hit[1, 6] = 1
    answers = [answer(i, hit) for i in (0, 2)]
    sources = {a.row.image_name: Source(path, box=(0, 0, 30, 10)) for a in answers}
    for tolerance, value in ((0, 0), (0.05, 0), (0.1, 1)):
        check = {"region": {"metric": "pointing", "min": 1, "tolerance": tolerance}}
        [case] = judged(answers, check, sources=sources).cases
        assert [f.value for f in case.findings] == [value, value]


def test_an_image_without_a_region_has_no_verdict(answer):
    answers = [answer(i, blob(i)) for i in range(4)]
    sources = {answers[0].row.image_name: Source(None, box=(0, 0, 60, 40))}
    found = judged(answers, {"region": {"min": 1}}, sources=sources)
    assert verdicts(found)["region enrichment", "model", "house"] == "not evaluated"
    assert "no box or mask" in found.cases[1].text
    # A region that is all of the photo has no enrichment.
    assert found.cases[0].verdict is Verdict.NOT_EVALUATED
    assert found.exit_code == ExitCode.NOT_EVALUATED


def test_heat_where_none_should_be(answer):
    marked = np.zeros((10, 10))
    marked[8:, :2] = 1
    answers = [answer(i, marked if i % 2 else 1 - marked) for i in range(COUNT)]
    found = judged(answers, {"avoid": {"box": [0, 0.8, 0.2, 1], "max": 0.15}})
    assert verdicts(found) == {
        ("avoid 0,0.8,0.2,1", "model", "star"): "passed",
        ("avoid 0,0.8,0.2,1", "model", "house"): "failed",
    }
    assert {f.value for f in found.failed[0].findings} == {1.0}


def test_flips_and_falling_probabilities(answer):
    good = [answer(i, blob(i)) for i in range(COUNT)]
    base = baseline_of(good)
    now = [
        answer(i, blob(i), probability=0.9 - 0.3 * (i % 2), top=[["star", 0.5]])
        for i in range(COUNT)
    ]
    found = judged(now, {"prediction": {"flips": 0.1, "drop": 0.2}}, baseline=base)
    assert verdicts(found) == {
        ("prediction flips", "model", "star"): "passed",
        ("prediction flips", "model", "house"): "failed",
        ("prediction drop", "model", "star"): "passed",
        ("prediction drop", "model", "house"): "failed",
    }
    assert "house → star" in {f.why for c in found.failed for f in c.findings}
    assert {f.value for c in found.failed for f in c.findings if "drop" in c.check} == {0.3}
    # A single image that flips is 1 of 20: 10 % may.
    one = [answer(i, blob(i), top=[["star" if i in (1, 2) or not i % 2 else "house", 1]])
           for i in range(COUNT)]  # fmt: skip
    assert judged(one, {"prediction": {"flips": 0.1}}, baseline=base).exit_code == 0
    assert judged(one, {"prediction": {"flips": 0}}, baseline=base).exit_code == 1


def test_a_blank_map_has_failed_unless_it_is_allowed(answer):
    good = [answer(i, blob(i)) for i in range(COUNT)]
    base = baseline_of(good)
    blank = [answer(i, blob(i) * (i >= 8)) for i in range(COUNT)]
    drift = {"drift": {"min": 0.5}}
    found = judged(blank, drift, baseline=base)
    assert "16 of 20 pass" in found.cases[0].text
    strict = judged(blank, drift, {"blank": 0}, baseline=base)
    assert "16 of 20 pass" in strict.cases[0].text
    assert verdicts(strict)["blank", "model", ""] == "failed"
    assert "8 of 40 maps are blank, 0 % allowed" in strict.cases[-1].text
    allowed = judged(blank, drift, {"blank": 0.2}, baseline=base)
    assert "16 of 16 pass" in allowed.cases[0].text and allowed.exit_code == 0
    # More than is allowed are no exception any more.
    assert "16 of 20 pass" in judged(blank, drift, {"blank": 0.1}, baseline=base).cases[0].text
    # What was blank when it was accepted, and still is, has not changed.
    same = judged(blank, drift, baseline=baseline_of(blank))
    assert "16 of 16 pass" in same.cases[0].text and "as in the baseline" in same.cases[0].text


def test_what_was_never_asked_is_not_evaluated(answer):
    answers = [answer(i, blob(i)) for i in range(COUNT)]
    found = judged(answers, {"drift": {"min": 0.5}}, baseline=baseline_of(answers[:20]))
    assert [c.text.count("10 without a verdict: not in the baseline") for c in found.cases] == [
        1,
        1,
    ]
    assert "10 of 10 pass" in found.cases[0].text
    assert found.cases[0].verdict is Verdict.PASSED
    other = judged(answers, {"drift": {"min": 0.5}}, baseline=baseline_of([answer(99, blob(9))]))
    assert other.exit_code == ExitCode.NOT_EVALUATED


def test_too_few_images_are_said_and_strict_makes_something_of_it(answer):
    answers = [answer(i, blob(i)) for i in range(6)]
    base = baseline_of(answers)
    found = judged(answers, {"drift": {"min": 0.5}}, baseline=base)
    assert {c.verdict for c in found.cases} == {Verdict.TOO_FEW}
    assert "too few images: 3 cannot show 90 %" in found.cases[0].text
    assert found.exit_code == ExitCode.OK and "too few" in found.headline
    strict = judged(answers, {"drift": {"min": 0.5}}, baseline=base, strict=True)
    assert strict.exit_code == ExitCode.NOT_EVALUATED


def test_the_best_of_the_accepted_variants_counts(answer):
    first = [answer(i, blob(i)) for i in range(COUNT)]
    second = [answer(i, blob(i + 100), model="second") for i in range(COUNT)]
    drift = {"drift": {"min": 0.95}}
    assert judged(second, drift, baseline=baseline_of(first)).exit_code == 1
    both = baseline_of(first, second)
    assert judged(second, drift, baseline=both).exit_code == 0
    assert judged(first, drift, baseline=both).exit_code == 0


def test_calibrated_thresholds(answer):
    answers = [answer(i, blob(i)) for i in range(COUNT)]
    base = baseline_of([answer(i, blob(i) + 0.3 * blob(i + 50), model="b") for i in range(COUNT)])
    drift = {"drift": {"min": "calibrated", "of": "retrain"}}
    with pytest.raises(NotEvaluatedError, match="no calibrated") as caught:
        judged(answers, drift, baseline=base)
    assert "kvis calibrate job.yaml --good" in caught.value.hint
    thresholds = [
        Threshold("retrain", "spearman", "gradcam", None, 0.1),
        Threshold("retrain", "spearman", "gradcam", "0", 1.0),
        Threshold("finetune", "spearman", "gradcam", None, 2.0),
    ]
    found = judged(answers, drift, baseline=base, thresholds=thresholds)
    assert verdicts(found) == {
        ("drift spearman of retrain", "model", "star"): "failed",
        ("drift spearman of retrain", "model", "house"): "passed",
    }
    assert [c.limit for c in found.cases] == ["≥ 1", "≥ 0.1"]


def test_all_checks_classes_and_models_are_corrected_together(answer):
    good = [answer(i, blob(i)) for i in range(COUNT)]
    base = baseline_of(good)
    # 15 of 20 stars pass: p = .043 alone.
    doubtful = [answer(i, blob(i)[::-1] if i in (0, 2, 4, 6, 8) else blob(i)) for i in range(COUNT)]
    only_stars = [a for a in doubtful if a.row.target == "star"]
    alone = judged(only_stars, {"drift": {"min": 0.9}}, baseline=base)
    assert "15 of 20 pass" in alone.cases[0].text and alone.exit_code == 1
    among = judged({"model": doubtful, "other": good}, {"drift": {"min": 0.9}}, baseline=base)
    assert "15 of 20 pass" in among.cases[0].text and among.exit_code == 0
    assert judged(only_stars, {"drift": {"min": 0.9}}, baseline=base, alpha=0.01).exit_code == 0


def test_only_the_methods_that_a_check_names(answer):
    answers = [answer(i, blob(i)) for i in range(4)]
    others = [answer(i, blob(i), model="l", method="layercam") for i in range(4)]
    found = judged([*answers, *others], {"avoid": {"box": [0, 0, 1, 1], "max": 1}})
    assert {c.method for c in found.cases} == {"gradcam", "layercam"}
    check = {"avoid": {"box": [0, 0, 1, 1], "max": 1, "method": "layercam"}}
    assert {c.method for c in judged([*answers, *others], check).cases} == {"layercam"}
