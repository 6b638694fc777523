"""``kvis methods``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from kvis_cli.cli.output import Column, Table, print_json, print_table
from kvis_cli.cli.shared import Json, Traceback, exit_codes
from kvis_cli.errors import UnknownNameError


def methods(
    command: Annotated[str | None, typer.Argument(help="Only those of cam or saliency.")] = None,
    *,
    json: Json = False,
    traceback: Traceback = False,
) -> None:
    """What --method can name: what each method shows, its paper and its cost.

    Examples:

      kvis methods

      kvis methods cam --json
    """
    with exit_codes(traceback):
        rows = describe_methods(command)
        if json:
            print_json({"methods": rows})
            return
        for kind in dict.fromkeys(row["command"] for row in rows):
            print_table(_table(kind, [row for row in rows if row["command"] == kind]))


def _table(kind: str, rows: list[dict[str, Any]]) -> Table:
    folding = ("shows", "passes per image", "gradients", "seed", "paper")
    table = Table(
        [Column("method"), *(Column(name, folds=True) for name in folding)], title=f"kvis {kind}"
    )
    table.rows = [
        (
            row["name"],
            row["about"],
            row["passes"],
            "yes" if row["gradients"] else "no",
            "no" if row["deterministic"] else "matters",
            row["paper"],
        )
        for row in rows
    ]
    return table


def describe_methods(command: str | None = None) -> list[dict[str, Any]]:
    """Return the methods of the registries as plain JSON values.

    Parameters
    ----------
    command
        ``cam`` or ``saliency``; None for both.

    Returns
    -------
    list of dict
        Of each method ``command``, ``name``, ``about``, ``formula``, ``passes``, ``gradients``,
        ``deterministic`` and ``paper``.

    Raises
    ------
    UnknownNameError
        For a command without methods.
    """
    from kvis_cli.engines.cam.registry import CAM_METHODS
    from kvis_cli.engines.saliency import SALIENCY_METHODS

    registries: dict[str, Any] = {"cam": CAM_METHODS, "saliency": SALIENCY_METHODS}
    if command is not None and command not in registries:
        raise UnknownNameError.of("command with methods", command, registries)
    return [
        {
            "command": kind,
            "name": method.name,
            "about": method.about,
            "formula": getattr(method, "formula", ""),
            "passes": method.cost,
            "gradients": method.gradient,
            "deterministic": method.deterministic,
            "paper": method.paper,
        }
        for kind, registry in registries.items()
        if command in (None, kind)
        for method in registry.values()
    ]
