"""Trusts, the token rows that their bearers hang on, and their last uses."""

import secrets
from collections.abc import Mapping, Sequence

import msgspec
import sqlalchemy as sa

from moorage.db.access_schema import principal, token, trust, trust_use
from moorage.db.engine import NO_TEXT, ONE, ZERO, Query, Row, Tx, add_row, insert
from moorage.db.repositories import LIVE
from moorage.db.schema import namespace
from moorage.model.access import Scope
from moorage.model.trusts import Rule, Trust, Use

KEPT_USES = 20
_PAGE = 100

_KIND: sa.ColumnClause[str] = sa.literal_column("'trust'")
_ROBOT: sa.ColumnClause[str] = sa.literal_column("'robot'")

_trusts = (
    sa.select(
        trust.c.id,
        trust.c.namespace_id,
        namespace.c.name,
        trust.c.name,
        trust.c.issuer_id,
        trust.c.robot_id,
        principal.c.name,
        trust.c.token_id,
        trust.c.audience,
        trust.c.rules,
        trust.c.scopes,
        trust.c.enabled,
        trust.c.created_at,
        trust.c.created_by,
        trust.c.last_used_at,
    )
    .select_from(trust)
    .join(namespace, namespace.c.id == trust.c.namespace_id)
    .join(principal, principal.c.id == trust.c.robot_id)
)
FIND_TRUST = Query(
    "find_trust",
    _trusts.where(trust.c.namespace_id == sa.bindparam("namespace_id")).where(
        trust.c.name == sa.bindparam("name")
    ),
)
FIND_TRUST_BY_ID = Query("find_trust_by_id", _trusts.where(trust.c.id == sa.bindparam("trust_id")))
LIST_TRUSTS = Query(
    "list_trusts",
    _trusts.where(trust.c.namespace_id == sa.bindparam("namespace_id"))
    .where(trust.c.name > sa.bindparam("after"))
    .order_by(trust.c.name)
    .limit(sa.bindparam("limit")),
)
LIST_TRUSTS_OF_ISSUER = Query(
    "list_trusts_of_issuer",
    _trusts.where(trust.c.issuer_id == sa.bindparam("issuer_id"))
    .where(trust.c.id > sa.bindparam("after"))
    .order_by(trust.c.id)
    .limit(sa.bindparam("limit")),
)
LIST_TRUSTS_OF_ROBOT = Query(
    "list_trusts_of_robot",
    _trusts.where(namespace.c.name == sa.bindparam("home"))
    .where(principal.c.kind == _ROBOT)
    .where(principal.c.namespace_id == namespace.c.id)
    .where(principal.c.name == sa.bindparam("robot"))
    .where(principal.c.ended_at == LIVE)
    .where(trust.c.issuer_id == sa.bindparam("issuer_id"))
    .limit(sa.bindparam("limit")),
)
FIND_ROBOT = Query(
    "find_robot_for_trust",
    sa.select(principal.c.id)
    .where(principal.c.kind == _ROBOT)
    .where(principal.c.namespace_id == sa.bindparam("namespace_id"))
    .where(principal.c.name == sa.bindparam("name"))
    .where(principal.c.ended_at == LIVE),
)
ADD_TRUST = Query(
    "add_trust",
    insert(trust)
    .values(
        namespace_id=sa.bindparam("namespace_id"),
        name=sa.bindparam("name"),
        issuer_id=sa.bindparam("issuer_id"),
        robot_id=sa.bindparam("robot_id"),
        token_id=ZERO,
        audience=sa.bindparam("audience"),
        rules=sa.bindparam("rules"),
        scopes=sa.bindparam("scopes"),
        enabled=ONE,
        created_at=sa.bindparam("created_at"),
        created_by=sa.bindparam("created_by"),
        last_used_at=ZERO,
    )
    .on_conflict_do_nothing()
    .returning(trust.c.id),
)
SET_TRUST = Query(
    "set_trust",
    sa.update(trust)
    .where(trust.c.id == sa.bindparam("trust_id"))
    .values(enabled=sa.bindparam("is_enabled"), token_id=sa.bindparam("new_token")),
)
END_TRUST = Query("end_trust", sa.delete(trust).where(trust.c.id == sa.bindparam("trust_id")))
ADD_BEARER = Query(
    "add_token_of_trust",
    sa.insert(token)
    .values(
        principal_id=sa.bindparam("principal_id"),
        kind=_KIND,
        name=sa.bindparam("name"),
        mark=NO_TEXT,
        hash=sa.bindparam("hash"),
        scopes=sa.bindparam("scopes"),
        created_at=sa.bindparam("now"),
        expires_at=sa.bindparam("expires_at"),
        last_used_at=ZERO,
        revoked_at=LIVE,
    )
    .returning(token.c.id),
)
# Its own row and the tokens that were exchanged for it bear its number as their name.
END_BEARERS = Query(
    "end_tokens_of_trust",
    sa.update(token)
    .where(token.c.principal_id == sa.bindparam("principal_id"))
    .where(token.c.kind == _KIND)
    .where(token.c.name == sa.bindparam("name"))
    .where(token.c.revoked_at == LIVE)
    .values(revoked_at=sa.bindparam("now")),
)
ADD_USE = Query(
    "add_trust_use",
    sa.insert(trust_use).values(
        trust_id=sa.bindparam("trust_id"),
        at=sa.bindparam("at"),
        accepted=sa.bindparam("accepted"),
        reason=sa.bindparam("reason"),
        claims=sa.bindparam("claims"),
    ),
)
LIST_USES = Query(
    "list_trust_uses",
    sa.select(
        trust_use.c.id,
        trust_use.c.at,
        trust_use.c.accepted,
        trust_use.c.reason,
        trust_use.c.claims,
    )
    .where(trust_use.c.trust_id == sa.bindparam("trust_id"))
    .order_by(trust_use.c.id.desc())
    .limit(sa.bindparam("limit")),
)
END_USES = Query(
    "end_trust_uses",
    sa.delete(trust_use)
    .where(trust_use.c.trust_id == sa.bindparam("trust_id"))
    .where(trust_use.c.id < sa.bindparam("before")),
)
SET_USED = Query(
    "set_trust_used",
    sa.update(trust)
    .where(trust.c.id == sa.bindparam("trust_id"))
    .where(trust.c.last_used_at < sa.bindparam("at"))
    .values(last_used_at=sa.bindparam("at")),
)
# Above every id that there can be.
_BEYOND = (1 << 63) - 1


class _KeptScope(msgspec.Struct, frozen=True):
    pattern: str
    actions: list[str]


def _trust_of(row: Row) -> Trust:
    values = list(row)
    values[9] = tuple(msgspec.json.decode(row[9], type=list[Rule]))
    kept = msgspec.json.decode(row[10], type=list[_KeptScope]) if row[10] else None
    values[10] = kept and tuple(Scope(each.pattern, frozenset(each.actions)) for each in kept)
    values[11] = bool(row[11])
    return Trust(*values)


async def find_trust(tx: Tx, namespace_id: int, name: str) -> Trust | None:
    """Return the trust of that name, in force or not."""
    row = await tx.one(FIND_TRUST, namespace_id=namespace_id, name=name)
    return _trust_of(row) if row else None


async def find_trust_by_id(tx: Tx, trust_id: int) -> Trust | None:
    """Return the trust of that id, in force or not."""
    row = await tx.one(FIND_TRUST_BY_ID, trust_id=trust_id)
    return _trust_of(row) if row else None


async def list_trusts(tx: Tx, namespace_id: int, after: str, limit: int) -> list[Trust]:
    """Return up to `limit` trusts of a namespace with names behind `after`."""
    rows = await tx.many(LIST_TRUSTS, namespace_id=namespace_id, after=after, limit=limit)
    return [_trust_of(row) for row in rows]


async def list_trusts_of_issuer(tx: Tx, issuer_id: int) -> list[Trust]:
    """Return all trusts in an issuer, in force or not, in the order of their ids."""
    found: list[Trust] = []
    while True:
        after = found[-1].id if found else 0
        rows = await tx.many(LIST_TRUSTS_OF_ISSUER, issuer_id=issuer_id, after=after, limit=_PAGE)
        found += [_trust_of(row) for row in rows]
        if len(rows) < _PAGE:
            return found


async def list_trusts_of_robot(
    tx: Tx, issuer_id: int, home: str, robot: str, limit: int
) -> list[Trust]:
    """Return up to `limit` trusts in an issuer that stand for the robot of that name."""
    rows = await tx.many(
        LIST_TRUSTS_OF_ROBOT, issuer_id=issuer_id, home=home, robot=robot, limit=limit
    )
    return sorted(map(_trust_of, rows), key=lambda found: found.id)


async def find_robot(tx: Tx, namespace_id: int, name: str) -> int | None:
    """Return the id of a namespace's live robot."""
    row = await tx.one(FIND_ROBOT, namespace_id=namespace_id, name=name)
    return row[0] if row else None


async def add_trust(tx: Tx, wanted: Trust, scopes: bytes) -> int | None:
    """Add a trust with a row for its bearers and return its id; None if the name is taken."""
    row = await tx.one(
        ADD_TRUST,
        namespace_id=wanted.namespace_id,
        name=wanted.name,
        issuer_id=wanted.issuer_id,
        robot_id=wanted.robot_id,
        audience=wanted.audience,
        rules=msgspec.json.encode(wanted.rules),
        scopes=scopes,
        created_at=wanted.created_at,
        created_by=wanted.created_by,
    )
    if row is None:
        return None
    number: int = row[0]
    await _begin(tx, number, wanted.robot_id, wanted.created_at)
    return number


async def set_trust(tx: Tx, found: Trust, *, enabled: bool, now: int) -> None:
    """Put the trust in or out of force; whatever its bearers were given before is over."""
    await end_bearers(tx, found, now)
    if enabled:
        await _begin(tx, found.id, found.robot_id, now)
    else:
        await tx.run(SET_TRUST, trust_id=found.id, is_enabled=0, new_token=found.token_id)


async def end_bearers(tx: Tx, found: Trust, now: int) -> None:
    """End all that was signed in by the trust."""
    await tx.run(END_BEARERS, principal_id=found.robot_id, name=_mark(found.id), now=now)


async def end_trust(tx: Tx, found: Trust, now: int) -> None:
    """Remove the trust, with all that was signed in by it."""
    await end_bearers(tx, found, now)
    await tx.run(END_USES, trust_id=found.id, before=_BEYOND)
    await tx.run(END_TRUST, trust_id=found.id)


async def add_exchanged(
    tx: Tx, found: Trust, *, hashed: bytes, scopes: bytes, now: int, expires_at: int
) -> int:
    """Keep a token that was given for one of the trust's, by its hash, and return its id."""
    return await add_row(
        tx,
        ADD_BEARER,
        principal_id=found.robot_id,
        name=_mark(found.id),
        hash=hashed,
        scopes=scopes,
        now=now,
        expires_at=expires_at,
    )


async def list_uses(tx: Tx, trust_id: int) -> list[Use]:
    """Return the last uses, the newest first."""
    rows = await tx.many(LIST_USES, trust_id=trust_id, limit=KEPT_USES)
    return [
        Use(at, bool(accepted), reason, msgspec.json.decode(claims, type=dict[str, str]))
        for _, at, accepted, reason, claims in rows
    ]


async def add_uses(tx: Tx, uses: Mapping[int, Sequence[Use]]) -> None:
    """Write down uses of trusts, in the order of their ids, and forget all but the last of each."""
    for trust_id in sorted(uses):
        for use in uses[trust_id]:
            await tx.run(
                ADD_USE,
                trust_id=trust_id,
                at=use.at,
                accepted=int(use.accepted),
                reason=use.reason,
                claims=msgspec.json.encode(use.claims),
            )
        rows = await tx.many(LIST_USES, trust_id=trust_id, limit=KEPT_USES)
        await tx.run(END_USES, trust_id=trust_id, before=rows[-1][0])
        accepted = [use.at for use in uses[trust_id] if use.accepted]
        if accepted:
            await tx.run(SET_USED, trust_id=trust_id, at=max(accepted))


async def _begin(tx: Tx, trust_id: int, robot_id: int, now: int) -> None:
    """Put the trust in force with a row for its bearers, which no secret can find."""
    number = await add_row(
        tx,
        ADD_BEARER,
        principal_id=robot_id,
        name=_mark(trust_id),
        hash=secrets.token_bytes(32),
        scopes=b"",
        now=now,
        expires_at=0,
    )
    await tx.run(SET_TRUST, trust_id=trust_id, is_enabled=1, new_token=number)


def _mark(trust_id: int) -> str:
    return f"trust:{trust_id}"
