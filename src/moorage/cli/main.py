"""`moorage`: one function for each command. Imports wait for the command, so that help is quick."""

# ruff: noqa: PLC0415

import os
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import click

from moorage import __version__
from moorage.cli.lazy import LazyGroup
from moorage.cli.options import How, load_settings, progress_option, settings_options
from moorage.cli.sections import Command, Group
from moorage.errors import Refused

_LAZY = {
    "config": ("moorage.cli.configure:config", "Look at the settings."),
    "job": ("moorage.cli.job:job", "Look at the work that no request waits for."),
    "login": ("moorage.cli.login:login", "Sign in to a registry, here and for docker."),
    "logout": ("moorage.cli.login:logout", "Sign out of a registry."),
    "whoami": ("moorage.cli.login:whoami", "Show who you are to the registry, and by what."),
    "user": ("moorage.cli.user:user", "Manage the accounts of people."),
    "invite": ("moorage.cli.user:invite", "Print links to make accounts with."),
    "team": ("moorage.cli.team:team", "Manage teams."),
    "namespace": ("moorage.cli.namespace:namespace", "Manage namespaces."),
    "repo": ("moorage.cli.repo:repo", "Manage repositories."),
    "search": ("moorage.cli.search:search", "Search names, tags, labels and digests."),
    "tag": ("moorage.cli.tag:tag", "Look at tags as they are and were, and set them."),
    "inspect": ("moorage.cli.inspect:inspect", "Show an image, and what it is made of."),
    "diff": ("moorage.cli.diff:diff", "Show how two images differ."),
    "storage": ("moorage.cli.storage:storage", "Show what is stored for whom."),
    "context": ("moorage.cli.context:context", "Choose the registry that commands speak to."),
    "api": ("moorage.cli.raw:api", "Send a request to the API as you write it."),
    "help": ("moorage.cli.topics:topics", "Explain exit codes, references, forms and more."),
    "manifest": ("moorage.cli.manifest:manifest", "Find untagged images, restore deleted ones."),
    "trash": ("moorage.cli.trash:trash", "Look at what was deleted, and bring it back."),
    "access": ("moorage.cli.access:access", "Grant rights, and see who has which."),
    "token": ("moorage.cli.token:token", "Manage your tokens."),
    "robot": ("moorage.cli.robot:robot", "Manage robots, the accounts of machines."),
    "trust": ("moorage.cli.trust:trust", "Let CI systems in by their own tokens."),
    "issuer": ("moorage.cli.issuer:issuer", "Say whose tokens namespaces may trust."),
    "provider": ("moorage.cli.provider:provider", "Let people sign in from outside."),
    "purge": ("moorage.cli.purge:purge", "Remove content at once and for good, past the trash."),
    "rule": ("moorage.cli.rule:rule", "Say which tags may not be moved."),
    "gc": ("moorage.cli.collection:gc", "Look at collection, and why things stay."),
    "fsck": ("moorage.cli.fsck:fsck", "Check that everything is there and right."),
    "k8s": ("moorage.cli.k8s:k8s", "Let Kubernetes clusters pull."),
}
_SECTIONS = {
    "Run a server": ("serve", "config", "doctor", "migrate", "move"),
    "Look after it": ("job", "gc", "fsck", "backup", "restore", "audit", "purge"),
    "Use one": ("login", "logout", "whoami", "context", "api"),
    "Look at images": ("search", "namespace", "repo", "tag", "inspect", "diff", "storage", "rule"),
    "Look back": ("trash", "manifest"),
    "Let people in": ("user", "invite", "team", "access", "provider"),
    "Let machines in": ("token", "robot", "trust", "issuer", "k8s"),
    "This program": ("help", "version", "completion"),
}
# What may also stand before a command's name, and whether a value follows.
_COMMON = {
    **dict.fromkeys(("--server", "--token-file", "--timeout", "--data", "--config"), True),
    **dict.fromkeys(("-o", "--output", "--columns", "--sort"), True),
    **dict.fromkeys(("--json", "--plain", "--no-color", "--yes", "--dry-run"), False),
    **dict.fromkeys(("-q", "--quiet", "-v", "-vv", "--verbose"), False),
}


def main() -> None:
    """Run a command; refusals become three sentences and an exit code (docs/reference/cli.md)."""
    try:
        commands(standalone_mode=False, prog_name="moorage")
    except Refused as refused:
        _tell(refused)
        sys.exit(refused.exit_code)
    except click.ClickException as error:
        _tell_usage(error)
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        if sys.stderr.isatty():
            click.echo(err=True)  # what was asked, or is under way, has its line to itself
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)
    except click.exceptions.Exit as end:
        sys.exit(end.exit_code)
    except Exception as fault:
        if "MOORAGE_TRACE" in os.environ or "-vv" in sys.argv:
            raise
        told = f"{type(fault).__name__}: {fault}"
        _tell(Refused("A fault of Moorage itself.", why=told, do="Set MOORAGE_TRACE=1 for more."))
        sys.exit(1)


def _tell(refused: Refused) -> None:
    from moorage.cli.clean import clean

    for label, text in (("Error", refused.what), ("Why", refused.why), ("Do", refused.do)):
        if text:
            # Ours may have lines; those of a server must not begin one.
            shown = clean(text) if hasattr(refused, "code") else text
            click.echo(f"{label}: {shown}", err=True)


def _tell_usage(error: click.ClickException) -> None:
    """Tell of a command line that can't be; programs that asked for JSON get it here too."""
    words = sys.argv[1:]
    forms = {after for before, after in pairwise(words) if before in ("-o", "--output")}
    forms |= {word.partition("=")[2] for word in words if word.startswith("--output=")}
    if not forms & {"json", "jsonl", "yaml"} and "--json" not in words:
        error.show()
        return
    from moorage.cli.output import Output

    Output("json").refuse(Refused(error.format_message(), exit_code=error.exit_code))


@click.group(
    cls=LazyGroup,
    lazy=_LAZY,
    sections=_SECTIONS,
    common=_COMMON,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="moorage", message="%(prog)s %(version)s")
@click.pass_context
def commands(context: click.Context) -> None:
    """Run a container registry that you start with one command, and that never loses a push.

    \b
    moorage                                   serve on 127.0.0.1:5000
    moorage serve --listen :5000 --data /srv  serve on every interface
    moorage doctor                            find out what is wrong
    """
    if context.invoked_subcommand is None:
        context.invoke(serve)


@commands.command(cls=Command)
@settings_options
def serve(file: Path | None = None, **flags: Any) -> None:
    """Serve the registry until told to stop."""
    from moorage.cli.serve import serve as run
    from moorage.cli.settings import require_one_registry

    run(require_one_registry(load_settings(file, **flags)))


@commands.command(cls=Command)
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@settings_options
def doctor(file: Path | None, *, as_json: bool, **flags: Any) -> None:
    """Check directory, disk, port, clock, and a push and pull; exit 7 if one is bad."""
    from moorage.cli.doctor import examine

    examine(load_settings(file, **flags).config, as_json=as_json)


@commands.command(cls=Command)
@click.option("--check", is_flag=True, help="Only say what is to be done; exit 8 if anything is.")
@settings_options
def migrate(file: Path | None, *, check: bool, **flags: Any) -> None:
    """Bring the database to this release's schema."""
    from moorage.cli.migrate import migrate as run

    run(load_settings(file, **flags).config, check=check)


@commands.command(cls=Command)
@click.option("--abort", is_flag=True, help="Let the old registry take pushes again.")
@progress_option
@settings_options
def move(file: Path | None, *, abort: bool, progress: How, **flags: Any) -> None:
    """Move the registry in --data to --database and --storage, beside the running server."""
    from moorage.cli.move import move as run
    from moorage.cli.progress import Progress

    run(load_settings(file, **flags).config, Progress(progress), abort=abort)


@commands.group(cls=Group)
def backup() -> None:
    """Take backups beside the running server, verify and prune them."""


@backup.command("create")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print what was made as JSON.")
@progress_option
@settings_options
def backup_create(
    file: Path | None, directory: Path, *, as_json: bool, progress: How, **flags: Any
) -> None:
    """Take a backup into DIRECTORY; what an earlier one there has is not copied again."""
    from moorage.cli.backup import create
    from moorage.cli.progress import Progress

    config = load_settings(file, **flags).config
    create(config, directory, Progress(progress), as_json=as_json)


@backup.command("list")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--holding", default="", metavar="DIGEST", help="Only those that have this content.")
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
def backup_list(directory: Path, holding: str, *, as_json: bool) -> None:
    """List the complete backups in DIRECTORY, the youngest first."""
    from moorage.cli.backup import list_kept

    list_kept(directory, holding, as_json=as_json)


@backup.command("verify")
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--key", type=click.Path(path_type=Path), help="The public key of the trail, kept elsewhere."
)
@progress_option
@click.option("--json", "as_json", is_flag=True, help="Print what is found as JSON.")
def backup_verify(path: Path, key: Path | None, *, as_json: bool, progress: How) -> None:
    """Read and hash all of a backup, or of a directory of them; exit 7 if anything is wrong."""
    from moorage.cli.backup import verify
    from moorage.cli.progress import Progress

    verify(path, key, Progress(progress), as_json=as_json)


@backup.command("prune")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--keep", type=click.IntRange(min=1), required=True, help="How many stay.")
@click.option("--json", "as_json", is_flag=True, help="Print what was removed as JSON.")
@settings_options
def backup_prune(
    file: Path | None, directory: Path, *, keep: int, as_json: bool, **flags: Any
) -> None:
    """Remove all but the youngest backups in DIRECTORY, and what only those had."""
    from moorage.cli.backup import prune

    prune(load_settings(file, **flags).config, directory, keep, as_json=as_json)


@commands.command(cls=Command)
@click.argument("path", metavar="BACKUP", type=click.Path(path_type=Path))
@click.option(
    "--key", type=click.Path(path_type=Path), help="The public key of the trail, kept elsewhere."
)
@click.option("--json", "as_json", is_flag=True, help="Print what was restored as JSON.")
@progress_option
@settings_options
def restore(
    file: Path | None,
    path: Path,
    key: Path | None,
    *,
    as_json: bool,
    progress: How,
    **flags: Any,
) -> None:
    """Restore BACKUP, or the youngest of a directory of them, to an empty machine."""
    from moorage.cli.progress import Progress
    from moorage.cli.restore import restore as run
    from moorage.cli.settings import require_one_registry

    config = require_one_registry(load_settings(file, **flags)).config
    run(config, path, key, Progress(progress), as_json=as_json)


@commands.group(cls=Group)
def audit() -> None:
    """Look at the audit trail, and prove that nobody has changed it."""


@audit.command("verify")
@click.option(
    "--key", type=click.Path(path_type=Path), help="The public key, as it was kept elsewhere."
)
@click.option(
    "--file", "exported", type=click.Path(path_type=Path), help="An exported part, by itself."
)
@click.option("--head", default="", help="PLACE:SEAL that the log once told; the chain has it.")
@settings_options
def audit_verify(
    file: Path | None,
    key: Path | None,
    exported: Path | None,
    head: str,
    **flags: Any,
) -> None:
    """Follow the chain of the trail; exit 7 where it is not as it was sealed."""
    from moorage.cli.audit import verify, verify_file

    if exported is not None:
        verify_file(exported, key)
    else:
        verify(load_settings(file, **flags).config, key, head)


@audit.command("export")
@click.option("--since", default="", help="From this time on, as 2026-07-01 or with a time.")
@click.option("--until", default="", help="Up to this time.")
@settings_options
def audit_export(file: Path | None, since: str, until: str, **flags: Any) -> None:
    """Print a part of the trail as lines of JSON that can be verified by themselves."""
    from moorage.cli.audit import export

    export(load_settings(file, **flags).config, since, until)


@audit.command("key")
@settings_options
def audit_key(file: Path | None, **flags: Any) -> None:
    """Print the public key of the trail, PEM; keep it away from the server."""
    from moorage.cli.audit import print_key

    print_key(load_settings(file, **flags).config)


@audit.command("list")
@click.option("--actor", help="Only what this one did.")
@click.option("--namespace", help="Only what was done in this namespace.")
@click.option("--repository", help="Only what was done in this repository.")
@click.option("--action", help="Only this, such as tag.deleted or refused.")
@click.option("--limit", default=50, show_default=True, help="How many, the newest first.")
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
@settings_options
def audit_list(file: Path | None, *, limit: int, as_json: bool, **flags: Any) -> None:
    """List who did what, the newest first."""
    from moorage.cli.audit import FILTERS, list_newest

    by = {name: flags.pop(name) for name in FILTERS}
    list_newest(load_settings(file, **flags).config, by, limit, as_json=as_json)


@commands.command(cls=Command)
def version() -> None:
    """Print the version, and those of what it stands on."""
    from moorage.cli.settings import versions

    versions()


@commands.command(cls=Command)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish", "powershell"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell; source it from the shell's start file.

    \b
    moorage completion bash > ~/.local/share/bash-completion/completions/moorage
    moorage completion fish > ~/.config/fish/completions/moorage.fish
    moorage completion powershell >> $PROFILE
    """
    from moorage.cli.shells import script

    click.echo(script(shell, commands))
