"""``kvis doctor``."""

from __future__ import annotations

import typer

from kvis_cli.cli.output import print_json
from kvis_cli.cli.shared import Json, Traceback, exit_codes
from kvis_cli.cli.terminal import make_console, told
from kvis_cli.errors import ExitCode


def doctor(*, json: Json = False, traceback: Traceback = False) -> None:
    """What is installed, what is wrong, and how to fix it. Exit code 3 when something is."""
    with exit_codes(traceback):
        from kvis_cli.cli.diagnosis import as_json, examine

        findings = examine()
        if json:
            print_json(as_json(findings))
        else:
            console = make_console(stderr=False)
            width = max(len(f.name) for f in findings)
            for finding in findings:
                mark = ("✓", "green") if finding.ok else ("✗", "bold red")
                console.print(told(mark, f" {finding.name:<{width}}  {finding.value}"))
                if finding.advice:
                    console.print(told((f"  {'':<{width}}  {finding.advice}", "dim")))
        if not all(f.ok for f in findings):
            raise typer.Exit(ExitCode.NOT_EVALUATED)
