"""`/api/v1/whoami`: who the caller is to the registry, and what its credential is confined to."""

from datetime import datetime

import msgspec

from moorage.api.call import Call, Route, told_one, when
from moorage.api.caller import authenticate
from moorage.auth.policy import require
from moorage.model.access import Action, System
from moorage.registry import rights
from moorage.registry.services import Services
from moorage.web.response import Response


class Limit(msgspec.Struct, frozen=True):
    """What a credential is confined to: actions on the repositories that the pattern names."""

    pattern: str
    actions: list[str]


class Whoami(msgspec.Struct, frozen=True):
    """Who somebody is, by what, and until when; `scopes` is null for all that it may."""

    kind: str
    name: str
    credential: str
    administrator: bool
    scopes: list[Limit] | None
    expires_at: datetime | None


async def get_whoami(s: Services, call: Call) -> Response:
    """Answer with who the caller is."""
    actor = await authenticate(s, call)
    facts = await rights.find_standing(s, actor)
    require(actor, Action.PING, System(), facts)
    scopes = actor.scopes
    limits = None if scopes is None else [Limit(one.pattern, sorted(one.actions)) for one in scopes]
    found = Whoami(
        actor.kind,
        actor.name,
        actor.credential,
        facts.standing > 1,
        limits,
        when(actor.expires_at),
    )
    return told_one(call, found)


ROUTES = (
    Route(
        method="GET",
        path="/whoami",
        name="whoami",
        summary="Who the caller is",
        action=Action.PING,
        handler=get_whoami,
        gives=Whoami,
    ),
)
