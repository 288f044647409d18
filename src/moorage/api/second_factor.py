"""`/api/v1/accounts/{account}/totp`: one's second factor, learnt by a device and then asked for."""

import msgspec

from moorage.api.call import Ask, Call, Route, done, told
from moorage.api.caller import authenticate
from moorage.api.fields import Code, Hidden
from moorage.auth.policy import require, require_whole
from moorage.errors import NotFound
from moorage.model.access import Action, System
from moorage.registry import rights, totp
from moorage.registry.services import Services, change_by
from moorage.web.response import Response


class FirstCode(Ask, frozen=True):
    """The ticket of the enrolment, the first code of the device, and the password once more."""

    ticket: Hidden
    code: Code
    password: Hidden


class Removal(Ask, frozen=True):
    """The password once more; administrators need none for the accounts of others."""

    password: Hidden | None = None


class Enrolment(msgspec.Struct, frozen=True):
    """What the device is to learn, as text and as address; the ticket comes back with a code."""

    secret: str
    uri: str
    ticket: str


async def begin_totp(s: Services, call: Call) -> Response:
    """Answer with a fresh secret; nothing is changed before its first code comes back."""
    actor = await authenticate(s, call)
    require_whole(actor, await rights.find_standing(s, actor))
    if call.name("account") != actor.name:
        raise NotFound
    made = await totp.begin(s, actor)
    return told(201, Enrolment(made.secret, made.uri, made.ticket))


async def confirm_totp(s: Services, call: Call) -> Response:
    """Keep the second factor; from then on pages ask for it, and clients need tokens."""
    actor = await authenticate(s, call)
    require_whole(actor, await rights.find_standing(s, actor))
    if call.name("account") != actor.name:
        raise NotFound
    asked = await call.asked(FirstCode)
    given = totp.Confirmation(asked.ticket, asked.code, asked.password)
    address = await s.guard.address_of(call.request)
    await totp.confirm(s, actor, given, address, change_by(actor, call.request))
    return done()


async def remove_totp(s: Services, call: Call) -> Response:
    """Take a second factor away: one's own by the password, anybody's by administrators."""
    actor = await authenticate(s, call)
    require(actor, Action.PING, System(), await rights.find_standing(s, actor))
    asked = await call.asked(Removal)
    address = await s.guard.address_of(call.request)
    by = change_by(actor, call.request)
    await totp.remove(
        s, actor, call.name("account"), by, password=asked.password or "", address=address
    )
    return done()


_PATH = "/accounts/{account}/totp"
ROUTES = (
    Route(
        method="POST",
        path=_PATH,
        name="begin-totp",
        summary="Begin with a second factor",
        action=Action.PING,
        handler=begin_totp,
        gives=Enrolment,
        status=201,
        shows_secret=True,
    ),
    Route(
        method="PUT",
        path=_PATH,
        name="confirm-totp",
        summary="Keep a second factor by its first code",
        action=Action.PING,
        handler=confirm_totp,
        takes=FirstCode,
        status=204,
        clashes=True,
    ),
    Route(
        method="POST",
        path=_PATH + "/remove",
        name="remove-totp",
        summary="Take a second factor away",
        action=Action.PING,
        handler=remove_totp,
        takes=Removal,
        status=204,
    ),
)
