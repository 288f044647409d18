"""Accounts: who there is, who is in force, and who administers the registry.

What they sign in with is in `registry/passwords.py`, `tokens.py` and `sign_in.py`.
"""

from moorage.auth.passwords import Passwords, hash_password
from moorage.clock import Clock
from moorage.db import accounts, grants, links, members, namespaces, principals
from moorage.db.engine import Database, Tx
from moorage.errors import Conflicting, Invalid, NotFound, NotPermitted, Refused, Unauthorized
from moorage.events.outbox import Event
from moorage.model.access import Actor, Role
from moorage.model.artifacts import TagChange
from moorage.model.people import AccountRecord
from moorage.oci.names import DEFAULT_NAMESPACE, is_component
from moorage.registry import readers, rights
from moorage.registry.services import Services

# What the trail calls those who have no account, and the namespace that would be too much to own.
RESERVED = frozenset({DEFAULT_NAMESPACE, "anonymous", "local", "operator", "system", "none"})
_LONGEST_TEXT = 256


async def put_administrator(db: Database, clock: Clock, name: str, password: str) -> None:
    """Make the account of that name an administrator with that password, whatever it was before.

    What it signed in with ends only if the password is another one.

    Raises:
        Refused: the name is no name of an account.
    """
    if not is_component(name):
        raise Refused(
            f"{name!r} can't be the name of an administrator.",
            why="Names have lower-case letters, digits, and single . _ or - between them.",
            do="Correct MOORAGE_ADMIN_USER.",
            exit_code=2,
        )
    known = await db.read(lambda tx: principals.find_account(tx, name))
    same = known is not None and await Passwords().verify(name, password, known.password)
    hashed = "" if same else hash_password(password)

    async def write(tx: Tx) -> None:
        now = clock.now()
        if known is None:
            made = await principals.add_account(
                tx, name, password=hashed, administrator=True, now=now
            )
            if made is not None and name not in RESERVED:
                await put_personal_namespace(tx, made, name, now)
            return
        if not same:
            await principals.set_password(tx, known.id, hashed, now)
        await principals.set_standing(tx, known.id, enabled=True, administrator=True)

    await db.write(write)


def check_name(name: str) -> None:
    """Do nothing if an account can have the name.

    Raises:
        Invalid: it can't be a namespace as well, or is kept for something else.
    """
    if not is_component(name):
        raise Invalid(
            "that is no name of an account",
            hint="Use lower-case letters, digits, and single . _ or - between them",
        )
    if name in RESERVED:
        raise Invalid(f"the name {name} is kept for something else")


def is_possible(name: str) -> bool:
    """Tell whether an account can have the name, as `check_name` does."""
    return is_component(name) and name not in RESERVED


async def list_accounts(s: Services, actor: Actor, after: str, limit: int) -> list[AccountRecord]:
    """Return up to `limit` accounts behind `after`, by name; for administrators."""
    await rights.require_administrator(s, actor)
    return await s.db.read(lambda tx: accounts.list_accounts(tx, after, limit), pages=True)


async def find_account(s: Services, actor: Actor, name: str) -> AccountRecord:
    """Return the account of that name: for administrators, and for whose it is.

    Raises:
        NotFound: there is none.
    """
    is_own = actor.kind == "account" and actor.name == name

    async def read(tx: Tx) -> AccountRecord:
        if is_own:
            await rights.require_own(tx, actor)
        else:
            await rights.allow_administrator(tx, actor)
        return await present(s, tx, actor, name)

    return await s.db.read(read)


async def present(s: Services, tx: Tx, actor: Actor, name: str) -> AccountRecord:
    """Return the live account of that name.

    Raises:
        NotFound: there is none.
    """
    found = await accounts.show_account(tx, name)
    if found is None:
        raise await absent(s, tx, actor, name)
    return found


async def absent(s: Services, tx: Tx, actor: Actor, name: str) -> NotFound:
    """Return what tells the actor that there is no account of that name.

    Administrators, who make invitations, hear of one that nobody has accepted; nobody else does.
    """
    told = NotFound(f"there is no account {name}")
    try:
        await rights.allow_administrator(tx, actor)
    except (Unauthorized, NotPermitted):
        return told
    if not await links.is_invited(tx, name, s.clock.now()):
        return told
    return NotFound(
        f"there is no account {name} yet: the invitation has not been accepted",
        hint="Send the link once more, or invite them again if it is lost",
    )


async def add_account(
    s: Services, actor: Actor, name: str, by: TagChange, *, full_name: str = "", email: str = ""
) -> AccountRecord:
    """Make an account that nobody can sign in to yet, with its personal namespace.

    Raises:
        Invalid: the name is no name of an account.
        Conflicting: it is taken.
    """
    await rights.require_administrator(s, actor)
    check_name(name)
    _check_texts(full_name, email)

    async def write(tx: Tx) -> AccountRecord:
        await rights.hold_administration(tx, actor)
        await put_account(s, tx, name, "", by, administrator=False)
        made = await present(s, tx, actor, name)
        await accounts.set_profile(tx, made.id, full_name, email)
        return await present(s, tx, actor, name)

    return await s.db.write(write)


async def put_account(
    s: Services, tx: Tx, name: str, hashed: str, by: TagChange, *, administrator: bool
) -> int:
    """Make an account and its personal namespace in a transaction, and return its id.

    Raises:
        Conflicting: the name is taken.
    """
    now = s.clock.now()
    made = await principals.add_account(
        tx, name, password=hashed, administrator=administrator, now=now
    )
    if made is None:
        raise Conflicting(f"there is an account {name} already")
    await put_personal_namespace(tx, made, name, now)
    data = {"account": name, "administrator": administrator}
    await s.events.publish(tx, Event("account.added", 0, now, by, data))
    return made


async def put_personal_namespace(tx: Tx, account_id: int, name: str, now: int) -> None:
    """Give the account the namespace of its name, unless there is one already.

    One that is there is an organisation's, or was somebody else's who had the name before.
    """
    made = await namespaces.add_namespace(tx, name, "personal", "private", now)
    if made is not None:
        await grants.put_grant(tx, account_id, (made, 0), Role.OWNER, name, now)


async def set_enabled(
    s: Services, actor: Actor, name: str, by: TagChange, *, enabled: bool
) -> AccountRecord:
    """Put the account out of force, with everything that it signed in with, or in force again.

    Raises:
        NotFound: there is none.
        Conflicting: it is the last administrator's.
    """
    kind = "account.enabled" if enabled else "account.disabled"
    return await _set_standing(s, actor, name, by, kind, enabled=enabled)


async def set_administrator(
    s: Services, actor: Actor, name: str, by: TagChange, *, administrator: bool
) -> AccountRecord:
    """Let the account administer the registry, or no longer.

    Raises:
        NotFound: there is none.
        Conflicting: it is the last administrator's.
    """
    kind = "account.promoted" if administrator else "account.demoted"
    return await _set_standing(s, actor, name, by, kind, administrator=administrator)


async def _set_standing(  # noqa: PLR0913 - the two halves of one standing
    s: Services,
    actor: Actor,
    name: str,
    by: TagChange,
    kind: str,
    *,
    enabled: bool | None = None,
    administrator: bool | None = None,
) -> AccountRecord:
    await rights.require_administrator(s, actor)

    async def write(tx: Tx) -> AccountRecord:
        known = await present(s, tx, actor, name)
        await rights.hold_administration(tx, actor, [known.id])
        before = await present(s, tx, actor, name)
        is_enabled = before.enabled if enabled is None else enabled
        is_administrator = before.administrator if administrator is None else administrator
        if (is_enabled, is_administrator) == (before.enabled, before.administrator):
            return before
        if not (is_enabled and is_administrator):
            await _keep_an_administrator(tx, before)
        await principals.set_standing(
            tx, before.id, enabled=is_enabled, administrator=is_administrator
        )
        now = s.clock.now()
        if not is_enabled:
            await principals.end_credentials(tx, before.id)
            await members.revoke_sessions(tx, before.id, now)
        await s.events.publish(tx, Event(kind, 0, now, by, {"account": name}))
        return await present(s, tx, actor, name)

    return await s.db.write(write)


async def delete_account(s: Services, actor: Actor, name: str, by: TagChange) -> None:
    """End the account with its grants, memberships and tokens; its name is free again.

    Its personal namespace stays, in the administrators' hands.

    Raises:
        NotFound: there is none.
        Conflicting: it is the last administrator's.
    """
    await rights.require_administrator(s, actor)

    async def write(tx: Tx) -> None:
        known = await present(s, tx, actor, name)
        await rights.hold_administration(tx, actor, [known.id])
        account = await present(s, tx, actor, name)
        await _keep_an_administrator(tx, account)
        now = s.clock.now()
        await principals.end_credentials(tx, account.id)
        await members.end_principal(tx, account.id, now)
        await readers.forget(s, tx, account.id)
        await s.events.publish(tx, Event("account.deleted", 0, now, by, {"account": name}))

    await s.db.write(write)


async def set_profile(
    s: Services, actor: Actor, name: str, full_name: str, email: str, by: TagChange
) -> AccountRecord:
    """Write down what the person is called: for administrators, and for whose account it is.

    Raises:
        NotFound: there is none.
        Invalid: a text is too long.
    """
    is_own = actor.kind == "account" and actor.name == name
    if not is_own:
        await rights.require_administrator(s, actor)
    _check_texts(full_name, email)

    async def write(tx: Tx) -> AccountRecord:
        if is_own:
            await rights.hold_own(tx, actor)
        else:
            await rights.hold_administration(tx, actor)
        account = await present(s, tx, actor, name)
        await accounts.set_profile(tx, account.id, full_name, email)
        data = {"account": name}
        await s.events.publish(tx, Event("account.described", 0, s.clock.now(), by, data))
        return await present(s, tx, actor, name)

    return await s.db.write(write)


async def _keep_an_administrator(tx: Tx, account: AccountRecord) -> None:
    if not account.administrator or not account.enabled:
        return
    if not await accounts.has_other_administrator(tx, account.id):
        raise Conflicting(
            f"{account.name} is the last administrator",
            hint="Make somebody else an administrator first",
        )


def _check_texts(*texts: str) -> None:
    if any(len(text) > _LONGEST_TEXT or not text.isprintable() for text in texts):
        raise Invalid(f"a name or address has up to {_LONGEST_TEXT} printable characters")
