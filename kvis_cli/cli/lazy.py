"""Commands whose modules are imported only when they are run, so that help is instant."""

from __future__ import annotations

from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup

from kvis_cli.cli.rich_help import import_rich_help
from kvis_cli.runtime.memory import importing


def _plain_switches(parameters: list[Any]) -> list[Any]:
    """Switches without ``<bool>`` behind them, which Typer would show."""
    for parameter in parameters:
        if getattr(parameter, "is_flag", False) and parameter.metavar is None:
            parameter.metavar = ""
    return parameters


class LightCommand(TyperCommand):
    """A command whose help waits for no part of Rich that it does not use."""

    def get_params(self, ctx: Any) -> Any:
        """Return the parameters, the help option where it belongs."""
        return _plain_switches(super().get_params(ctx))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Format the help with Rich, which is imported only now."""
        import_rich_help()
        super().format_help(ctx, formatter)


class LazyGroup(TyperGroup):
    """A group that knows its commands by a table and imports the one that is asked for.

    Attributes
    ----------
    table
        Command name -> (module below ``kvis_cli.cli``, one line of help).
    """

    table: ClassVar[dict[str, tuple[str, str]]] = {}

    def get_params(self, ctx: Any) -> Any:
        """Return the parameters, the help option where it belongs."""
        return _plain_switches(super().get_params(ctx))

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands, none of them imported."""
        return list(self.table)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command itself once it was asked for by name; for listings only its help."""
        if cmd_name in self.commands or cmd_name not in self.table:
            return super().get_command(ctx, cmd_name)
        return TyperCommand(cmd_name, help=self.table[cmd_name][1])

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        """Make the context, errors of usage shown by Rich."""
        try:
            return super().make_context(*arguments, **options)
        except typer.TyperException:
            import_rich_help()
            raise

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except typer.TyperException:
            import_rich_help()
            raise

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Format the help with Rich, which is imported only now."""
        import_rich_help()
        super().format_help(ctx, formatter)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Import the command that is named."""
        if args and args[0] in self.table:
            self.load(args[0])
        return super().resolve_command(ctx, args)

    def load(self, name: str) -> Any:
        """Import and return the command called `name`."""
        if name not in self.commands:
            with importing():
                module = import_module(f"kvis_cli.cli.commands.{self.table[name][0]}")
            single = typer.Typer(
                pretty_exceptions_enable=False,
                add_completion=False,
                rich_markup_mode="rich",
                context_settings={"help_option_names": ["-h", "--help"]},
            )
            single.command(name, cls=LightCommand)(getattr(module, name.replace("-", "_")))
            self.commands[name] = typer.main.get_command(single)
        return self.commands[name]
