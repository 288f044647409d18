"""`/token` and the keys that tokens are verified with: Docker's token service, by GET and POST."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from urllib.parse import parse_qsl

from moorage.auth.address import address_of
from moorage.auth.bearers import Bearer
from moorage.auth.scopes import parse_asked
from moorage.clock import SECOND
from moorage.errors import (
    RegistryError,
    RouteUnknown,
    TokenRequestInvalid,
    Unauthorized,
    Unsupported,
)
from moorage.model.access import BEFORE_ACCOUNTS, Actor
from moorage.registry import bearers, rights
from moorage.registry.services import Services
from moorage.web.request import Request
from moorage.web.response import Response, json_answer

_MOST_BYTES = 64 << 10
_MOST_FIELDS = 200
_FORM = "application/x-www-form-urlencoded"
_ONCE = ("grant_type", "username", "password", "refresh_token", "access_type")

Fields = list[tuple[str, str]]
Handler = Callable[[Services, Request], Awaitable[Response]]


async def get_token(s: Services, request: Request) -> Response:
    """Answer with a token for whoever the credentials stand for, or for nobody.

    `account` is whatever the client likes to say and means nothing. A refresh token is given to
    those only that can't come again with what they signed in with.
    """
    actor = await _caller(s, request)
    renewal = ""
    wanted = (request.parameter("offline_token") or "").lower() == "true"
    bearer = await _issue(s, request, actor, request.parameters("scope"))
    if wanted and bearers.begins_refresh(actor):
        renewal = await bearers.begin_refresh(s, actor)
    return _answer(bearer, renewal)


async def post_token(s: Services, request: Request) -> Response:
    """Answer as OAuth 2 does: to a password, a refresh token, or, without either, to nobody."""
    caller = await _caller(s, request)
    fields = await _form(request)
    one = {name: value for name, value in fields if name in _ONCE}
    scopes = [value for name, value in fields if name == "scope"]
    actor, renewal = await _granted(s, request, caller, one)
    request.actor = actor.name
    bearer = await _issue(s, request, actor, scopes)
    is_new = one.get("grant_type") == "password" and one.get("access_type") == "offline"
    return _answer(bearer, await bearers.begin_refresh(s, actor) if is_new else renewal)


async def get_keys(s: Services, _request: Request) -> Response:
    """Answer with the public keys, for everybody (RFC 7517)."""
    found = {"keys": await s.keys.published()}
    return json_answer(200, found, {"Cache-Control": "public, max-age=300"})


ROUTES: Mapping[str, tuple[str, Mapping[str, Handler]]] = {
    "/token": ("token", {"GET": get_token, "POST": post_token}),
    "/.well-known/jwks.json": ("keys", {"GET": get_keys, "HEAD": get_keys}),
}


async def answer(s: Services, request: Request) -> Response:
    """Answer a request for one of these addresses.

    Raises:
        RegistryError: any refusal; the root renders it.
    """
    request.action, methods = ROUTES[request.path]
    handler = methods.get(request.method)
    if handler is None:
        raise Unsupported(
            f"{request.method[:20]} is not supported here", headers={"Allow": ", ".join(methods)}
        )
    return await handler(s, request)


async def _caller(s: Services, request: Request) -> Actor:
    """Return who the request itself is from.

    Raises:
        Unauthorized: its credentials are wrong, or a bearer token, which gets no other one.
        RouteUnknown: there are no accounts yet, so nobody needs a token.
    """
    try:
        actor = await s.auth.authenticate(request)
    except Unauthorized as refused:
        raise _explained(refused) from None
    is_early = actor.subject.is_early  # all others have been found among accounts
    if is_early and (await rights.find_standing(s, actor)).standing == BEFORE_ACCOUNTS:
        raise RouteUnknown("there are no tokens as long as there are no accounts")
    if actor.bound is not None:
        raise Unauthorized("a bearer token gets no other one", hint="Sign in with a password")
    return actor


async def _granted(
    s: Services, request: Request, caller: Actor, fields: Mapping[str, str]
) -> tuple[Actor, str]:
    """Return who the form's grant stands for, and the refresh token that goes on from it."""
    kind = fields.get("grant_type")
    if not kind:
        return caller, ""
    if kind == "refresh_token":
        with s.guard.attempts.token(request.client):
            renewed = await bearers.renew(s, fields.get("refresh_token", ""))
        return renewed.actor, renewed.refresh
    if kind != "password":
        raise TokenRequestInvalid("unsupported_grant_type", "only password and refresh_token are")
    try:
        user, password = fields.get("username", ""), fields.get("password", "")
        return await s.auth.sign_in(user, password, request), ""
    except Unauthorized as refused:
        raise _explained(refused) from None


async def _issue(s: Services, request: Request, actor: Actor, scopes: list[str]) -> Bearer:
    access = await bearers.grant(s, actor, parse_asked(scopes))
    return await s.bearers.issue(actor, access, address_of(s.config, request))


def _answer(bearer: Bearer, renewal: str) -> Response:
    issued = datetime.fromtimestamp(bearer.issued_at // SECOND, UTC)
    told: dict[str, str | int] = {
        "token": bearer.text,
        "access_token": bearer.text,
        "token_type": "Bearer",
        "expires_in": max(1, (bearer.expires_at - bearer.issued_at) // SECOND),
        "issued_at": issued.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "scope": " ".join(each.scope for each in bearer.access),
    }
    if renewal:
        told["refresh_token"] = renewal
    return json_answer(200, told, {"Cache-Control": "no-store"})


async def _form(request: Request) -> Fields:
    """Return the fields of the body.

    Raises:
        TokenRequestInvalid: it is no form, or has a field twice that may be there once.
    """
    kind = request.headers.get("Content-Type", _FORM).partition(";")[0].strip().lower()
    if kind != _FORM and request.has_body:
        raise TokenRequestInvalid("invalid_request", f"the body must be {_FORM}")
    raw = await request.body(_MOST_BYTES, "a token request")
    try:
        fields = parse_qsl(
            raw.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict"
        )
    except ValueError:
        raise TokenRequestInvalid("invalid_request", "the form is malformed") from None
    names = [name for name, _ in fields if name in _ONCE]
    if len(names) != len(set(names)):
        raise TokenRequestInvalid("invalid_request", "a field is there twice")
    return fields


def _explained(refused: Unauthorized) -> RegistryError:
    """Return the refusal with what to do for somebody who is just signing in."""
    refused.hint = "With a second factor, or for a machine, use a token in the password's place"
    return refused
