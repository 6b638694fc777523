"""``kvis layers``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kvis_cli.cli.evidence import (
    Photos,
    evidence_json,
    evidence_lines,
    evidence_table,
    look_at,
)
from kvis_cli.cli.options import with_options
from kvis_cli.cli.output import Column, Table, print_json, print_line, print_table
from kvis_cli.cli.shared import Json, Traceback, exit_codes
from kvis_cli.models.request import ModelSpec

if TYPE_CHECKING:
    from kvis_cli.models.description.evidence.weighing import Evidence
    from kvis_cli.models.description.info import ModelInfo


@with_options(ModelSpec)
def layers(
    model: Annotated[str, typer.Argument(help="Model file, or keras.applications name.")],
    *,
    given: dict[type, dict[str, Any]],
    preprocess_evidence: Photos = None,
    json: Json = False,
    traceback: Traceback = False,
) -> None:
    """What is inside a model: its layers, shapes and parameters, without starting TensorFlow.

    The path is what --layer takes. Layers marked with ● can be read by `kvis cam`; the one marked
    with ★ is what --layer auto takes. What would be changed in an old file, or refused, is
    listed below.

    Examples:

      kvis layers model.keras

      kvis layers model.h5 --json

      kvis layers model.h5 --preprocess-evidence photos/
    """
    # Nothing is computed here, and threads for it would cost as much as reading the file.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with exit_codes(traceback):
        from kvis_cli.models.description.evidence.feeding import choose

        document, info = _described(model, preprocess_evidence, given[ModelSpec])
        evidence = choose(info).evidence
        if json:
            if preprocess_evidence:
                document["preprocess_evidence"] = evidence_json(evidence)
            print_json(document)
        elif preprocess_evidence:
            _print_evidence(document, evidence)
        else:
            _print_table(document)


def describe_model(model: str, **given: Any) -> dict[str, Any]:
    """Return the layers of a model as plain JSON values.

    Parameters
    ----------
    model
        File or application name.
    given
        Options of `ModelSpec`, keys as in a job file.

    Returns
    -------
    dict
        What ``kvis layers --json`` prints: ``name``, ``type``, ``format``, ``params``, ``inputs``,
        ``outputs``, the chosen preprocessing and CAM layer with their reasons, what was upgraded,
        why the model would be refused, and ``layers``, a mapping per layer call.

    Raises
    ------
    ModelError
        When the file cannot be read.
    UsageError
        For an application name, whose architecture only Keras knows.
    """
    return _described(model, None, given)[0]


def _described(
    model: str, photos: list[str] | None, given: dict[str, Any]
) -> tuple[dict[str, Any], ModelInfo]:
    from kvis_cli.errors import KvisError
    from kvis_cli.models.description.evidence.feeding import choose
    from kvis_cli.models.description.layer_table import auto_layer, layer_rows
    from kvis_cli.models.description.trust import check_code
    from kvis_cli.models.request import build_model_spec

    info = info_with_layers(build_model_spec({"path": model, **given}))
    look_at(info, photos)
    architecture = info.architecture
    refusal = ""
    try:
        check_code(info)
    except KvisError as error:
        refusal = str(error)
    auto, reason = auto_layer(info)
    rows = layer_rows(info)
    choice = choose(info)
    document = {
        "model": model,
        "name": architecture.name,
        "type": architecture.class_name,
        "format": info.file.format if info.file else "application",
        "keras_version": info.file.keras_version if info.file else "",
        "params": architecture.params,
        "inputs": [
            {"name": i.name, "shape": i.shape, "dtype": i.dtype} for i in architecture.inputs
        ],
        "outputs": [{"name": o.name, "shape": o.shape} for o in architecture.outputs],
        **_forms(info),
        "preprocess": choice.preprocessing.to_spec(),
        "preprocess_reason": choice.reason,
        "cam_layer": auto.path if auto else None,
        "cam_layer_reason": reason,
        "upgrades": info.changes,
        "refused": refusal,
        "layers": rows,
    }
    if choice.warning:
        document["preprocess_warning"] = choice.warning
    return document, info


def _print_evidence(document: dict[str, Any], evidence: Evidence | None) -> None:
    if evidence is not None:
        print_table(evidence_table(evidence))
        print_line()
    for line in evidence_lines(evidence):
        print_line(line)
    print_line(f"preprocessing: {document['preprocess']} ({document['preprocess_reason']})")


def _forms(info: ModelInfo) -> dict[str, Any]:
    """What the explained input takes and the explained output is, and how it is asked for."""
    from kvis_cli.errors import KvisError
    from kvis_cli.models.description.output_regions import example_region

    try:
        taken, head, made = info.input_form(), info.head(), info.output_form()
    except KvisError:
        # The file does not say the shapes.
        return {"input": None, "output": None}
    found: dict[str, Any] = {
        "kind": made.kind,
        "text": info.describe_output().removeprefix("output: "),
        "classes": head.classes if made.has_classes else None,
        "score": "the class",
    }
    if made.kind == "score":
        found["score"] = "the output itself"
    elif made.positions:
        region = f"a --region of it, such as {example_region(made)}"
        found["score"] = f"the mean over {region}"
        if made.has_classes:
            found["score"] = f"the mean of a class over all positions, or over {region}"
    return {"input": taken and {"kind": taken.kind, "text": taken.describe()}, "output": found}


def info_with_layers(spec: ModelSpec) -> ModelInfo:
    """Return what is known of a model; where its file does not say its layers, after opening it.

    Parameters
    ----------
    spec
        The model, and whether its code may run.

    Returns
    -------
    ModelInfo
        With the graph of its layers.

    Raises
    ------
    KvisError
        When the layers are not to be had.
    """
    from kvis_cli.errors import UsageError
    from kvis_cli.models.description.info import describe_model
    from kvis_cli.models.description.trust import check_file

    info = describe_model(spec)
    if info.architecture.is_graph and info.architecture.calls:
        return info
    if info.application is None and not (spec.custom_objects or spec.trust or spec.arch):
        if info.file is not None and info.file.format == "savedmodel":
            check_file(info)
            raise UsageError(
                f"The layers of {info.reference} cannot be listed.",
                "A SavedModel holds compiled functions, not Keras layers.",
                "`kvis saliency` explains it by the gradients of its input; `kvis cam` needs the "
                "Keras model that it was exported from.",
            )
        raise UsageError(
            f"The layers of {info.reference} are not in its file.",
            f"It is a subclassed model ({info.architecture.class_name}): only its code knows them.",
            "Give its class: --custom-objects package.module:Name.",
        )
    from kvis_cli.runtime.tensorflow import import_tensorflow

    import_tensorflow()
    from kvis_cli.models.live.open import architecture_of_application, open_model

    if info.application is not None:
        info.architecture = architecture_of_application(info)
        return info
    return open_model(info).info


def _print_table(document: dict[str, Any]) -> None:
    table = Table(
        [
            Column("#", "right"),
            Column("path", folds=True),
            Column("type"),
            Column("output shape"),
            Column("filters", "right"),
            Column("parameters", "right"),
            Column("cam", "center"),
        ]
    )
    for row in document["layers"]:
        mark = "★" if row["auto"] else "●" if row["cam"] else ""
        table.rows.append(
            (
                str(row["index"]),
                row["path"],
                row["type"],
                shape_text(row["output_shape"]),
                "" if row["filters"] is None else str(row["filters"]),
                "?" if row["params"] is None else f"{row['params']:,}" if row["params"] else "",
                (mark, "bold green" if row["auto"] else ""),
            )
        )
    print_table(table)
    total = document["params"]
    written = f"Keras {document['keras_version']}" if document["keras_version"] else "Keras"
    about = [
        f"{document['type']} '{document['name']}', {document['format']} file of {written}",
        "unknown number of parameters" if total is None else f"{total:,} parameters",
    ]
    print_line()
    print_line(", ".join(about))
    for kind in ("inputs", "outputs"):
        shown = ", ".join(f"{e['name']} {shape_text(e['shape'])}" for e in document[kind])
        print_line(f"{kind}: {shown}")
    if document["input"]:
        print_line(f"takes: {document['input']['text']}")
    if document["output"]:
        found = document["output"]
        score = f"; score: {found['score']}" if found["kind"] != "classes" else ""
        print_line(f"gives: {found['text']}{score}")
    print_line(f"preprocessing: {document['preprocess']} ({document['preprocess_reason']})")
    if "preprocess_warning" in document:
        print_line(f"warning: {document['preprocess_warning']}")
    if document["cam_layer"]:
        print_line(f"★ {document['cam_layer']}: {document['cam_layer_reason']}")
    for change in document["upgrades"]:
        print_line(f"would be upgraded: {change}")
    if document["refused"]:
        print_line(f"would be refused: {document['refused']}")


def shape_text(shape: Any) -> str:
    """``112×112×64``; the batch is left out, ``?`` is what the file leaves open."""
    if not shape:
        return "?"
    return "×".join("?" if size is None else str(size) for size in shape[1:]) or "scalar"
