"""Exchanges a token of another issuer, once, for one of ours that is good for a while longer."""

import msgspec

from moorage.auth.assertions import Proven
from moorage.auth.scopes import encode_scopes
from moorage.auth.secrets import hash_secret, new_secret
from moorage.clock import HOUR, MINUTE
from moorage.db import access, issuers, locks, trusts
from moorage.db.engine import Tx
from moorage.errors import Unauthorized
from moorage.events.outbox import Event
from moorage.model.access import Subject
from moorage.model.artifacts import TagChange
from moorage.model.trusts import Trust
from moorage.registry.services import Services

LIFETIME = HOUR


class Exchanged(msgspec.Struct, frozen=True):
    """A token to use in a password's place, for whom, and until when; shown once."""

    token: str
    robot: str
    expires_at: int

    def __repr__(self) -> str:
        """Show whose it is only."""
        return f"Exchanged({self.robot!r})"


async def exchange(
    s: Services, text: str, request_id: str, robot: str = "", address: str = ""
) -> Exchanged:
    """Return a token for the robot that the given one stands for; that one is used up here.

    A robot has to be named where it stands for several.

    Raises:
        Unauthorized: it is not good, no trust is for it, or it was exchanged before.
        Unavailable: its issuer's keys can't be had.
        TooManyRequests: too many wrong ones have come from the address.
    """
    with s.guard.attempts.token(address):
        return await _exchange(s, text, request_id, robot, address)


async def _exchange(s: Services, text: str, request_id: str, robot: str, address: str) -> Exchanged:
    proven = await s.assertions.prove(text)
    trust, _ = await s.assertions.admit(proven, robot)
    secret = new_secret()
    now = s.clock.now()
    given = Exchanged(secret, trust.robot, now + LIFETIME)

    async def write(tx: Tx) -> bool:
        await locks.share_access(tx, trust.robot_id, trust.namespace)
        await _check(tx, trust)
        # Kept for a little longer than it is good for, since clocks differ.
        until = proven.expires_at + MINUTE
        if not await issuers.spend_assertion(tx, proven.issuer.id, proven.mark, until):
            return False
        await trusts.add_exchanged(
            tx,
            trust,
            hashed=hash_secret(secret),
            scopes=encode_scopes(trust.scopes),
            now=now,
            expires_at=given.expires_at,
        )
        await s.events.publish(tx, _event(trust, proven, request_id, address, now))
        return True

    if not await s.db.write(write):
        reason = "the identity token was exchanged already"
        s.assertions.note(trust, proven, now, reason)
        raise Unauthorized(reason, error="invalid_token", hint="Ask the issuer for another one")
    return given


async def _check(tx: Tx, trust: Trust) -> None:
    found = await trusts.find_trust_by_id(tx, trust.id)
    subject = Subject(trust.robot_id, trust.token_id, 0)
    standing = (await access.find_standing(tx, subject)).standing
    if found is None or not found.enabled or not standing:
        raise Unauthorized("the trust or its robot is no longer in force", error="invalid_token")


def _event(trust: Trust, proven: Proven, request_id: str, address: str, now: int) -> Event:
    by = TagChange(trust.robot, f"trust:{trust.id}", request_id, "exchange", address=address)
    data = {
        "namespace": trust.namespace,
        "trust": trust.name,
        "robot": trust.robot,
        "subject": str(proven.claims.get("sub", ""))[:200],
    }
    return Event("trust.exchanged", 0, now, by, data, trust.namespace_id)
