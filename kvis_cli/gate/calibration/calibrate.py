"""``kvis calibrate``: what difference is harmless, measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from glob import escape
from pathlib import Path

from kvis_cli.errors import NotEvaluatedError, UsageError
from kvis_cli.events import Listener
from kvis_cli.gate.answers import MapAnswer, pinned
from kvis_cli.gate.calibration.bounds import weakest
from kvis_cli.gate.calibration.disturbed import DISTURBANCES, write_disturbed
from kvis_cli.gate.calibration.found import Calibration, Level, write_thresholds
from kvis_cli.gate.calibration.levels import (
    Key,
    Questions,
    levels_of,
    notes_of,
    powers_of,
    values_of,
)
from kvis_cli.gate.check import accepted, answers_by_model, known_classes, not_computed
from kvis_cli.gate.decision import ALPHA
from kvis_cli.gate.maps import Maps
from kvis_cli.images.finding import expand_glob
from kvis_cli.jobs.planning.digests import Digests
from kvis_cli.jobs.planning.plan import make_plan
from kvis_cli.jobs.planning.sources import Source, find_sources
from kvis_cli.jobs.running.runner import Options, Run
from kvis_cli.models.request import ModelSpec
from kvis_cli.paths import natural_key, user_path
from kvis_cli.runtime.tensorflow import check_device, import_tensorflow
from kvis_cli.spec.gate import Check, DriftCheck, RegionCheck
from kvis_cli.spec.job import JobSpec

FOLDER = "calibration"
LEAST_GOOD = 3


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

    Returns
    -------
    Calibration
        What was measured; the thresholds are in the baseline folder.

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
    good = _others(good, job)
    if len(good) < LEAST_GOOD:
        raise UsageError(
            f"{len(good)} good models say nothing of the spread between them.",
            "",
            f"Train the model with at least {LEAST_GOOD} other seeds; 10 are a good start.",
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
    digest = next(iter(asked.baseline.models.values())) or "model"
    control = _control(asked.job.models[0], folder / "control" / digest, listener)
    everyone = [*good, *bad, *control]
    answers = _answers(asked, listener, folder / "models", models=[str(p) for p in everyone])
    by_role = {
        "good": {str(path): answers[str(path)] for path in good},
        "bad": {str(path): answers[str(path)] for path in bad},
        "control": {path.stem: answers[str(path)] for path in control},
    }
    levels = levels_of(asked, by_role["good"], asking.alpha)
    levels = _with_noise(asked, levels, listener, folder / "photos")
    powers = [
        power
        for kind in ("control", "bad")
        if by_role[kind]
        for power in powers_of(asked, levels, by_role[kind], kind, asking.of, asking.alpha)
    ]
    found = Calibration(
        asking.of, job.pass_.wanted, asking.alpha, len(good), levels, powers,
        notes=notes_of(levels),
    )  # fmt: skip
    if not any(level.bound for level in levels):
        why = found.notes[0] if found.notes else "No map of the job has a verdict."
        raise NotEvaluatedError("No threshold could be calibrated.", why)
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


def _others(good: Sequence[Path], job: JobSpec) -> list[Path]:
    """Leave out the job's own model, which a glob may find: it is no other one."""
    digests = Digests()
    own = {
        digests.file(path)
        for spec in job.models
        for path in expand_glob(escape(spec.path) if Path(spec.path).exists() else spec.path)
        if path.is_file()
    }
    return [path for path in good if not path.is_file() or digests.file(path) not in own]


def _asked(job: JobSpec, listener: Listener, folder: Path, of: str) -> Questions:
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
    return Questions(fixed, _checks(job, of), sources, known, own, baseline)


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
    asked: Questions,
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
    # Written last: with it all are there.
    last = list(folder.glob("all-*.keras"))
    if last:
        return sorted(folder.glob("top-*.keras"), key=natural_key) + last
    from kvis_cli.models.description.info import describe_model
    from kvis_cli.models.description.trust import check_file

    info = describe_model(spec)
    check_file(info)
    listener.starting()
    import_tensorflow()
    from kvis_cli.gate.calibration.randomized import write_randomized

    return write_randomized(info, folder)


def _with_noise(
    asked: Questions, levels: Sequence[Level], listener: Listener, folder: Path
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
        for key, (_, values) in values_of(asked, moved, drift_alone=True).items():
            noise.setdefault(key, {})[kind] = weakest(key[0], values, asked.job.pass_.wanted)
    return [
        replace(level, noise=noise.get((level.metric, level.method, level.asked), {}))
        for level in levels
    ]
