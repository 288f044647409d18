"""`/api/v1/namespaces/{namespace}/trusts`: whose identity tokens stand for which robot."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from moorage.api.call import Ask, Call, Route, cut, done, told, told_one, told_page, when
from moorage.api.caller import authenticate
from moorage.api.fields import Label, Name, Who
from moorage.api.tokens import AskedScopes, TokenScope, scopes_of, shown_scopes
from moorage.model.access import Action
from moorage.model.trusts import Rule as Record
from moorage.model.trusts import Trust as TrustRecord
from moorage.registry import exchange, rights, trusts
from moorage.registry.services import Services, change_by
from moorage.web.response import Response

Pattern = Annotated[str, Meta(min_length=1, max_length=512, pattern="^[ -~]*$")]
Encoded = Annotated[str, Meta(min_length=1, max_length=8 << 10, pattern="^[!-~]*$")]


class Rule(Ask, frozen=True):
    """A claim that must be as one of the patterns says."""

    claim: Annotated[str, Meta(min_length=1, max_length=100, pattern="^[!-~]*$")]
    patterns: Annotated[list[Pattern], Meta(min_length=1, max_length=20)]


class NewTrust(Ask, frozen=True):
    """A trust to be; without an audience, it is the registry's own address."""

    name: Name
    issuer: Annotated[str, Meta(max_length=512, pattern="^https?://[!-~]+$")]
    robot: Who
    rules: Annotated[list[Rule], Meta(min_length=1, max_length=20)]
    audience: Annotated[str, Meta(max_length=512, pattern="^[!-~]*$")] = ""
    scopes: AskedScopes | None = None


class TrustChange(Ask, frozen=True):
    """Whether the trust is to be in force."""

    enabled: bool


class Tried(Ask, frozen=True):
    """An identity token that is to be tried; nothing is changed by it."""

    token: Encoded


class Exchanged(Ask, frozen=True):
    """An identity token, and the robot where it stands for several."""

    token: Encoded
    robot: Label | None = None


class ShownRule(msgspec.Struct, frozen=True):
    """A claim and what it must be."""

    claim: str
    patterns: list[str]


class Trust(msgspec.Struct, frozen=True):
    """A trust: tokens of that audience that all rules hold for stand for the robot."""

    name: str
    issuer_id: int
    robot: str
    audience: str
    rules: list[ShownRule]
    scopes: list[TokenScope] | None
    enabled: bool
    created_at: datetime | None
    created_by: str
    last_used_at: datetime | None


class Trusts(msgspec.Struct, frozen=True):
    """A page of trusts, in ASCII order."""

    items: list[Trust]


class Use(msgspec.Struct, frozen=True):
    """One sign-in by a trust, or why there was none."""

    at: datetime | None
    accepted: bool
    reason: str
    claims: dict[str, str]


class Uses(msgspec.Struct, frozen=True):
    """The last uses of a trust, the newest first."""

    items: list[Use]


class Verdict(msgspec.Struct, frozen=True):
    """What one rule says of a token."""

    claim: str
    value: str
    allowed: list[str]
    holds: bool


class TriedTrust(msgspec.Struct, frozen=True):
    """What one trust says of a token, rule by rule."""

    trust: str
    enabled: bool
    holds: bool
    verdicts: list[Verdict]


class Trial(msgspec.Struct, frozen=True):
    """Whether a token is let in, and why not; `problem` is of the token whatever the rules say."""

    allowed: bool
    problem: str
    tried: list[TriedTrust]


class Given(msgspec.Struct, frozen=True):
    """A token in the place of the one that was exchanged; shown this once."""

    secret: str
    robot: str
    expires_at: datetime | None


def _shown(record: TrustRecord) -> Trust:
    return Trust(
        record.name,
        record.issuer_id,
        record.robot,
        record.audience,
        [ShownRule(each.claim, list(each.patterns)) for each in record.rules],
        shown_scopes(record.scopes),
        record.enabled,
        when(record.created_at),
        record.created_by,
        when(record.last_used_at),
    )


async def list_trusts(s: Services, call: Call) -> Response:
    """Answer with a page of the namespace's trusts."""
    actor = await authenticate(s, call)
    await rights.require_namespace(s, actor, Action.SEE_ACCESS, call.namespace)
    page = call.page()
    rows = await trusts.list_trusts(s, actor, call.namespace, page.after, page.limit + 1)
    found, more = cut(rows, page.limit)
    return told_page(call, [_shown(each) for each in found], found[-1].name if more else None)


async def create_trust(s: Services, call: Call) -> Response:
    """Let an issuer's tokens stand for a robot of the namespace."""
    actor = await authenticate(s, call)
    await rights.require_namespace(s, actor, Action.MANAGE_ACCESS, call.namespace)
    asked = await call.asked(NewTrust)
    rules = tuple(Record(each.claim, tuple(each.patterns)) for each in asked.rules)
    wanted = trusts.NewTrust(
        asked.name, asked.issuer, asked.robot, rules, asked.audience, scopes_of(asked.scopes)
    )
    by = change_by(actor, call.request)
    return told(201, _shown(await trusts.add_trust(s, actor, call.namespace, wanted, by)))


async def try_token(s: Services, call: Call) -> Response:
    """Answer with what the namespace's trusts say of an identity token."""
    actor = await authenticate(s, call)
    await rights.require_namespace(s, actor, Action.MANAGE_ACCESS, call.namespace)
    asked = await call.asked(Tried)
    found = await trusts.explain(s, actor, call.namespace, asked.token)
    tried = [
        TriedTrust(
            each.trust,
            each.enabled,
            each.holds,
            [Verdict(v.claim, v.value, list(v.allowed), v.holds) for v in each.verdicts],
        )
        for each in found.tried
    ]
    return told(200, Trial(found.allowed, found.problem, tried))


async def change_trust(s: Services, call: Call) -> Response:
    """Put a trust in or out of force."""
    actor = await authenticate(s, call)
    await rights.require_namespace(s, actor, Action.MANAGE_ACCESS, call.namespace)
    asked = await call.asked(TrustChange)
    by = change_by(actor, call.request)
    changed = await trusts.set_trust_enabled(
        s, actor, call.namespace, call.name("trust"), by, enabled=asked.enabled
    )
    return told(200, _shown(changed))


async def delete_trust(s: Services, call: Call) -> Response:
    """Remove a trust; all that was signed in by it ends at once."""
    actor = await authenticate(s, call)
    await rights.require_namespace(s, actor, Action.MANAGE_ACCESS, call.namespace)
    by = change_by(actor, call.request)
    await trusts.remove_trust(s, actor, call.namespace, call.name("trust"), by)
    return done()


async def list_uses(s: Services, call: Call) -> Response:
    """Answer with the last uses of a trust, and why they were refused."""
    actor = await authenticate(s, call)
    await rights.require_namespace(s, actor, Action.SEE_ACCESS, call.namespace)
    rows = await trusts.list_uses(s, actor, call.namespace, call.name("trust"))
    items = [Use(when(e.at), e.accepted, e.reason, dict(e.claims)) for e in rows]
    return told_one(call, Uses(items))


async def exchange_token(s: Services, call: Call) -> Response:
    """Give a token for an identity token, once; whoever has that may."""
    asked = await call.asked(Exchanged)
    given = await exchange.exchange(
        s, asked.token, call.request.id, asked.robot or "", call.request.client
    )
    return told(201, Given(given.token, given.robot, when(given.expires_at)))


_PATH = "/namespaces/{namespace}/trusts"
_ONE = "/namespaces/{namespace}/trusts/{trust}"
ROUTES = (
    Route(
        method="GET",
        path=_PATH,
        name="list-trusts",
        summary="The trusts of a namespace",
        action=Action.SEE_ACCESS,
        handler=list_trusts,
        gives=Trusts,
        pages=True,
    ),
    Route(
        method="POST",
        path=_PATH,
        name="create-trust",
        summary="Let an issuer's tokens stand for a robot",
        action=Action.MANAGE_ACCESS,
        handler=create_trust,
        takes=NewTrust,
        gives=Trust,
        status=201,
    ),
    Route(
        method="POST",
        path=_PATH + "/-/try",
        name="try-identity-token",
        summary="What the trusts say of a token, rule by rule",
        action=Action.MANAGE_ACCESS,
        handler=try_token,
        takes=Tried,
        gives=Trial,
    ),
    Route(
        method="PATCH",
        path=_ONE,
        name="change-trust",
        summary="Put a trust in or out of force",
        action=Action.MANAGE_ACCESS,
        handler=change_trust,
        takes=TrustChange,
        gives=Trust,
    ),
    Route(
        method="DELETE",
        path=_ONE,
        name="delete-trust",
        summary="Remove a trust, and end what was signed in by it",
        action=Action.MANAGE_ACCESS,
        handler=delete_trust,
        status=204,
    ),
    Route(
        method="GET",
        path=_ONE + "/uses",
        name="list-trust-uses",
        summary="The last uses of a trust, with why they were refused",
        action=Action.SEE_ACCESS,
        handler=list_uses,
        gives=Uses,
    ),
    Route(
        method="POST",
        path="/exchange",
        name="exchange-token",
        summary="A token of ours for an identity token, once",
        action=None,
        handler=exchange_token,
        takes=Exchanged,
        gives=Given,
        status=201,
        shows_secret=True,
    ),
)
