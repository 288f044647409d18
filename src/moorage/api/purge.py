"""`/api/v1/purge`: content is removed at once and for good, everywhere."""

from datetime import datetime

import msgspec

from moorage.api.call import Ask, Call, Route, told, when
from moorage.api.caller import authenticate
from moorage.api.fields import Digest, Line
from moorage.model.access import Action
from moorage.oci.digest import Digest as Parsed
from moorage.registry import purge, rights
from moorage.registry.backups import Holder
from moorage.registry.services import Services, change_by
from moorage.web.response import Response


class AskedPurge(Ask, frozen=True):
    """What is to go, and why, for the trail; with `dry_run` it is only told what would go."""

    digest: Digest
    dry_run: bool
    reason: Line = ""


class Affected(msgspec.Struct, frozen=True):
    """A repository, and what goes from it."""

    name: str
    manifests: list[str]
    tags: list[str]


class Holding(msgspec.Struct, frozen=True):
    """A backup that holds it still; where that can't be looked up from the server, it may."""

    id: str
    host: str
    place: str
    taken_at: datetime | None
    certain: bool


class Purged(msgspec.Struct, frozen=True):
    """What goes, or would; `objects` are the files or objects with the bytes of a blob."""

    digest: str
    done: bool
    repositories: list[Affected]
    objects: int
    backups: list[Holding]


async def purge_content(s: Services, call: Call) -> Response:
    """Remove content wherever it is, or tell where."""
    actor = await authenticate(s, call)
    await rights.require_administrator(s, actor)
    asked = await call.asked(AskedPurge)
    digest = Parsed.parse(asked.digest)
    if asked.dry_run:
        found = await purge.plan_purge(s, actor, digest)
    else:
        by = change_by(actor, call.request)
        found = await purge.purge_content(s, actor, digest, asked.reason, by)
    repositories = [
        Affected(each.name, list(each.manifests), list(each.tags)) for each in found.repositories
    ]
    backups = [_holding(each) for each in found.backups]
    return told(200, Purged(found.digest, not asked.dry_run, repositories, found.objects, backups))


def _holding(holder: Holder) -> Holding:
    known = holder.backup
    return Holding(known.id, known.host, known.place, when(known.taken_at), holder.is_certain)


ROUTES = (
    Route(
        method="POST",
        path="/purge",
        name="purge-content",
        summary="Remove content at once and for good, everywhere, or tell what would go",
        action=Action.ADMINISTER,
        handler=purge_content,
        takes=AskedPurge,
        gives=Purged,
    ),
)
