"""``kvis check``: a job is run, and its maps are judged."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from kvis_cli.errors import InputError, NotEvaluatedError, UsageError
from kvis_cli.events import Listener
from kvis_cli.gate.accepting import added
from kvis_cli.gate.answers import MapAnswer, answers_of, common_settings, pinned
from kvis_cli.gate.baseline import (
    NAME,
    Baseline,
    Kept,
    Question,
    image_key,
    read_baseline,
    settings_key,
    write_baseline,
)
from kvis_cli.gate.decision import ALPHA
from kvis_cli.gate.differing import differences
from kvis_cli.gate.judging import NOT_KEPT, judge
from kvis_cli.gate.maps import Maps
from kvis_cli.gate.thresholds import Threshold, not_calibrated, read_thresholds
from kvis_cli.gate.verdicts import Judgement
from kvis_cli.jobs.planning.digests import Digests
from kvis_cli.jobs.planning.plan import Plan, make_plan
from kvis_cli.jobs.planning.sources import find_sources
from kvis_cli.jobs.running.runner import Options, Outcome, Run, result_folder
from kvis_cli.metrics import Undefined
from kvis_cli.runtime.tensorflow import check_device
from kvis_cli.spec.gate import DriftCheck, RegionCheck
from kvis_cli.spec.job import JobSpec
from kvis_cli.spec.pictures import ExplainSpec

_RANK = re.compile(r"top[0-9]*\Z", re.IGNORECASE)


@dataclass(frozen=True)
class Asking:
    """How a job is checked, as opposed to what its checks are.

    Attributes
    ----------
    alpha
        The chance that the run fails though every hypothesis holds.
    strict
        Whether too few images are a failure to evaluate.
    update
        Accept the maps of the run: write the baseline.
    beside
        Accept them beside those that were accepted before.
    only
        Accept only ``failing`` maps, or those of ``model=NAME`` or ``image=NAME``; empty for all.
    clean
        Remove results in the folder that the job does not ask for.
    """

    alpha: float = ALPHA
    strict: bool = False
    update: bool = False
    beside: bool = False
    only: str = ""
    clean: bool = False

    def __post_init__(self) -> None:
        kind, _, name = self.only.partition("=")
        if self.only and not (self.only == "failing" or (kind in ("model", "image") and name)):
            raise UsageError(
                f"--only cannot be '{self.only}'.", "", "Give failing, model=NAME or image=NAME."
            )
        if (self.only or self.beside) and not self.update:
            flag = "--only" if self.only else "--add-variant"
            raise UsageError(f"{flag} says what --update-baseline accepts.", "That is not given.")


@dataclass(frozen=True)
class Checked:
    """What came of checking a job.

    Attributes
    ----------
    judgement
        The verdicts.
    outcome
        Of the run.
    maps
        What was judged.
    written
        The baseline, where it was written.
    """

    judgement: Judgement
    outcome: Outcome
    maps: Maps
    written: Path | None = None


def check_job(
    job: JobSpec, listener: Listener, asking: Asking | None = None, *, file: str = "job.yaml"
) -> Checked:
    """Run a job, what is done already left out, and judge its maps.

    Parameters
    ----------
    job
        With checks.
    listener
        Hears what happens.
    asking
        How.
    file
        The job file, for messages.

    Returns
    -------
    Checked
        The verdicts, and what they are about.

    Raises
    ------
    UsageError
        For a job without checks, or one that does not fit to them.
    NotEvaluatedError
        For a baseline or a threshold that is missing or cannot be used.
    KvisError
        As `kvis_cli.jobs.running.runner.run_job`.
    """
    asking = asking or Asking()
    check_device(job.device)
    job = job.with_maps()
    folder = _ready(job, asking, file)
    old = _accepted(job, folder, asking)
    thresholds = read_thresholds(folder) if folder else []
    _need_thresholds(job, thresholds, file)
    digests = Digests(result_folder(job, None))
    known = known_classes(job)
    fixed = old is not None and not (asking.update and not asking.only and not asking.beside)
    asked = _pinned(job, old, digests) if fixed and old else job
    options = Options(processes=True, resume=True, clean_stale=asking.clean)
    run = Run(make_plan(asked, digests=digests), listener, options)
    outcome = run.run()
    answers = answers_by_model(run, known, old if asked is not job else None)
    maps = Maps(answers, {i.name: i.source for i in run.plan.images}, old, thresholds, job=file)
    problems = not_computed(run)
    written = None
    if asking.update:
        assert folder is not None
        if problems:
            raise NotEvaluatedError(
                "The baseline is not written.", problems[0], "Mend that, and run it again."
            )
        try:
            maps.baseline = _updated(job, maps, run.plan, asking)
        except InputError as error:
            raise _unreadable(error) from None
        written = write_baseline(folder, maps.baseline)
    if maps.baseline is not None and any(c.kind in ("drift", "prediction") for c in job.checks):
        for model, theirs in answers.items():
            problems += differences(maps.baseline, model, theirs)
    problems = list(dict.fromkeys(problems))
    try:
        judgement = judge(
            maps, job.checks, job.pass_, alpha=asking.alpha, strict=asking.strict, problems=problems
        )
    except InputError as error:
        raise _unreadable(error) from None
    return Checked(judgement, outcome, maps, written)


def _unreadable(error: InputError) -> NotEvaluatedError:
    """Return the error for a map or a mask: without it there is no verdict."""
    return NotEvaluatedError(error.what, error.why, error.hint)


def _ready(job: JobSpec, asking: Asking, file: str) -> Path | None:
    """Return the baseline folder; what is wrong with the request is said before anything runs."""
    if not job.checks:
        raise UsageError(
            f"'{file}' has no checks.",
            "",
            "Add them: `checks: [{region: {min: 2.0}}, {blank: 0}]`; docs/gate.md explains all.",
        )
    if asking.update and job.baseline is None:
        raise UsageError(
            "There is no baseline to update.",
            f"'{file}' names none.",
            "Add `baseline: attention-baseline/` to it.",
        )
    if any(check.kind == "region" for check in job.checks):
        sources = find_sources(job.images)
        if not any(source.box or source.mask for source in sources):
            raise UsageError(
                "A region check needs a box or a mask of the image.",
                f"None of the {len(sources)} images has one.",
                "Give it: `images: [{path: photos, mask: 'masks/{stem}.png'}]`, or a table.",
            )
    return Path(job.baseline) if job.baseline is not None else None


def _accepted(job: JobSpec, folder: Path | None, asking: Asking) -> Baseline | None:
    """Return the baseline as it is; None where none is needed, or a new one is to be written."""
    if folder is None:
        return None
    whole = asking.update and not asking.only and not asking.beside
    there = (folder / NAME).exists()
    if whole or (asking.update and not there):
        return None
    needed = any(check.kind in ("drift", "prediction") for check in job.checks)
    return read_baseline(folder) if there or needed else None


def _need_thresholds(job: JobSpec, thresholds: list[Threshold], file: str) -> None:
    """Say at once that nothing is calibrated, not after everything was computed."""
    for check in job.checks:
        if not isinstance(check, DriftCheck | RegionCheck) or check.of in (None, "conversion"):
            continue
        there = any((t.of, t.metric) == (check.of, check.metric) for t in thresholds)
        if check.limit == "calibrated" and not there:
            methods = check.method or [m for task in job.tasks for m in task.methods()]
            raise not_calibrated(file, str(check.of), check.metric, methods[0])


def known_classes(job: JobSpec) -> dict[str, bool]:
    """Return for each image, by its path, whether the job says its class, without any rank."""
    tasks = [t for t in job.tasks if isinstance(t, ExplainSpec) and t.explains_output]
    ranked = any(_RANK.match(c) for task in tasks for c in task.class_)
    return {
        str(source.path): not (any(map(_RANK.match, source.classes)) if source.classes else ranked)
        for source in find_sources(job.images)
    }


def _pinned(job: JobSpec, old: Baseline, digests: Digests) -> JobSpec:
    """Return the job with the classes that the baseline was asked about in the place of ranks."""
    tasks = [t for t in job.tasks if isinstance(t, ExplainSpec) and t.explains_output]
    lists = {tuple(task.class_) for task in tasks}
    sources = find_sources(job.images)
    by_image: dict[str, list[str]] = {}
    for kept in old.kept:
        classes = by_image.setdefault(kept.question[0], [])
        asked = unquote(kept.question[2])
        if asked not in classes:
            classes.append(asked)
    found: dict[Path, list[str]] = {}
    for source in sources:
        own = [source.classes] if source.classes else list(lists)
        if not any(_RANK.match(c) for classes in own for c in classes):
            continue
        if not source.classes and len(lists) > 1:
            raise UsageError(
                "The tasks ask for different classes, one of them by rank.",
                "A rank means what the model predicted when the baseline was accepted, and that is "
                "one list of classes for each image.",
                "Name the classes, or write a job for each list.",
            )
        before = by_image.get(image_key(digests.file(source.path)))
        if before:
            named = [c for classes in own for c in classes if not _RANK.match(c)]
            found[source.path] = [*before, *(c for c in named if c not in before)]
    if not found:
        return job
    return job.model_copy(update={"images": pinned(sources, found)})


def answers_by_model(
    run: Run, known: dict[str, bool], pinned_to: Baseline | None = None
) -> dict[str, list[MapAnswer]]:
    """Return the answers of a finished run.

    Parameters
    ----------
    run
        The run.
    known
        Path of an image -> whether the job says its class.
    pinned_to
        Of the questions that this baseline knows, only what it was asked of its model.

    Returns
    -------
    dict of str to list of MapAnswer
        By the name of the model.
    """
    plan = run.plan
    found: dict[str, list[MapAnswer]] = {model.name: [] for model in plan.models}
    explaining = {
        entry: (spec, common_settings(spec, plan.job.seed))
        for entry, spec in enumerate(plan.job.tasks)
        if isinstance(spec, ExplainSpec)
    }
    for task in plan.tasks:
        if task.entry not in explaining:
            continue
        spec, common = explaining[task.entry]
        rows = run.done_rows.get(task.id, [])
        for answer in answers_of(spec, rows, run.store.folder, common):
            sure = known.get(answer.row.image, True)
            found[plan.models[task.model].name].append(replace(answer, known=sure))
    if pinned_to is not None:
        asked = {kept.question for kept in pinned_to.kept}
        for model, answers in found.items():
            variants = pinned_to.variants(model)
            found[model] = [a for a in answers if a.question in variants or a.question not in asked]
    return found


def not_computed(run: Run) -> list[str]:
    """Return what a run could not do, in words; empty where it did all."""
    lost = list(run.failed_rows.values())
    if not lost:
        return []
    error = lost[0].error or {}
    reason = " ".join(str(error[key]) for key in ("what", "why") if error.get(key))
    return [f"{len(lost)} of {len(run.ids)} tasks could not be done: {reason}"]


def _updated(job: JobSpec, maps: Maps, plan: Plan, asking: Asking) -> Baseline:
    old, new = maps.baseline or Baseline(), accepted(maps, plan)
    if not asking.only:
        return added(old, new, beside=asking.beside)
    kind, _, wanted = asking.only.partition("=")
    chosen: set[tuple[Question, str]] = set()
    if kind == "failing":
        compared = [c for c in job.checks if c.kind in ("drift", "prediction")]
        judgement = judge(maps, compared, job.pass_, alpha=asking.alpha)
        chosen = {
            (finding.answer.question, case.model)
            for case in judgement.cases
            for finding in case.findings
            if finding.passed is False or finding.why == NOT_KEPT
        }
    else:
        for model, answers in maps.answers.items():
            for answer in answers:
                names = [model] if kind == "model" else [
                    answer.row.image_name, Path(answer.row.image).name, answer.row.image
                ]  # fmt: skip
                if any(fnmatch(name, wanted) for name in names):
                    chosen.add((answer.question, model))
        if not chosen:
            raise UsageError(f"No {kind} of the job is called '{wanted}'.")
    return added(old, new, only=chosen, beside=asking.beside)


def accepted(maps: Maps, plan: Plan) -> Baseline:
    """Return the maps of a run as a baseline of their own.

    Parameters
    ----------
    maps
        The maps.
    plan
        Of the run.

    Returns
    -------
    Baseline
        An answer per question and model.

    Raises
    ------
    NotEvaluatedError
        For a map that is not finite.
    """
    kept: dict[tuple[Question, str], Kept] = {}
    images: dict[str, str] = {}
    settings: dict[str, Mapping[str, Any]] = {}
    for model, answers in maps.answers.items():
        for answer in answers:
            cells = maps.cells(answer)
            if isinstance(cells, Undefined):
                raise NotEvaluatedError(
                    f"The map of '{answer.row.image}' cannot be accepted.", f"It is a {cells}."
                )
            row = answer.row
            images.setdefault(answer.question[0], Path(row.image).name)
            settings[settings_key(answer.settings)] = answer.settings
            kept[answer.question, model] = Kept(
                answer.question, model, row.score or 0.0, row.probability, answer.first, cells
            )
    digests = {model.name: image_key(model.sha256) for model in plan.models}
    models = {model: digests[model] for model in sorted({k.model for k in kept.values()})}
    return Baseline(images, models, settings, tuple(kept.values()))
