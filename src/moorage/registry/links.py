"""Links that are good once: for the first account, for a new one, for a new password.

The secret stands in the fragment of the address, which no server and no log ever sees, and is sent
by the page's own request. It is spent in the transaction of what it is for.
"""

import re

import msgspec

from moorage.auth.passwords import check_password
from moorage.auth.secrets import hash_secret, new_secret
from moorage.clock import HOUR, MINUTE, Clock
from moorage.db import links as rows
from moorage.db import locks, members, principals
from moorage.db.engine import Database, Tx
from moorage.errors import Conflicting, Invalid, NotFound
from moorage.events.outbox import Event
from moorage.model.access import Actor
from moorage.model.artifacts import TagChange
from moorage.model.people import LinkRecord, OpenLink
from moorage.registry import accounts, rights
from moorage.registry.passwords import put_password, refuse_foreign
from moorage.registry.services import Services

SETUP_LIFE = 15 * MINUTE
LIFE = 72 * HOUR
_MOST_TEAMS = 20
_FIRST_NAME = "admin"
_ID = re.compile(r"[0-9a-f]{64}", re.ASCII)


class NewLink(msgspec.Struct, frozen=True):
    """A link as it is shown this once."""

    secret: str
    kind: str
    name: str
    expires_at: int

    def path(self) -> str:
        """Return what comes behind the registry's address."""
        return f"/{'setup' if self.kind == 'setup' else 'link'}#{self.secret}"


async def put_setup_link(db: Database, clock: Clock, proposed: str = "") -> NewLink | None:
    """Make a link for the first account; None if there has been one.

    For whoever starts the server, who needs no account for it. The page of the link proposes the
    name if an account can have it, else `admin`; whoever opens it is free to choose another.
    """
    name = proposed if accounts.is_possible(proposed) else _FIRST_NAME

    async def write(tx: Tx) -> NewLink | None:
        if await principals.has_accounts(tx):
            return None
        return await _add(tx, LinkRecord("setup", 0, name, (), clock.now() + SETUP_LIFE), "", clock)

    return await db.write(write)


async def make_setup_link(s: Services, actor: Actor, by: TagChange, proposed: str = "") -> NewLink:
    """Make a link for the first account once more; for whoever administers the registry's host.

    `proposed` is as for `put_setup_link`.

    Raises:
        Conflicting: there is an account already.
    """
    await rights.require_administrator(s, actor)
    made = await put_setup_link(s.db, s.clock, proposed)
    if made is None:
        raise Conflicting(
            "there is an account already", hint="Ask for a link for a new password instead"
        )
    await _told(s, "link.made", by, {"kind": "setup"})
    return made


async def invite(
    s: Services, actor: Actor, by: TagChange, *, name: str = "", teams: tuple[str, ...] = ()
) -> NewLink:
    """Make a link for a new account, which joins the teams; without a name, it is free to choose.

    Raises:
        Invalid: the name is no name of an account, or there are too many teams.
        Conflicting: the name is taken.
        NotFound: there is no such team.
    """
    await rights.require_administrator(s, actor)
    if name:
        accounts.check_name(name)
    if len(teams) > _MOST_TEAMS:
        raise Invalid(f"an invitation is for up to {_MOST_TEAMS} teams")

    async def write(tx: Tx) -> NewLink:
        await rights.hold_administration(tx, actor)
        if name and await principals.find_account(tx, name) is not None:
            raise Conflicting(f"there is an account {name} already")
        numbers = tuple([await _team(tx, team) for team in teams])
        record = LinkRecord("invitation", 0, name, numbers, s.clock.now() + LIFE)
        made = await _add(tx, record, by.actor, s.clock)
        data = {"kind": "invitation", "account": name, "teams": list(teams)}
        await s.events.publish(tx, Event("link.made", 0, s.clock.now(), by, data))
        return made

    return await s.db.write(write)


async def make_password_link(s: Services, actor: Actor, name: str, by: TagChange) -> NewLink:
    """Make a link by which the account gets a new password; nobody else sets one for it.

    Raises:
        NotFound: there is no such account.
        Conflicting: somebody else says who signs in to it.
    """
    await rights.require_administrator(s, actor)

    async def write(tx: Tx) -> NewLink:
        await rights.hold_administration(tx, actor)
        account = await principals.find_account(tx, name)
        if account is None:
            raise await accounts.absent(s, tx, actor, name)
        refuse_foreign(account)
        record = LinkRecord("password", account.id, name, (), s.clock.now() + LIFE)
        made = await _add(tx, record, by.actor, s.clock)
        data = {"kind": "password", "account": name}
        await s.events.publish(tx, Event("link.made", 0, s.clock.now(), by, data))
        return made

    return await s.db.write(write)


async def find_link(s: Services, secret: str, address: str = "") -> LinkRecord:
    """Return what a link is for, so that a page can ask for the right things.

    Raises:
        NotFound: it is not good, or not any more.
        TooManyRequests: too many wrong ones have come from the address.
    """
    with s.guard.attempts.token(address):
        return await _find(s, secret)


async def _find(s: Services, secret: str) -> LinkRecord:
    found = await s.db.read(lambda tx: rows.find_link(tx, hash_secret(secret), s.clock.now()))
    if found is None:
        raise _gone()
    return found


async def list_links(
    s: Services, actor: Actor, after: tuple[int, str], limit: int
) -> list[OpenLink]:
    """Return up to `limit` links that are good, those that end first before the others.

    `after` is the end and the id of the last one; (0, "") begins.

    Raises:
        Unauthorized, NotPermitted: the actor is no administrator.
        Invalid: there is no such id.
    """
    await rights.require_administrator(s, actor)
    ends, behind = after
    if behind and not _ID.fullmatch(behind):
        raise Invalid("after is no mark of a page")
    now, mark = s.clock.now(), (ends, bytes.fromhex(behind))
    return await s.db.read(lambda tx: rows.list_links(tx, now, mark, limit), pages=True)


async def withdraw_link(s: Services, actor: Actor, link_id: str, by: TagChange) -> None:
    """Have a link be good for nothing from now on.

    Raises:
        Unauthorized, NotPermitted: the actor is no administrator.
        NotFound: there is none, or not any more.
    """
    await rights.require_administrator(s, actor)
    if not _ID.fullmatch(link_id):
        raise _gone()

    async def write(tx: Tx) -> None:
        await rights.hold_administration(tx, actor)
        found = await rows.withdraw_link(tx, bytes.fromhex(link_id), s.clock.now())
        if found is None:
            raise _gone()
        data = {"kind": found.kind, "account": found.fixed_name}
        await s.events.publish(tx, Event("link.withdrawn", 0, s.clock.now(), by, data))

    await s.db.write(write)


async def redeem(
    s: Services,
    secret: str,
    password: str,
    request_id: str,
    *,
    name: str = "",
    address: str = "",
) -> str:
    """Spend a link for what it is for, and return the name of the account.

    `name` is that of a new account where the link leaves it open.

    Raises:
        NotFound: the link is not good, or not any more.
        Invalid: the name or the password will not do; the link is good still.
        Conflicting: the name is taken; the link is good still.
        TooManyRequests: too many wrong ones have come from the address, or with this one.
    """
    with s.guard.attempts.token(address):
        return await _redeem(s, secret, password, request_id, name, address)


async def _redeem(
    s: Services, secret: str, password: str, request_id: str, name: str, address: str
) -> str:
    link = await _find(s, secret)
    if link.fixed_name and name not in ("", link.fixed_name):
        raise Invalid(f"the link is for the account {link.fixed_name}")
    chosen = link.fixed_name or name
    if link.kind != "password":
        accounts.check_name(chosen)
    check_password(chosen, password)
    # Whether a name is taken is told again and again to who has one link, and each time is a hash.
    s.guard.attempts.spend_link(hash_secret(secret).hex())
    hashed = await s.guard.passwords.hash(password)
    by = TagChange(chosen, f"link:{link.kind}", request_id, "link", address=address)

    async def write(tx: Tx) -> None:
        await locks.take_administration(tx)
        if link.account_id:
            await locks.take_principal(tx, link.account_id)
        spent = await rows.spend_link(tx, hash_secret(secret), link.kind, s.clock.now())
        if spent is None:
            raise _gone()
        if spent.kind == "password":
            await _new_password(s, tx, spent, hashed, by)
        else:
            await _new_account(s, tx, spent, chosen, hashed, by)

    await s.db.write(write)
    return chosen


async def _new_account(
    s: Services, tx: Tx, link: LinkRecord, name: str, hashed: str, by: TagChange
) -> None:
    is_first = link.kind == "setup"
    if is_first and await principals.has_accounts(tx):
        raise _gone()
    made = await accounts.put_account(s, tx, name, hashed, by, administrator=is_first)
    await members.join_teams(tx, made, link.teams, s.clock.now())


async def _new_password(s: Services, tx: Tx, link: LinkRecord, hashed: str, by: TagChange) -> None:
    account = await principals.find_account_by_id(tx, link.account_id)
    if account is None or not account.enabled or account.provider:
        raise _gone()
    await put_password(s, tx, account.id, hashed, by, name=account.name)


async def _team(tx: Tx, name: str) -> int:
    found = await members.find_principal(tx, name)
    if found is None or found.kind != "team":
        raise NotFound(f"there is no team {name}")
    return found.id


async def _add(tx: Tx, record: LinkRecord, created_by: str, clock: Clock) -> NewLink:
    secret = new_secret()
    await rows.add_link(tx, hash_secret(secret), record, created_by, clock.now())
    return NewLink(secret, record.kind, record.name, record.expires_at)


async def _told(s: Services, kind: str, by: TagChange, data: dict[str, str]) -> None:
    await s.db.write(lambda tx: s.events.publish(tx, Event(kind, 0, s.clock.now(), by, data)))


def _gone() -> NotFound:
    return NotFound(
        "the link is not good: it was used, it has expired, or it was not copied whole",
        hint="Ask for a new one",
    )
