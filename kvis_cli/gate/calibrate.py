"""``kvis calibrate``: what difference is harmless, measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kvis_cli.errors import NotEvaluatedError, UsageError
from kvis_cli.events import Listener
from kvis_cli.gate.answers import MapAnswer, pinned
from kvis_cli.gate.baseline import Baseline
from kvis_cli.gate.bounds import SMALL_IS_GOOD, bound_of, weakest
from kvis_cli.gate.calibration import Calibration, Level, Power, write_thresholds
from kvis_cli.gate.check import accepted, answers_by_model, known_classes, not_computed
from kvis_cli.gate.decision import ALPHA
from kvis_cli.gate.disturbed import DISTURBANCES, write_disturbed
from kvis_cli.gate.judging import judge
from kvis_cli.gate.maps import Maps
from kvis_cli.gate.thresholds import Threshold
from kvis_cli.gate.verdicts import Case
from kvis_cli.images.finding import expand_glob
from kvis_cli.jobs.planning.plan import make_plan
from kvis_cli.jobs.planning.sources import Source, find_sources
from kvis_cli.jobs.running.runner import Options, Run
from kvis_cli.models.request import ModelSpec
from kvis_cli.paths import user_path
from kvis_cli.runtime.tensorflow import check_device, import_tensorflow
from kvis_cli.spec.checks import Check, DriftCheck, PassSpec, RegionCheck
from kvis_cli.spec.job import JobSpec

FOLDER = "calibration"
LEAST_GOOD = 3
Key = tuple[str, str, str | None]
"""Measure, method, class as ``--class`` names it."""


@dataclass(frozen=True)
class Calibrating:
    """How a job is calibrated.

    Attributes
    ----------
    good
        Models known to be good: files, globs.
    bad
        Models known to be bad.
    of
        What separates the good ones: ``retrain`` or ``finetune``.
    alpha
        The chance that a run of the checks fails a good model.
    """

    good: Sequence[str]
    bad: Sequence[str] = ()
    of: str = "retrain"
    alpha: float = ALPHA


@dataclass(frozen=True)
class _Asked:
    """The questions, and the model's own answers to them."""

    job: JobSpec
    checks: Sequence[Check]
    sources: Mapping[str, Source]
    known: dict[str, bool]
    own: Sequence[MapAnswer]
    baseline: Baseline


def calibrate_job(
    job: JobSpec, listener: Listener, asking: Calibrating, *, file: str = "job.yaml"
) -> Calibration:
    """Measure what difference between maps is harmless, and write the thresholds.

    Parameters
    ----------
    job
        With one model, which was accepted, and a baseline folder.
    listener
        Hears what happens.
    asking
        What is known of which models.
    file
        The job file, for messages.

    Raises
    ------
    UsageError
        For too few good models, a job of several models or without a baseline folder.
    NotEvaluatedError
        When a model or a photo has no map.
    KvisError
        As `kvis_cli.jobs.running.runner.run_job`.
    """
    check_device(job.device)
    good, bad = _models(asking.good, "--good"), _models(asking.bad, "--bad")
    if len(good) < LEAST_GOOD:
        raise UsageError(
            f"{len(good)} good models say nothing of the spread between them.",
            "",
            f"Train the model with at least {LEAST_GOOD} other seeds; 6 are a good start.",
        )
    if both := sorted(set(good) & set(bad)):
        raise UsageError(f"'{both[0]}' cannot be good and bad.")
    if job.baseline is None:
        raise UsageError(
            "There is no folder for the thresholds.",
            f"'{file}' names no baseline.",
            "Add `baseline: attention-baseline/` to it.",
        )
    folder = user_path(job.output) / FOLDER
    asked = _asked(job, listener, folder / "model", asking.of)
    control = _control(asked.job.models[0], folder / "control", listener)
    everyone = [*good, *bad, *control]
    answers = _answers(asked, listener, folder / "models", models=[str(p) for p in everyone])
    by_role = {
        "good": {path.stem: answers[str(path)] for path in good},
        "bad": {path.stem: answers[str(path)] for path in bad},
        "control": {path.stem: answers[str(path)] for path in control},
    }
    levels = _levels(asked, by_role["good"], asking.alpha)
    levels = _with_noise(asked, levels, listener, folder / "photos")
    powers = [
        power
        for kind in ("control", "bad")
        if by_role[kind]
        for power in _powers(asked, levels, by_role[kind], kind, asking)
    ]
    found = Calibration(
        asking.of, job.pass_.wanted, asking.alpha, len(good), levels, powers,
        notes=_notes(levels),
    )  # fmt: skip
    if not any(level.bound for level in levels):
        raise NotEvaluatedError("No threshold could be calibrated.", found.notes[0])
    return replace(found, written=write_thresholds(Path(job.baseline), found))


# --- maps -------------------------------------------------------------------------------------


def _models(patterns: Sequence[str], flag: str) -> list[Path]:
    found: dict[Path, None] = {}
    for pattern in patterns:
        paths = expand_glob(pattern)
        if not paths:
            raise UsageError(f"{flag} '{pattern}' matches no file.")
        found.update(dict.fromkeys(paths))
    return list(found)


def _asked(job: JobSpec, listener: Listener, folder: Path, of: str) -> _Asked:
    """Ask the model; ranks become the classes that it predicts."""
    job = job.with_maps()
    plan = make_plan(job)
    if len(plan.models) != 1:
        raise UsageError(
            f"{len(plan.models)} models cannot be calibrated at once.",
            "What the others are compared with is one accepted model.",
            "Name it alone in the job file.",
        )
    job = job.model_copy(update={"models": [plan.models[0].spec]})
    known = known_classes(job)
    run = _run(job, listener, folder)
    answers = answers_by_model(run, known)
    [own] = answers.values()
    sources = {image.name: image.source for image in run.plan.images}
    fixed = job.model_copy(update={"images": pinned(find_sources(job.images), _classes(own))})
    baseline = accepted(Maps(answers, sources), run.plan)
    return _Asked(fixed, _checks(job, of), sources, known, own, baseline)


def _classes(answers: Sequence[MapAnswer]) -> dict[Path, list[str]]:
    """Return the classes that were explained of each image."""
    found: dict[Path, list[str]] = {}
    for answer in answers:
        classes = found.setdefault(Path(answer.row.image), [])
        if answer.row.asked and answer.row.asked not in classes:
            classes.append(answer.row.asked)
    return found


def _checks(job: JobSpec, of: str) -> list[Check]:
    """Return the checks of the job that wait for a threshold; drift by Spearman without any."""
    found: list[Check] = [
        c
        for c in job.checks
        if isinstance(c, DriftCheck | RegionCheck) and c.limit == "calibrated" and c.of == of
    ]
    return found or [DriftCheck.model_validate({"of": of})]


def _run(job: JobSpec, listener: Listener, folder: Path) -> Run:
    job = job.model_copy(update={"output": str(folder), "report": [], "gif": None})
    run = Run(make_plan(job), listener, Options(processes=True, resume=True))
    run.run()
    if problems := not_computed(run):
        raise NotEvaluatedError("Nothing is calibrated.", problems[0], "Mend that first.")
    return run


def _answers(
    asked: _Asked,
    listener: Listener,
    folder: Path,
    *,
    models: Sequence[str] | None = None,
    images: Mapping[Path, Source] | None = None,
) -> dict[str, list[MapAnswer]]:
    """Return by its path what a model answers; of changed photos as if they were the photos.

    Parameters
    ----------
    asked
        The questions.
    models
        Instead of the model.
    images
        Changed photo -> what it was made of.
    """
    job = asked.job
    if models is not None:
        spec = job.models[0]
        update = [spec.model_copy(update={"path": path}) for path in models]
        job = job.model_copy(update={"models": update})
    if images is not None:
        classes = {path: list(source.classes) for path, source in images.items()}
        changed = [replace(source, path=path) for path, source in images.items()]
        job = job.model_copy(update={"images": pinned(changed, classes)})
    run = _run(job, listener, folder)
    paths = {model.name: model.spec.path for model in run.plan.models}
    found = {}
    for name, answers in answers_by_model(run, asked.known).items():
        found[paths[name]] = answers
    return found


def _control(spec: ModelSpec, folder: Path, listener: Listener) -> list[Path]:
    """Write the models with re-initialised layers; those of an earlier calibration are kept."""
    from kvis_cli.models.description.info import describe_model
    from kvis_cli.models.description.trust import check_file

    info = describe_model(spec)
    check_file(info)
    listener.starting()
    import_tensorflow()
    from kvis_cli.models.live.randomized import write_randomized

    return write_randomized(info, folder)


# --- numbers ----------------------------------------------------------------------------------


def _open(checks: Sequence[Check]) -> list[Check]:
    """Return the checks with thresholds that everything passes."""
    found: list[Check] = []
    for check in checks:
        if isinstance(check, DriftCheck):
            limit = {"max": 1.0} if check.metric in SMALL_IS_GOOD else {"min": -1.0}
            given = {"metric": check.metric, "method": check.method, **limit}
            found.append(DriftCheck.model_validate(given))
        elif isinstance(check, RegionCheck):
            found.append(check.model_copy(update={"min": 0.0}))
    return found


def _values(
    asked: _Asked, answers: Sequence[MapAnswer], *, drift_alone: bool = False
) -> dict[Key, tuple[str, list[float | None]]]:
    """Return for each measure, method and class its label and the values of a model's photos."""
    checks = [c for c in _open(asked.checks) if not drift_alone or isinstance(c, DriftCheck)]
    found: dict[Key, tuple[str, list[float | None]]] = {}
    for per in ("class", "model"):
        passing = PassSpec(share=asked.job.pass_.share, any=False, per=per)
        maps = Maps({"model": answers}, asked.sources, asked.baseline)
        for case in judge(maps, checks, passing).cases:
            values = [f.value for f in case.findings if f.passed is not None]
            if values:
                found.setdefault((_metric(case), case.method, _class(case)), (case.label, values))
    return found


def _metric(case: Case) -> str:
    return case.check.split()[1]


def _class(case: Case) -> str | None:
    return case.findings[0].answer.row.asked if case.label else None


def _levels(asked: _Asked, good: Mapping[str, Sequence[MapAnswer]], alpha: float) -> list[Level]:
    wanted = asked.job.pass_.wanted
    labels: dict[Key, str] = {}
    weak: dict[Key, list[float | None]] = {}
    for answers in good.values():
        for key, (label, values) in _values(asked, answers).items():
            labels[key] = label
            weak.setdefault(key, []).append(weakest(key[0], values, wanted))
    # What one run decides, and what its chance of a false alarm is shared out over.
    per_class = asked.job.pass_.per == "class"
    with_classes = {key[:2] for key in labels if key[2] is not None and per_class}
    deciding = [key for key in labels if (key[2] is not None) == (key[:2] in with_classes)]
    found = []
    for (metric, method, name), values in sorted(weak.items(), key=lambda item: str(item[0])):
        numbers = [value for value in values if value is not None]
        whole = len(numbers) == len(values) == len(good)
        bound = bound_of(metric, numbers, alpha / len(deciding)) if whole else None
        label = labels[metric, method, name]
        found.append(Level(metric, method, name, label, values, {}, bound))
    return found


def _with_noise(
    asked: _Asked, levels: Sequence[Level], listener: Listener, folder: Path
) -> list[Level]:
    """Return levels with the model's own values on photos that are changed a little."""
    sources = [s for s in asked.sources.values() if s.path.suffix.lower() != ".npy"]
    if not sources:
        return list(levels)
    before_of = {answer.row.image: answer for answer in asked.own}
    asked_of = _classes(asked.own)
    made: dict[str, dict[str, Source]] = {}
    for kind, change in DISTURBANCES.items():
        for number, source in enumerate(sources):
            path = folder / f"{kind.split()[0]}-{number:05d}.png"
            write_disturbed(source.path, change, path)
            with_classes = replace(source, classes=tuple(asked_of.get(source.path, ())))
            made.setdefault(kind, {})[str(path)] = with_classes
    together = {Path(path): source for photos in made.values() for path, source in photos.items()}
    [answers] = _answers(asked, listener, folder / "maps", images=together).values()
    noise: dict[Key, dict[str, float | None]] = {}
    for kind, photos in made.items():
        moved = []
        for answer in answers:
            if answer.row.image in photos:
                before = before_of[str(photos[answer.row.image].path)]
                of_photo = {
                    name: getattr(before.row, name)
                    for name in ("image", "image_name", "image_sha256")
                }
                row = replace(answer.row, **of_photo)
                moved.append(replace(answer, row=row, known=before.known))
        for key, (_, values) in _values(asked, moved, drift_alone=True).items():
            noise.setdefault(key, {})[kind] = weakest(key[0], values, asked.job.pass_.wanted)
    return [
        replace(level, noise=noise.get((level.metric, level.method, level.asked), {}))
        for level in levels
    ]


def _powers(
    asked: _Asked,
    levels: Sequence[Level],
    models: Mapping[str, Sequence[MapAnswer]],
    kind: str,
    asking: Calibrating,
) -> list[Power]:
    """Judge models by the thresholds, each by one measure and method at a time."""
    thresholds = [
        Threshold(asking.of, level.metric, level.method, level.asked, level.bound.limit)
        for level in levels
        if level.bound is not None
    ]
    there = {(t.metric, t.method, t.asked) for t in thresholds}
    names = {answer.method: str(answer.row.method) for answer in asked.own}
    found = []
    for check in asked.checks:
        assert isinstance(check, DriftCheck | RegionCheck)
        for method in dict.fromkeys(level.method for level in levels):
            wanted = check.metric, method
            mine = [level for level in levels if (level.metric, level.method) == wanted]
            if not mine or any((*wanted, level.asked) not in there for level in mine):
                continue
            alone = check.model_copy(update={"method": [names[method]]})
            failing = {}
            for model, answers in models.items():
                theirs = [a for a in answers if a.method == method]
                maps = Maps({model: theirs}, asked.sources, asked.baseline, thresholds)
                judged = judge(maps, [alone], asked.job.pass_, alpha=asking.alpha)
                failing[model] = [case.label or "all classes" for case in judged.failed]
            found.append(Power(check.metric, method, kind, failing))
    return found


def _notes(levels: Sequence[Level]) -> list[str]:
    return [
        f"{level.metric} of {level.method}, {level.label or 'all classes'}: no threshold, for too "
        "many maps of good models have no value."
        for level in levels
        if level.bound is None
    ]
