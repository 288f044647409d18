"""What a registry notes of itself: its secrets, its schema, a move under way."""

import secrets

import sqlalchemy as sa

from moorage.db.engine import Database, Query, Tx, insert
from moorage.db.schema import setting

GET_SETTING = Query(
    "get_setting", sa.select(setting.c.value).where(setting.c.key == sa.bindparam("key"))
)
_put = insert(setting).values(key=sa.bindparam("key"), value=sa.bindparam("value"))
ADD_SETTING = Query("add_setting", _put.on_conflict_do_nothing())
PUT_SETTING = Query(
    "put_setting",
    _put.on_conflict_do_update(index_elements=["key"], set_={"value": _put.excluded.value}),
)


async def get(db: Database, key: str) -> str | None:
    """Return the setting's value, None if it is not set."""

    async def read(tx: Tx) -> str | None:
        row = await tx.one(GET_SETTING, key=key)
        return row[0] if row else None

    return await db.read(read)


async def put(db: Database, key: str, value: str) -> None:
    """Set the setting, whatever it was."""
    await db.write(lambda tx: tx.run(PUT_SETTING, key=key, value=value))


def new_secret(name: str) -> dict[str, str]:
    """Return the row of `setting` for a secret of that name, should it have none yet."""
    return {"key": f"secret.{name}", "value": secrets.token_hex(32)}


async def secret(db: Database, name: str) -> bytes:
    """Return the registry's own secret of that name, 32 random bytes made on first use."""
    made = new_secret(name)
    known = await get(db, made["key"])
    if known is not None:
        return bytes.fromhex(known)

    async def write(tx: Tx) -> str:
        await tx.run(ADD_SETTING, **made)
        row = await tx.one(GET_SETTING, key=made["key"])
        return row[0] if row else made["value"]

    return bytes.fromhex(await db.write(write))
