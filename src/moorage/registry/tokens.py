"""Tokens of accounts and robots: shown once, confined, expiring, rotated, revoked."""

import re

import msgspec

from moorage.auth.scopes import encode_scopes
from moorage.auth.secrets import hash_secret, mark_of, new_secret
from moorage.clock import DAY
from moorage.db import locks, members
from moorage.db import tokens as rows
from moorage.db.engine import Tx
from moorage.errors import Conflicting, Invalid, NameInvalid, NotFound, NotPermitted
from moorage.events.outbox import Event
from moorage.model.access import Action, Actor, Scope
from moorage.model.artifacts import TagChange
from moorage.model.people import Principal, TokenRecord
from moorage.oci.names import RepositoryName
from moorage.registry import rights
from moorage.registry.services import Services

DEFAULT_LIFE = 90 * DAY
LONGEST_LIFE = 3_660 * DAY
OVERLAP = DAY
MOST_TOKENS = 100
MOST_SCOPES = 50
ACTIONS = frozenset({"pull", "push", "delete", "catalog"})
_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,100}")


class Wanted(msgspec.Struct, frozen=True):
    """What a new token is to be: no scopes for all that its owner may; a life of 0 for no end."""

    name: str
    scopes: tuple[Scope, ...] | None = None
    life: int = DEFAULT_LIFE


class Created(msgspec.Struct, frozen=True):
    """A new token with its secret, which is shown this once."""

    secret: str
    token: TokenRecord


async def list_tokens(
    s: Services, actor: Actor, whose: str, after: int, limit: int
) -> list[TokenRecord]:
    """Return up to `limit` tokens in force with ids above `after`.

    `whose` is an account or a robot. Everybody sees his own, owners those of their namespaces'
    robots, administrators all.

    Raises:
        NotFound: there is nobody of that name.
    """

    async def read(tx: Tx) -> list[TokenRecord]:
        owner = await _allow(tx, actor, Action.SEE_ACCESS, whose)
        return await rows.list_tokens(tx, owner.id, after, limit, s.clock.now())

    return await s.db.read(read, pages=True)


async def create_token(
    s: Services, actor: Actor, whose: str, wanted: Wanted, by: TagChange
) -> Created:
    """Make a token for the actor's own account, or for a robot of a namespace that it owns.

    Raises:
        Invalid: a value will not do.
        Conflicting: there are as many as there may be.
        NotFound: there is no such robot.
    """
    check_wanted(wanted)

    async def write(tx: Tx) -> Created:
        owner = await _hold(tx, actor, whose, is_making=True)
        made = await _add(s, tx, owner, wanted)
        data = {"who": owner.name, "token": made.token.id, "name": wanted.name}
        await s.events.publish(
            tx, Event("token.created", 0, s.clock.now(), by, data, owner.namespace_id)
        )
        return made

    return await s.db.write(write)


async def rotate_token(
    s: Services, actor: Actor, token_id: int, by: TagChange, *, overlap: int = OVERLAP
) -> Created:
    """Make a token like this one and for as long; this one ends after the overlap, a day at most.

    Raises:
        NotFound: there is no such token, or it is not the actor's to rotate.
        Invalid: the overlap is too long.
    """
    if not 0 <= overlap <= OVERLAP:
        raise Invalid("the old token is good for at most a day more")

    async def write(tx: Tx) -> Created:
        old, owner = await _hold_token(s, tx, actor, token_id, is_making=True)
        now = s.clock.now()
        life = old.expires_at - old.created_at if old.expires_at else 0
        made = await _add(s, tx, owner, Wanted(old.name, old.scopes, life))
        if overlap:
            await rows.expire_token(tx, old.id, now + overlap)
        else:
            await rows.revoke_token(tx, old.id, now)
        data = {"who": owner.name, "token": old.id, "name": old.name, "next": made.token.id}
        await s.events.publish(tx, Event("token.rotated", 0, now, by, data, owner.namespace_id))
        return made

    return await s.db.write(write)


async def revoke_token(s: Services, actor: Actor, token_id: int, by: TagChange) -> None:
    """Revoke a token; once this returns, nothing more is written by it.

    Raises:
        NotFound: there is no such token, or it is not the actor's to revoke.
    """

    async def write(tx: Tx) -> None:
        token, owner = await _hold_token(s, tx, actor, token_id, is_making=False)
        now = s.clock.now()
        await rows.revoke_token(tx, token.id, now)
        data = {"who": owner.name, "token": token.id, "name": token.name}
        await s.events.publish(tx, Event("token.revoked", 0, now, by, data, owner.namespace_id))

    await s.db.write(write)


async def find_token(s: Services, actor: Actor, token_id: int) -> TokenRecord:
    """Return one token that has not been revoked.

    Raises:
        NotFound: there is none, or it is not the actor's to see.
    """

    async def read(tx: Tx) -> TokenRecord:
        token, _ = await _find(s, tx, actor, token_id)
        return token

    return await s.db.read(read)


def check_wanted(wanted: Wanted) -> None:
    """Do nothing if a token can be so.

    Raises:
        Invalid: its name, life or scopes will not do.
    """
    if not _NAME.fullmatch(wanted.name):
        raise Invalid("a token has a name of up to 100 characters")
    if not 0 <= wanted.life <= LONGEST_LIFE:
        raise Invalid("a token lives for up to ten years, or without an end")
    if wanted.scopes is None:
        return
    if not 1 <= len(wanted.scopes) <= MOST_SCOPES:
        raise Invalid(f"a token has from 1 to {MOST_SCOPES} scopes")
    for scope in wanted.scopes:
        _check_scope(scope)


def _check_scope(scope: Scope) -> None:
    if not scope.actions or not scope.actions <= ACTIONS:
        raise Invalid(f"the actions of a scope are some of {', '.join(sorted(ACTIONS))}")
    if scope.pattern == "**":
        return
    try:
        RepositoryName.parse(scope.pattern.removesuffix("/**"))
    except NameInvalid:
        raise Invalid(
            "the pattern of a scope is no name",
            hint="Use the name of a repository, NAMESPACE/** for all below it, or ** for all",
        ) from None


async def _add(s: Services, tx: Tx, owner: Principal, wanted: Wanted) -> Created:
    now = s.clock.now()
    if len(await rows.list_tokens(tx, owner.id, 0, MOST_TOKENS, now)) >= MOST_TOKENS:
        raise Conflicting(
            f"{owner.name} has {MOST_TOKENS} tokens already", hint="Revoke those not in use"
        )
    secret = new_secret()
    record = TokenRecord(
        0,
        owner.id,
        "robot" if owner.kind == "robot" else "personal",
        wanted.name,
        mark_of(secret),
        wanted.scopes,
        now,
        now + wanted.life if wanted.life else 0,
        0,
        0,
    )
    number = await rows.add_token(tx, record, hash_secret(secret), encode_scopes(wanted.scopes))
    return Created(secret, msgspec.structs.replace(record, id=number))


def _is_own(actor: Actor, owner: Principal) -> bool:
    return actor.is_signed_in and actor.subject.principal_id == owner.id


async def _allow(tx: Tx, actor: Actor, action: Action, whose: str) -> Principal:
    """Decide on the tokens of an account or robot, and return it."""
    kind, home = members.home_of(whose)
    if kind == "robot":
        await rights.allow_namespace(tx, actor, action, home)
    elif actor.kind == "account" and actor.name == whose:
        await rights.require_own(tx, actor)
    else:
        await rights.allow_administrator(tx, actor)
    found = await members.find_principal(tx, whose)
    if found is None or found.kind == "team":
        raise NotFound(f"there is no {kind} {whose}")
    return found


async def _hold(tx: Tx, actor: Actor, whose: str, *, is_making: bool) -> Principal:
    """Decide on a change of somebody's tokens, with his writes at an end.

    Nobody makes a token for another person, administrators neither.
    """
    known = await _allow(tx, actor, Action.MANAGE_ACCESS, whose)
    if is_making and known.kind == "account" and not _is_own(actor, known):
        raise NotFound(f"tokens of {whose} are made by {whose} alone")
    await locks.take_principal(tx, known.id)
    return await _allow(tx, actor, Action.MANAGE_ACCESS, whose)


async def _find(s: Services, tx: Tx, actor: Actor, token_id: int) -> tuple[TokenRecord, Principal]:
    token = await rows.find_token(tx, token_id)
    owner = await members.find_principal_by_id(tx, token.principal_id) if token else None
    is_over = token is None or 0 < token.expires_at <= s.clock.now()
    if token is None or owner is None or is_over or token.kind == "trust":
        raise _nothing(token_id)
    try:
        await _allow(tx, actor, Action.SEE_ACCESS, owner.name)
    except NotPermitted:
        raise _nothing(token_id) from None
    return token, owner


async def _hold_token(
    s: Services, tx: Tx, actor: Actor, token_id: int, *, is_making: bool
) -> tuple[TokenRecord, Principal]:
    token, owner = await _find(s, tx, actor, token_id)
    if is_making and token.kind == "session":
        raise _nothing(token_id)
    await _hold(tx, actor, owner.name, is_making=is_making)
    return await _find(s, tx, actor, token_id)


def _nothing(token_id: int) -> NotFound:
    return NotFound(f"there is no token {token_id}")
