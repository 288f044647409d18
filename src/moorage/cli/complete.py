"""Names for a shell that completes a word: those of the server, if it answers in time.

The shell waits for this at every press of a key, so there is an end to it after 200 ms, and what
was found is good for half a minute.
"""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from moorage.cli.reference import split_host

_PATIENCE = 0.2
_KEPT = 30.0
_MOST = 500
_FILE = "completion.json"


def repositories(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
    """Return the repositories whose names begin so."""
    host, name = split_host(begun, lambda _: False)

    def names(client: Any) -> Iterator[str]:
        # Behind all that comes before the word in the order of the list, which may be long.
        before = f"{name[:-1]}{chr(ord(name[-1]) - 1)}~" if name else ""
        for each in client.items("repositories", limit=str(_MOST), after=before):
            if not each["name"].startswith(name):
                return
            yield each["name"]

    return [_behind(host, each) for each in _within(context, host, f"names of {name}", names)]


def images(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
    """Return repositories, and behind a colon the tags of one."""
    host, name = split_host(begun, lambda _: False)
    repository, colon, tag = name.partition(":")
    if not colon:
        return repositories(context, parameter, begun)

    def tags(client: Any) -> Iterator[str]:
        from moorage.client.operations.images import list_tag_lines  # noqa: PLC0415

        for each in list_tag_lines(client, repository, filter=tag, limit=_MOST):
            yield f"{repository}:{each['name']}"

    return [_behind(host, each) for each in _within(context, host, f"tags of {name}", tags)]


def servers(_: click.Context, __: click.Parameter, begun: str) -> list[str]:
    """Return the contexts and the registries signed in to whose names begin so."""
    from moorage.client.contexts import read_contexts  # noqa: PLC0415 - completion alone needs it
    from moorage.client.hosts import config_directory, read_hosts  # noqa: PLC0415
    from moorage.errors import Refused  # noqa: PLC0415

    directory = config_directory(os.environ)
    with suppress(Refused):
        known = {"local", *read_contexts(directory).servers, *read_hosts(directory).hosts}
        return sorted(each for each in known if each.startswith(begun))
    return []


def _behind(host: str, name: str) -> str:
    return f"{host}/{name}" if host else name


def _within(
    context: click.Context, host: str, what: str, find: Callable[[Any], Iterator[str]]
) -> list[str]:
    """Return up to so many names, none if the server takes too long or can't be asked."""
    wanted = {name: context.params.get(name) or "" for name in ("server", "token_file", "data")}
    if host:  # a token that is in the environment may be for another one
        is_given = context.get_parameter_source("token_file") is ParameterSource.COMMANDLINE
        wanted = {
            "server": host,
            "token_file": wanted["token_file"] if is_given else "",
            "data": "",
        }
    key = json.dumps([what, wanted, os.environ.get("MOORAGE_SERVER", "")])
    known = _read(key)
    if known is not None:
        return known
    found: list[str] = []
    done = threading.Event()

    def ask() -> None:
        from moorage.cli.client import Wanted, connect  # noqa: PLC0415 - completion alone needs it
        from moorage.client.api import Api  # noqa: PLC0415
        from moorage.errors import Refused  # noqa: PLC0415

        with suppress(Refused):
            server = wanted["server"] or os.environ.get("MOORAGE_SERVER", "")
            asked = Wanted(server, wanted["token_file"], wanted["data"])
            for name in find(Api(connect(asked))):
                found.append(name)
                if len(found) == _MOST:
                    break
            done.set()

    threading.Thread(target=ask, daemon=True).start()
    if not done.wait(_PATIENCE):
        return list(found)
    _keep(key, found)
    return found


def _place() -> Path:
    base = os.environ.get("XDG_CACHE_HOME", "")
    return Path(base if base.startswith("/") else Path.home() / ".cache") / "moorage" / _FILE


def _read(key: str) -> list[str] | None:
    # What can't be read is as if nothing had been kept.
    with suppress(OSError, ValueError, KeyError, TypeError):
        kept = json.loads(_place().read_text(encoding="utf-8"))
        if kept["key"] == key and 0 <= time.time() - kept["at"] < _KEPT:
            return [str(each) for each in kept["names"]]
    return None


def _keep(key: str, names: list[str]) -> None:
    from moorage.client.hosts import replace_file  # noqa: PLC0415

    with suppress(OSError):
        place = _place()
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept = json.dumps({"key": key, "at": time.time(), "names": names})
        replace_file(str(place), kept, 0o600)
