"""A group of commands of which only the one that is run is imported."""

import importlib
from collections.abc import Mapping
from typing import Any

import click


class LazyGroup(click.Group):
    """A group that also has commands in modules of their own.

    `lazy` has where each is, as `module:name`, and the line that the group's help shows of it.
    """

    def __init__(
        self, *arguments: Any, lazy: Mapping[str, tuple[str, str]] | None = None, **options: Any
    ) -> None:
        """Keep the table."""
        super().__init__(*arguments, **options)
        self._lazy = lazy or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted({*super().list_commands(ctx), *self._lazy})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, imported now if it is one of the table's."""
        if cmd_name not in self._lazy:
            return super().get_command(ctx, cmd_name)
        module, _, name = self._lazy[cmd_name][0].partition(":")
        found = getattr(importlib.import_module(module), name)
        assert isinstance(found, click.Command)  # noqa: S101 - a test walks through all
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands; nothing is imported for it."""
        rows = []
        for name in self.list_commands(ctx):
            own = self.commands.get(name)
            if name in self._lazy:
                rows.append((name, self._lazy[name][1]))
            elif own is not None and not own.hidden:
                rows.append((name, own.get_short_help_str(formatter.width)))
        with formatter.section("Commands"):
            formatter.write_dl(rows)
