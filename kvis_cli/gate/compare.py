"""The same questions put to several models, and how alike the answers are."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kvis_cli.errors import ExitCode, NotEvaluatedError, UsageError
from kvis_cli.events import Listener
from kvis_cli.gate.answers import MapAnswer, answers_of, common_settings, likeness, pinned
from kvis_cli.gate.baseline import Question
from kvis_cli.jobs.planning.sources import find_sources
from kvis_cli.jobs.running.runner import Options, Outcome, run_job
from kvis_cli.metrics import MEASURES, Undefined
from kvis_cli.metrics.undefined import Measured
from kvis_cli.models.description.info import describe_model
from kvis_cli.models.description.trust import check_file
from kvis_cli.paths import safe_name, user_path
from kvis_cli.spec.build import build_job
from kvis_cli.spec.gate import CompareSpec
from kvis_cli.spec.job import JobSpec
from kvis_cli.spec.pictures import ExplainSpec

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class Asked:
    """A model of a comparison.

    Attributes
    ----------
    letter
        ``A`` is what the others are compared with.
    path
        Its file or name.
    folder
        Where its maps are.
    """

    letter: str
    path: str
    folder: Path

    @property
    def name(self) -> str:
        """``A epoch-01``."""
        return f"{self.letter} {Path(self.path).stem}"


@dataclass(frozen=True)
class Pair:
    """Two models' answers to one question.

    Attributes
    ----------
    first, second
        Of A and of the other model.
    other
        The other model.
    measures
        How alike the maps are.
    """

    first: MapAnswer
    second: MapAnswer
    other: Asked
    measures: Mapping[str, Measured]

    @property
    def flipped(self) -> bool | None:
        """Whether the models' first classes differ; None where their labels do not compare."""
        if not (self.first.first and self.second.first):
            return None
        # The same output under another name says nothing of what was predicted.
        if self.first.row.target != self.second.row.target:
            return None
        return self.first.first != self.second.first

    @property
    def drop(self) -> float | None:
        """How much the probability of the class falls, -1 to 1; None where there is none."""
        before, after = self.first.row.probability, self.second.row.probability
        return None if before is None or after is None else before - after

    @property
    def likeness(self) -> float:
        """What orders pairs, the worst first: Spearman's correlation, -2 where it has none."""
        value = self.measures["spearman"]
        return -2.0 if isinstance(value, Undefined) else value


@dataclass(frozen=True)
class Comparison:
    """What came of asking several models the same.

    Attributes
    ----------
    models
        A, and the others.
    pairs
        For every question and other model, in the order of the questions.
    unanswered
        Questions without an answer of a model: what, and which model.
    exit_code
        0 when every question has an answer of every model.
    """

    models: Sequence[Asked]
    pairs: Sequence[Pair]
    unanswered: Sequence[tuple[str, str]]
    exit_code: ExitCode

    def of(self, model: Asked) -> list[Pair]:
        """Return the pairs of A and a model."""
        return [pair for pair in self.pairs if pair.other == model]

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain JSON values."""
        return {
            "models": [
                {"letter": m.letter, "path": m.path, "folder": str(m.folder)} for m in self.models
            ],
            "questions": [_pair_json(pair) for pair in self.pairs],
            "unanswered": [{"question": q, "model": m} for q, m in self.unanswered],
            "summary": {m.letter: summary(self.of(m)) for m in self.models[1:]},
        }


def compare_models(
    models: Sequence[str],
    images: Sequence[str],
    asked: CompareSpec,
    *,
    of_model: Mapping[str, Any],
    of_run: Mapping[str, Any],
    listener: Listener,
) -> Comparison:
    """Explain images by all models, for the classes of the first, and compare the maps.

    Parameters
    ----------
    models
        A and the others: files or names of applications.
    images
        Files, folders, globs.
    asked
        The questions.
    of_model
        Options of `ModelSpec` and `RunSpec`, for all models.
    of_run
        Options of `ModelSpec` and `RunSpec`, for all models.
    listener
        Hears what happens.

    Returns
    -------
    Comparison
        Every question, with the answers of all models.

    Raises
    ------
    UsageError
        For a wrong request, as `kvis_cli.jobs.running.runner.run_job`; for one model alone.
    NotEvaluatedError
        When the first model answers nothing.
    KvisError
        When nothing could be begun.
    """
    if not 2 <= len(models) <= len(LETTERS):
        raise UsageError(f"{len(models)} models cannot be compared.", "", "Name two or more.")
    out = user_path(str(of_run.get("out", "kvis-out")))
    taking_part = [
        Asked(letter, path, out / f"{letter}-{safe_name(Path(path).stem)}")
        for letter, path in zip(LETTERS, models, strict=False)
    ]

    def job_of(model: Asked) -> JobSpec:
        values = {
            **of_run,
            "models": [{**of_model, "path": model.path}],
            "images": list(images),
            "tasks": asked.tasks(),
            "out": str(model.folder),
        }
        return build_job(values, as_flags=True)

    jobs = [job_of(model) for model in taking_part]
    for each in jobs:
        # A model that cannot be opened is said before another one was computed.
        check_file(describe_model(each.models[0]))
    job = jobs[0]
    answers, outcome = _answers(job, taking_part[0], listener)
    if not answers:
        raise (
            outcome.failures[0][1]
            if outcome.failures
            else NotEvaluatedError(f"'{models[0]}' explains none of the images.")
        )
    codes = [outcome.exit_code]
    same = pinned(find_sources(job.images), _classes(answers))
    pairs: list[Pair] = []
    missing = [(_said(f, e), "A") for f, e in outcome.failures]
    for other, question in zip(taking_part[1:], jobs[1:], strict=True):
        listener.note(f"asking {other.name} what A was asked")
        theirs, outcome = _answers(question.model_copy(update={"images": same}), other, listener)
        codes.append(outcome.exit_code)
        found, lost = _paired(answers, theirs, other)
        pairs += found
        missing += lost
    code = max(codes)
    return Comparison(taking_part, pairs, missing, code or (ExitCode.FAILED if missing else code))


def _answers(
    job: JobSpec, model: Asked, listener: Listener
) -> tuple[dict[tuple[Question, str], MapAnswer], Outcome]:
    """Return a model's answers by question, and by the name of the image."""
    outcome = run_job(job, listener, Options(resume=True))
    from kvis_cli.jobs.planning.plan import make_plan
    from kvis_cli.jobs.results.resume import read_finished

    rows = read_finished(model.folder).rows
    found = {}
    specs = [spec for spec in job.tasks if isinstance(spec, ExplainSpec)]
    settings = [common_settings(spec, job.seed) for spec in specs]
    for task in make_plan(job).tasks:
        spec, common = specs[task.entry], settings[task.entry]
        for answer in answers_of(spec, rows.get(task.id, []), model.folder, common):
            found[answer.question, answer.row.image_name] = answer
    return found, outcome


def _classes(answers: Mapping[Any, MapAnswer]) -> dict[Path, list[str]]:
    """Return the classes that were explained of each image."""
    found: dict[Path, list[str]] = {}
    for answer in answers.values():
        classes = found.setdefault(Path(answer.row.image), [])
        if answer.row.asked and answer.row.asked not in classes:
            classes.append(answer.row.asked)
    return {path: classes for path, classes in found.items() if classes}


def _paired(
    answers: Mapping[tuple[Question, str], MapAnswer],
    theirs: Mapping[tuple[Question, str], MapAnswer],
    other: Asked,
) -> tuple[list[Pair], list[tuple[str, str]]]:
    pairs, missing = [], []
    for key, first in answers.items():
        second = theirs.get(key)
        if second is None:
            missing.append((question_name(first), other.letter))
        else:
            pairs.append(Pair(first, second, other, likeness(first, second)))
    return pairs, missing


def question_name(answer: MapAnswer) -> str:
    """``cat.jpg · tabby · gradcam``."""
    row = answer.row
    return " · ".join(part for part in (row.image_name, row.target, answer.method) if part)


def summary(pairs: Sequence[Pair]) -> dict[str, Any]:
    """Return the numbers of all questions put to two models.

    Parameters
    ----------
    pairs
        Of A and another model.

    Returns
    -------
    dict
        ``questions``; ``flips`` of ``images``, and how many do not ``compare``; of each measure
        the ``median``, the ``worst`` and how many are ``undefined``.
    """
    images: dict[str, bool | None] = {p.first.row.image: p.flipped for p in pairs}
    found: dict[str, Any] = {
        "questions": len(pairs),
        "images": len(images),
        "flips": sum(flipped is True for flipped in images.values()),
        "no_labels": sum(flipped is None for flipped in images.values()),
    }
    for name in MEASURES:
        values = [p.measures[name] for p in pairs]
        numbers = [v for v in values if not isinstance(v, Undefined)]
        worst = (max if name == "centroid" else min)(numbers, default=None)
        found[name] = {
            "median": statistics.median(numbers) if numbers else None,
            "worst": worst,
            "undefined": len(values) - len(numbers),
        }
    return found


def overall(pairs: Sequence[Pair]) -> str:
    """Return the numbers of all questions as one line."""
    numbers = summary(pairs)
    spearman = numbers["spearman"]
    parts = [f"{numbers['questions']} questions"]
    if spearman["median"] is not None:
        worst = min(
            (p for p in pairs if not isinstance(p.measures["spearman"], Undefined)),
            key=lambda p: p.likeness,
        )
        parts.append(f"Spearman {spearman['median']:.2f} in the median")
        parts.append(f"{spearman['worst']:.2f} at the lowest ({question_name(worst.first)})")
    if spearman["undefined"]:
        parts.append(f"{spearman['undefined']} without a value")
    if numbers["no_labels"]:
        parts.append("predictions not compared: the models name their classes differently")
    else:
        parts.append(f"{numbers['flips']} of {numbers['images']} predictions flip")
    return ", ".join(parts)


def _pair_json(pair: Pair) -> dict[str, Any]:
    def side(answer: MapAnswer) -> dict[str, Any]:
        row = answer.row
        numbers = {"score": row.score, "probability": row.probability}
        return {"file": row.file, "raw": row.raw, "first": answer.first or None, **numbers}

    row = pair.first.row
    values = pair.measures.items()
    return {
        "image": row.image,
        "method": row.method,
        "variant": row.variant,
        "class": row.asked,
        "target": row.target,
        "model": pair.other.letter,
        "measures": {n: None if isinstance(v, Undefined) else v for n, v in values},
        "undefined": {n: str(v) for n, v in values if isinstance(v, Undefined)},
        "flipped": pair.flipped,
        "drop": pair.drop,
        "layers": [pair.first.row.layer, pair.second.row.layer],
        "a": side(pair.first),
        "b": side(pair.second),
    }


def _said(what: str, error: Exception) -> str:
    text = str(error)
    return text if what in text else f"{what}: {text}"
