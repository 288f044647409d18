"""`/api/v1/setup` and `/links`: links that are good once, made by some and spent by others."""

from datetime import datetime
from typing import Literal

import msgspec

from moorage.api.call import Ask, Call, Route, cut, done, told, told_page, when
from moorage.api.caller import authenticate
from moorage.api.fields import Hidden, Name, Who
from moorage.errors import Invalid, NotFound
from moorage.model.access import Action
from moorage.registry import links, rights
from moorage.registry.services import Services, change_by
from moorage.web.numbers import whole_number
from moorage.web.response import Response


class NewLink(Ask, frozen=True):
    """A link to be: an invitation, perhaps with a name and teams; or a new password for a name.

    For the first account the name is one that is proposed.
    """

    kind: Literal["invitation", "password", "setup"]
    name: Name | None = None
    teams: tuple[Who, ...] = ()


class Redeemed(Ask, frozen=True):
    """The secret of a link, and the password that is chosen; the name where it is open."""

    secret: Hidden
    password: Hidden
    name: Name | None = None


class Shown(Ask, frozen=True):
    """The secret of a link that is asked about."""

    secret: Hidden


class MadeLink(msgspec.Struct, frozen=True):
    """A link with its secret, which is shown this once; `path` is behind the registry's address."""

    kind: str
    name: str
    path: str
    secret: str
    expires_at: datetime | None


class Link(msgspec.Struct, frozen=True):
    """What a link is for; a name that is open is empty, and one may be proposed for it."""

    kind: str
    name: str
    proposed_name: str
    expires_at: datetime | None


class OpenLink(msgspec.Struct, frozen=True):
    """A link that is good still; its id opens nothing. A name that is open is empty."""

    id: str
    kind: str
    name: str
    created_by: str
    created_at: datetime | None
    expires_at: datetime | None


class OpenLinks(msgspec.Struct, frozen=True):
    """A page of links, those that end first before the others."""

    items: list[OpenLink]


class Redeemer(msgspec.Struct, frozen=True):
    """The account that was made, or that has a new password."""

    name: str


async def list_links(s: Services, call: Call) -> Response:
    """Answer with a page of the links that are good."""
    actor = await authenticate(s, call)
    await rights.require_administrator(s, actor)
    page = call.page()
    ends, _, behind = (page.after or "0.").partition(".")
    after = (whole_number(ends, "after"), behind)
    found, more = cut(await links.list_links(s, actor, after, page.limit + 1), page.limit)
    items = [
        OpenLink(e.id, e.kind, e.name, e.created_by, when(e.created_at), when(e.expires_at))
        for e in found
    ]
    return told_page(call, items, f"{found[-1].expires_at}.{found[-1].id}" if more else None)


async def withdraw_link(s: Services, call: Call) -> Response:
    """Have a link be good for nothing."""
    actor = await authenticate(s, call)
    await rights.require_administrator(s, actor)
    await links.withdraw_link(s, actor, call.text("link"), change_by(actor, call.request))
    return done()


async def create_link(s: Services, call: Call) -> Response:
    """Make a link; its secret is in this one answer only."""
    actor = await authenticate(s, call)
    await rights.require_administrator(s, actor)
    asked = await call.asked(NewLink)
    by = change_by(actor, call.request)
    if asked.kind == "setup":
        made = await links.make_setup_link(s, actor, by, asked.name or "")
    elif asked.kind == "invitation":
        made = await links.invite(s, actor, by, name=asked.name or "", teams=asked.teams)
    elif asked.name is None:
        raise Invalid("a link for a password is for the account of a name")
    else:
        made = await links.make_password_link(s, actor, asked.name, by)
    shown = MadeLink(made.kind, made.name, made.path(), made.secret, when(made.expires_at))
    return told(201, shown)


async def find_link(s: Services, call: Call) -> Response:
    """Answer with what a link is for; whoever has its secret may know."""
    asked = await call.asked(Shown)
    found = await links.find_link(s, asked.secret, call.request.client)
    until = when(found.expires_at)
    return told(200, Link(found.kind, found.fixed_name, found.proposed_name, until))


async def redeem_link(s: Services, call: Call) -> Response:
    """Spend a link for what it is for; whoever has its secret may."""
    return await _redeem(s, call, await call.asked(Redeemed))


async def set_up(s: Services, call: Call) -> Response:
    """Make the first account, an administrator's, by the link that the start printed."""
    asked = await call.asked(Redeemed)
    if (await links.find_link(s, asked.secret, call.request.client)).kind != "setup":
        raise NotFound
    return await _redeem(s, call, asked)


async def _redeem(s: Services, call: Call, asked: Redeemed) -> Response:
    name = await links.redeem(
        s,
        asked.secret,
        asked.password,
        call.request.id,
        name=asked.name or "",
        address=call.request.client,
    )
    return told(201, Redeemer(name))


ROUTES = (
    Route(
        method="POST",
        path="/setup",
        name="set-up",
        summary="Make the first account by the set-up link",
        action=None,
        handler=set_up,
        takes=Redeemed,
        gives=Redeemer,
        status=201,
    ),
    Route(
        method="POST",
        path="/links",
        name="create-link",
        summary="Make a link for a new account or a new password",
        action=Action.ADMINISTER,
        handler=create_link,
        takes=NewLink,
        gives=MadeLink,
        status=201,
        shows_secret=True,
    ),
    Route(
        method="GET",
        path="/links",
        name="list-links",
        summary="The links that are good still, without their secrets",
        action=Action.ADMINISTER,
        handler=list_links,
        gives=OpenLinks,
        pages=True,
    ),
    Route(
        method="DELETE",
        path="/links/{link}",
        name="withdraw-link",
        summary="Have a link be good for nothing",
        action=Action.ADMINISTER,
        handler=withdraw_link,
        status=204,
    ),
    Route(
        method="POST",
        path="/links/find",
        name="find-link",
        summary="What a link is for",
        action=None,
        handler=find_link,
        takes=Shown,
        gives=Link,
    ),
    Route(
        method="POST",
        path="/links/redeem",
        name="redeem-link",
        summary="Spend a link",
        action=None,
        handler=redeem_link,
        takes=Redeemed,
        gives=Redeemer,
        status=201,
    ),
)
