"""Which servers share this database, what they run and how they are set."""

import msgspec
import sqlalchemy as sa

from moorage.db.engine import Query, Tx, insert
from moorage.db.jobs_schema import replica


class Replica(msgspec.Struct, frozen=True):
    """A server that was seen lately; `settings` is a digest of those that all must have alike."""

    id: str
    host: str
    version: str
    settings: str
    seen_at: int


_put = insert(replica).values(
    id=sa.bindparam("replica_id"),
    host=sa.bindparam("host"),
    version=sa.bindparam("version"),
    settings=sa.bindparam("settings"),
    seen_at=sa.bindparam("now"),
)
PUT_REPLICA = Query(
    "put_replica",
    _put.on_conflict_do_update(
        index_elements=[replica.c.id],
        set_={
            "version": _put.excluded.version,
            "settings": _put.excluded.settings,
            "seen_at": _put.excluded.seen_at,
        },
    ),
)
LIST_REPLICAS = Query(
    "list_replicas",
    sa.select(
        replica.c.id, replica.c.host, replica.c.version, replica.c.settings, replica.c.seen_at
    )
    .where(replica.c.seen_at >= sa.bindparam("since"))
    .order_by(replica.c.seen_at)
    .limit(sa.bindparam("limit")),
)
FORGET_REPLICAS = Query(
    "forget_replicas", sa.delete(replica).where(replica.c.seen_at < sa.bindparam("before"))
)


async def put_replica(tx: Tx, seen: Replica) -> None:
    """Note that the server is there."""
    await tx.run(
        PUT_REPLICA,
        replica_id=seen.id,
        host=seen.host,
        version=seen.version,
        settings=seen.settings,
        now=seen.seen_at,
    )


async def list_replicas(tx: Tx, since: int, limit: int) -> list[Replica]:
    """Return up to `limit` servers that were seen since then."""
    return [Replica(*row) for row in await tx.many(LIST_REPLICAS, since=since, limit=limit)]


async def forget_replicas(tx: Tx, before: int) -> None:
    """Forget the servers that were last seen before then."""
    await tx.run(FORGET_REPLICAS, before=before)
