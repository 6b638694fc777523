"""``kvis baseline``."""

from __future__ import annotations

import subprocess
from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kvis_cli.cli.output import Column, Table, print_json, print_line, print_table
from kvis_cli.cli.shared import Json, Traceback, exit_codes

if TYPE_CHECKING:
    from kvis_cli.gate.baseline import Baseline, Kept, Question


class Action(StrEnum):
    """What is done with a baseline."""

    show = "show"
    diff = "diff"


def baseline(
    action: Annotated[
        Action, typer.Argument(help="show what a baseline holds, or diff two.", metavar="show|diff")
    ],
    folder: Annotated[Path, typer.Argument(help="Baseline folder.", metavar="DIR")],
    other: Annotated[
        Path | None,
        typer.Argument(
            help="diff: the older baseline folder. (default: DIR as git's HEAD has it)",
            metavar="OLD",
        ),
    ] = None,
    *,
    json: Json = False,
    traceback: Traceback = False,
) -> None:
    """What was accepted: show a baseline of kvis check, or what changed in it.

    Examples:

      kvis baseline show attention-baseline

      kvis baseline diff attention-baseline
    """
    with exit_codes(traceback):
        from kvis_cli.errors import UsageError
        from kvis_cli.gate.baseline import read_baseline

        if action is Action.show:
            if other is not None:
                raise UsageError("`kvis baseline show` takes one folder.")
            _show(read_baseline(folder), json)
            return
        new = read_baseline(folder)
        old = read_baseline(other) if other is not None else committed(folder)
        _show_diff(old, new, json)


def committed(folder: Path) -> Baseline:
    """Return the baseline of a folder as git's HEAD has it.

    Parameters
    ----------
    folder
        The folder.

    Returns
    -------
    Baseline
        What was committed last.

    Raises
    ------
    NotEvaluatedError
        Where there is no git, or nothing is committed.
    """
    from kvis_cli.errors import NotEvaluatedError
    from kvis_cli.gate.baseline import NAME, parse_baseline

    command = ["git", "-C", str(folder), "show", f"HEAD:./{NAME}"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=60, check=True)
        text = done.stdout.decode("utf-8")
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        raise NotEvaluatedError(
            f"git has no committed baseline of '{folder}'.",
            "",
            "Commit it, or name the older folder: kvis baseline diff NEW OLD",
        ) from None
    return parse_baseline(text, Path(f"HEAD:{folder / NAME}"))


def _show(found: Baseline, as_json: bool) -> None:
    from kvis_cli.gate.baseline import NAME

    counts = Counter((kept.model, kept.question[1]) for kept in found.kept)
    rows: list[dict[str, Any]] = [
        {
            "model": model,
            "digest": found.models[model],
            "settings": found.settings[key],
            "answers": count,
            "images": len({k.question[0] for k in found.kept if k.question[1] == key}),
        }
        for (model, key), count in sorted(counts.items())
    ]
    if as_json:
        answers = [_answer(found, kept) for kept in found.kept]
        print_json({"images": dict(found.images), "methods": rows, "answers": answers})
        return
    table = Table(
        [Column("model", folds=True), Column("settings", folds=True)]
        + [Column(name, "right") for name in ("images", "answers")]
    )
    for row in rows:
        settings = ", ".join(f"{key} {value}" for key, value in row["settings"].items())
        table.rows.append([row["model"], settings, str(row["images"]), str(row["answers"])])
    print_table(table)
    print_line(
        f"{NAME}: {len(found.images)} images, {len(found.models)} models, "
        f"{len(found.kept)} accepted maps"
    )


def _answer(found: Baseline, kept: Kept) -> dict[str, Any]:
    image, settings, asked = kept.question
    return {
        "image": found.images[image],
        "image_sha256": image,
        "settings": settings,
        "class": asked,
        "model": kept.model,
        "score": kept.score,
        "probability": kept.probability,
        "first": kept.first,
        "grid": list(kept.cells.shape),
        "signed": kept.cells.signed,
    }


def _show_diff(old: Baseline, new: Baseline, as_json: bool) -> None:
    from kvis_cli.gate.cells import settled
    from kvis_cli.metrics import Undefined, spearman

    before, now = _by_question(old), _by_question(new)
    rows = []
    for key in sorted(before.keys() | now.keys()):
        question, model = key
        first, second = before.get(key, []), now.get(key, [])
        if first == second:
            continue
        image = (new if second else old).images[question[0]]
        settings = (new if second else old).settings[question[1]]
        what = "changed" if first and second else "added" if second else "removed"
        value = None
        if first and second:
            value = spearman(*settled(first[0].cells, second[0].cells))
        rows.append(
            {
                "what": what,
                "model": model,
                "image": image,
                "method": str(settings.get("method", "")),
                "class": question[2],
                "spearman": None if isinstance(value, Undefined) else value,
                "variants": [len(first), len(second)],
            }
        )
    counts = Counter(row["what"] for row in rows)
    same = sum(before.get(key) == found for key, found in now.items())
    if as_json:
        print_json({"changes": rows, "same": same})
        return
    if rows:
        names = ("what", "model", "image", "method", "class", "spearman")
        table = Table([Column(name, folds=name in ("model", "image")) for name in names])
        for row in rows:
            number = "" if row["spearman"] is None else f"{row['spearman']:.3f}"
            texts = [str(row[name]) for name in names[:-1]]
            table.rows.append([*texts, number])
        print_table(table)
    said = ", ".join(f"{counts[what]} {what}" for what in ("changed", "added", "removed"))
    print_line(f"{said}, {same} as before")


def _by_question(found: Baseline) -> dict[tuple[Question, str], list[Kept]]:
    result: dict[tuple[Question, str], list[Kept]] = {}
    for kept in found.kept:
        result.setdefault((kept.question, kept.model), []).append(kept)
    return result
