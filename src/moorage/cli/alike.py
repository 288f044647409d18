"""What somebody may have meant by a repository or a tag that is not there."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

from moorage.client.api import Api
from moorage.client.operations.repositories import list_repositories
from moorage.client.operations.tags import list_tags
from moorage.client.problems import ServerRefused
from moorage.errors import Refused

_NOT_FOUND = 404
_LOOKED_AT = 1_000
_TOLD = 3


@contextmanager
def suggesting(api: Api, repository: str, tag: str = "") -> Iterator[None]:
    """Have a refusal that finds nothing say what there is that is called alike.

    Raises:
        ServerRefused: what was refused inside, with what to do where the server says nothing.
    """
    try:
        yield
    except ServerRefused as refused:
        if refused.status == _NOT_FOUND and not refused.do:
            refused.do = _told(api, repository, tag)
        raise


def _told(api: Api, repository: str, tag: str) -> str:
    try:
        there = list_repositories(api, limit=_LOOKED_AT)
        names = [each["name"] for each in islice(there, _LOOKED_AT)]
        if repository not in names:
            return _sentence(repository, names) or _other_server(repository)
        tags = list_tags(api, repository, limit=_LOOKED_AT) if tag else iter(())
        names = [each["name"] for each in islice(tags, _LOOKED_AT)]
        return _sentence(tag, names, f"{repository}:")
    except Refused:
        return ""  # the first refusal is what matters


def _other_server(repository: str) -> str:
    host, _, name = repository.partition("/")
    return f"If {host} is a registry: {name} with --server {host}." if "." in host else ""


def _sentence(wanted: str, names: list[str], before: str = "") -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - of no use where all goes well

    alike = [f"{before}{name}" for name in get_close_matches(wanted, names, _TOLD)]
    return f"Did you mean {' or '.join(alike)}?" if alike else ""
