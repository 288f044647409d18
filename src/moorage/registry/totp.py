"""Second factors: six digits of the moment (RFC 6238), each good once.

A new secret is not kept until its first code has come back: until then it is in the ticket, sealed,
that goes to the page and returns with the code.
"""

import base64
import binascii
import hmac

import msgspec
import pyotp

from moorage.clock import MINUTE, SECOND
from moorage.db import accounts, principals
from moorage.db.engine import Tx
from moorage.db.principals import Account
from moorage.errors import Conflicting, Invalid, NotPermitted
from moorage.events.outbox import Event
from moorage.model.access import Actor
from moorage.model.artifacts import TagChange
from moorage.registry import passwords, rights
from moorage.registry.accounts import present
from moorage.registry.services import Services

_STEP = 30 * SECOND
_TICKET_LIFE = 15 * MINUTE
# Clocks of telephones are this many steps wrong.
_DRIFT = 1


class Enrolment(msgspec.Struct, frozen=True):
    """What the person's device is to learn, and the ticket that comes back with its first code."""

    secret: str
    uri: str
    ticket: str


class Confirmation(msgspec.Struct, frozen=True):
    """What comes back: the ticket, a first code, and the password once more."""

    ticket: str
    code: str
    password: str


class _Ticket(msgspec.Struct, frozen=True):
    secret: str
    expires_at: int


async def begin(s: Services, actor: Actor) -> Enrolment:
    """Return a fresh secret for the actor's own account; nothing is changed yet.

    Raises:
        Conflicting: it has a second factor already.
    """

    async def read(tx: Tx) -> Account | None:
        await rights.require_own(tx, actor)
        return await principals.find_account_by_id(tx, actor.subject.principal_id)

    account = await s.db.read(read)
    if account is None or account.provider:
        raise NotPermitted(f"{actor.name} has no password here", disclose=True)
    _refuse_second(account)
    secret = pyotp.random_base32()
    kept = msgspec.json.encode(_Ticket(secret, s.clock.now() + _TICKET_LIFE))
    sealed = s.second_factors.seal(f"ticket {account.id}", kept)
    uri = pyotp.TOTP(secret).provisioning_uri(name=account.name, issuer_name="Moorage")
    return Enrolment(secret, uri, base64.b64encode(sealed).decode())


async def confirm(
    s: Services, actor: Actor, given: Confirmation, address: str, by: TagChange
) -> None:
    """Keep the secret of a ticket, once a code shows that the device has it.

    From then on the password alone is good for nothing; bearers that it got have ended.

    Raises:
        Invalid: the ticket or the code is not good.
        NotPermitted: the password is wrong.
        Conflicting: the account has a second factor already.
        TooManyRequests: too many wrong passwords have come.
    """
    account = await passwords.prove(s, actor, given.password, address)
    now = s.clock.now()
    secret = _secret_of(s, account.id, given.ticket, now)
    step = matching_step(secret, given.code, now)
    if step is None:
        raise Invalid("the code is not good", hint="Is the clock of the device right?")
    sealed = s.second_factors.seal(f"secret {account.id}", secret.encode())

    async def write(tx: Tx) -> None:
        await rights.hold_own(tx, actor)
        known = await principals.find_account_by_id(tx, account.id)
        _refuse_second(known or account)
        await accounts.set_totp(tx, account.id, sealed, step)
        await principals.end_credentials(tx, account.id)
        data = {"account": account.name}
        await s.events.publish(tx, Event("account.totp-added", 0, now, by, data))

    await s.db.write(write)


async def remove(
    s: Services, actor: Actor, name: str, by: TagChange, *, password: str = "", address: str = ""
) -> None:
    """Take the second factor away: one's own by the password, anybody's by administrators.

    Raises:
        NotFound: there is no such account.
        NotPermitted: the password is wrong.
        TooManyRequests: too many wrong passwords have come.
    """
    is_own = actor.kind == "account" and actor.name == name
    if is_own:
        await passwords.prove(s, actor, password, address)
    else:
        await rights.require_administrator(s, actor)

    async def write(tx: Tx) -> None:
        if is_own:
            await rights.hold_own(tx, actor)
        else:
            await rights.hold_administration(tx, actor)
        account = await present(s, tx, actor, name)
        if not account.has_totp:
            return
        await accounts.set_totp(tx, account.id, b"", 0)
        event = Event("account.totp-removed", 0, s.clock.now(), by, {"account": name})
        await s.events.publish(tx, event)

    await s.db.write(write)


async def spend(s: Services, tx: Tx, account: Account, code: str) -> bool:
    """Tell whether the code is the account's and was not used before; it is spent with that."""
    plain = s.second_factors.open(f"secret {account.id}", account.totp)
    step = matching_step(plain.decode(), code, s.clock.now()) if plain is not None else None
    return step is not None and await accounts.use_totp(tx, account.id, account.totp, step)


def matching_step(secret: str, code: str, now: int) -> int | None:
    """Return the step of time that the code is of, None if of none near this moment."""
    totp = pyotp.TOTP(secret)
    this = now // _STEP
    found = None
    for step in range(this - _DRIFT, this + _DRIFT + 1):
        if hmac.compare_digest(totp.generate_otp(step).encode(), code.encode()):
            found = step
    return found


def _secret_of(s: Services, account_id: int, ticket: str, now: int) -> str:
    try:
        sealed = base64.b64decode(ticket, validate=True)
    except binascii.Error:
        sealed = b""
    plain = s.second_factors.open(f"ticket {account_id}", sealed)
    kept = msgspec.json.decode(plain, type=_Ticket) if plain is not None else None
    if kept is None or kept.expires_at <= now:
        raise Invalid("it took too long; begin again")
    return kept.secret


def _refuse_second(account: Account) -> None:
    if account.totp:
        raise Conflicting(f"{account.name} has a second factor already", hint="Remove it first")
