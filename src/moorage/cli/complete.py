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

_PATIENCE = 0.2
_KEPT = 30.0
_MOST = 500
_FILE = "completion.json"


def repositories(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
    """Return the repositories whose names begin so."""
    return [each for each in _within(context, "repositories", _names) if each.startswith(begun)]


def images(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
    """Return repositories, and behind a colon the tags of one."""
    repository, colon, tag = begun.partition(":")
    if not colon:
        return repositories(context, parameter, begun)

    def tags(client: Any) -> Iterator[str]:
        from moorage.client.operations.images import list_tag_lines  # noqa: PLC0415

        for each in list_tag_lines(client, repository, filter=tag, limit=_MOST):
            yield f"{repository}:{each['name']}"

    return _within(context, f"tags of {begun}", tags)


def _names(client: Any) -> Iterator[str]:
    from moorage.client.operations.repositories import list_repositories  # noqa: PLC0415

    for each in list_repositories(client, limit=_MOST):
        yield each["name"]


def _within(context: click.Context, what: str, find: Callable[[Any], Iterator[str]]) -> list[str]:
    """Return up to so many names, none if the server takes too long or can't be asked."""
    wanted = {name: context.params.get(name) or "" for name in ("server", "token_file", "data")}
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
