"""`/tokens`: one's own tokens, each with its secret shown once."""

from moorage.auth.policy import require_whole
from moorage.clock import DAY
from moorage.errors import Invalid
from moorage.model.access import Action, Scope
from moorage.model.people import TokenRecord
from moorage.registry import rights, tokens
from moorage.registry.services import Services, change_by
from moorage.ui.caller import authenticate
from moorage.ui.page import ROWS, Page, View, Visit, cut, go, more, when
from moorage.web.numbers import whole_number
from moorage.web.response import Response

LIVES = (7, 30, 90, 365, 0)


async def list_own(s: Services, visit: Visit) -> View:
    """Show one's own tokens, never their secrets."""
    actor = await authenticate(s, visit)
    require_whole(actor, await rights.find_standing(s, actor))
    rows, is_more = cut(
        await tokens.list_tokens(s, actor, actor.name, visit.number("after"), ROWS + 1)
    )
    return _own(visit, rows, more(visit, rows[-1].id if is_more else None))


async def create_own(s: Services, visit: Visit) -> View:
    """Make a token; its secret is on this one page only."""
    actor = await authenticate(s, visit)
    require_whole(actor, await rights.find_standing(s, actor))
    by = change_by(actor, visit.request)
    made = await tokens.create_token(s, actor, actor.name, wanted_of(visit), by)
    rows, is_more = cut(await tokens.list_tokens(s, actor, actor.name, 0, ROWS + 1))
    next_place = f"/tokens?after={rows[-1].id}" if is_more else ""
    return _own(visit, rows, next_place, revealed(actor.name, made))


async def rotate(s: Services, visit: Visit) -> View:
    """Make a token in the place of one, which is good for a day more."""
    actor = await authenticate(s, visit)
    require_whole(actor, await rights.find_standing(s, actor))
    by = change_by(actor, visit.request)
    made = await tokens.rotate_token(s, actor, visit.field_number("token"), by)
    old = await tokens.find_token(s, actor, visit.field_number("token"))
    rows, is_more = cut(await tokens.list_tokens(s, actor, actor.name, 0, ROWS + 1))
    next_place = f"/tokens?after={rows[-1].id}" if is_more else ""
    return _own(visit, rows, next_place, revealed(actor.name, made, old.expires_at))


async def revoke(s: Services, visit: Visit) -> Response:
    """Revoke a token."""
    actor = await authenticate(s, visit)
    require_whole(actor, await rights.find_standing(s, actor))
    by = change_by(actor, visit.request)
    await tokens.revoke_token(s, actor, visit.field_number("token"), by)
    return go("/tokens", "revoked")


def _own(
    visit: Visit, rows: list[TokenRecord], next_place: str, made: dict[str, object] | None = None
) -> View:
    facts = {
        "tokens": [shown(each) for each in rows],
        "lives": LIVES,
        "made": made,
        "next": next_place,
    }
    assert visit.actor is not None  # noqa: S101 - handlers have authenticated
    return View("tokens.html", "Tokens", facts, "tokens", crumbs=(("Tokens", ""),))


def wanted_of(visit: Visit) -> tokens.Wanted:
    """Return the token that a form asks for: what for, where, and until when.

    Raises:
        Invalid: it can't be.
    """
    pattern, actions = visit.field("pattern").strip(), frozenset(visit.fields("action"))
    scopes = None
    if pattern:
        if not actions:
            raise Invalid("a token for some repositories needs an action: pull, push or delete")
        scopes = (Scope(pattern, actions),)
    days = whole_number(visit.field("days"), "days")
    return tokens.Wanted(visit.field("name").strip(), scopes, days * DAY)


def revealed(whose: str, made: tokens.Created, old_until: int = 0) -> dict[str, object]:
    """Return a new token with its secret, for the one page that shows it.

    `old_until` is when the one ends that it was made in the place of, 0 for none.
    """
    return {
        "whose": whose,
        "secret": made.secret,
        "token": shown(made.token),
        "old_until": when(old_until),
    }


def shown(record: TokenRecord) -> dict[str, object]:
    """Return a token as pages show it, without its secret."""
    scopes = record.scopes
    return {
        "id": record.id,
        "name": record.name,
        "mark": record.mark,
        "scopes": None
        if scopes is None
        else [{"pattern": e.pattern, "actions": sorted(e.actions)} for e in scopes],
        "created_at": when(record.created_at),
        "expires_at": when(record.expires_at),
        "last_used_at": when(record.last_used_at),
    }


PAGES = (
    Page(
        name="tokens",
        path="/tokens",
        action=Action.PING,
        show=list_own,
        acts={"create": create_own, "rotate": rotate, "revoke": revoke},
    ),
)
