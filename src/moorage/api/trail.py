"""`/api/v1/audit`: who did what, and what was refused, newest first."""

from datetime import datetime
from typing import Any

import msgspec

from moorage.api.call import Call, Route, told_page, when
from moorage.api.caller import authenticate
from moorage.auth.policy import require
from moorage.errors import Invalid
from moorage.model.access import Action, System
from moorage.model.audit import PARAMETERS, Filter
from moorage.model.audit import Entry as Record
from moorage.oci.names import is_component
from moorage.registry import audit, rights
from moorage.registry.services import Services
from moorage.web.response import Response


class Entry(msgspec.Struct, frozen=True):
    """An entry; `place` is 0 and `seal` empty before it is sealed."""

    id: int
    at: datetime | None
    actor: str
    credential: str
    address: str
    request: str
    action: str
    namespace_id: int
    repository_id: int
    detail: dict[str, Any]
    place: int
    seal: str


class Trail(msgspec.Struct, frozen=True):
    """A page of entries, newest first; one may have none at all and more behind it."""

    items: list[Entry]


def _shown(record: Record) -> Entry:
    return Entry(
        record.id,
        when(record.at),
        record.actor,
        record.credential,
        record.address,
        record.request_id,
        record.action,
        record.namespace_id,
        record.repository_id,
        msgspec.json.decode(record.detail, type=dict[str, Any]) if record.detail else {},
        record.place,
        record.seal.hex(),
    )


async def list_entries(s: Services, call: Call) -> Response:
    """Answer with a page: of a namespace or repository, or of everything for administrators."""
    actor = await authenticate(s, call)
    require(actor, Action.PING, System(), await rights.find_standing(s, actor))
    page = call.page()
    filters = {each: text for each, name in PARAMETERS.items() if (text := call.parameter(name))}
    if not is_component(filters.get(Filter.NAMESPACE, "a")):
        raise Invalid("namespace is none that can be")
    found = await audit.list_entries(s, actor, filters, page.after_number, page.limit)
    return told_page(call, [_shown(each) for each in found.entries], found.before or None)


ROUTES = (
    Route(
        method="GET",
        path="/audit",
        name="list-entries",
        summary="Who did what, newest first",
        action=Action.AUDIT,
        handler=list_entries,
        gives=Trail,
        pages=True,
        query=tuple(PARAMETERS.values()),
    ),
)
