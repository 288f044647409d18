"""`moorage`: one function for each command. Imports wait for the command, so that help is quick."""

# ruff: noqa: PLC0415

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from moorage import __version__
from moorage.cli.lazy import LazyGroup
from moorage.errors import Refused

if TYPE_CHECKING:
    from moorage.config import Loaded

_CLIENTS = {
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
    "trash": ("moorage.cli.trash:trash", "Look at what was deleted and can be restored."),
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
Command = TypeVar("Command", bound=Callable[..., Any])


def main() -> None:
    """Run a command; refusals become three sentences and an exit code (docs/reference/cli.md)."""
    try:
        commands(standalone_mode=False, prog_name="moorage")
    except Refused as refused:
        _tell(refused)
        sys.exit(refused.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)
    except click.exceptions.Exit as end:
        sys.exit(end.exit_code)
    except Exception as fault:
        if "MOORAGE_TRACE" in os.environ:
            raise
        told = f"{type(fault).__name__}: {fault}"
        _tell(Refused("A fault of Moorage itself.", why=told, do="Set MOORAGE_TRACE=1 for more."))
        sys.exit(1)


def _tell(refused: Refused) -> None:
    from moorage.cli.output import clean

    for label, text in (("Error", refused.what), ("Why", refused.why), ("Do", refused.do)):
        if text:
            # Ours may have lines; those of a server must not begin one.
            shown = clean(text) if hasattr(refused, "code") else text
            click.echo(f"{label}: {shown}", err=True)


def _settings(command: Command) -> Command:
    """Add the options that choose settings to a command."""
    for option in (
        click.option("--config", "file", type=click.Path(path_type=Path), help="A TOML file."),
        click.option("--data", help="The data directory."),
        click.option("--database", help="PostgreSQL, as postgresql://user@host/name."),
        click.option("--storage", help="An object store, as s3://bucket/prefix."),
        click.option(
            "--listen", multiple=True, help="host:port, [v6]:port, :port or unix:path; repeatable."
        ),
        click.option("--url", help="The address that clients use, as https://registry.example."),
        click.option("--workers", type=int, help="Serving processes; 0 is one for each core."),
        click.option(
            "--allow-sparse",
            type=click.Choice(["never", "indexes", "always"]),
            help="What may lack the content that it names.",
        ),
        click.option("--tls-cert", "tls_cert", help="A certificate, PEM."),
        click.option("--tls-key", "tls_key", help="Its key, PEM."),
    ):
        command = option(command)
    return command


def _load(file: Path | None, **flags: Any) -> "Loaded":
    from moorage.config import find_file, load

    renamed = {key.replace("tls_", "tls."): value for key, value in flags.items()}
    renamed["listen"] = list(flags.get("listen") or ()) or None
    return load(find_file(file, os.environ), os.environ, renamed)


@click.group(
    cls=LazyGroup,
    lazy=_CLIENTS,
    sections=_SECTIONS,
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


@commands.command()
@_settings
def serve(file: Path | None = None, **flags: Any) -> None:
    """Serve the registry until told to stop."""
    from moorage.cli.serve import serve as run
    from moorage.cli.settings import require_one_registry

    loaded = _load(file, **flags)
    run(require_one_registry(loaded), loaded.file)


@commands.group()
def config() -> None:
    """Look at the settings."""


@config.command("check")
@_settings
def config_check(file: Path | None, **flags: Any) -> None:
    """Say whether the settings are usable; exit 2 if not."""
    from moorage.cli.settings import check

    check(_load(file, **flags))


@config.command("show")
@click.option("--origin", is_flag=True, help="Also say where each value comes from.")
@_settings
def config_show(file: Path | None, *, origin: bool, **flags: Any) -> None:
    """Print every setting with its value."""
    from moorage.cli.settings import show

    show(_load(file, **flags), origin=origin)


@config.command("proxy")
@click.argument("program", type=click.Choice(["nginx", "haproxy"]))
@click.option(
    "--replica", "replicas", multiple=True, help="host:port or unix:path of a server; repeatable."
)
@click.option("--server-name", default="", help="The host name that clients use.")
@click.option("--bind", default="", help="Where the proxy listens; :80, with a certificate :443.")
@click.option("--cert", default="", help="The proxy's certificate, PEM; for HAProxy with its key.")
@click.option("--key", default="", help="Its key, PEM, for nginx.")
@click.option(
    "--user", default="haproxy", show_default=True, help="HAProxy's user; '' if it is not root's."
)
@_settings
def config_proxy(file: Path | None, **flags: Any) -> None:
    """Print a configuration for the proxy in front of one server or of several."""
    from moorage.cli.proxy import Front, write

    front = Front(**{name: flags.pop(name) for name in Front.__struct_fields__})
    write(_load(file, **flags).config, front)


@commands.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@_settings
def doctor(file: Path | None, *, as_json: bool, **flags: Any) -> None:
    """Check directory, disk, port, clock, and a push and pull; exit 7 if one is bad."""
    from moorage.cli.doctor import examine

    examine(_load(file, **flags).config, as_json=as_json)


@commands.command()
@click.option("--check", is_flag=True, help="Only say what is to be done; exit 8 if anything is.")
@_settings
def migrate(file: Path | None, *, check: bool, **flags: Any) -> None:
    """Bring the database to this release's schema."""
    from moorage.cli.migrate import migrate as run

    run(_load(file, **flags).config, check=check)


@commands.command()
@click.option("--abort", is_flag=True, help="Let the old registry take pushes again.")
@_settings
def move(file: Path | None, *, abort: bool, **flags: Any) -> None:
    """Move the registry in --data to --database and --storage, beside the running server."""
    from moorage.cli.move import move as run

    run(_load(file, **flags).config, abort=abort)


@commands.group()
def backup() -> None:
    """Take backups beside the running server, verify and prune them."""


@backup.command("create")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print what was made as JSON.")
@_settings
def backup_create(file: Path | None, directory: Path, *, as_json: bool, **flags: Any) -> None:
    """Take a backup into DIRECTORY; what an earlier one there has is not copied again."""
    from moorage.cli.backup import create

    create(_load(file, **flags).config, directory, as_json=as_json)


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
@click.option("--json", "as_json", is_flag=True, help="Print what is found as JSON.")
def backup_verify(path: Path, key: Path | None, *, as_json: bool) -> None:
    """Read and hash all of a backup, or of a directory of them; exit 7 if anything is wrong."""
    from moorage.cli.backup import verify

    verify(path, key, as_json=as_json)


@backup.command("prune")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--keep", type=click.IntRange(min=1), required=True, help="How many stay.")
@click.option("--json", "as_json", is_flag=True, help="Print what was removed as JSON.")
@_settings
def backup_prune(
    file: Path | None, directory: Path, *, keep: int, as_json: bool, **flags: Any
) -> None:
    """Remove all but the youngest backups in DIRECTORY, and what only those had."""
    from moorage.cli.backup import prune

    prune(_load(file, **flags).config, directory, keep, as_json=as_json)


@commands.command()
@click.argument("path", metavar="BACKUP", type=click.Path(path_type=Path))
@click.option(
    "--key", type=click.Path(path_type=Path), help="The public key of the trail, kept elsewhere."
)
@click.option("--json", "as_json", is_flag=True, help="Print what was restored as JSON.")
@_settings
def restore(
    file: Path | None, path: Path, key: Path | None, *, as_json: bool, **flags: Any
) -> None:
    """Restore BACKUP, or the youngest of a directory of them, to an empty machine."""
    from moorage.cli.restore import restore as run
    from moorage.cli.settings import require_one_registry

    run(require_one_registry(_load(file, **flags)), path, key, as_json=as_json)


@commands.group()
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
@_settings
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
        verify(_load(file, **flags).config, key, head)


@audit.command("export")
@click.option("--since", default="", help="From this time on, as 2026-07-01 or with a time.")
@click.option("--until", default="", help="Up to this time.")
@_settings
def audit_export(file: Path | None, since: str, until: str, **flags: Any) -> None:
    """Print a part of the trail as lines of JSON that can be verified by themselves."""
    from moorage.cli.audit import export

    export(_load(file, **flags).config, since, until)


@audit.command("key")
@_settings
def audit_key(file: Path | None, **flags: Any) -> None:
    """Print the public key of the trail, PEM; keep it away from the server."""
    from moorage.cli.audit import print_key

    print_key(_load(file, **flags).config)


@audit.command("list")
@click.option("--actor", help="Only what this one did.")
@click.option("--namespace", help="Only what was done in this namespace.")
@click.option("--repository", help="Only what was done in this repository.")
@click.option("--action", help="Only this, such as tag.deleted or refused.")
@click.option("--limit", default=50, show_default=True, help="How many, the newest first.")
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
@_settings
def audit_list(file: Path | None, *, limit: int, as_json: bool, **flags: Any) -> None:
    """List who did what, the newest first."""
    from moorage.cli.audit import FILTERS, list_newest

    by = {name: flags.pop(name) for name in FILTERS}
    list_newest(_load(file, **flags).config, by, limit, as_json=as_json)


@commands.command()
def version() -> None:
    """Print the version, and those of what it stands on."""
    from moorage.cli.settings import versions

    versions()


@commands.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell; source it from the shell's start file."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    if found is None:
        raise Refused(f"There is no completion for {shell}.", exit_code=2)
    if shell == "bash":
        # Else it takes what stands before the colon of a tag for another word.
        click.echo('COMP_WORDBREAKS="${COMP_WORDBREAKS//:}"')
    click.echo(found(commands, {}, "moorage", "_MOORAGE_COMPLETE").source())
