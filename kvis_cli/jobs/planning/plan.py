"""What a job asks for, worked out without TensorFlow: models × tasks × images × methods."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from kvis_cli.errors import UsageError
from kvis_cli.images.finding import expand_glob, find_images
from kvis_cli.jobs.planning.digests import Digests
from kvis_cli.jobs.planning.identity import hash_of, model_digest, model_settings
from kvis_cli.jobs.planning.sources import Source, find_sources
from kvis_cli.models.description.applications import parse_reference
from kvis_cli.models.description.evidence.photos_given import MOST_LOOKED_AT
from kvis_cli.models.request import ModelSpec
from kvis_cli.paths import MODEL_SUFFIXES, safe_name, unique_names
from kvis_cli.spec.job import JobSpec, TaskSpec

# Fields that say which pictures a task has, or how they are collected, but not what one shows.
_NOT_CONTENT = {"method", "metadata", "strict"}


@dataclass(frozen=True)
class PlannedModel:
    """A model of the job.

    Attributes
    ----------
    spec
        The request.
    name
        Unique within the job; the folder of its results when there are several models.
    sha256
        Hash of its content; empty where it cannot be read.
    photos
        The first images of the job, of which a model is asked what it expects.
    """

    spec: ModelSpec
    name: str
    sha256: str
    photos: tuple[Path, ...] = ()


@dataclass(frozen=True)
class PlannedImage:
    """An image of the job; `name` is unique within the job and begins its file names."""

    source: Source
    name: str
    sha256: str


@dataclass(frozen=True)
class Task:
    """The smallest thing that is done or not done: a model, an image, a method.

    Attributes
    ----------
    id
        Hash of the model's content, the image's content, the settings and the method's version.
    model, entry, image
        Indices into the plan's models, the job's tasks, the plan's images; the last is None for a
        task without images.
    method
        One of the entry's methods; empty where it has no list of them.
    """

    id: str
    model: int
    entry: int
    image: int | None
    method: str


@dataclass(frozen=True)
class Shard:
    """The part `index` of `count` parts of a job."""

    index: int
    count: int

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


@dataclass
class Plan:
    """A job, expanded.

    Attributes
    ----------
    job
        The spec.
    models, images
        Globs resolved, in natural order.
    tasks
        Everything there is to do, grouped by model.
    growing
        Whether models will join later, so that each has a folder of its own from the first on.
    digests
        The hashes of all files that were looked at.
    """

    job: JobSpec
    models: list[PlannedModel]
    images: list[PlannedImage]
    tasks: list[Task] = field(default_factory=list)
    shard: Shard | None = None
    growing: bool = False
    digests: Digests = field(default_factory=Digests)

    def folder(self, model: int, entry: int) -> str:
        """Subfolder of the results of one model and one entry of the job's tasks."""
        own = self.growing or len(self.models) > 1
        parts = [self.models[model].name] if own else []
        label = self.labels[entry]
        if self._shares_names[entry]:
            parts.append(label)
        return "/".join(parts)

    @cached_property
    def labels(self) -> list[str]:
        """What an entry of the job's tasks is called: its kind, numbered where it is not alone."""
        kinds = [task.kind for task in self.job.tasks]
        return [
            kind if kinds.count(kind) == 1 else f"{kind}-{kinds[: i + 1].count(kind)}"
            for i, kind in enumerate(kinds)
        ]

    @cached_property
    def _shares_names(self) -> list[bool]:
        """Whether an entry's file names could be those of another entry."""
        names = [
            set(t.methods()) if t.needs_images and t.methods() != [""] else {t.kind}
            for t in self.job.tasks
        ]
        return [
            any(mine & other for j, other in enumerate(names) if j != i)
            for i, mine in enumerate(names)
        ]

    def prefix(self, task: Task) -> str:
        """Return what the file names of a task's pictures begin with, below the result folder."""
        folder = self.folder(task.model, task.entry)
        parts = [] if task.image is None else [self.images[task.image].name]
        parts += [safe_name(task.method)] if task.method else []
        return f"{folder}/{'_'.join(parts)}" if folder else "_".join(parts)

    def describe(self, task: Task) -> dict[str, Any]:
        """Return what a task is, for a row of the manifest."""
        row = {
            "task": task.id,
            "kind": self.job.tasks[task.entry].kind,
            "entry": self.labels[task.entry],
            "model": self.models[task.model].spec.path,
            "model_name": self.models[task.model].name,
            "model_sha256": self.models[task.model].sha256,
        }
        if task.method:
            row["method"] = task.method
        if task.image is not None:
            image = self.images[task.image]
            row |= {
                "image": str(image.source.path),
                "image_name": image.name,
                "image_sha256": image.sha256,
            }
        return row


def make_plan(
    job: JobSpec,
    *,
    shard: Shard | None = None,
    growing: bool = False,
    digests: Digests | None = None,
) -> Plan:
    """Expand globs, folders and tables, and give every task its identity.

    Parameters
    ----------
    job
        The validated spec.
    shard
        Only this part of the tasks.
    growing
        See `Plan`.
    digests
        Hashes of files that are known already.

    Returns
    -------
    Plan
        Models, images and tasks, each named and hashed.

    Raises
    ------
    UsageError
        For a glob or a folder that gives nothing; for tasks that need images when there are none.
    """
    digests = digests or Digests()
    specs, sources = _found(job)
    model_names = unique_names([Path(_named(path)) for path in specs])
    photos = tuple(source.path for source in sources[:MOST_LOOKED_AT])
    models = [
        PlannedModel(
            spec, model_names[Path(_named(path))], model_digest(spec, job.seed, digests), photos
        )
        for path, spec in specs.items()
    ]
    names = unique_names([source.path for source in sources])
    images = [PlannedImage(s, names[s.path], digests.file(s.path)) for s in sources]
    plan = Plan(job, models, images, shard=shard, growing=growing, digests=digests)
    plan.tasks = [task for task in _tasks(plan) if shard is None or _in_shard(plan, task, shard)]
    return plan


def _found(job: JobSpec) -> tuple[dict[str, ModelSpec], list[Source]]:
    """Return the models by path, and the images; what is wrong with both is reported at once."""
    specs: dict[str, ModelSpec] = {}
    sources: list[Source] = []
    problems = []
    try:
        for spec in job.models:
            for path in _expand(spec.path):
                specs.setdefault(path, spec.model_copy(update={"path": path}))
    except UsageError as error:
        problems.append(error)
    try:
        sources = find_sources(job.images)
        if not sources and any(task.needs_images for task in job.tasks):
            raise UsageError("There is no image to explain.", "", "Give files, folders or globs.")
    except UsageError as error:
        problems.append(error)
    if len(problems) == 1:
        raise problems[0]
    if problems:
        raise UsageError(
            " ".join(f"{problem.what} {problem.why}".strip() for problem in problems),
            hint=" ".join(dict.fromkeys(problem.hint for problem in problems if problem.hint)),
        )
    return specs, sources


def _tasks(plan: Plan) -> Iterator[Task]:
    job = plan.job
    regions = [
        (i.source.box, plan.digests.file(i.source.mask) if i.source.mask else "")
        for i in plan.images
    ]
    everything = hash_of([(i.sha256, i.source.classes) for i in plan.images])
    settings = [
        spec.model_dump(mode="json", by_alias=True, exclude=_not_content(spec))
        for spec in job.tasks
    ]
    for m, model in enumerate(plan.models):
        about_model = hash_of(model.sha256, model_settings(model.spec, plan.digests), job.seed)
        for e, spec in enumerate(job.tasks):
            folder = plan.folder(m, e)
            # With a shared scale every picture depends on all the others.
            others = everything if spec.shares_scale and spec.needs_images else ""
            # Pictures that an atlas may start from, and those of regions, are content, not names.
            starts = find_images(spec.start_images())
            if starts:
                others = hash_of(others, [plan.digests.file(path) for path in starts])
            for method in spec.methods():
                common = hash_of(about_model, settings[e], method, spec.results_version, others)
                if not spec.needs_images:
                    yield Task(hash_of(common, folder), m, e, None, method)
                    continue
                for i, image in enumerate(plan.images):
                    identity = (common, image.sha256, image.source.classes, regions[i])
                    yield Task(hash_of(*identity, folder, image.name), m, e, i, method)


def _not_content(spec: TaskSpec) -> set[str]:
    # The sheet of pictures that are there anyway; an atlas is itself a grid.
    return _NOT_CONTENT | ({"grid"} if spec.needs_images else set())


def _in_shard(plan: Plan, task: Task, shard: Shard) -> bool:
    """All methods of a picture are of one shard: they cost one pass together."""
    spec = plan.job.tasks[task.entry]
    whole = task.image is None or spec.shares_scale
    image = "" if whole or task.image is None else plan.images[task.image].name
    key = hash_of(plan.models[task.model].name, task.entry, image)
    return int(key[:12], 16) % shard.count == shard.index


def _named(path: str) -> str:
    """Return a model's path, or an application's name in a form that is a file name."""
    reference = None if Path(path).exists() else parse_reference(path)
    if reference is None:
        return path
    weights = "" if reference.weights == "imagenet" else "-" + Path(reference.weights).stem
    return reference.name + weights


def _expand(text: str) -> list[str]:
    if not glob.has_magic(text) or Path(text).exists() or parse_reference(text):
        return [text]
    found = expand_glob(text)
    # Sidecars and label files lie beside checkpoints.
    files = [str(p) for p in found if p.suffix.lower() in MODEL_SUFFIXES or p.is_dir()]
    if not files:
        raise UsageError(f"No model matches '{text}'.", "", "Check the path and the glob.")
    return files
