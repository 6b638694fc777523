"""``kvis devices``."""

from __future__ import annotations

from kvis_cli.cli.output import Column, Table, print_json, print_table
from kvis_cli.cli.shared import Json, Traceback, exit_codes


def devices(*, json: Json = False, traceback: Traceback = False) -> None:
    """What --device can name on this machine."""
    with exit_codes(traceback):
        from kvis_cli.runtime.tensorflow import list_devices

        rows = list_devices()
        if json:
            print_json({"devices": rows})
            return
        table = Table([Column("device"), Column("kind"), Column("description", folds=True)])
        table.rows = [(row["name"], row["kind"], row["description"]) for row in rows]
        print_table(table)
