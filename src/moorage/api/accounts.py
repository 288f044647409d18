"""`/api/v1/accounts`: who there is; administrators see all, everybody its own."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from moorage.api.call import Ask, Call, Route, cut, done, told, told_one, told_page, when
from moorage.api.caller import authenticate
from moorage.api.fields import Hidden, Line, Name
from moorage.auth.policy import require, require_whole
from moorage.errors import Invalid, NotFound
from moorage.model.access import Action, Actor, System
from moorage.model.artifacts import TagChange
from moorage.model.people import AccountRecord
from moorage.oci.names import COMPONENT, MAX_COMPONENT
from moorage.registry import accounts, passwords, providers, rights
from moorage.registry.services import Services, change_by
from moorage.web.response import Response


class NewAccount(Ask, frozen=True):
    """An account to be, which nobody can sign in to before it has a link for its password."""

    name: Name
    full_name: Line = ""
    email: Line = ""


class AccountChange(Ask, frozen=True):
    """One change: what the person is called, whether it is in force, or whether it administers."""

    full_name: Line | None = None
    email: Line | None = None
    enabled: bool | None = None
    administrator: bool | None = None


class NewPassword(Ask, frozen=True):
    """The password that is good now, and the one to be; it has 12 characters or more."""

    old: Hidden
    new: Hidden


class Identity(Ask, frozen=True):
    """Whom a provider knows by that subject; both are empty for nobody outside."""

    provider: Annotated[str, Meta(pattern=f"^(?:{COMPONENT})?$", max_length=MAX_COMPONENT)]
    subject: Annotated[str, Meta(max_length=255, pattern="^[^\\x00-\\x1f\\x7f]*$")]


class Account(msgspec.Struct, frozen=True):
    """An account; `provider` says who signs it in, empty for the registry itself."""

    name: str
    full_name: str
    email: str
    enabled: bool
    administrator: bool
    has_password: bool
    has_totp: bool
    provider: str
    created_at: datetime | None


class Accounts(msgspec.Struct, frozen=True):
    """A page of accounts, in ASCII order."""

    items: list[Account]


def _shown(record: AccountRecord) -> Account:
    return Account(
        record.name,
        record.full_name,
        record.email,
        record.enabled,
        record.administrator,
        record.has_password,
        record.has_totp,
        record.provider,
        when(record.created_at),
    )


async def list_accounts(s: Services, call: Call) -> Response:
    """Answer with a page of all accounts."""
    actor = await authenticate(s, call)
    await rights.require_administrator(s, actor)
    page = call.page()
    rows = await accounts.list_accounts(s, actor, page.after, page.limit + 1)
    found, more = cut(rows, page.limit)
    return told_page(call, [_shown(each) for each in found], found[-1].name if more else None)


async def create_account(s: Services, call: Call) -> Response:
    """Make an account and its personal namespace."""
    actor = await authenticate(s, call)
    await rights.require_administrator(s, actor)
    asked = await call.asked(NewAccount)
    by = change_by(actor, call.request)
    made = await accounts.add_account(
        s, actor, asked.name, by, full_name=asked.full_name, email=asked.email
    )
    return told(201, _shown(made), {"Location": f"/api/v1/accounts/{made.name}"})


async def get_account(s: Services, call: Call) -> Response:
    """Answer with one account: any to administrators, its own to each."""
    actor = await authenticate(s, call)
    require(actor, Action.PING, System(), await rights.find_standing(s, actor))
    return told_one(call, _shown(await accounts.find_account(s, actor, call.name("account"))))


async def change_account(s: Services, call: Call) -> Response:
    """Change one thing of an account; its own name is all that others than administrators may."""
    actor = await authenticate(s, call)
    require(actor, Action.PING, System(), await rights.find_standing(s, actor))
    asked = await call.asked(AccountChange)
    by = change_by(actor, call.request)
    return told(200, _shown(await _change(s, actor, call.name("account"), asked, by)))


async def _change(
    s: Services, actor: Actor, name: str, asked: AccountChange, by: TagChange
) -> AccountRecord:
    is_profile = asked.full_name is not None or asked.email is not None
    if [is_profile, asked.enabled is not None, asked.administrator is not None].count(True) != 1:
        raise Invalid("one change at a time: the name and address, enabled, or administrator")
    if asked.enabled is not None:
        return await accounts.set_enabled(s, actor, name, by, enabled=asked.enabled)
    if asked.administrator is not None:
        return await accounts.set_administrator(
            s, actor, name, by, administrator=asked.administrator
        )
    before = await accounts.find_account(s, actor, name)
    full_name = before.full_name if asked.full_name is None else asked.full_name
    email = before.email if asked.email is None else asked.email
    return await accounts.set_profile(s, actor, name, full_name, email, by)


async def delete_account(s: Services, call: Call) -> Response:
    """End an account, with all that it had; its name is free again."""
    actor = await authenticate(s, call)
    await rights.require_administrator(s, actor)
    by = change_by(actor, call.request)
    await accounts.delete_account(s, actor, call.name("account"), by)
    return done()


async def change_password(s: Services, call: Call) -> Response:
    """Give the caller's own account another password; its sessions end."""
    actor = await authenticate(s, call)
    require_whole(actor, await rights.find_standing(s, actor))
    asked = await call.asked(NewPassword)
    if call.name("account") != actor.name:
        raise NotFound
    by = change_by(actor, call.request)
    address = await s.guard.address_of(call.request)
    await passwords.change_password(s, actor, asked.old, asked.new, address, by)
    return done()


async def end_credentials(s: Services, call: Call) -> Response:
    """End all that an account signed in with: sessions, tokens and bearers."""
    actor = await authenticate(s, call)
    require(actor, Action.PING, System(), await rights.find_standing(s, actor))
    by = change_by(actor, call.request)
    await passwords.end_credentials(s, actor, call.name("account"), by)
    return done()


async def bind_account(s: Services, call: Call) -> Response:
    """Have an account be somebody's of a provider; what it was signed in with ends."""
    actor = await authenticate(s, call)
    await rights.require_administrator(s, actor)
    asked = await call.asked(Identity)
    by = change_by(actor, call.request)
    identity = (asked.provider, asked.subject)
    bound = await providers.bind_account(s, actor, call.name("account"), identity, by)
    return told(200, _shown(bound))


_PATH = "/accounts"
_ONE = "/accounts/{account}"
ROUTES = (
    Route(
        method="GET",
        path=_PATH,
        name="list-accounts",
        summary="All accounts",
        action=Action.ADMINISTER,
        handler=list_accounts,
        gives=Accounts,
        pages=True,
    ),
    Route(
        method="POST",
        path=_PATH,
        name="create-account",
        summary="Make an account",
        action=Action.ADMINISTER,
        handler=create_account,
        takes=NewAccount,
        gives=Account,
        status=201,
    ),
    Route(
        method="GET",
        path=_ONE,
        name="get-account",
        summary="One account: the caller's own, or any for administrators",
        action=Action.PING,
        handler=get_account,
        gives=Account,
    ),
    Route(
        method="PATCH",
        path=_ONE,
        name="change-account",
        summary="Change one thing of an account",
        action=Action.PING,
        handler=change_account,
        takes=AccountChange,
        gives=Account,
        clashes=True,
    ),
    Route(
        method="DELETE",
        path=_ONE,
        name="delete-account",
        summary="End an account with all that it had",
        action=Action.ADMINISTER,
        handler=delete_account,
        status=204,
        clashes=True,
    ),
    Route(
        method="PUT",
        path="/accounts/{account}/password",
        name="change-password",
        summary="Give one's own account another password",
        action=Action.PING,
        handler=change_password,
        takes=NewPassword,
        status=204,
    ),
    Route(
        method="DELETE",
        path="/accounts/{account}/credentials",
        name="end-credentials",
        summary="End all sessions and tokens of an account",
        action=Action.PING,
        handler=end_credentials,
        status=204,
    ),
    Route(
        method="PUT",
        path="/accounts/{account}/identity",
        name="bind-account",
        summary="Have an account be somebody's of a provider, or nobody's",
        action=Action.ADMINISTER,
        handler=bind_account,
        takes=Identity,
        gives=Account,
        clashes=True,
    ),
)
