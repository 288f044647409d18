"""What tokens are confined to, as it is kept: JSON of patterns and actions."""

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
