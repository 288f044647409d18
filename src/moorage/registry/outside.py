"""Signing in by an OpenID provider: accounts that are made when their people first come.

Who somebody is, is the provider and the subject that it knows the person by, never a name or an
address: those are the provider's to give to somebody else. A sign-in belongs to the browser that
began it: what it comes back with is good there alone, and once.
"""

import hashlib
import re
import secrets

import msgspec

from moorage.auth.openid import LIFE, Returned
from moorage.db import identities, locks, members, principals, providers
from moorage.db.engine import Raced, Tx
from moorage.errors import Conflicting, Denied, Invalid, NotFound, Unauthorized, Unavailable
from moorage.events.outbox import Event
from moorage.model.artifacts import TagChange
from moorage.model.providers import Attempt, Identity, Person, Provider
from moorage.registry import accounts
from moorage.registry.services import Services
from moorage.registry.sign_in import SignedIn, open_session
from moorage.web.origin import is_own_place

SECONDS = LIFE // 1_000
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_PROBLEM = re.compile(r"[a-z_]{1,64}", re.ASCII)


class Begun(msgspec.Struct, frozen=True):
    """Where the browser is sent, and the secret that stays with it."""

    location: str
    secret: str

    def __repr__(self) -> str:
        """Show no secret."""
        return "Begun()"


class Answer(msgspec.Struct, frozen=True):
    """What a browser brings back from the provider, and by which address and cookie."""

    code: str
    state: str
    issuer: str
    problem: str
    secret: str
    back: str

    def __repr__(self) -> str:
        """Show no secret."""
        return "Answer()"


async def begin(s: Services, name: str, then: str, back: str, address: str) -> Begun:
    """Begin a sign-in that will come back to the address `back`, and go on to the path `then`.

    Raises:
        NotFound: there is no such provider, or it is out of force.
        Invalid: `then` is no path of this registry.
        TooManyRequests: too many have begun from there.
        Unavailable: the provider does not answer.
    """
    if not is_own_place(then):
        raise Invalid("a sign-in goes on to a path of this registry, such as /web/shop")
    provider = await _provider(s, name)
    # Each leaves a row behind until its time is over: so many and no more.
    s.guard.attempts.begin_token(address)
    s.guard.attempts.fail_token(address)
    state, secret = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    location, attempt = await s.openid.begin(provider, state, back, then)
    await s.db.write(lambda tx: identities.add_attempt(tx, _hash(state, secret), attempt))
    return Begun(location, secret)


async def complete(
    s: Services, name: str, answer: Answer, address: str, request_id: str
) -> tuple[SignedIn, str]:
    """Sign in whom the provider has proved, and return the path to go on to.

    Raises:
        NotFound: there is no such provider, or it is out of force.
        Unauthorized: the answer is not to a sign-in that began in this browser, or is no proof.
        Denied: the account is disabled, or was deleted.
        Conflicting: an account of that name is somebody else's.
        TooManyRequests: too many wrong ones have come from there.
        Unavailable: the provider does not answer.
    """
    provider = await _provider(s, name)
    with s.guard.attempts.token(address):
        attempt = await _spend(s, provider, answer)
        person = await _prove(s, provider, attempt, answer)
    by = TagChange(person.name or name, f"provider:{name}", request_id, "sign-in", address=address)
    return await s.db.write(lambda tx: _enter(s, tx, provider, person, by)), attempt.then


async def _provider(s: Services, name: str) -> Provider:
    return _in_force(await s.db.read(lambda tx: providers.find_provider(tx, name)), name)


def _in_force(found: Provider | None, name: str) -> Provider:
    if found is None or not found.enabled:
        raise NotFound(f"nobody signs in here by {name}")
    return found


async def _spend(s: Services, provider: Provider, answer: Answer) -> Attempt:
    # Nobody makes the registry write by sending what can't be right.
    if not _SECRET.fullmatch(answer.state) or not _SECRET.fullmatch(answer.secret):
        raise _not_begun()
    attempt = await s.db.write(
        lambda tx: identities.spend_attempt(tx, _hash(answer.state, answer.secret))
    )
    if attempt is None or attempt.expires_at <= s.clock.now():
        raise _not_begun()
    if attempt.provider != provider.name:
        raise Unauthorized("the sign-in is refused: it began at another provider")
    return attempt


async def _prove(s: Services, provider: Provider, attempt: Attempt, answer: Answer) -> Person:
    if answer.problem:
        told = answer.problem if _PROBLEM.fullmatch(answer.problem) else "it does not say why"
        raise Unauthorized(f"{provider.name} does not let you in: {told}", hint="Begin again")
    secret = s.provider_secrets.open(provider.name, provider.secret) if provider.secret else b""
    if secret is None:
        raise Unavailable(f"the registry can't read its secret at {provider.name}")
    returned = Returned(answer.code, answer.issuer, answer.back)
    return await s.openid.complete(provider, secret.decode(), attempt, returned)


async def _enter(s: Services, tx: Tx, seen: Provider, person: Person, by: TagChange) -> SignedIn:
    known = await identities.find_identity(tx, seen.name, person.subject)
    if known is None:
        # One at a time, so that nobody who comes twice at once is made twice.
        await locks.take_administration(tx)
        known = await identities.find_identity(tx, seen.name, person.subject)
    if known is not None:
        number = known.account_id
        await locks.take_principal(tx, number)
        known = await identities.find_identity(tx, seen.name, person.subject)
        if known is None or known.account_id != number:
            raise Raced  # an administrator has said otherwise just now
    provider = _in_force(await providers.hold_provider(tx, seen.name), seen.name)
    if (provider.url, provider.client_id) != (seen.url, seen.client_id):
        raise _not_begun()
    account_id = _let_in(known) if known else await _welcome(s, tx, provider, person, by)
    now = s.clock.now()
    await identities.confirm(tx, account_id, now)
    account = await principals.find_account_by_id(tx, account_id)
    assert account is not None  # noqa: S101 - it was found or made just now
    by = msgspec.structs.replace(by, actor=account.name)
    await _follow_groups(s, tx, provider.name, account, person.groups, by)
    return await open_session(s, tx, account, by.request_id, by.address)


def _let_in(known: Identity) -> int:
    if known.is_ended:
        raise Denied(
            f"your account {known.name} was deleted here",
            hint="An administrator can make you another one",
        )
    if not known.enabled:
        raise Denied(f"your account {known.name} is disabled", hint="Ask an administrator")
    return known.account_id


async def _welcome(s: Services, tx: Tx, provider: Provider, person: Person, by: TagChange) -> int:
    """Make the account of somebody who comes for the first time.

    Raises:
        Denied: there is no name for it.
        Conflicting: the name is taken; whose that is, is not looked at.
    """
    name = person.name
    try:
        accounts.check_name(name)
    except Invalid:
        raise Denied(
            f"{provider.name} gives no name ({provider.name_claim}) that an account can have",
            hint=f"An administrator can make an account for {person.subject} of {provider.name}",
        ) from None
    now = s.clock.now()
    made = await principals.add_account(
        tx,
        name,
        password="",
        administrator=False,
        now=now,
        full_name=person.full_name,
        email=person.email,
        provider=provider.name,
        provider_subject=person.subject,
    )
    if made is None:
        raise Conflicting(
            f"the name {name} is somebody else's here",
            hint=f"If it is yours, an administrator can say so: you are {person.subject} "
            f"of {provider.name}",
        )
    await accounts.put_personal_namespace(tx, made, name, now)
    data = {"account": name, "administrator": False, "provider": provider.name}
    await s.events.publish(tx, Event("account.added", 0, now, by, data))
    return made


async def _follow_groups(
    s: Services,
    tx: Tx,
    provider: str,
    account: principals.Account,
    groups: frozenset[str],
    by: TagChange,
) -> None:
    """Have the account be in the teams of its groups, and in no other by the provider's word."""
    now = s.clock.now()
    wanted = await providers.teams_of_groups(tx, provider, groups) if groups else set()
    present = await providers.list_teams_by(tx, account.id, provider)
    for team_id in sorted(wanted ^ present):
        team = await members.find_principal_by_id(tx, team_id)
        joins = team_id in wanted
        if not joins:
            await providers.leave_by(tx, account.id, team_id, provider)
        elif team is not None:
            await providers.join_by(tx, account.id, team_id, provider, now)
        if team is not None:
            data = {"team": team.name, "account": account.name, "provider": provider}
            kind = "team.joined" if joins else "team.left"
            await s.events.publish(tx, Event(kind, 0, now, by, data, team.namespace_id))


def _hash(state: str, secret: str) -> bytes:
    return hashlib.sha256(f"sign-in\0{state}\0{secret}".encode()).digest()


def _not_begun() -> Unauthorized:
    return Unauthorized(
        "the sign-in is refused: it did not begin in this browser, or its ten minutes are over, "
        "or it was used already",
        hint="Begin again",
    )
