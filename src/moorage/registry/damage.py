"""What becomes of a blob whose bytes are damaged: lost, healed by a push, or found to be right.

Its object stays where it is, in quarantine, until an administrator lets it go: it may be all that
is left of the content, and it shows what has happened.
"""

from moorage.db import blobs, locks, manifests
from moorage.db import damage as rows
from moorage.db.blobs import Put
from moorage.db.damage import Damage
from moorage.db.engine import BEYOND_ALL, Tx
from moorage.errors import Conflicting, NotFound
from moorage.events.outbox import Event
from moorage.model.access import Actor
from moorage.model.artifacts import Blob, Repository, TagChange
from moorage.oci.digest import Digest
from moorage.registry import rights
from moorage.registry.services import Services

# So many repositories are told that content is there again; in others it may be noted as absent
# only where `allow_sparse` let a manifest in while the blob was lost.
_MOST_TOLD = 1_000


async def lose(s: Services, tx: Tx, blob: Blob, why: str, found_by: str) -> bool:
    """Have the blob be absent until a push heals it; False if that is not so any more."""
    now = s.clock.now()
    digest = await rows.lose_blob(tx, blob, why, found_by, now)
    if digest is None:
        return False
    data = {"digest": digest, "location": blob.location, "why": why}
    by = TagChange("system", "", "", cause=found_by)
    await s.events.publish(tx, Event("blob.lost", 0, now, by, data))
    return True


def tell(s: Services, blob: Blob, why: str) -> None:
    """Tell log and metrics of a blob that was lost just now."""
    s.telemetry.metrics.verification.damaged.labels(why).inc()
    s.telemetry.log.error("blob lost", blob=blob.id, location=blob.location, why=why)


async def heal(s: Services, tx: Tx, repository: Repository, put: Put, actor: Actor) -> None:
    """Tell everybody that a push has brought the bytes of a lost blob."""
    await _resolve(tx, put)
    by = TagChange(actor.name, actor.credential, "")
    data = {"repository": repository.name, "digest": put.digests[0]}
    event = Event.of(repository, "blob.healed", s.clock.now(), by, data)
    await s.events.publish(tx, event)


async def readmit(s: Services, tx: Tx, blob: Blob, found_by: str) -> bool:
    """Have a lost blob be there again whose bytes are right; False if it is not lost any more."""
    now = s.clock.now()
    if not await rows.readmit_blob(tx, blob, now):
        return False
    known = await blobs.list_digests(tx, blob.id)
    await _resolve(tx, Put(blob.id, known))
    data = {"digest": known[0] if known else "", "location": blob.location}
    by = TagChange("system", "", "", cause=found_by)
    await s.events.publish(tx, Event("blob.found", 0, now, by, data))
    return True


async def _resolve(tx: Tx, put: Put) -> None:
    for repository_id in sorted(await rows.list_holders(tx, put.id, _MOST_TOLD)):
        await locks.lock_content(tx, repository_id, put.digests)
        for digest in put.digests:
            await manifests.resolve(tx, repository_id, digest, "blob", put.id)


async def list_damage(s: Services, actor: Actor, before: int, limit: int) -> list[Damage]:
    """Return up to `limit` damaged objects with ids below `before` (0: the newest).

    Raises:
        Unauthorized, NotPermitted: the actor is no administrator.
    """
    await rights.require_administrator(s, actor)
    return await s.db.read(lambda tx: rows.list_damage(tx, before or BEYOND_ALL, limit), pages=True)


async def discard(s: Services, actor: Actor, damage_id: int, by: TagChange) -> None:
    """Have an object deleted that was kept because it is damaged.

    Raises:
        Unauthorized, NotPermitted: the actor is no administrator.
        NotFound: nothing is kept by that id.
        Conflicting: its blob is lost still: it may be all that is left of the content.
    """
    await rights.require_administrator(s, actor)

    async def write(tx: Tx) -> None:
        await rights.hold_administration(tx, actor)
        found = await rows.find_damage(tx, damage_id)
        if found is None:
            raise NotFound(f"nothing is kept as {damage_id}")
        if not await rows.end_keeping(tx, damage_id):
            raise Conflicting(
                f"{found.digest} is lost still: this may be all that is left of it",
                hint="Push it again, or purge the digest",
            )
        now = s.clock.now()
        identity = Digest.parse(found.digest) if found.digest else None
        await blobs.queue_deletes(tx, {found.location: found.size}, now, "discarded", identity)
        data = {"digest": found.digest, "location": found.location}
        await s.events.publish(tx, Event("damage.discarded", 0, now, by, data))
        await s.jobs.enqueue(tx, "objects.delete", key="schedule")

    await s.db.write(write)
