"""What tokens are confined to, as it is kept; and what a client asks the token service for."""

import re
from collections.abc import Iterable

import msgspec

from moorage.model.access import Scope


class _Kept(msgspec.Struct, frozen=True):
    pattern: str
    actions: list[str]


def encode_scopes(scopes: tuple[Scope, ...] | None) -> bytes:
    """Return the bytes that a row keeps; none for everything that the principal may."""
    if scopes is None:
        return b""
    return msgspec.json.encode([_Kept(each.pattern, sorted(each.actions)) for each in scopes])


def decode_scopes(kept: bytes) -> tuple[Scope, ...] | None:
    """Return the scopes that `encode_scopes` wrote."""
    if not kept:
        return None
    found = msgspec.json.decode(kept, type=list[_Kept])
    return tuple(Scope(each.pattern, frozenset(each.actions)) for each in found)


# More than any client asks for at once.
_MOST_ASKED = 50
_LONGEST_ASKED = 512
# `type(class):name:actions`; a name may have a host with a port, so its end is the last colon.
_ASKED = re.compile(r"([a-z0-9]+)(?:\([a-z0-9]+\))?:(.+):([a-z*,]*)", re.ASCII)


class Asked(msgspec.Struct, frozen=True):
    """What a token is to be for: the kind of thing, its name as it came, and actions."""

    type: str
    name: str
    actions: frozenset[str]


def parse_asked(texts: Iterable[str]) -> list[Asked]:
    """Return what scopes ask for, each name once; what is no scope asks for nothing.

    Clients send several parameters, or several scopes in one, with spaces between.
    """
    found: dict[tuple[str, str], frozenset[str]] = {}
    for text in [word for part in texts for word in part.split(" ") if word][:_MOST_ASKED]:
        match = _ASKED.fullmatch(text) if len(text) <= _LONGEST_ASKED else None
        if match is not None:
            kind, name, actions = match.groups()
            known = found.get((kind, name), frozenset())
            found[kind, name] = known | frozenset(filter(None, actions.split(",")))
    return [Asked(kind, name, actions) for (kind, name), actions in found.items()]
