"""Keys that tokens are signed with; all processes of a registry share them."""

import msgspec
import sqlalchemy as sa

from moorage.db.access_schema import signing_key
from moorage.db.engine import Query, Tx
from moorage.db.repositories import LIVE

# One comes a month, and only those are read that signed within a day.
_MOST = 100


class StoredKey(msgspec.Struct, frozen=True):
    """A key as it is kept; `private` is enciphered, and empty once it signs no longer."""

    id: str
    algorithm: str
    private: bytes
    public: bytes
    created_at: int
    retired_at: int = 0

    def __repr__(self) -> str:
        """Show its name only."""
        return f"StoredKey({self.id!r})"


LIST_KEYS = Query(
    "list_signing_keys",
    sa.select(
        signing_key.c.id,
        signing_key.c.algorithm,
        signing_key.c.private,
        signing_key.c.public,
        signing_key.c.created_at,
        signing_key.c.retired_at,
    )
    .where(signing_key.c.id > sa.bindparam("after"))
    .where(
        sa.or_(
            signing_key.c.retired_at == LIVE,
            signing_key.c.retired_at > sa.bindparam("since"),
        )
    )
    .order_by(signing_key.c.id)
    .limit(sa.bindparam("limit")),
)
ADD_KEY = Query(
    "add_signing_key",
    sa.insert(signing_key).values(
        id=sa.bindparam("id"),
        algorithm=sa.bindparam("algorithm"),
        private=sa.bindparam("private"),
        public=sa.bindparam("public"),
        created_at=sa.bindparam("created_at"),
        retired_at=sa.bindparam("retired_at"),
    ),
)
RETIRE_KEY = Query(
    "retire_signing_key",
    sa.update(signing_key)
    .where(signing_key.c.id == sa.bindparam("number"))
    .where(signing_key.c.retired_at == LIVE)
    .values(retired_at=sa.bindparam("now"), private=sa.bindparam("nothing")),
)


async def list_keys(tx: Tx, since: int) -> list[StoredKey]:
    """Return the keys that sign, or did so after that time, the oldest first."""
    rows = await tx.many(LIST_KEYS, after="", since=since, limit=_MOST)
    return sorted((StoredKey(*row) for row in rows), key=lambda key: (key.created_at, key.id))


async def add_key(tx: Tx, key: StoredKey) -> None:
    """Add a key."""
    await tx.run(ADD_KEY, **msgspec.structs.asdict(key))


async def retire_key(tx: Tx, key_id: str, now: int) -> None:
    """Forget the private half of a key; what it signed is still verified for a while."""
    await tx.run(RETIRE_KEY, number=key_id, now=now, nothing=b"")
