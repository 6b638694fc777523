"""Options that every command has, and the one way from a command to the runner."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kvis_cli.cli.output import print_json
from kvis_cli.errors import ExitCode, KvisError
from kvis_cli.models.request import ModelSpec
from kvis_cli.shown import said, shown_lines
from kvis_cli.spec.run import RunSpec

if TYPE_CHECKING:
    from kvis_cli.spec.pictures import PictureSpec

OUTPUT = "Output"
Json = Annotated[
    bool,
    typer.Option("--json", help="Print the results as JSON.", rich_help_panel=OUTPUT),
]
Events = Annotated[
    bool,
    typer.Option("--json", help="Print events as JSON lines.", rich_help_panel=OUTPUT),
]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="Only errors on stderr.", rich_help_panel=OUTPUT),
]
Traceback = Annotated[
    bool,
    typer.Option("--traceback", help="Show where an error came from.", rich_help_panel=OUTPUT),
]


@contextmanager
def exit_codes(show_traceback: bool = False) -> Iterator[None]:
    """Turn errors into messages and exit codes.

    Parameters
    ----------
    show_traceback
        Whether to print Python's traceback before the message.

    Raises
    ------
    typer.Exit
        With the code of the error.
    """
    try:
        yield
    except typer.Exit:
        raise
    except KvisError as error:
        if show_traceback:
            _print_traceback()
        _print_error(error)
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    except BrokenPipeError:
        # The reader (`| head`) has left; nothing more can be written to stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(ExitCode.FAILED) from None
    except Exception as error:
        if show_traceback:
            _print_traceback()
        bug = KvisError(
            f"kvis failed: {type(error).__name__}: {said(error, 500)}",
            "This is a bug in kvis, or a case that it does not handle.",
            "" if show_traceback else "Run it again with --traceback and report what it prints.",
        )
        _print_error(bug)
        raise typer.Exit(ExitCode.FAILED) from None


def _print_traceback() -> None:
    sys.stderr.write(shown_lines(traceback.format_exc()))


def _print_error(error: KvisError) -> None:
    from kvis_cli.cli.terminal import print_error

    print_error(error)


def run_task(
    task: type[PictureSpec],
    given: Mapping[type, Mapping[str, Any]],
    model: str,
    images: Sequence[str] = (),
    *,
    json: bool,
    quiet: bool,
    show_traceback: bool,
) -> None:
    """Do one task on one model: validate it, run it, print what it wrote and leave with its code.

    Parameters
    ----------
    task
        The spec of the task.
    given
        What the user typed, by spec: the task's, `ModelSpec` and `RunSpec`.
    model
        File or application name.
    images
        Files, folders and globs; none for tasks on the model alone.
    json
        Whether to print the rows as JSON on stdout.
    quiet
        Whether to leave out progress and notes.
    show_traceback
        Whether to print Python's traceback of an error.
    """
    with exit_codes(show_traceback):
        from kvis_cli.cli.console import ConsoleListener
        from kvis_cli.spec.build import build_job

        values = {
            **given[RunSpec],
            "models": [{"path": model, **given[ModelSpec]}],
            "images": list(images),
            "tasks": [{task.model_fields["kind"].default: given[task]}],
        }
        job = build_job(values, as_flags=True)

        from kvis_cli.jobs.running.runner import run_job
        from kvis_cli.runtime.memory import keep_freed_memory

        keep_freed_memory()
        listener = ConsoleListener(quiet=quiet, as_json=json)
        try:
            outcome = run_job(job, listener)
        finally:
            listener.close()
        if json:
            failures = [{"what": what, "error": str(error)} for what, error in outcome.failures]
            print_json({"results": listener.rows, "failures": failures})
        if outcome.exit_code:
            raise typer.Exit(outcome.exit_code)
