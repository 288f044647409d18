"""A group of commands of which only the one that is run is imported."""

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import click


class LazyGroup(click.Group):
    """A group that also has commands in modules of their own.

    `lazy` has where each is, as `module:name`, and the line that the group's help shows of it;
    `sections` the titles that help has them under, the rest under one of its own. `common` are
    options of commands that may stand before a command's name too, and whether they have a value.
    """

    def __init__(
        self,
        *arguments: Any,
        lazy: Mapping[str, tuple[str, str]] | None = None,
        sections: Mapping[str, Sequence[str]] | None = None,
        common: Mapping[str, bool] | None = None,
        **options: Any,
    ) -> None:
        """Keep the tables."""
        super().__init__(*arguments, **options)
        self._lazy = lazy or {}
        self._sections = sections or {}
        self._common = common or {}

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the words of a command line; common options before the command are the command's."""
        rest, moved = list(args), []
        while rest and rest[0].partition("=")[0] in self._common:
            name, is_whole, _ = rest[0].partition("=")
            count = 2 if self._common[name] and not is_whole else 1
            moved += rest[:count]
            del rest[:count]
        if not rest:
            return super().parse_args(ctx, args)
        end = rest.index("--") if "--" in rest else len(rest)
        return super().parse_args(ctx, [*rest[:end], *moved, *rest[end:]])

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

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is meant; one that is not there is told with those like it."""
        try:
            return super().resolve_command(ctx, args)
        except click.NoSuchCommand as error:
            known = self.list_commands(ctx)
            raise click.NoSuchCommand(
                error.command_name, possibilities=known, ctx=error.ctx
            ) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the lists of commands; nothing is imported for it."""
        names = self.list_commands(ctx)
        listed = {name for section in self._sections.values() for name in section}
        rest = [name for name in names if name not in listed]
        for title, section in (*self._sections.items(), ("Commands", rest)):
            rows = [(name, self._line(name, formatter.width)) for name in section if name in names]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)

    def _line(self, name: str, width: int) -> str:
        if name in self._lazy:
            return self._lazy[name][1]
        return self.commands[name].get_short_help_str(width)
