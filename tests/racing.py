"""Two use cases on PostgreSQL, the one held before any of its statements while the other runs.

A race is tried at every place that it can have: the late one is stopped before its first statement,
then before its second, and so on, while the quick one runs to its end or to where it has to wait
for a lock. What must hold of the database afterwards is in `violations`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import psycopg

from moorage.db.columns import metadata
from moorage.db.postgres import PostgresTx
from moorage.db.tags import Condition
from moorage.model.access import EARLY, Actor
from moorage.model.artifacts import TagChange
from moorage.oci.digest import Digest, digest_of
from moorage.oci.manifest import parse_manifest
from moorage.oci.media_types import OCI_INDEX, OCI_MANIFEST
from moorage.oci.names import RepositoryName, Tag
from moorage.registry import delete, mounts, push, repositories, restore, uploads
from moorage.registry.services import Services
from moorage.registry.uploads import Body

ALICE = Actor("local", "alice", "loopback", subject=EARLY)
BY = TagChange("alice", "loopback", "request")
LATE = "the late one"
_PATIENCE = 5.0
Use = Callable[[], Awaitable[Any]]

# Each finds rows only where something went wrong.
RULES = {
    "a blob without a digest": (
        "SELECT id FROM blob WHERE id NOT IN (SELECT blob_id FROM blob_digest)"
    ),
    "a digest without a blob": (
        "SELECT digest FROM blob_digest WHERE blob_id NOT IN (SELECT id FROM blob)"
    ),
    "a location in use that is to be deleted": (
        "SELECT location FROM blob JOIN delete_queue USING (location)"
    ),
    "a namespace that pays too little or too much": (
        "SELECT n.id, paid.sum, has.sum FROM namespace n"
        " LEFT JOIN (SELECT namespace_id, sum(bytes) FROM usage_delta GROUP BY 1) paid"
        " ON paid.namespace_id = n.id"
        " LEFT JOIN (SELECT namespace_id, sum(size) FROM (SELECT DISTINCT rb.namespace_id, b.id,"
        " b.size FROM repository_blob rb JOIN blob b ON b.id = rb.blob_id) each GROUP BY 1) has"
        " ON has.namespace_id = n.id WHERE coalesce(paid.sum, 0) != coalesce(has.sum, 0)"
    ),
    "content that nobody looks at though nothing names it": (
        "SELECT rb.repository_id, rb.blob_id FROM repository_blob rb"
        " WHERE rb.lease_until = 0 AND NOT EXISTS (SELECT 1 FROM review_queue q"
        " WHERE q.kind = 'blob' AND q.repository_id = rb.repository_id"
        " AND q.subject_id = rb.blob_id) AND NOT EXISTS (SELECT 1 FROM manifest_reference r"
        " WHERE r.repository_id = rb.repository_id AND r.kind = 'blob'"
        " AND r.child_id = rb.blob_id AND r.role != 'subject')"
    ),
    "a blob that no repository has": (
        "SELECT id FROM blob WHERE id NOT IN (SELECT blob_id FROM repository_blob)"
    ),
    "a repository's blob that is not there": (
        "SELECT blob_id FROM repository_blob WHERE blob_id NOT IN (SELECT id FROM blob)"
    ),
    "a history with a gap": (
        "SELECT repository_id, name FROM tag_change GROUP BY 1, 2"
        " HAVING min(version) != 1 OR max(version) != count(*)"
    ),
    "a tag that its history does not tell": (
        "SELECT repository_id, name, t.version, c.version FROM tag t FULL JOIN"
        " (SELECT DISTINCT ON (repository_id, name) * FROM tag_change"
        " ORDER BY repository_id, name, version DESC) c USING (repository_id, name)"
        " WHERE t.version IS DISTINCT FROM c.version AND NOT (t.name IS NULL AND c.digest = '')"
        " OR t.digest IS DISTINCT FROM nullif(c.digest, '')"
    ),
    "a tag on a manifest that is gone": (
        "SELECT t.name FROM tag t LEFT JOIN manifest m ON m.id = t.manifest_id"
        " WHERE m.id IS NULL OR m.trash_until != 0"
    ),
    "a manifest whose content is gone": (
        "SELECT r.kind, r.child_id FROM manifest_reference r"
        " JOIN manifest p ON p.id = r.manifest_id"
        " LEFT JOIN manifest m ON r.kind = 'manifest' AND m.id = r.child_id AND m.trash_until = 0"
        " LEFT JOIN repository_blob rb ON r.kind = 'blob' AND rb.blob_id = r.child_id"
        " AND rb.repository_id = r.repository_id AND rb.trash_until = 0"
        " WHERE p.trash_until = 0 AND r.role != 'subject' AND r.kind IN ('manifest', 'blob')"
        " AND m.id IS NULL AND rb.blob_id IS NULL"
    ),
    "a name of what is gone": (
        "SELECT r.manifest_id, r.position, r.kind, r.child_id FROM manifest_reference r"
        " LEFT JOIN manifest m ON r.kind = 'manifest' AND m.id = r.child_id"
        " AND m.repository_id = r.repository_id"
        " LEFT JOIN repository_blob rb ON r.kind = 'blob' AND rb.blob_id = r.child_id"
        " AND rb.repository_id = r.repository_id"
        " WHERE r.child_id != 0 AND m.id IS NULL AND rb.blob_id IS NULL"
    ),
    "content that is here and noted as absent": (
        "SELECT r.manifest_id, r.position FROM manifest_reference r"
        " LEFT JOIN manifest_digest d ON d.repository_id = r.repository_id"
        " AND d.digest = r.child_digest"
        " LEFT JOIN manifest m ON m.id = d.manifest_id AND m.trash_until = 0"
        " LEFT JOIN blob_digest b ON b.digest = r.child_digest"
        " LEFT JOIN repository_blob rb ON rb.blob_id = b.blob_id"
        " AND rb.repository_id = r.repository_id AND rb.trash_until = 0"
        " WHERE r.kind = 'absent' AND (rb.blob_id IS NOT NULL"
        " OR m.id IS NOT NULL AND r.role NOT IN ('config', 'layer'))"
    ),
    "a referrer that its subject does not find": (
        "SELECT r.id FROM manifest r JOIN manifest_digest d ON d.repository_id = r.repository_id"
        " AND d.digest = r.subject JOIN manifest s ON s.id = d.manifest_id"
        " WHERE s.identity != r.subject"
    ),
    "a feed with a gap": (
        "SELECT min(place), max(place), count(*) FROM event_feed"
        " HAVING min(place) != 1 OR max(place) != count(*)"
    ),
    "an event that is lost or told twice": (
        "SELECT * FROM (SELECT (SELECT count(*) FROM event_feed) AS told,"
        " (SELECT count(*) FROM event_outbox) AS left_, (SELECT count(*) FROM audit) AS all_) each"
        " WHERE told + left_ != all_"
    ),
    "a key with two waiting jobs": (
        "SELECT name, key FROM job WHERE key != '' AND state = 'waiting'"
        " GROUP BY 1, 2 HAVING count(*) > 1"
    ),
}


def violations(url: str) -> dict[str, list[Any]]:
    """Return the rules that the database breaks, with the rows that do."""
    with psycopg.connect(url) as connection:
        found = {name: connection.execute(text).fetchall() for name, text in RULES.items()}
    return {name: rows for name, rows in found.items() if rows}


@contextmanager
def held(number: int) -> Iterator[tuple[asyncio.Event, asyncio.Event]]:
    """Hold the task `LATE` before that statement, counted from 0; yield (it is there, go on)."""
    there, may_go_on = asyncio.Event(), asyncio.Event()
    real_one, real_many = PostgresTx._execute, PostgresTx.run_many
    count = 0

    async def wait(tx: PostgresTx) -> None:
        nonlocal count
        task = asyncio.current_task()
        if task is None or task.get_name() != LATE:
            return
        count += 1
        if count == number + 1:
            there.set()
            tx.busy = True  # as if the server took its time
            await may_go_on.wait()
            tx.busy = False

    async def execute(tx: PostgresTx, query: Any, values: Any) -> Any:
        await wait(tx)
        return await real_one(tx, query, values)

    async def run_many(tx: PostgresTx, query: Any, rows: Any, /) -> None:
        await wait(tx)
        await real_many(tx, query, rows)

    PostgresTx._execute, PostgresTx.run_many = execute, run_many  # type: ignore[method-assign]
    try:
        yield there, may_go_on
    finally:
        PostgresTx._execute, PostgresTx.run_many = real_one, real_many  # type: ignore[method-assign]


def wipe(url: str) -> None:
    """Empty every table but the settings."""
    tables = [table.name for table in metadata.sorted_tables if table.name != "setting"]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("; ".join(f'DELETE FROM "{name}"' for name in tables).encode())


async def _stands(task: asyncio.Task[Any], url: str) -> None:
    """Wait until the task is done or waits for a lock."""
    text = (
        "SELECT 1 FROM pg_stat_activity"
        " WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    with psycopg.connect(url, autocommit=True) as connection:
        for _ in range(int(_PATIENCE / 0.005)):
            await asyncio.wait({task}, timeout=0.005)
            if task.done() or connection.execute(text).fetchone():
                return


async def race(url: str, number: int, late: Use, quick: Use) -> tuple[bool, Any, Any]:
    """Run both, the late one held before that statement.

    Returns whether it has so many, and what each returned or raised.
    """
    with held(number) as (there, may_go_on):
        first = asyncio.create_task(_run(late), name=LATE)
        waiting = asyncio.create_task(there.wait())
        await asyncio.wait({first, waiting}, return_when=asyncio.FIRST_COMPLETED)
        reached = there.is_set()
        waiting.cancel()
        second = asyncio.create_task(_run(quick))
        await _stands(second, url)
        may_go_on.set()
        results = await asyncio.gather(first, second, return_exceptions=True)
    return reached, *results


async def _run(use: Use) -> Any:
    return await use()


async def chunks(raw: bytes) -> AsyncIterator[bytes]:
    yield raw


class Client:
    """What a client does with one repository, through one process."""

    def __init__(
        self, services: Services, name: str, sparse: str = "indexes", actor: Actor = ALICE
    ) -> None:
        self.actor = actor
        config = msgspec.structs.replace(services.config, allow_sparse=sparse)
        self.s = msgspec.structs.replace(services, config=config)
        self.name = RepositoryName.parse(name)

    async def blob(self, raw: bytes, algorithm: str = "sha256") -> None:
        body = Body(chunks(raw))
        await uploads.push_whole(self.s, self.actor, self.name, body, digest_of(raw, algorithm))

    async def mount(self, raw: bytes, source: RepositoryName) -> bool:
        return await mounts.mount(self.s, self.actor, self.name, digest_of(raw), source)

    async def manifest(
        self, raw: bytes, *tags: str, algorithm: str = "sha256", condition: Condition | None = None
    ) -> None:
        named = tuple(Tag.parse(tag) for tag in tags)
        prepared = push.prepare(
            self.name,
            raw,
            parse_manifest(raw, ""),
            digest_of(raw, algorithm),
            named,
            condition or Condition(),
        )
        await push.put_manifest(self.s, self.actor, prepared, BY)

    async def delete_manifest(self, raw: bytes) -> None:
        await delete.delete_manifest(self.s, self.actor, self.name, digest_of(raw), BY)

    async def delete_tag(self, tag: str) -> None:
        await delete.delete_tag(self.s, self.actor, self.name, Tag.parse(tag), Condition(), BY)

    async def restore_manifest(self, raw: bytes) -> restore.Restored:
        return await restore.restore_manifest(self.s, self.actor, self.name, digest_of(raw), BY)

    async def restore_tag(self, tag: str, **to: Any) -> restore.RestoredTag:
        return await restore.restore_tag(self.s, self.actor, self.name, Tag.parse(tag), BY, **to)

    async def delete_repository(self) -> None:
        await repositories.delete_repository(self.s, self.actor, self.name, BY)

    async def restore_repository(self, **more: Any) -> None:
        await repositories.restore_repository(self.s, self.actor, self.name, BY, **more)

    async def delete_blob(self, raw: bytes) -> None:
        await delete.delete_blob(self.s, self.actor, self.name, digest_of(raw), BY)


def _descriptor(raw: bytes, media_type: str, algorithm: str = "sha256") -> dict[str, Any]:
    digest: Digest = digest_of(raw, algorithm)
    return {"mediaType": media_type, "digest": str(digest), "size": len(raw)}


def image(*layers: bytes, subject: bytes | None = None, algorithm: str = "sha256") -> bytes:
    """Return an image of the layers; the first one is its configuration as well."""
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": _descriptor(layers[0], "application/vnd.oci.image.config.v1+json"),
        "layers": [_descriptor(raw, "application/vnd.oci.image.layer.v1.tar") for raw in layers],
    }
    if subject is not None:
        document["subject"] = _descriptor(subject, OCI_MANIFEST, algorithm)
    return json.dumps(document).encode()


def index(*children: bytes) -> bytes:
    """Return an index of the images."""
    listed = [_descriptor(raw, OCI_MANIFEST) for raw in children]
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed}).encode()
