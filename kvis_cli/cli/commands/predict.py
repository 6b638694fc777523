"""``kvis predict``."""

from __future__ import annotations

import io
from csv import writer as csv_writer
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kvis_cli.cli.options import with_options
from kvis_cli.cli.output import Column, Table, print_json, print_line, print_table
from kvis_cli.cli.shared import OUTPUT, Json, Quiet, Traceback, exit_codes
from kvis_cli.errors import ExitCode
from kvis_cli.models.description.preprocessing import PRESETS, Preprocessing
from kvis_cli.models.request import ModelSpec
from kvis_cli.spec.predict import PredictSpec
from kvis_cli.spec.run import RunSpec

if TYPE_CHECKING:
    from kvis_cli.explain.judgement import PredictionReport
    from kvis_cli.models.description.evidence.fingerprint import PreprocessingChoice
    from kvis_cli.models.live.open import OpenModel

# A confusion table of more classes does not fit on a screen: the most frequent mistakes do.
MOST_CLASSES = 12
MISTAKES = 10
_MARKS = {True: ("✓", "green"), False: ("✗", "bold red")}


@with_options(PredictSpec, ModelSpec, RunSpec, without=("out", "seed", "strict"))
def predict(
    model: Annotated[str, typer.Argument(help="Model file, or keras.applications name.")],
    images: Annotated[list[str], typer.Argument(help="Pictures, folders and globs.")],
    *,
    given: dict[type, dict[str, Any]],
    truth: Annotated[
        str,
        typer.Option(
            "--truth",
            metavar="FILE",
            help="The true classes: a CSV file of images and classes, or the word folders where "
            "each photo lies in a folder that is called like its class.",
        ),
    ] = "",
    write_sidecar: Annotated[
        bool,
        typer.Option(
            "--write-sidecar",
            help="Write the preprocessing that fits the truth best to the model's sidecar.",
        ),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a sidecar that is there.")
    ] = False,
    csv: Annotated[
        Path | None,
        typer.Option("--csv", metavar="FILE", help="Also write a table.", rich_help_panel=OUTPUT),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    traceback: Traceback = False,
) -> None:
    """What does the model say? Its first classes for your photos: see that it is fed right.

    With the truth, it also shows how often the model is right, what it confuses, and how often it
    would be right under every other preprocessing.

    Examples:

      kvis predict model.keras photos/

      kvis predict model.keras photos/ --truth labels.csv --csv predictions.csv

      kvis predict model.keras validation/ --truth folders --write-sidecar
    """
    with exit_codes(traceback):
        from kvis_cli.cli.console import ConsoleListener
        from kvis_cli.images.finding import find_images
        from kvis_cli.runtime.tensorflow import check_device
        from kvis_cli.spec.build import build_job

        values = {
            **given[RunSpec],
            "models": [{"path": model, **given[ModelSpec]}],
            "images": list(images),
            "tasks": [{"predict": given[PredictSpec]}],
        }
        job = build_job(values, as_flags=True)
        check_device(job.device)
        paths = find_images(images)
        listener = ConsoleListener(quiet=quiet, as_json=json)
        try:
            opened, judged = _judged(job, paths, truth, listener)
        finally:
            listener.close()
        if csv is not None:
            from kvis_cli.paths import write_bytes_atomic

            write_bytes_atomic(csv, _table(judged).encode())
        if json:
            print_json(_document(opened, judged))
        else:
            _print(opened, judged)
        if write_sidecar:
            _write_sidecar(opened, judged, listener, force=force)
        failed = sum("error" in row for row in judged.rows)
        if failed:
            raise typer.Exit(
                ExitCode.FAILED if failed < len(judged.rows) else ExitCode.NOT_EVALUATED
            )


def _judged(
    job: Any, paths: list[Path], truth: str, listener: Any
) -> tuple[OpenModel, PredictionReport]:
    from kvis_cli.explain.truth import indices_of, read_truth
    from kvis_cli.models.description.evidence.feeding import stated
    from kvis_cli.models.description.info import describe_model
    from kvis_cli.models.description.trust import check_file
    from kvis_cli.runtime.tensorflow import start

    info = describe_model(job.models[0])
    info.photos = tuple(paths)
    # What is wrong with the file, the options or the truth is said before TensorFlow starts.
    check_file(info)
    stated(info)
    named = read_truth(truth, paths) if truth else None
    if named and info.architecture.outputs and info.output_form().has_classes:
        indices_of(named, info.head())
    listener.starting()
    device = start(job.device)
    import tensorflow as tf

    from kvis_cli.explain.judgement import judge
    from kvis_cli.jobs.running.telling import tell_model
    from kvis_cli.models.live.open import open_model
    from kvis_cli.models.live.photo_input import as_given

    with tf.device(device.name):
        listener.stage(f"opening {info.reference}")
        opened = as_given(open_model(info), paths)
        tell_model(opened, listener, top=True)
        return opened, judge(
            opened,
            paths,
            top=job.tasks[0].top,
            truth=named,
            batch=min(job.batch_size, max(len(paths), 1)),
            progress=listener.progress,
            failed=listener.failed,
        )


def _print(opened: OpenModel, judged: PredictionReport) -> None:
    known = judged.accuracy is not None
    columns = [Column("image", folds=True)]
    columns += [Column("truth"), Column("")] if known else []
    form = opened.info.output_form()
    says = "says" if form.has_classes else f"mean of the output, {form.describe()}, by channel"
    if form.kind == "score":
        says = "output"
    table = Table([*columns, Column(says, folds=True)])
    for row in judged.rows:
        cells: list[Any] = [row["image"]]
        if known:
            mark = _MARKS[row["right"]] if "right" in row else ""
            cells += [row.get("label", ""), mark]
        says = row.get("error") or ", ".join(f"{t['label']} {t['output']:.3f}" for t in row["top"])
        table.rows.append([*cells, says])
    print_table(table)
    if not known:
        return
    right = round((judged.accuracy or 0.0) * judged.labelled)
    print_line()
    print_line(f"right: {right} of {judged.labelled} ({judged.accuracy:.1%})")
    if judged.note:
        print_line(judged.note)
    _print_confusion(judged)
    _print_tried(opened, judged)


def _print_confusion(judged: PredictionReport) -> None:
    seen = sorted({index for pair in judged.confusion for index in pair})
    print_line()
    if len(seen) > MOST_CLASSES:
        wrong = [(n, pair) for pair, n in judged.confusion.items() if pair[0] != pair[1]]
        columns = [Column("", "right"), Column("truth"), Column("says")]
        table = Table(columns, "most frequent mistakes")
        for n, (true, said) in sorted(wrong, key=lambda entry: -entry[0])[:MISTAKES]:
            table.rows.append([str(n), judged.classes[true], judged.classes[said]])
        print_table(table)
        return
    header = [Column("truth \\ says"), *(Column(judged.classes[i], "right") for i in seen)]
    table = Table(header)
    for true in seen:
        counts = [judged.confusion.get((true, said), 0) for said in seen]
        table.rows.append([judged.classes[true], *(str(n) if n else "" for n in counts)])
    print_table(table)


def _print_tried(opened: OpenModel, judged: PredictionReport) -> None:
    if not judged.tried:
        return
    print_line()
    table = Table([Column("preprocessing"), Column("right", "right"), Column("")])
    for tried in judged.tried:
        used = tried.preprocessing == opened.preprocessing
        better = judged.better is not None and tried is judged.better
        mark = "used" if used else ("clearly better" if better else "")
        table.rows.append([_name(tried.preprocessing), f"{tried.right} of {tried.count}", mark])
    print_table(table)
    best = judged.tried[0]
    if judged.better is None and best.preprocessing != opened.preprocessing:
        print_line(
            f"{_name(best.preprocessing)} leads, but with {best.count} photos that may be chance."
        )
    if judged.better is not None:
        spec = _option(judged.better.preprocessing)
        print_line(
            f"Fed otherwise, the model is right more often: --preprocess {spec}, or keep it with "
            "--write-sidecar."
        )


def _name(way: Preprocessing) -> str:
    """Return what tells a preprocessing from those of the same family."""
    return way.name if PRESETS.get(way.name, way) == way else way.describe()


def _option(way: Preprocessing) -> str:
    """Return what --preprocess takes."""
    spec = way.to_spec()
    if isinstance(spec, str):
        return spec
    mean, std = (",".join(f"{v:g}" for v in spec[key]) for key in ("mean", "std"))
    return f"'color={spec['color']};mean={mean};std={std}'"


def _document(opened: OpenModel, judged: PredictionReport) -> dict[str, Any]:
    choice: PreprocessingChoice = opened.preprocessing_choice
    document: dict[str, Any] = {
        "model": opened.info.reference,
        "preprocess": choice.preprocessing.to_spec(),
        "preprocess_reason": choice.reason,
        "preprocess_certain": choice.certain,
        "images": judged.rows,
    }
    if choice.warning:
        document["warnings"] = [choice.warning]
    if judged.accuracy is not None:
        document["accuracy"] = judged.accuracy
        document["confusion"] = [
            {"truth": judged.classes[true], "says": judged.classes[said], "count": n}
            for (true, said), n in sorted(judged.confusion.items())
        ]
        document["preprocessings"] = [
            {
                "preprocess": tried.preprocessing.to_spec(),
                "name": tried.preprocessing.name,
                "right": tried.right,
                "count": tried.count,
                "used": tried.preprocessing == opened.preprocessing,
                "clearly_better": tried is judged.better,
            }
            for tried in judged.tried
        ]
    return document


def _table(judged: PredictionReport) -> str:
    known = judged.accuracy is not None
    most = max((len(row.get("top", ())) for row in judged.rows), default=0)
    stream = io.StringIO()
    writer = csv_writer(stream, lineterminator="\n")
    ranks = [name for k in range(1, most + 1) for name in (f"class{k}", f"label{k}", f"output{k}")]
    writer.writerow(["image", *(["truth", "right"] if known else []), *ranks, "error"])
    for row in judged.rows:
        truth = [row.get("label", ""), row.get("right", "")] if known else []
        tops = row.get("top", [])
        cells = [cell for t in tops for cell in (t["class"], t["label"], f"{t['output']:.6g}")]
        cells += [""] * (3 * most - len(cells))
        writer.writerow([row["image"], *truth, *cells, row.get("error", "")])
    return stream.getvalue()


def _write_sidecar(
    opened: OpenModel, judged: PredictionReport, listener: Any, *, force: bool
) -> None:
    from kvis_cli.errors import UsageError
    from kvis_cli.models.description.sidecar_writing import write_sidecar

    choice = opened.preprocessing_choice
    best = judged.better.preprocessing if judged.better else choice.preprocessing
    if judged.better is None and not choice.certain and not judged.labelled:
        raise UsageError(
            "What the sidecar would say is a guess.",
            f"{choice.reason[:1].upper()}{choice.reason[1:]}.",
            "Give --truth with photos whose class is known, or --preprocess.",
        )
    spec = opened.info.spec.model_copy(update={"preprocess": best.to_spec()})
    reason = ""
    if judged.tried:
        reason = f"right in {judged.tried[0].right} of {judged.tried[0].count} photos"
    listener.wrote(
        write_sidecar(replace(opened.info, spec=spec, choice=None), force=force, reason=reason)
    )
