"""`/api/v1/tokens`: the caller's own tokens; those of robots are kept by their namespace."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from moorage.api.call import Ask, Call, Route, cut, done, told, told_one, told_page, when
from moorage.api.caller import authenticate
from moorage.api.fields import Days, Label, Pattern, TokenAction
from moorage.auth.policy import require, require_whole
from moorage.clock import DAY, HOUR
from moorage.model.access import Action, Scope, System
from moorage.model.people import TokenRecord
from moorage.registry import rights, tokens
from moorage.registry.services import Services, change_by
from moorage.web.response import Response


class AskedScope(Ask, frozen=True):
    """What a token is to be for: actions on the repositories that the pattern names."""

    pattern: Pattern
    actions: Annotated[list[TokenAction], Meta(min_length=1, max_length=4)]


AskedScopes = Annotated[list[AskedScope], Meta(min_length=1, max_length=50)]


class NewToken(Ask, frozen=True):
    """A token to be; without scopes it may all that its owner may. 0 days are for ever."""

    name: Label
    scopes: AskedScopes | None = None
    days: Days = 90


class Rotation(Ask, frozen=True):
    """How many hours the old token is to be good for beside the new one."""

    overlap_hours: Annotated[int, Meta(ge=0, le=24)] = 24


class TokenScope(msgspec.Struct, frozen=True):
    """What a token is for."""

    pattern: str
    actions: list[str]


class Token(msgspec.Struct, frozen=True):
    """A token; `mark` is the beginning of its secret, `scopes` is null if it is not confined."""

    id: int
    name: str
    kind: str
    mark: str
    scopes: list[TokenScope] | None
    created_at: datetime | None
    expires_at: datetime | None
    last_used_at: datetime | None


class Tokens(msgspec.Struct, frozen=True):
    """A page of tokens, in the order of their ids."""

    items: list[Token]


class MadeToken(msgspec.Struct, frozen=True):
    """A token with its secret, which is shown this once."""

    token: Token
    secret: str


def shown(record: TokenRecord) -> Token:
    """Return a token as answers have it."""
    return Token(
        record.id,
        record.name,
        record.kind,
        record.mark,
        shown_scopes(record.scopes),
        when(record.created_at),
        when(record.expires_at),
        when(record.last_used_at),
    )


def shown_scopes(scopes: tuple[Scope, ...] | None) -> list[TokenScope] | None:
    """Return scopes as answers have them."""
    if scopes is None:
        return None
    return [TokenScope(each.pattern, sorted(each.actions)) for each in scopes]


def scopes_of(asked: list[AskedScope] | None) -> tuple[Scope, ...] | None:
    """Return scopes as the use cases take them."""
    if asked is None:
        return None
    return tuple(Scope(each.pattern, frozenset(each.actions)) for each in asked)


def wanted_of(asked: NewToken) -> tokens.Wanted:
    """Return what is asked for as the use case takes it."""
    return tokens.Wanted(asked.name, scopes_of(asked.scopes), asked.days * DAY)


async def list_tokens(s: Services, call: Call) -> Response:
    """Answer with a page of the caller's own tokens; administrators may name another account."""
    actor = await authenticate(s, call)
    require(actor, Action.PING, System(), await rights.find_standing(s, actor))
    page = call.page()
    whose = call.parameter("who") or actor.name
    rows = await tokens.list_tokens(s, actor, whose, page.after_number, page.limit + 1)
    found, more = cut(rows, page.limit)
    return told_page(call, [shown(each) for each in found], found[-1].id if more else None)


async def create_token(s: Services, call: Call) -> Response:
    """Make a token for the caller itself; its secret is in this one answer only."""
    actor = await authenticate(s, call)
    require_whole(actor, await rights.find_standing(s, actor))
    asked = await call.asked(NewToken)
    by = change_by(actor, call.request)
    made = await tokens.create_token(s, actor, actor.name, wanted_of(asked), by)
    place = f"/api/v1/tokens/{made.token.id}"
    return told(201, MadeToken(shown(made.token), made.secret), {"Location": place})


async def get_token(s: Services, call: Call) -> Response:
    """Answer with a token of the caller's, or of a robot whose access it may see."""
    actor = await authenticate(s, call)
    require(actor, Action.PING, System(), await rights.find_standing(s, actor))
    return told_one(call, shown(await tokens.find_token(s, actor, call.number("token"))))


async def rotate_token(s: Services, call: Call) -> Response:
    """Make a token like this one, which goes on for some hours."""
    actor = await authenticate(s, call)
    require(actor, Action.PING, System(), await rights.find_standing(s, actor))
    asked = await call.asked(Rotation)
    by = change_by(actor, call.request)
    made = await tokens.rotate_token(
        s, actor, call.number("token"), by, overlap=asked.overlap_hours * HOUR
    )
    place = f"/api/v1/tokens/{made.token.id}"
    return told(201, MadeToken(shown(made.token), made.secret), {"Location": place})


async def revoke_token(s: Services, call: Call) -> Response:
    """End a token at once."""
    actor = await authenticate(s, call)
    require(actor, Action.PING, System(), await rights.find_standing(s, actor))
    by = change_by(actor, call.request)
    await tokens.revoke_token(s, actor, call.number("token"), by)
    return done()


_PATH = "/tokens"
_ONE = "/tokens/{token}"
ROUTES = (
    Route(
        method="GET",
        path=_PATH,
        name="list-tokens",
        summary="The caller's own tokens",
        action=Action.PING,
        handler=list_tokens,
        gives=Tokens,
        pages=True,
        query=("who",),
    ),
    Route(
        method="POST",
        path=_PATH,
        name="create-token",
        summary="Make a token for oneself",
        action=Action.PING,
        handler=create_token,
        takes=NewToken,
        gives=MadeToken,
        status=201,
        shows_secret=True,
    ),
    Route(
        method="GET",
        path=_ONE,
        name="get-token",
        summary="One token",
        action=Action.PING,
        handler=get_token,
        gives=Token,
    ),
    Route(
        method="DELETE",
        path=_ONE,
        name="revoke-token",
        summary="End a token at once",
        action=Action.PING,
        handler=revoke_token,
        status=204,
    ),
    Route(
        method="POST",
        path="/tokens/{token}/rotate",
        name="rotate-token",
        summary="Make a token like this one, which ends soon",
        action=Action.PING,
        handler=rotate_token,
        takes=Rotation,
        gives=MadeToken,
        status=201,
        shows_secret=True,
    ),
)
