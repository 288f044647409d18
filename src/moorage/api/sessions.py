"""`/api/v1/session`: signing in by a page, whose cookie is then its credential."""

from datetime import datetime

import msgspec

from moorage.api.call import Ask, Call, Route, cut, done, told, told_page, when
from moorage.api.caller import authenticate, session_of
from moorage.api.fields import Code, Hidden
from moorage.auth.policy import require, require_whole
from moorage.errors import Conflicting
from moorage.model.access import Action, System
from moorage.registry import rights, sign_in
from moorage.registry.services import Services
from moorage.web.cookies import SESSION, new_cookie
from moorage.web.request import Request
from moorage.web.response import Response


class SignIn(Ask, frozen=True):
    """A user name and password; the code where the account has a second factor."""

    name: Hidden
    password: Hidden
    code: Code | None = None


class Session(msgspec.Struct, frozen=True):
    """Who is signed in, and until when."""

    name: str
    expires_at: datetime | None


class OwnSession(msgspec.Struct, frozen=True):
    """Where the caller is signed in by a page; `is_this` is the one that it asks by.

    It ends as a token does, by its id.
    """

    id: int
    began_at: datetime | None
    expires_at: datetime | None
    is_this: bool


class Sessions(msgspec.Struct, frozen=True):
    """A page of sessions, the oldest first."""

    items: list[OwnSession]


async def list_sessions(s: Services, call: Call) -> Response:
    """Answer with a page of the caller's own sessions; `revoke-token` ends one by its id."""
    actor = await authenticate(s, call)
    require_whole(actor, await rights.find_standing(s, actor))
    page = call.page()
    rows = await sign_in.list_sessions(s, actor, page.after_number, page.limit + 1)
    found, more = cut(rows, page.limit)
    items = [
        OwnSession(
            each.id,
            when(each.created_at),
            when(each.expires_at),
            actor.credential == f"session:{each.id}",
        )
        for each in found
    ]
    return told_page(call, items, found[-1].id if more else None)


async def begin_session(s: Services, call: Call) -> Response:
    """Sign in; the secret goes into a cookie that scripts can't read."""
    asked = await call.asked(SignIn)
    address = await s.guard.address_of(call.request)
    request = call.request
    made = await sign_in.sign_in(
        s, asked.name, asked.password, asked.code or "", address, request.id
    )
    request.actor = made.name
    cookie = _cookie(s, request, made.secret, sign_in.LIFE // 1_000)
    return told(201, Session(made.name, when(made.expires_at)), {"Set-Cookie": cookie})


async def end_session(s: Services, call: Call) -> Response:
    """Sign out, and have the browser forget the cookie."""
    actor = await authenticate(s, call)
    require(actor, Action.PING, System(), await rights.find_standing(s, actor))
    secret = session_of(s, call)
    if not secret:
        raise Conflicting(
            "the request came without a session", hint="Tokens are revoked under /api/v1/tokens"
        )
    await sign_in.sign_out(s, secret, call.request.id, call.request.client)
    return done({"Set-Cookie": _cookie(s, call.request, "", 0)})


def _cookie(s: Services, request: Request, secret: str, seconds: int) -> str:
    return new_cookie(request, s.config.url, SESSION, secret, seconds)


ROUTES = (
    Route(
        method="GET",
        path="/sessions",
        name="list-sessions",
        summary="Where the caller is signed in by a page",
        action=Action.PING,
        handler=list_sessions,
        gives=Sessions,
        pages=True,
    ),
    Route(
        method="POST",
        path="/session",
        name="begin-session",
        summary="Sign in by a page, with a cookie",
        action=None,
        handler=begin_session,
        takes=SignIn,
        gives=Session,
        status=201,
    ),
    Route(
        method="DELETE",
        path="/session",
        name="end-session",
        summary="Sign out of the page",
        action=Action.PING,
        handler=end_session,
        status=204,
        clashes=True,
    ),
)
