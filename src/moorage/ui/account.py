"""`/account`: one's own password, second factor and sessions."""

import asyncio

from moorage.auth.policy import require_whole
from moorage.errors import Invalid
from moorage.model.access import Action
from moorage.registry import accounts, passwords, rights, sign_in, tokens, totp
from moorage.registry.services import Services, change_by
from moorage.ui import qr
from moorage.ui.caller import authenticate
from moorage.ui.page import ROWS, Page, View, Visit, cut, go, more, when
from moorage.web.response import Response


async def show(s: Services, visit: Visit) -> View:
    """Show one's own account, and where it is signed in."""
    return await _view(s, visit)


async def change_password(s: Services, visit: Visit) -> Response:
    """Choose another password; all sessions end with the old one, this one as well."""
    actor = await authenticate(s, visit)
    require_whole(actor, await rights.find_standing(s, actor))
    old, new = visit.field("password"), visit.field("new")
    if new != visit.field("again"):
        raise Invalid("the two new passwords are not the same; nothing was changed")
    address = await s.guard.address_of(visit.request)
    await passwords.change_password(s, actor, old, new, address, change_by(actor, visit.request))
    return go("/sign-in?next=/account", "password")


async def begin_totp(s: Services, visit: Visit) -> View:
    """Show a fresh secret for a device; nothing is changed before its first code comes back."""
    actor = await authenticate(s, visit)
    require_whole(actor, await rights.find_standing(s, actor))
    made = await totp.begin(s, actor)
    # It is tried which of eight forms of the code reads best, and others are not to wait for that.
    code = await asyncio.to_thread(qr.draw, made.uri, "The same secret as a code for your device")
    told = {"secret": made.secret, "uri": made.uri, "code": code, "ticket": made.ticket}
    return await _view(s, visit, enrolment=told)


async def confirm_totp(s: Services, visit: Visit) -> Response:
    """Keep the second factor, by the first code of the device and the password."""
    actor = await authenticate(s, visit)
    require_whole(actor, await rights.find_standing(s, actor))
    code = visit.field("code").replace(" ", "")
    given = totp.Confirmation(visit.field("ticket"), code, visit.field("password"))
    address = await s.guard.address_of(visit.request)
    await totp.confirm(s, actor, given, address, change_by(actor, visit.request))
    return go("/account", "second-factor")


async def remove_totp(s: Services, visit: Visit) -> Response:
    """Take the second factor away, by the password."""
    actor = await authenticate(s, visit)
    require_whole(actor, await rights.find_standing(s, actor))
    address = await s.guard.address_of(visit.request)
    by = change_by(actor, visit.request)
    await totp.remove(s, actor, actor.name, by, password=visit.field("password"), address=address)
    return go("/account", "no-second-factor")


async def end_session(s: Services, visit: Visit) -> Response:
    """End one of one's own sessions."""
    actor = await authenticate(s, visit)
    require_whole(actor, await rights.find_standing(s, actor))
    by = change_by(actor, visit.request)
    await tokens.revoke_token(s, actor, visit.field_number("session"), by)
    return go("/account", "revoked")


async def _view(s: Services, visit: Visit, enrolment: dict[str, str] | None = None) -> View:
    actor = await authenticate(s, visit)
    require_whole(actor, await rights.find_standing(s, actor))
    found = await accounts.find_account(s, actor, actor.name)
    rows, is_more = cut(await sign_in.list_sessions(s, actor, visit.number("after"), ROWS + 1))
    facts = {
        "name": found.name,
        "full_name": found.full_name,
        "email": found.email,
        "administrator": found.administrator,
        "has_password": found.has_password,
        "has_totp": found.has_totp,
        "provider": found.provider,
        "sessions": [
            {
                "id": each.id,
                "began_at": when(each.created_at),
                "expires_at": when(each.expires_at),
                "is_this": actor.credential == f"session:{each.id}",
            }
            for each in rows
        ],
        "enrolment": enrolment,
        "next": more(visit, rows[-1].id if is_more else None),
    }
    return View("account.html", "Account", facts, "account", crumbs=(("Account", ""),))


PAGES = (
    Page(
        name="account",
        path="/account",
        action=Action.PING,
        show=show,
        acts={
            "password": change_password,
            "begin-totp": begin_totp,
            "confirm-totp": confirm_totp,
            "remove-totp": remove_totp,
            "end-session": end_session,
        },
    ),
)
