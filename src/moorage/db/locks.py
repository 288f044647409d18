"""Locks on what has no row yet, for the database on which transactions run side by side.

Held to the end of the transaction. Rows are locked by the statements that find them. Every
transaction locks in this order, so that none waits in a circle: administration, principal,
namespace, upload, repository (by making it), blob, names of content, a repository's link to the
blob, manifest, tag; several of a kind in the order of their keys.
"""

from collections.abc import Iterable
from hashlib import blake2b

import sqlalchemy as sa

from moorage.db.engine import Query, Tx
from moorage.oci.digest import Digest

LOCK_NAME = Query(
    "lock_name",
    sa.select(sa.func.pg_advisory_xact_lock(sa.bindparam("number", type_=sa.BigInteger))),
    only="postgresql",
)

SHARE_NAME = Query(
    "share_name",
    sa.select(sa.func.pg_advisory_xact_lock_shared(sa.bindparam("number", type_=sa.BigInteger))),
    only="postgresql",
)
SHARE_ACCESS = Query(
    "share_access",
    sa.select(
        sa.func.pg_advisory_xact_lock_shared(sa.bindparam("first", type_=sa.BigInteger)),
        sa.func.pg_advisory_xact_lock_shared(sa.bindparam("second", type_=sa.BigInteger)),
    ),
    only="postgresql",
)


async def lock_content(tx: Tx, repository_id: int, digests: Iterable[Digest]) -> None:
    """Keep content of these digests from coming to the repository, or from being looked for.

    Between looking for a child that is absent and noting so, the child must not arrive: whoever
    brings it would not see the note, and the note would stay for ever.
    """
    numbers = {_number(b"content", repository_id, digest.key) for digest in digests}
    await tx.run_many(LOCK_NAME, [{"number": number} for number in sorted(numbers)])


async def share_access(tx: Tx, principal_id: int, namespace: str) -> None:
    """Keep the principal's rights in the namespace as they are until the transaction ends."""
    await tx.one(
        SHARE_ACCESS,
        first=_number(b"principal", principal_id, b""),
        second=_number(b"namespace", 0, namespace.encode()),
    )


async def take_administration(tx: Tx) -> None:
    """Let one transaction at a time decide who administers, and who has an account."""
    await tx.one(LOCK_NAME, number=_number(b"administration", 0, b""))


async def share_principal(tx: Tx, principal_id: int) -> None:
    """Keep the principal and its credentials in force until the transaction ends."""
    await tx.one(SHARE_NAME, number=_number(b"principal", principal_id, b""))


async def take_principal(tx: Tx, principal_id: int) -> None:
    """Let the writes end that go on in the principal's name; before it or a credential ends."""
    await tx.one(LOCK_NAME, number=_number(b"principal", principal_id, b""))


async def take_namespace(tx: Tx, name: str) -> None:
    """Let the writes in the namespace end; before a grant, a team or a rule of it changes.

    Before a repository of it comes or goes as a whole, too.
    """
    await tx.one(LOCK_NAME, number=_number(b"namespace", 0, name.encode()))


async def lock_job(tx: Tx, name: str, key: str) -> None:
    """Let nobody else enqueue a job of that name and key."""
    await tx.one(LOCK_NAME, number=_number(b"job", 0, f"{name} {key}".encode()))


async def lock_keys(tx: Tx) -> None:
    """Let nobody else make or retire a signing key."""
    await tx.one(LOCK_NAME, number=_number(b"keys", 0, b""))


async def lock_feed(tx: Tx) -> None:
    """Let nobody else number events."""
    await tx.one(LOCK_NAME, number=_number(b"feed", 0, b""))


async def lock_pulls(tx: Tx) -> None:
    """Let nobody else fold what pulls were counted."""
    await tx.one(LOCK_NAME, number=_number(b"pulls", 0, b""))


async def lock_search(tx: Tx) -> None:
    """Let nobody else change what is searched."""
    await tx.one(LOCK_NAME, number=_number(b"search", 0, b""))


async def lock_trail(tx: Tx) -> None:
    """Let nobody else seal entries of the audit trail."""
    await tx.one(LOCK_NAME, number=_number(b"trail", 0, b""))


def _number(kind: bytes, place: int, name: bytes) -> int:
    # Two names that come to one number only wait for each other without need.
    text = kind + place.to_bytes(8, "big") + name
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big", signed=True)
