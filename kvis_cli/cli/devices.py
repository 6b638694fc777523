"""``kvis devices``."""

from __future__ import annotations

from rich.table import Table

from kvis_cli.cli.console import ConsoleListener, print_table
from kvis_cli.cli.shared import Json, Traceback, exit_codes


def devices(*, json: Json = False, traceback: Traceback = False) -> None:
    """What --device can name on this machine."""
    with exit_codes(traceback):
        from kvis_cli.jobs.tensorflow import list_devices

        rows = list_devices()
        if json:
            ConsoleListener().print_json({"devices": rows})
            return
        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in ("device", "kind", "description"):
            table.add_column(name)
        for row in rows:
            table.add_row(row["name"], row["kind"], row["description"])
        print_table(table)
