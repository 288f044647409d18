"""The token service: what a bearer token is given for, and refresh tokens."""

from collections.abc import Sequence

import msgspec

from moorage.auth.bearers import CATALOG, Access
from moorage.auth.policy import decide
from moorage.auth.scopes import Asked, decode_scopes, encode_scopes
from moorage.auth.secrets import hash_secret, new_refresh
from moorage.clock import DAY, HOUR, new_id
from moorage.db import access, refresh
from moorage.db.access import CONFIRMED
from moorage.db.engine import Tx
from moorage.db.refresh import Refresh, RefreshHolder
from moorage.errors import NameInvalid, Unauthorized
from moorage.model.access import Action, Actor, Facts, RepositoryTarget, Subject, System
from moorage.oci.names import RepositoryName
from moorage.registry.services import Services

REFRESHED = 30 * DAY
# For as long as a build may take; what a machine signed in with has run out long before.
REFRESHED_BY_TRUST = 6 * HOUR
_TRUST = "trust:"
_ACTIONS = (Action.PULL, Action.PUSH, Action.DELETE)


class Renewed(msgspec.Struct, frozen=True):
    """Who a refresh token stands for, and what to send the next time; never shown."""

    actor: Actor
    refresh: str

    def __repr__(self) -> str:
        """Show who it is only."""
        return f"Renewed({self.actor.name!r})"


async def grant(s: Services, actor: Actor, asked: Sequence[Asked]) -> list[Access]:
    """Return of what is asked for what the actor may at this moment; nothing is no refusal.

    Raises:
        Unauthorized: what the actor signed in with has ended meanwhile.
    """
    names = {each.name: _name_of(each) for each in asked}

    async def read(tx: Tx) -> tuple[Facts, dict[str, Facts]]:
        standing = await access.find_standing(tx, actor.subject)
        found = {
            text: (await access.find_target(tx, actor.subject, name)).facts
            for text, name in names.items()
            if name is not None
        }
        return standing, found

    standing, facts = await s.db.read(read)
    if actor.is_signed_in and not standing.standing:
        raise Unauthorized("the credential is no longer good", error="invalid_token")
    granted: list[Access] = []
    for each in asked:
        name = names[each.name]
        if (each.type, each.name) == (CATALOG.type, CATALOG.name) and "*" in each.actions:
            granted += [CATALOG] * decide(actor, Action.CATALOG, System(), standing).allowed
        elif name is not None:
            target = RepositoryTarget(name)
            wanted = _ACTIONS if "*" in each.actions else _named(each)
            allowed = [
                action.value
                for action in wanted
                if decide(actor, action, target, facts[each.name]).allowed
            ]
            granted += [Access("repository", each.name, tuple(allowed))] * bool(allowed)
    return granted


def begins_refresh(actor: Actor) -> bool:
    """Tell whether the actor gets a refresh token unasked: one whose own token soon runs out."""
    return actor.credential.startswith(_TRUST)


async def begin_refresh(s: Services, actor: Actor) -> str:
    """Return a refresh token, the first of its family."""
    now = s.clock.now()
    by_trust = begins_refresh(actor)
    until = now + (REFRESHED_BY_TRUST if by_trust else REFRESHED)
    # A machine's own token is good for minutes; its trust stands for it from now on.
    ends = until if by_trust else min(until, actor.expires_at or until)
    text = new_refresh()
    first = Refresh(
        hash=hash_secret(text),
        family=new_id(),
        principal_id=actor.subject.principal_id,
        generation=actor.subject.generation,
        token_id=actor.subject.token_id,
        trust_id=int(actor.credential.removeprefix(_TRUST)) if by_trust else 0,
        scopes=encode_scopes(actor.scopes),
        created_at=now,
        expires_at=ends,
    )
    await s.db.write(lambda tx: refresh.add_refresh(tx, first))
    return text


async def renew(s: Services, text: str) -> Renewed:
    """Return who the refresh token stands for; it is spent, and another one comes in its place.

    One that was spent before has been stolen, or the one that came for it was: its family ends.
    That of a trust is kept until its few hours are over, since docker sends the same again and
    again.

    Raises:
        Unauthorized: it is not good; in one text whatever is wrong with it.
    """
    hashed = hash_secret(text)
    # Looked at first: nobody makes the registry write by sending what is no good.
    found = await s.db.read(lambda tx: refresh.find_refresh(tx, hashed))
    if found is None or not _is_good(*found, s.clock.now()):
        raise _refused()
    seen, holder = found
    if seen.trust_id:
        return Renewed(_actor(seen, holder), "")
    following = new_refresh()

    async def write(tx: Tx) -> bool:
        now = s.clock.now()
        if not await refresh.spend_refresh(tx, hashed, now):
            await refresh.end_family(tx, seen.family)
            return False
        next_one = msgspec.structs.replace(
            seen, hash=hash_secret(following), created_at=now, spent_at=0
        )
        await refresh.add_refresh(tx, next_one)
        return True

    if not await s.db.write(write):
        raise _refused()
    return Renewed(_actor(seen, holder), following)


def _refused() -> Unauthorized:
    return Unauthorized("the refresh token is not good", hint="Sign in again")


def _is_good(seen: Refresh, holder: RefreshHolder, now: int) -> bool:
    if seen.expires_at <= now or not holder.enabled or holder.revoked_at:
        return False
    if holder.token_expires_at and holder.token_expires_at <= now:
        return False
    if seen.generation and seen.generation != holder.generation:
        return False
    if holder.provider and holder.confirmed_at + CONFIRMED <= now:
        return False
    return holder.trust_enabled or not seen.trust_id


def _actor(seen: Refresh, holder: RefreshHolder) -> Actor:
    credential = "password"
    if seen.trust_id:
        credential = f"{_TRUST}{seen.trust_id}"
    elif seen.token_id:
        credential = f"token:{seen.token_id}"
    return Actor(
        "robot" if holder.kind == "robot" else "account",
        holder.name,
        credential,
        subject=Subject(seen.principal_id, seen.token_id, seen.generation),
        scopes=decode_scopes(seen.scopes),
        expires_at=seen.expires_at,
    )


def _name_of(asked: Asked) -> RepositoryName | None:
    if asked.type != "repository":
        return None
    try:
        return RepositoryName.parse(asked.name)
    except NameInvalid:
        return None


def _named(asked: Asked) -> list[Action]:
    return [action for action in _ACTIONS if action.value in asked.actions]
