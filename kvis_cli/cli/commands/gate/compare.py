"""``kvis compare``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kvis_cli.cli.options import with_options
from kvis_cli.cli.output import Column, Table, print_json, print_line, print_path, print_table
from kvis_cli.cli.shared import Json, Quiet, Traceback, exit_codes
from kvis_cli.models.request import ModelSpec
from kvis_cli.spec.gate import CompareSpec
from kvis_cli.spec.run import RunSpec

if TYPE_CHECKING:
    from kvis_cli.gate.compare import Comparison, Pair


@with_options(CompareSpec, ModelSpec, RunSpec)
def compare(
    arguments: Annotated[
        list[str],
        typer.Argument(
            help="Two or more models, then pictures, folders and globs.", metavar="A B… IMAGES…"
        ),
    ],
    *,
    given: dict[type, dict[str, Any]],
    json: Json = False,
    quiet: Quiet = False,
    traceback: Traceback = False,
) -> None:
    """Do two checkpoints look at the same? The same questions put to both, and their maps compared.

    The first two arguments are models, and every further one that is a model file. top1 is the
    class that the first model predicts; the others are asked about the same class.

    Examples:

      kvis compare old.keras new.keras photos/

      kvis compare old.keras new.keras cat.jpg --method gradcam,smoothgrad --class 281

      kvis compare a.keras b.keras c.keras photos/ --json
    """
    with exit_codes(traceback):
        from kvis_cli.cli.console import ConsoleListener
        from kvis_cli.gate.compare import compare_models
        from kvis_cli.gate.compare_sheet import write_sheets
        from kvis_cli.jobs.results.store import ResultStore
        from kvis_cli.options.mistakes import describe, sentence
        from kvis_cli.paths import write_bytes_atomic
        from kvis_cli.report.compare import compare_page

        models, images = parted(arguments)
        asked = _spec(given[CompareSpec], describe, sentence)
        # The pictures of each model are not what was asked for: they are listed in its manifest.
        listener = ConsoleListener(quiet=quiet, as_json=True)
        try:
            found = compare_models(
                models,
                images,
                asked,
                of_model=given[ModelSpec],
                of_run=given[RunSpec],
                listener=listener,
            )
            store = ResultStore(found.models[0].folder.parent)
            written = [store.write_json("compare.json", found.to_json())]
            page = compare_page(found)
            written.append(write_bytes_atomic(store.folder / "compare.html", page.encode()))
            written += write_sheets(found, store)
        finally:
            listener.close()
        if json:
            print_json({**found.to_json(), "files": [str(path) for path in written]})
        else:
            _show(found)
            for path in written:
                print_path(path)
        if found.exit_code:
            raise typer.Exit(found.exit_code)


def parted(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the models and the images among the arguments.

    Parameters
    ----------
    arguments
        Models, then images.

    Returns
    -------
    tuple of list of str
        The models and the images.

    Raises
    ------
    UsageError
        Without two models and an image.
    """
    from kvis_cli.errors import UsageError
    from kvis_cli.paths import MODEL_SUFFIXES

    def is_model(text: str) -> bool:
        saved = (Path(text) / "saved_model.pb").is_file()
        return text.lower().endswith(MODEL_SUFFIXES) or saved

    count = 2
    while count < len(arguments) and is_model(arguments[count]):
        count += 1
    models, images = list(arguments[:count]), list(arguments[count:])
    if len(models) < 2 or not images:
        raise UsageError(
            "There is nothing to compare.",
            f"{len(arguments)} arguments are given, {len(models)} of them models.",
            "Give two models, then images: kvis compare old.keras new.keras photos/",
        )
    return models, images


def _spec(given: dict[str, Any], describe: Any, sentence: Any) -> CompareSpec:
    from pydantic import ValidationError

    from kvis_cli.errors import SpecError

    try:
        return CompareSpec.model_validate(given)
    except ValidationError as error:
        raise SpecError(sentence([describe(e, True) for e in error.errors()])) from None


def _show(found: Comparison) -> None:
    from kvis_cli.gate.compare import overall

    for model in found.models[1:]:
        by_method: dict[str, list[Pair]] = {}
        for pair in found.of(model):
            by_method.setdefault(pair.first.method, []).append(pair)
        names = f"{found.models[0].name} and {model.name}"
        for method, pairs in by_method.items():
            print_table(_table(f"{method}: {names}", model.letter, pairs))
            print_line()
        if found.of(model):
            print_line(f"{names}: {overall(found.of(model))}")
    for question, letter in found.unanswered:
        print_line(f"no answer of {letter}: {question}")


def _table(title: str, letter: str, pairs: Sequence[Pair]) -> Table:
    from kvis_cli.metrics import MEASURES, Undefined

    columns = [Column("image", folds=True), Column("class", folds=True)]
    columns += [Column(name, "right") for name in ("A", letter, *MEASURES)]
    table = Table([*columns, Column("", folds=True)], title)
    for pair in pairs:
        reasons = dict.fromkeys(
            str(value)
            for value in pair.measures.values()
            # A CAM of 12×12 cells has no SSIM, which is nothing to say of every photo.
            if isinstance(value, Undefined) and value is not Undefined.SMALL_GRID
        )
        notes = [f"{pair.first.first} → {pair.second.first}"] if pair.flipped else []
        table.rows.append(
            [
                pair.first.row.image_name,
                pair.first.row.target or "",
                *(_number(answer.row) for answer in (pair.first, pair.second)),
                *(
                    "-" if isinstance(value, Undefined) else f"{value:.3f}"
                    for value in pair.measures.values()
                ),
                "; ".join([*notes, *reasons]),
            ]
        )
    return table


def _number(row: Any) -> str:
    if row.probability is not None:
        return f"{row.probability:.3f}"
    return "" if row.score is None else f"{row.score:.3g}"
