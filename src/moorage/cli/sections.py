"""Help that has the options of a command under titles, as nobody reads a list of twenty."""

from collections.abc import Iterator

import click

# By the option that a command has where it has them all.
_SECTIONS = (
    ("audience", ("The trust", ("name", "scopes", "audience", "issuer", "robot"))),
    ("form", ("How to print", ("form", "columns", "sort", "no_color", "quiet"))),
    (
        "server",
        ("Which registry", ("server", "token_file", "data", "file", "timeout", "verbose")),
    ),
    (
        "database",
        (
            "Settings",
            ("file", "data", "database", "storage", "listen", "url", "workers", "allow_sparse"),
        ),
    ),
    ("tls_cert", ("Certificate", ("tls_cert", "tls_key"))),
)


class Command(click.Command):
    """A command whose help begins with the options that are its own."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options under their titles."""
        _write(self, ctx, formatter)


class Group(click.Group):
    """A group of such commands."""

    command_class = Command
    group_class = type  # groups inside are of the same kind

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options under their titles, and the commands."""
        _write(self, ctx, formatter)
        self.format_commands(ctx, formatter)


def _write(command: click.Command, ctx: click.Context, formatter: click.HelpFormatter) -> None:
    for title, options in _titled(command.get_params(ctx)):
        shown = [row for each in options if (row := each.get_help_record(ctx)) is not None]
        if shown:
            with formatter.section(title):
                formatter.write_dl(shown)


def _titled(params: list[click.Parameter]) -> Iterator[tuple[str, list[click.Option]]]:
    """Yield the titles with the options under them; what is common stands last."""
    options = [param for param in params if isinstance(param, click.Option)]
    names = {option.name for option in options}
    common = [section for mark, section in _SECTIONS if mark in names]
    listed = {name for _, section in common for name in section}
    yield "Options", [option for option in options if option.name not in listed]
    for title, section in common:
        yield title, [option for option in options if option.name in section]
