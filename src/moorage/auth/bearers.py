"""Bearer tokens: signed statements of who asks, and for what the token was asked.

They give no right: what their subject may is read with every request. All that is not exactly as
we write it is refused, before anything of it is believed.
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from joserfc import jws
from joserfc.errors import JoseError

from moorage.auth.address import Address, address_of
from moorage.auth.keys import KeyRing, SigningKey
from moorage.auth.scopes import decode_scopes, encode_scopes
from moorage.clock import HOUR, MINUTE, SECOND, Clock, new_id
from moorage.config import Config
from moorage.errors import Denied, Unauthorized
from moorage.model.access import Action, Actor, Scope, Subject
from moorage.web.request import Request

LIFETIME = 5 * MINUTE
LONGEST = HOUR
SKEW = MINUTE
_MOST_BYTES = 8 << 10
_MOST_REMEMBERED = 50_000
_SHAPE = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+", re.ASCII)


class Access(msgspec.Struct, frozen=True):
    """One entry of what a token was asked for and its subject may, as Docker's tokens have it."""

    type: str
    name: str
    actions: tuple[str, ...]

    @property
    def scope(self) -> str:
        """The entry in the grammar of the token service."""
        return f"{self.type}:{self.name}:{','.join(self.actions)}"


CATALOG = Access("registry", "catalog", ("*",))


class Bearer(msgspec.Struct, frozen=True):
    """A token as it is given out; times are in milliseconds."""

    text: str
    access: tuple[Access, ...]
    issued_at: int
    expires_at: int

    def __repr__(self) -> str:
        """Show nothing of it."""
        return "Bearer()"


class _Who(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What decisions need of the actor beside the subject's id."""

    kind: Literal["anonymous", "account", "robot"]
    name: str
    credential: str
    token: int
    generation: int
    scopes: str


class _Claims(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    iss: str
    sub: str
    aud: str
    exp: int
    nbf: int
    iat: int
    jti: str
    access: tuple[Access, ...]
    who: _Who


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that our tokens have there; `jwk`, `jku`, `x5u`, `x5c` and `crit` are not among it."""

    alg: str
    kid: str
    typ: Literal["JWT"]


class _Known(msgspec.Struct, frozen=True):
    """A token whose signature has been verified."""

    actor: Actor
    address: Address
    not_before: int
    expires_at: int


class Bearers:
    """Issues and verifies our own tokens; a verified one is remembered, by its hash alone."""

    def __init__(self, keys: KeyRing, clock: Clock, config: Config) -> None:
        """Sign with the registry's keys, for the address that the settings or a request name."""
        self._keys = keys
        self._clock = clock
        self._config = config
        self._known: dict[bytes, _Known] = {}

    async def issue(self, actor: Actor, access: Sequence[Access], address: Address) -> Bearer:
        """Return a token for the actor, never good for longer than what it signed in with.

        Entries that it has no room for are left out, the last ones first.

        Raises:
            Denied: what the actor's credential is confined to takes up all the room.
        """
        now = self._clock.now()
        expires_at = min(now + LIFETIME, actor.expires_at or now + LIFETIME)
        key = await self._keys.signer()
        kept = list(access)
        while True:
            claims = _claims(actor, kept, address, now, expires_at)
            text = jws.serialize_compact(
                {"alg": key.algorithm, "kid": key.id, "typ": "JWT"},
                msgspec.json.encode(claims),
                key.key,
                algorithms=[key.algorithm],
            )
            if len(text) <= _MOST_BYTES:
                return Bearer(text, tuple(kept), now, expires_at)
            if not kept:
                raise Denied(
                    "the credential is confined to more than a bearer token has room for",
                    hint="Send it as user name and password, or give it fewer scopes",
                )
            kept.pop()

    async def identify(self, text: str, request: Request, *, grace: int) -> Actor:
        """Return who the token speaks for, bound to what it was asked for.

        One that ran out less than `grace` milliseconds ago is taken as well.

        Raises:
            Unauthorized: it is not one of ours for this address, or its time is over.
        """
        if len(text) > _MOST_BYTES or not text.isascii():
            raise _refused()
        mark = hashlib.sha256(text.encode()).digest()
        known = self._known.pop(mark, None)
        if known is None:
            known = await self._verify(text)
            if len(self._known) >= _MOST_REMEMBERED:
                del self._known[next(iter(self._known))]
        # Put behind all others, so that those go first that have not been sent for longest.
        self._known[mark] = known
        if known.address != address_of(self._config, request):
            raise _refused("the token is for another registry, or another name of this one")
        now = self._clock.now()
        if now + SKEW < known.not_before:
            raise _refused("the token is not good yet")
        if now - max(SKEW, grace) >= known.expires_at:
            raise _refused("the token has expired")
        return known.actor

    async def _verify(self, text: str) -> _Known:
        match = _SHAPE.fullmatch(text)
        if match is None:
            raise _refused()
        header = _parsed(match[1], _Header)
        key = await self._keys.find(header.kid)
        if key is None or key.algorithm != header.alg:
            raise _refused()
        _check_signature(text, key)
        claims = _parsed(match[2], _Claims)
        now = self._clock.now()
        # Not even a key of ours gives a token for longer than this.
        if not claims.iat <= claims.exp <= claims.iat + LONGEST // SECOND:
            raise _refused()
        if max(claims.iat, claims.nbf) * SECOND > now + SKEW:
            raise _refused("the token is not good yet")
        address = Address(claims.iss)
        if claims.aud != address.service:
            raise _refused()
        return _Known(_actor(claims), address, claims.nbf * SECOND, claims.exp * SECOND)


def _claims(
    actor: Actor, access: Sequence[Access], address: Address, now: int, expires_at: int
) -> _Claims:
    subject = actor.subject
    return _Claims(
        iss=address.base,
        sub=str(subject.principal_id or ""),
        aud=address.service,
        exp=expires_at // SECOND,
        nbf=now // SECOND,
        iat=now // SECOND,
        jti=new_id(),
        access=tuple(access),
        who=_Who(
            actor.kind if actor.kind in ("account", "robot") else "anonymous",
            actor.name,
            actor.credential,
            subject.token_id,
            subject.generation,
            encode_scopes(actor.scopes).decode(),
        ),
    )


def _actor(claims: _Claims) -> Actor:
    who = claims.who
    is_somebody = who.kind != "anonymous"
    if is_somebody != claims.sub.isdecimal():
        raise _refused()
    return Actor(
        who.kind,
        who.name,
        who.credential,
        subject=Subject(int(claims.sub or 0), who.token, who.generation),
        scopes=decode_scopes(who.scopes.encode()),
        bound=tuple(_bound(each) for each in claims.access),
        expires_at=claims.exp * SECOND,
    )


def _bound(access: Access) -> Scope:
    if access == CATALOG:
        return Scope("", frozenset({Action.CATALOG.value}))
    return Scope(access.name, frozenset(access.actions))


def _check_signature(text: str, key: SigningKey) -> None:
    try:
        jws.deserialize_compact(text, key.key, algorithms=[key.algorithm])
    except (JoseError, ValueError):
        raise _refused() from None


def _parsed(part: str, kind: type[msgspec.Struct]) -> Any:
    """Return a part of a token as exactly that kind.

    Raises:
        Unauthorized: it is anything else.
    """
    try:
        raw = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
        return msgspec.convert(json.loads(raw, object_pairs_hook=_without_twins), kind)
    except (ValueError, RecursionError, binascii.Error, msgspec.ValidationError):
        raise _refused() from None


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found


def _refused(message: str = "the token is not good") -> Unauthorized:
    return Unauthorized(message, error="invalid_token")
