"""Writes what the reference has from the code; `--check` only says whether it is there already.

    python docs/generate.py            after a change of a command, setting, route, error or metric
    python docs/generate.py --check    exit 1 where a page is not what the code says

What stands between `<!-- from the code: NAME -->` and `<!-- until here -->` in a page is one of
`PARTS`, made anew. In a table the last column is written by hand where the code has no words for
it: a row keeps what its page says, and one that says nothing yet is a failure.
"""

import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

import click
import msgspec
from prometheus_client import CollectorRegistry

from moorage.api.call import Route
from moorage.api.openapi import document
from moorage.api.routes import PREFIX as API
from moorage.api.routes import ROUTES
from moorage.auth.policy import decide
from moorage.cli.client import with_options
from moorage.cli.lazy import LazyGroup
from moorage.cli.main import commands
from moorage.cli.meanings import MEANINGS
from moorage.cli.options import settings_options
from moorage.config import PREFIX, Config, flatten
from moorage.errors import RegistryError
from moorage.model.access import (
    BEFORE_ACCOUNTS,
    Action,
    Actor,
    Facts,
    RepositoryTarget,
    Role,
    Subject,
    System,
)
from moorage.oci.names import RepositoryName
from moorage.telemetry import Metrics
from moorage.ui.operations import groups_of

DOCS = Path(__file__).parent
_PART = re.compile(
    r"(<!-- from the code: ([a-z]+) -->\n).*?(\n<!-- until here -->)",
    re.DOTALL,
)
Kept = Mapping[str, str]


def pages() -> Iterator[tuple[Path, str]]:
    """Yield each page that has parts from the code, with its text as the code has it."""
    for path in sorted(DOCS.rglob("*.md")):
        text = path.read_text()
        if _PART.search(text):
            yield path, _PART.sub(_made, text)


def _made(part: re.Match[str]) -> str:
    return f"{part[1]}\n{PARTS[part[2]](_kept(part[0]))}\n{part[3]}"


def _kept(text: str) -> Kept:
    """Return the last cell of each row of a table by the first."""
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {row[0]: row[-1] for row in rows}


def _by_hand(kept: Kept, key: str) -> str:
    found = kept.get(key, "").strip("| ")
    if not found or found == key:
        raise SystemExit(f"Nothing says what {key} means: add a row for it by hand.")
    return found


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    titles = list(head)
    lines = ["".join(f"| {cell} " if cell else "| " for cell in row) + "|" for row in rows]
    return "\n".join([f"| {' | '.join(titles)} |", "|---" * len(titles) + "|", *lines])


def settings(_: Kept) -> str:
    """Return the table of the settings."""
    defaults = dict(flatten(Config()))
    kinds = dict(_kinds(Config))
    flags = {
        (option.name or "").replace("tls_", "tls."): option
        for option in commands.commands["serve"].params
        if isinstance(option, click.Option)
    }
    rows = []
    for key, default in defaults.items():
        flag = f"`{flags[key].opts[0]}`" if key in flags else ""
        flag += ", repeatable" if flag and flags[key].multiple else ""
        name = PREFIX + key.upper().replace(".", "__")
        cells = (f"`{key}`", kinds[key], _shown(default), f"`{name}`", flag)
        rows.append((*cells, MEANINGS[key]))
    return _table(("key", "kind", "default", "environment", "flag", "meaning"), rows)


def _kinds(struct: type[msgspec.Struct], prefix: str = "") -> Iterator[tuple[str, str]]:
    for field in msgspec.structs.fields(struct):
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            yield from _kinds(field.type, f"{prefix}{field.name}.")
        else:
            yield prefix + field.name, _kind(field.type)


def _kind(kind: Any) -> str:
    if get_origin(kind) is tuple:
        return "list of texts"
    choices = [f"`{each}`" for each in get_args(kind) if each]
    if choices:
        return ", ".join(choices)
    return {str: "text", bool: "true or false"}.get(kind, "number")


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        value = ", ".join(value)
    if isinstance(value, bool):
        value = str(value).lower()
    if isinstance(value, float):
        value = f"{value:g}"
    return f"`{value}`" if value != "" else ""


def metrics(kept: Kept) -> str:
    """Return the table of the metrics."""
    registry = CollectorRegistry(auto_describe=False)
    Metrics(registry, "0")
    rows = []
    for each in registry._collector_to_names:
        family: Any = each
        name = family._name + ("_total" if family._type == "counter" else "")
        labels = ", ".join(f"`{label}`" for label in family._labelnames)
        rows.append((f"`{name}`", family._type, labels, _by_hand(kept, f"`{name}`")))
    return _table(("metric", "kind", "labels", "meaning"), sorted(rows))


def errors(kept: Kept) -> str:
    """Return the table of the errors, one row for each code and status."""
    found: dict[str, list[str]] = {}
    for error in _below(RegistryError):
        found.setdefault(f"`{error.code}` {error.status}", []).append(error.message)
    rows = [
        (key, "; ".join(dict.fromkeys(found[key])), _by_hand(kept, key)) for key in sorted(found)
    ]
    return _table(("code and status", "what it says, unless there is more to say", "when"), rows)


def _below(root: type[RegistryError]) -> Iterator[type[RegistryError]]:
    for child in root.__subclasses__():
        yield child
        yield from _below(child)


_SYSTEM = {
    Action.PING,
    Action.CATALOG,
    Action.METRICS,
    Action.CREATE_NAMESPACE,
    Action.ADMINISTER,
}
_SOMEBODY = Actor("account", "alice", "password", subject=Subject(1))


def permissions(kept: Kept) -> str:
    """Return the table of who may what, as the one decision has it."""
    columns: dict[str, tuple[Actor, Facts]] = {
        "nobody": (Actor("anonymous", "", ""), _facts()),
        "any account": (_SOMEBODY, _facts(standing=1)),
        **{
            role.value: (_SOMEBODY, _facts(standing=1, rank=role.rank, audits=role.audits))
            for role in Role
        },
        "administrator": (_SOMEBODY, _facts(standing=2)),
        "local mode": (Actor("local", "local", "loopback"), _facts(standing=BEFORE_ACCOUNTS)),
    }
    rows = []
    for action in Action:
        cells = ["yes" if _may(actor, action, facts) else "" for actor, facts in columns.values()]
        rows.append((f"`{action.value}`", *cells, _by_hand(kept, f"`{action.value}`")))
    return _table(("action", *columns, "what it is"), rows)


def visibility(_: Kept) -> str:
    """Return who pulls without a role, by the visibility of the repository."""
    rows = []
    for each in ("private", "internal", "public"):
        who = {
            "nobody": (Actor("anonymous", "", ""), _facts(visibility=each)),
            "any account": (_SOMEBODY, _facts(visibility=each, standing=1)),
        }
        cells = ["yes" if _may(*pair) else "" for pair in _pulling(who.values())]
        rows.append((each, *cells))
    return _table(("visibility", "nobody signed in", "any account"), rows)


def _pulling(
    pairs: Iterable[tuple[Actor, Facts]],
) -> Iterator[tuple[Actor, Action, Facts]]:
    for actor, facts in pairs:
        yield actor, Action.PULL, facts


def _facts(**more: Any) -> Facts:
    return Facts(exists=True, has_namespace=True, **more)


def _may(actor: Actor, action: Action, facts: Facts) -> bool:
    target = System() if action in _SYSTEM else RepositoryTarget(RepositoryName.parse("web/shop"))
    return decide(actor, action, target, facts).allowed


def addresses(_: Kept) -> str:
    """Return the table of the management API: a row for each address."""
    found: dict[str, list[str]] = {}
    for route in ROUTES:
        found.setdefault(API + route.path, []).append(f"{route.method} ({_needs(route)})")
    rows = [(f"`{path}`", ", ".join(methods)) for path, methods in found.items()]
    return _table(("address", "methods, and what each needs"), rows)


def operations(_: Kept) -> str:
    """Return what each operation of the management API does, takes and gives, by its noun."""
    lines: list[str] = []
    routes = {route.name: route for route in ROUTES}
    for group in groups_of(document(ROUTES, API)):
        lines += [f"## {str(group['name']).capitalize()}", "", str(group["about"]), ""]
        for shown in group["operations"]:
            lines += _operation(routes[shown["name"]], shown)
    return "\n".join(lines).rstrip()


def _operation(route: Route, shown: Mapping[str, Any]) -> list[str]:
    """Return one operation, with its example."""
    lines = [f"### `{route.name}`", "", f"{route.summary}.", ""]
    rows = [("request", f"`{route.method} {API}{route.path}`"), ("needs", _needs(route))]
    if route.takes is not None:
        rows.append(("takes", _fields(route.takes)))
    if route.pages:
        rows.append(("pages", "`limit`, `after`"))
    if route.query:
        rows.append(("query", ", ".join(f"`{each}`" for each in route.query)))
    gives = "" if route.gives is None else f", {_fields(route.gives)}"
    rows.append(("answers", f"{route.status}{gives}"))
    if route.shows_secret:
        rows.append(("secret", "shown once, and kept nowhere"))
    rows.append(("refusals", ", ".join(str(each) for each in shown["refusals"] if each >= 400)))
    lines += [*(f"- {name}: {text}" for name, text in rows), ""]
    return [*lines, "```text", str(shown["example"]), "```", ""]


def _needs(route: Route) -> str:
    return route.action.value if route.action else "open"


def _fields(kind: Any) -> str:
    """Return the names of a document's fields, those that may be left out in brackets."""
    if get_origin(kind) is not None:
        [inner] = get_args(kind)[:1]
        return f"a list of: {_fields(inner)}"
    if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        return "JSON"
    named = [
        f"`{each.encode_name}`" if each.required else f"[`{each.encode_name}`]"
        for each in msgspec.structs.fields(kind)
    ]
    return ", ".join(named) or "an empty document"


@click.command()
@with_options
def _asking() -> None:
    """Have the options of all commands that ask a server."""


@click.command()
@settings_options
def _choosing() -> None:
    """Have the options of all commands that read the settings."""


def commandline(_: Kept) -> str:
    """Return every command with its usage, its help and the options that are its own."""
    assert isinstance(commands, LazyGroup)
    context = click.Context(commands, info_name="moorage")
    listed = [(title, list(names)) for title, names in commands._sections.items()]
    rest = set(commands.list_commands(context)) - {name for _, all_ in listed for name in all_}
    if rest:
        listed.append(("More", sorted(rest)))
    lines: list[str] = []
    for title, names in listed:
        lines += [f"## {title}", ""]
        for name in names:
            command = commands.get_command(context, name)
            assert command is not None
            for path, each in _walk(command, f"moorage {name}"):
                lines += _described(path, each)
    return "\n".join(lines).rstrip()


def _walk(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from _walk(child, f"{path} {name}")


def _described(path: str, command: click.Command) -> list[str]:
    context = click.Context(command)
    pieces = [word for word in command.collect_usage_pieces(context) if word != "[OPTIONS]"]
    lines = [f"### {path}", ""]
    if not isinstance(command, click.Group) or command.invoke_without_command:
        lines += ["```text", " ".join((path, *pieces)), "```", ""]
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        is_example = paragraph.startswith("\b\n")
        text = paragraph.removeprefix("\b\n") if is_example else " ".join(paragraph.split())
        lines += ["```text", text, "```", ""] if is_example else [text, ""]
    return lines + _options(command)


_SETTINGS = {option.name for option in _choosing.params}
_CLIENT = {option.name for option in _asking.params}


def _options(command: click.Command) -> list[str]:
    own = [option for option in command.params if isinstance(option, click.Option)]
    names = {option.name for option in own}
    told = ""
    for common, text in (
        (_SETTINGS, "[those that choose settings](cli.md#command-line)"),
        (_CLIENT, "[those of commands that ask a server](cli.md#commands-that-ask-a-server)"),
    ):
        if common <= names:
            own = [option for option in own if option.name not in common]
            told = text
    rows = [(_spelled(option), option.help or "") for option in own]
    lines = [_table(("option", "meaning"), rows), ""] if rows else []
    return lines + ([f"{'Also' if rows else 'Options:'} {told}.", ""] if told else [])


def _spelled(option: click.Option) -> str:
    names = ", ".join(f"`{name}`" for name in option.opts)
    if option.is_flag:
        return names
    choices = getattr(option.type, "choices", None)
    value = ", ".join(f"`{each}`" for each in choices) if choices else (option.metavar or "…")
    shown = f" ({option.default})" if option.show_default and option.default is not None else ""
    return f"{names} {value}{shown}{', repeatable' if option.multiple else ''}"


def decisions(_: Kept) -> str:
    """Return the list of the decisions by their titles."""
    found = []
    for path in sorted((DOCS / "decisions").glob("[0-9]*.md")):
        title = path.read_text().partition("\n")[0].removeprefix("# ")
        number, _, text = title.partition(". ")
        found.append(f"- [{number}: {text}]({path.name})")
    return "\n".join(found)


def _file(name: str, kind: str) -> str:
    """Return a file that is to be copied, as it is."""
    return f"```{kind}\n{(DOCS / 'ci' / name).read_text().rstrip()}\n```"


def github(_: Kept) -> str:
    """Return the workflow for GitHub Actions."""
    return _file("github-actions.yml", "yaml")


def gitlab(_: Kept) -> str:
    """Return the pipeline for GitLab CI."""
    return _file("gitlab-ci.yml", "yaml")


def jenkins(_: Kept) -> str:
    """Return the pipeline for Jenkins."""
    return _file("Jenkinsfile", "groovy")


PARTS: dict[str, Callable[[Kept], str]] = {
    each.__name__: each
    for each in (
        settings,
        metrics,
        errors,
        permissions,
        visibility,
        addresses,
        operations,
        commandline,
        decisions,
        github,
        gitlab,
        jenkins,
    )
}


def main(words: list[str]) -> int:
    """Write the pages, or say which are not as the code has them."""
    changed = [(path, text) for path, text in pages() if text != path.read_text()]
    for path, text in changed:
        if "--check" not in words:
            path.write_text(text)
        print(path.relative_to(DOCS.parent))
    return int(bool(changed) and "--check" in words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
