"""What an account signs in with by itself: its password, and the end of all that it was given."""

from moorage.auth.passwords import check_password
from moorage.db import members, principals
from moorage.db.engine import Tx
from moorage.db.principals import Account
from moorage.errors import Conflicting, NotPermitted
from moorage.events.outbox import Event
from moorage.model.access import Actor
from moorage.model.artifacts import TagChange
from moorage.registry import rights
from moorage.registry.accounts import present
from moorage.registry.services import Services


async def change_password(
    s: Services, actor: Actor, old: str, new: str, address: str, by: TagChange
) -> None:
    """Give the actor's own account another password; all that it signed in with before is over.

    Its tokens stay, its sessions end.

    Raises:
        NotPermitted: the old password is wrong.
        Invalid: the new one will not do.
        TooManyRequests: too many wrong ones have come.
    """
    account = await prove(s, actor, old, address)
    check_password(account.name, new)
    hashed = await s.guard.passwords.hash(new)

    async def write(tx: Tx) -> None:
        await rights.hold_own(tx, actor)
        await put_password(s, tx, account.id, hashed, by, name=account.name)

    await s.db.write(write)


async def put_password(
    s: Services, tx: Tx, account_id: int, hashed: str, by: TagChange, *, name: str
) -> None:
    """Write a new hash down; the caller holds the account."""
    now = s.clock.now()
    await principals.set_password(tx, account_id, hashed, now)
    await members.revoke_sessions(tx, account_id, now)
    await s.events.publish(tx, Event("account.password-changed", 0, now, by, {"account": name}))


async def prove(s: Services, actor: Actor, password: str, address: str) -> Account:
    """Return the actor's own account once its password has been given again.

    Raises:
        Unauthorized: nobody is signed in.
        NotPermitted: the password is wrong, or the actor has no account of its own here.
        TooManyRequests: too many wrong ones have come.
    """

    async def read(tx: Tx) -> Account | None:
        await rights.require_own(tx, actor)
        return await principals.find_account_by_id(tx, actor.subject.principal_id)

    account = await s.db.read(read)
    if account is None or account.provider:
        raise NotPermitted(f"{actor.name} has no password here", disclose=True)
    with s.guard.attempts.attempt(address, account.name):
        if not await s.guard.passwords.verify(account.name, password, account.password):
            raise NotPermitted("the password is wrong", disclose=True)
    return account


async def end_credentials(s: Services, actor: Actor, name: str, by: TagChange) -> None:
    """End everything that the account signed in with: sessions, bearers and all tokens.

    Its own account's, or any for administrators.

    Raises:
        NotFound: there is none.
    """
    is_own = actor.kind == "account" and actor.name == name
    if not is_own:
        await rights.require_administrator(s, actor)

    async def write(tx: Tx) -> None:
        if is_own:
            await rights.hold_own(tx, actor)
        else:
            await rights.hold_administration(tx, actor, [(await present(s, tx, actor, name)).id])
        account = await present(s, tx, actor, name)
        now = s.clock.now()
        await principals.end_credentials(tx, account.id)
        await members.revoke_tokens(tx, account.id, now)
        data = {"account": name}
        await s.events.publish(tx, Event("account.signed-out", 0, now, by, data))

    await s.db.write(write)


def refuse_foreign(account: Account) -> None:
    """Do nothing for an account of our own.

    Raises:
        Conflicting: somebody else says who signs in to it.
    """
    if account.provider:
        raise Conflicting(f"{account.provider} decides who signs in to {account.name}")
