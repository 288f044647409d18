"""Links that are good once, by the hash of their secret."""

import sqlalchemy as sa

from moorage.db.access_schema import link
from moorage.db.engine import Query, Row, Tx
from moorage.db.repositories import LIVE
from moorage.model.people import LinkRecord, OpenLink

ADD_LINK = Query(
    "add_link",
    sa.insert(link).values(
        hash=sa.bindparam("hash"),
        kind=sa.bindparam("kind"),
        account_id=sa.bindparam("account_id"),
        name=sa.bindparam("name"),
        teams=sa.bindparam("teams"),
        created_by=sa.bindparam("created_by"),
        created_at=sa.bindparam("now"),
        expires_at=sa.bindparam("expires_at"),
        spent_at=LIVE,
    ),
)
_COLUMNS = (link.c.kind, link.c.account_id, link.c.name, link.c.teams, link.c.expires_at)
FIND_LINK = Query(
    "find_link",
    sa.select(*_COLUMNS)
    .where(link.c.hash == sa.bindparam("hash"))
    .where(link.c.spent_at == LIVE)
    .where(link.c.expires_at > sa.bindparam("now")),
)
# Two at once: the second one finds it spent.
SPEND_LINK = Query(
    "spend_link",
    sa.update(link)
    .where(link.c.hash == sa.bindparam("key"))
    .where(link.c.kind == sa.bindparam("of_kind"))
    .where(link.c.spent_at == LIVE)
    .where(link.c.expires_at > sa.bindparam("now"))
    .values(spent_at=sa.bindparam("now"))
    .returning(*_COLUMNS),
)
_ENDS = sa.bindparam("ends", type_=sa.BigInteger)
_BEHIND = sa.bindparam("behind", type_=sa.LargeBinary)
# By when they end, those of one moment by their hashes.
LIST_LINKS = Query(
    "list_links",
    sa.select(link.c.hash, link.c.kind, link.c.name, link.c.created_by, link.c.created_at)
    .add_columns(link.c.expires_at)
    .where(link.c.spent_at == LIVE)
    .where(link.c.kind != sa.literal_column("'setup'"))
    .where(sa.tuple_(link.c.expires_at, link.c.hash) > sa.tuple_(_ENDS, _BEHIND))
    .order_by(link.c.expires_at, link.c.hash)
    .limit(sa.bindparam("limit")),
)
# Nobody can spend it any more.
WITHDRAW_LINK = Query(
    "withdraw_link",
    sa.update(link)
    .where(link.c.hash == sa.bindparam("key"))
    .where(link.c.spent_at == LIVE)
    .where(link.c.expires_at > sa.bindparam("now"))
    .values(spent_at=sa.bindparam("now"))
    .returning(*_COLUMNS),
)
# Of those that are good still, some days' worth.
FIND_INVITATION = Query(
    "find_invitation",
    sa.select(link.c.expires_at)
    .where(link.c.expires_at > sa.bindparam("now"))
    .where(link.c.kind == sa.bindparam("of_kind"))
    .where(link.c.name == sa.bindparam("name"))
    .where(link.c.spent_at == LIVE)
    .order_by(link.c.expires_at)
    .limit(sa.bindparam("limit")),
)
LIST_OLD_LINKS = Query(
    "list_old_links",
    sa.select(link.c.hash)
    .where(link.c.expires_at < sa.bindparam("before"))
    .order_by(link.c.expires_at)
    .limit(sa.bindparam("limit")),
)
# Behind all hashes.
_LAST = b"\xff" * 33
FORGET_LINK = Query("forget_link", sa.delete(link).where(link.c.hash == sa.bindparam("key")))


def _link_of(row: Row) -> LinkRecord:
    kind, account_id, name, teams, expires_at = row
    numbers = tuple(int(each) for each in bytes(teams).split(b",") if each)
    return LinkRecord(kind, account_id, name, numbers, expires_at)


async def add_link(tx: Tx, hashed: bytes, record: LinkRecord, created_by: str, now: int) -> None:
    """Keep a link by the hash of its secret."""
    await tx.run(
        ADD_LINK,
        hash=hashed,
        kind=record.kind,
        account_id=record.account_id,
        name=record.name,
        teams=",".join(str(each) for each in record.teams).encode(),
        created_by=created_by,
        now=now,
        expires_at=record.expires_at,
    )


async def find_link(tx: Tx, hashed: bytes, now: int) -> LinkRecord | None:
    """Return the link if it is still good."""
    row = await tx.one(FIND_LINK, hash=hashed, now=now)
    return _link_of(row) if row else None


async def spend_link(tx: Tx, hashed: bytes, kind: str, now: int) -> LinkRecord | None:
    """Spend a link of that kind and return it; None if it is not good, or not any more."""
    row = await tx.one(SPEND_LINK, key=hashed, of_kind=kind, now=now)
    return _link_of(row) if row else None


async def list_links(tx: Tx, now: int, after: tuple[int, bytes], limit: int) -> list[OpenLink]:
    """Return up to `limit` links that are good, behind the end and the hash of one.

    Those for the first account are not among them.
    """
    ends, behind = max(after, (now, _LAST))
    rows = await tx.many(LIST_LINKS, ends=ends, behind=behind, limit=limit)
    return [OpenLink(bytes(row[0]).hex(), *row[1:]) for row in rows]


async def withdraw_link(tx: Tx, hashed: bytes, now: int) -> LinkRecord | None:
    """Have the link be good for nothing and return it; None if it is so already."""
    row = await tx.one(WITHDRAW_LINK, key=hashed, now=now)
    return _link_of(row) if row else None


async def is_invited(tx: Tx, name: str, now: int) -> bool:
    """Tell whether an invitation for the name is still good."""
    row = await tx.one(FIND_INVITATION, name=name, of_kind="invitation", now=now, limit=1)
    return row is not None


async def forget_links(tx: Tx, before: int, limit: int) -> int:
    """Forget up to `limit` links that ended before that time; return how many."""
    old = await tx.many(LIST_OLD_LINKS, before=before, limit=limit)
    for (hashed,) in old:
        await tx.run(FORGET_LINK, key=hashed)
    return len(old)
