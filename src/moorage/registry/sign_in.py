"""Signing in to pages: a user name, a password and a code for a session of twelve hours.

A session's secret is good in the cookie of a page alone: it is hashed otherwise than tokens are, so
that no door that takes tokens ever finds it.
"""

import hashlib

import msgspec

from moorage.auth.secrets import mark_of, new_secret
from moorage.clock import HOUR
from moorage.db import locks, principals
from moorage.db import tokens as rows
from moorage.db.engine import Tx
from moorage.db.principals import Account
from moorage.errors import Unauthorized
from moorage.events.outbox import Event
from moorage.model.access import Actor, Subject
from moorage.model.artifacts import TagChange
from moorage.model.people import TokenRecord
from moorage.registry import rights, totp
from moorage.registry.services import Services

LIFE = 12 * HOUR


class SignedIn(msgspec.Struct, frozen=True):
    """A new session with its secret, which goes into the page's cookie."""

    secret: str
    name: str
    expires_at: int


async def sign_in(
    s: Services, user: str, password: str, code: str, address: str, request_id: str
) -> SignedIn:
    """Begin a session.

    Raises:
        Unauthorized: something is wrong, or the account is not in force; in one text for all.
        TooManyRequests: too many wrong ones have come.
    """
    with s.guard.attempts.attempt(address, user):
        account = await _proved(s, user, password)

        async def write(tx: Tx) -> SignedIn:
            await locks.take_principal(tx, account.id)
            known = await principals.find_account_by_id(tx, account.id)
            if known is None or not known.enabled or known.password != account.password:
                raise _wrong()
            if known.totp and not await totp.spend(s, tx, known, code):
                raise _wrong()
            return await open_session(s, tx, known, request_id, address)

        return await s.db.write(write)


async def _proved(s: Services, user: str, password: str) -> Account:
    account = await s.db.read(lambda tx: principals.find_account(tx, user))
    stored = account.password if account is not None else ""
    right = await s.guard.passwords.verify(user, password, stored)
    if account is None or not right:
        raise _wrong()
    return account


async def open_session(
    s: Services, tx: Tx, account: Account, request_id: str, address: str = ""
) -> SignedIn:
    """Begin a session of an account whose word has been proved, in the caller's transaction."""
    now = s.clock.now()
    secret = new_secret()
    record = TokenRecord(
        0, account.id, "session", "", mark_of(secret), None, now, now + LIFE, now, 0
    )
    number = await rows.add_token(tx, record, _hash(secret), b"")
    by = TagChange(account.name, f"session:{number}", request_id, "sign-in", address=address)
    await s.events.publish(tx, Event("session.began", 0, now, by, {"account": account.name}))
    return SignedIn(secret, account.name, now + LIFE)


async def identify(s: Services, secret: str) -> Actor:
    """Return whose session it is.

    Raises:
        Unauthorized: it has ended, or there never was one.
    """
    found = await s.db.read(lambda tx: rows.find_session(tx, _hash(secret), s.clock.now()))
    if found is None:
        raise Unauthorized("the session has ended", hint="Sign in again")
    return Actor(
        "account",
        found.name,
        f"session:{found.token_id}",
        subject=Subject(found.principal_id, found.token_id, 0, s.clock.now()),
        expires_at=found.expires_at,
    )


async def list_sessions(s: Services, actor: Actor, after: int, limit: int) -> list[TokenRecord]:
    """Return up to `limit` of the actor's own sessions with ids above `after`.

    `tokens.revoke_token` ends one of them.
    """

    async def read(tx: Tx) -> list[TokenRecord]:
        number = await rights.require_own(tx, actor)
        return await rows.list_sessions(tx, number, after, limit, s.clock.now())

    return await s.db.read(read, pages=True)


async def sign_out(s: Services, secret: str, request_id: str, address: str = "") -> None:
    """End a session; one that has ended already stays so."""

    async def write(tx: Tx) -> None:
        now = s.clock.now()
        found = await rows.find_session(tx, _hash(secret), now)
        if found is None:
            return
        await locks.take_principal(tx, found.principal_id)
        if await rows.revoke_token(tx, found.token_id, now):
            by = TagChange(
                found.name, f"session:{found.token_id}", request_id, "sign-out", address=address
            )
            await s.events.publish(tx, Event("session.ended", 0, now, by, {"account": found.name}))

    await s.db.write(write)


def _hash(secret: str) -> bytes:
    return hashlib.sha256(b"session\0" + secret.encode()).digest()


def _wrong() -> Unauthorized:
    return Unauthorized("the user name, the password or the code is wrong", hint=None)
