"""Images as people write them, with the host of their registry before them or without it."""

from collections.abc import Callable
from typing import Any

import click


class Reference(click.ParamType[str]):
    """An argument that names a repository, a tag or an image, and so may name its registry."""

    name = "reference"


REFERENCE = Reference()


def split_host(text: str, is_known: Callable[[str], bool]) -> tuple[str, str]:
    """Return the host before a reference, empty if there is none, and the reference without it.

    A host has a port, or is `localhost`, or is one that is known: else `team.a/shop`
    is a repository of the namespace `team.a`.
    """
    first, slash, rest = text.partition("/")
    is_host = ":" in first or first == "localhost" or ("." in first and is_known(first))
    return (first, rest) if slash and is_host else ("", text)


def take_hosts(
    params: list[click.Parameter], values: dict[str, Any], is_known: Callable[[str], bool]
) -> set[str]:
    """Take the hosts out of the references among the values, and return them."""
    hosts: set[str] = set()
    for param in params:
        value = values.get(param.name or "")
        if not isinstance(param.type, Reference) or not value:
            continue
        several = value if isinstance(value, tuple) else (value,)
        split = [split_host(text, is_known) for text in several]
        hosts |= {host for host, _ in split if host}
        rest = tuple(text for _, text in split)
        values[param.name or ""] = rest if isinstance(value, tuple) else rest[0]
    return hosts
