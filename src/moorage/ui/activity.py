"""`/activity`: who did what, newest first; of a namespace or repository for its own auditors."""

from typing import Any

import msgspec

from moorage.auth.policy import require
from moorage.errors import Invalid
from moorage.model.access import Action, System
from moorage.model.audit import PARAMETERS, Entry, Filter
from moorage.oci.names import is_component
from moorage.registry import audit, rights
from moorage.registry.services import Services
from moorage.ui.caller import authenticate
from moorage.ui.page import ROWS, Page, View, Visit, more, when


async def show(s: Services, visit: Visit) -> View:
    """Show a page of the trail."""
    actor = await authenticate(s, visit)
    require(actor, Action.PING, System(), await rights.find_standing(s, actor))
    asked = {name: visit.parameter(name).strip() for name in PARAMETERS.values()}
    filters = {each: asked[name] for each, name in PARAMETERS.items() if asked[name]}
    if not is_component(filters.get(Filter.NAMESPACE, "a")):
        raise Invalid("namespace is none that can be")
    found = await audit.list_entries(s, actor, filters, visit.number("before"), ROWS)
    facts = {
        **asked,
        "entries": [_entry(each) for each in found.entries],
        "is_first": not visit.number("before"),
        "next": more(visit, found.before, "before"),
    }
    return View("activity.html", "Activity", facts, "activity", crumbs=(("Activity", ""),))


def _entry(entry: Entry) -> dict[str, object]:
    return {
        "id": entry.id,
        "at": when(entry.at),
        "actor": entry.actor,
        "credential": entry.credential,
        "address": entry.address,
        "request": entry.request_id,
        "action": entry.action,
        "detail": msgspec.json.decode(entry.detail, type=dict[str, Any]) if entry.detail else {},
        "place": entry.place,
    }


PAGES = (Page(name="activity", path="/activity", action=Action.AUDIT, show=show),)
