"""`contexts.toml`: names for the registries that this person works with, and which one is meant.

What it takes to sign in stands in `hosts.json` alone: this file can be shown to anybody.
"""

import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from moorage.client.hosts import replace_file
from moorage.errors import Refused

FILE = "contexts.toml"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


class Contexts(NamedTuple):
    """All that is in the file: names with their servers, and the one that is meant, or nothing."""

    current: str
    servers: Mapping[str, str]

    def server_of(self, name: str) -> str:
        """Return the server of that name, or the name itself, which may be a server's."""
        return self.servers.get(name, name)

    def require_named(self, name: str, others: Iterable[str]) -> None:
        """Do nothing if that may be a server, of which `others` are known too.

        Raises:
            Refused: it is written like the name of a context, of which there is another one.
        """
        if "." in name or ":" in name or name in self.servers or name in others:
            return
        near = get_close_matches(name, [*self.servers, *others], 1)
        if near:
            raise Refused(
                f"There is no context {name!r}.", do=f"Did you mean {near[0]}?", exit_code=3
            )


def read_contexts(directory: str) -> Contexts:
    """Return what is known; nothing if there is no file.

    Raises:
        Refused: the file can't be read.
    """
    path = Path(directory) / FILE
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        named = document.get("contexts", {})
        return Contexts(
            str(document.get("current", "")),
            {str(name): str(each["server"]) for name, each in named.items()},
        )
    except FileNotFoundError:
        return Contexts("", {})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refused(
            f"{path} can't be read.", why=f"{type(error).__name__}: {error}.", do=f"rm {path}."
        ) from error


def write_contexts(directory: str, contexts: Contexts) -> None:
    """Keep them, in place of what the file had.

    Raises:
        Refused: it can't be written.
    """
    # A text of JSON is a text of TOML as well.
    lines = [f"current = {json.dumps(contexts.current)}"]
    for name, server in sorted(contexts.servers.items()):
        lines += ["", f"[contexts.{json.dumps(name)}]", f"server = {json.dumps(server)}"]
    try:
        Path(directory).mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(str(Path(directory) / FILE), "\n".join(lines) + "\n", 0o600)
    except OSError as error:
        raise Refused(f"{directory} can't be written to.", why=str(error)) from error


def check_name(name: str) -> None:
    """Do nothing if it can be the name of a context.

    Raises:
        Refused: it can't.
    """
    if not _NAME.fullmatch(name):
        raise Refused(
            f"{name!r} is not a name for a context.",
            do="Use letters, digits, and . _ or - between them.",
            exit_code=2,
        )
