"""Which backups there are, and the hold by which one keeps every object where it is."""

import msgspec
import sqlalchemy as sa

from moorage.db.backup_schema import backup
from moorage.db.engine import ONE, ZERO, Query, Tx, insert
from moorage.db.schema import hold, store_epoch

RUNNING, COMPLETE = "running", "complete"
_EVERYTHING = b""
_REASON = "a backup is being made"


class Backup(msgspec.Struct, frozen=True):
    """A backup: where it is, the time that its metadata show, and how much it has."""

    id: str
    host: str
    place: str
    state: str
    started_at: int
    taken_at: int = 0
    ended_at: int = 0
    objects: int = 0
    digest: bytes = b""
    bytes: int = 0


_COLUMNS = tuple(backup.c[name] for name in Backup.__struct_fields__)
_put = insert(backup).values({name: sa.bindparam(name) for name in Backup.__struct_fields__})
PUT_BACKUP = Query(
    "put_backup",
    _put.on_conflict_do_update(
        index_elements=[backup.c.id],
        set_={name: _put.excluded[name] for name in Backup.__struct_fields__[1:]},
    ),
)
DROP_BACKUP = Query("drop_backup", sa.delete(backup).where(backup.c.id == sa.bindparam("number")))
_listed = sa.select(*_COLUMNS).order_by(backup.c.id).limit(sa.bindparam("limit"))
LIST_BACKUPS = Query("list_backups", _listed.where(backup.c.id > sa.bindparam("after")))
LIST_BACKUPS_IN = Query(
    "list_backups_in",
    _listed.where(backup.c.host == sa.bindparam("host"))
    .where(backup.c.place == sa.bindparam("place"))
    .where(backup.c.id > sa.bindparam("after")),
)
FIND_LAST = Query(
    "find_last_backup",
    sa.select(*_COLUMNS)
    .where(backup.c.state == sa.literal_column(f"'{COMPLETE}'"))
    .order_by(backup.c.id.desc())
    .limit(ONE),
)

_hold = insert(hold).values(
    repository_id=ZERO,
    digest=sa.bindparam("everything"),
    source=sa.bindparam("source"),
    reason=sa.bindparam("reason"),
    until=sa.bindparam("until"),
)
PUT_STORE_HOLD = Query(
    "put_store_hold",
    _hold.on_conflict_do_update(
        index_elements=["repository_id", "digest", "source"],
        set_={"until": _hold.excluded.until},
    ),
)
_held = (
    (hold.c.repository_id == ZERO)
    & (hold.c.digest == sa.bindparam("everything"))
    & (hold.c.source == sa.bindparam("of_source"))
)
# Only one that is in force: whatever came in between one that had ended is not undone.
EXTEND_STORE_HOLD = Query(
    "extend_store_hold",
    sa.update(hold)
    .where(_held)
    .where(hold.c.until > sa.bindparam("now"))
    .values(until=sa.bindparam("new_until")),
)
DROP_STORE_HOLD = Query("drop_store_hold", sa.delete(hold).where(_held))

FIND_RESTORED = Query(
    "find_restored",
    sa.select(store_epoch.c.at)
    .where(store_epoch.c.epoch >= ZERO)
    .order_by(store_epoch.c.epoch.desc())
    .limit(ONE),
)


async def put_backup(tx: Tx, found: Backup) -> None:
    """Note a backup as it is now."""
    await tx.run(PUT_BACKUP, **msgspec.structs.asdict(found))


async def drop_backup(tx: Tx, backup_id: str) -> None:
    """Forget a backup that is no longer there."""
    await tx.run(DROP_BACKUP, number=backup_id)


async def list_backups(tx: Tx, after: str, limit: int) -> list[Backup]:
    """Return up to `limit` backups behind that id, the oldest first."""
    return [Backup(*row) for row in await tx.many(LIST_BACKUPS, after=after, limit=limit)]


async def list_backups_in(tx: Tx, host: str, place: str, limit: int) -> list[Backup]:
    """Return up to `limit` backups in a directory of a host, the oldest first."""
    rows = await tx.many(LIST_BACKUPS_IN, host=host, place=place, after="", limit=limit)
    return [Backup(*row) for row in rows]


async def find_last(tx: Tx) -> Backup | None:
    """Return the last complete backup, None without one."""
    row = await tx.one(FIND_LAST)
    return Backup(*row) if row else None


async def hold_store(tx: Tx, backup_id: str, until: int) -> None:
    """Keep every object where it is until that time."""
    await tx.run(
        PUT_STORE_HOLD,
        everything=_EVERYTHING,
        source=_source(backup_id),
        reason=_REASON,
        until=until,
    )


async def extend_hold(tx: Tx, backup_id: str, now: int, until: int) -> bool:
    """Keep the objects longer; False if the hold had ended meanwhile."""
    return bool(
        await tx.run(
            EXTEND_STORE_HOLD,
            everything=_EVERYTHING,
            of_source=_source(backup_id),
            now=now,
            new_until=until,
        )
    )


async def release_store(tx: Tx, backup_id: str) -> None:
    """Let objects be deleted again."""
    await tx.run(DROP_STORE_HOLD, everything=_EVERYTHING, of_source=_source(backup_id))


async def find_restored(tx: Tx) -> int:
    """Return when this database was last restored from a backup, 0 if it never was."""
    row = await tx.one(FIND_RESTORED)
    return row[0] if row else 0


def _source(backup_id: str) -> str:
    return f"backup {backup_id}"
