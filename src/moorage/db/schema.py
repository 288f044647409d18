"""The tables. Columns are integers, texts and bytes only: raw execution converts nothing.

Conventions, which every table keeps:
- everything names a repository by its id, never by its name, and ids are never used again;
- times are milliseconds since 1970, UTC; `trash_until = 0` means live, since no NULL may stand in
  a unique key;
- a digest is held as its key (`oci/digest.py`); a manifest's or blob's *identity* is its sha256,
  any other digest is an alias that exists only because this server computed it;
- no shared row is updated per request: what is counted is appended and folded later.
"""

from typing import Any

import sqlalchemy as sa

SCHEMA_VERSION = 3
# The oldest schema that this program can still read and write.
SCHEMA_COMPATIBLE = 2

metadata = sa.MetaData()

_integer = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
# Pages are in the order of bytes on both databases, whatever language the server speaks.
_plain_text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def _id() -> sa.Column[int]:
    return sa.Column("id", _integer, primary_key=True, autoincrement=True)


def _number(name: str, **options: Any) -> sa.Column[int]:
    return sa.Column(name, _integer, nullable=False, autoincrement=False, **options)


def _text(name: str, **options: Any) -> sa.Column[str]:
    return sa.Column(name, _plain_text, nullable=False, **options)


def _bytes(name: str, **options: Any) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary, nullable=False, **options)


def _partial(name: str, rule: str, *columns: str) -> sa.Index:
    """Return an index of the rows that the rule holds for; statements repeat the rule."""
    return sa.Index(
        name,
        *columns,
        sqlite_where=sa.text(rule),
        postgresql_where=sa.text(rule.replace("x''", "''::bytea")),
    )


# Ids of rows are never used again; tables without ids are kept in the order of their key.
_AUTOINCREMENT: dict[str, Any] = {"sqlite_autoincrement": True}
_CLUSTERED: dict[str, Any] = {"sqlite_with_rowid": False}

setting = sa.Table(
    "setting", metadata, _text("key", primary_key=True), _text("value"), **_CLUSTERED
)

# Bumped by a restore; the store keeps a copy, and a difference stops collection.
store_epoch = sa.Table("store_epoch", metadata, _number("epoch", primary_key=True), _number("at"))

namespace = sa.Table(
    "namespace",
    metadata,
    _id(),
    _text("name", unique=True),
    _text("kind"),
    _number("created_at"),
    **_AUTOINCREMENT,
)

repository = sa.Table(
    "repository",
    metadata,
    _id(),
    _number("namespace_id"),
    _text("name"),
    _text("kind"),  # hosted, mirror or replica
    _text("visibility"),  # private, internal or public
    _number("generation"),
    _number("created_at"),
    _number("trash_until"),
    sa.Index("repository_by_name", "name", "trash_until", unique=True),
    sa.Index("repository_by_namespace", "namespace_id", "name"),
    **_AUTOINCREMENT,
)

# The names that a repository had before, so that a rename breaks no pull.
repository_alias = sa.Table(
    "repository_alias",
    metadata,
    _text("name", primary_key=True),
    _number("repository_id"),
    sa.Index("repository_alias_by_repository", "repository_id"),
    **_CLUSTERED,
)

blob = sa.Table(
    "blob",
    metadata,
    _id(),
    _number("size"),
    _text("location", unique=True),
    _text("state"),  # live, or lost: known to be damaged, answered as absent, healed by a push
    _number("created_at"),
    **_AUTOINCREMENT,
)

# The only way in to a blob.
blob_digest = sa.Table(
    "blob_digest",
    metadata,
    _bytes("digest", primary_key=True),
    _number("blob_id"),
    sa.Index("blob_digest_by_blob", "blob_id"),
    **_CLUSTERED,
)

repository_blob = sa.Table(
    "repository_blob",
    metadata,
    _number("repository_id", primary_key=True),
    _number("blob_id", primary_key=True),
    _number("namespace_id"),
    _number("lease_until"),
    _number("trash_until"),
    sa.Index("repository_blob_by_blob", "blob_id"),
    sa.Index("repository_blob_by_namespace", "namespace_id", "blob_id"),
    **_CLUSTERED,
)

manifest = sa.Table(
    "manifest",
    metadata,
    _id(),
    _number("repository_id"),
    _bytes("identity"),
    _text("media_type"),
    _text("artifact_type"),
    # The subject's identity where it is known, else the key as written; empty without a subject.
    _bytes("subject"),
    # The descriptor that the referrers API lists; empty without a subject.
    _bytes("listed"),
    _number("size"),
    _number("created_at"),
    _number("trash_until"),
    _bytes("raw"),
    sa.Index("manifest_by_identity", "repository_id", "identity", unique=True),
    _partial(
        "manifest_by_subject", "subject != x''", "repository_id", "subject", "trash_until", "id"
    ),
    _partial(
        "manifest_by_subject_and_type",
        "subject != x''",
        "repository_id",
        "subject",
        "artifact_type",
        "trash_until",
        "id",
    ),
    **_AUTOINCREMENT,
)

# Every digest that a manifest can be asked by; its identity is one of them.
manifest_digest = sa.Table(
    "manifest_digest",
    metadata,
    _number("repository_id", primary_key=True),
    _bytes("digest", primary_key=True),
    _number("manifest_id"),
    sa.Index("manifest_digest_by_manifest", "manifest_id"),
    **_CLUSTERED,
)

# No foreign key to the child: it may be a blob, a manifest, absent or foreign. `role` says what
# the parent calls it (config, layer, manifest, subject), `kind` what it was found to be.
manifest_reference = sa.Table(
    "manifest_reference",
    metadata,
    _number("manifest_id", primary_key=True),
    _number("position", primary_key=True),
    _number("repository_id"),
    _text("role"),
    _bytes("child_digest"),
    _text("kind"),  # blob, manifest, foreign or absent
    _number("child_id"),  # 0 unless kind is blob or manifest
    sa.Index("manifest_reference_by_child", "repository_id", "child_id", "kind"),
    _partial("manifest_reference_absent", "kind = 'absent'", "repository_id", "child_digest"),
    **_CLUSTERED,
)

tag = sa.Table(
    "tag",
    metadata,
    _number("repository_id", primary_key=True),
    _text("name", primary_key=True),
    _number("manifest_id"),
    _bytes("digest"),  # the one it was pushed with
    _number("version"),
    _number("updated_at"),
    sa.Index("tag_by_manifest", "repository_id", "manifest_id"),
    **_CLUSTERED,
)

# Append-only; version n + 1 follows n over deletion and re-creation. `digest` is empty for an end.
tag_change = sa.Table(
    "tag_change",
    metadata,
    _number("repository_id", primary_key=True),
    _text("name", primary_key=True),
    _number("version", primary_key=True),
    _bytes("digest"),
    _number("at"),
    _text("actor"),
    _text("credential"),
    _text("request_id"),
    _text("cause"),
    _text("cause_id"),
    **_CLUSTERED,
)

upload = sa.Table(
    "upload",
    metadata,
    _text("id", primary_key=True),
    _number("repository_id"),
    _text("owner"),
    _text("algorithm"),
    _bytes("state"),
    _number("offset"),
    _bytes("prefix"),  # the key of the sha256 of all bytes so far; empty when unknown
    _number("epoch"),
    _number("created_at"),
    _number("expires_at"),
    sa.Index("upload_by_expiry", "expires_at"),
    # Ended sessions belong to repository 0.
    _partial("upload_by_repository", "repository_id != 0", "repository_id"),
    **_CLUSTERED,
)

# Locations that no row names any more; locations are never re-used, so deleting needs no lock.
delete_queue = sa.Table(
    "delete_queue",
    metadata,
    _text("location", primary_key=True),
    _number("not_before"),
    _text("reason"),
    sa.Index("delete_queue_by_time", "not_before"),
    **_CLUSTERED,
)

# What may have lost its last reference; filled by the transactions that drop references.
review_queue = sa.Table(
    "review_queue",
    metadata,
    _text("kind", primary_key=True),
    _number("repository_id", primary_key=True),
    _number("subject_id", primary_key=True),
    _number("review_after"),
    _number("tries"),
    _text("event"),
    sa.Index("review_queue_by_time", "review_after"),
    **_CLUSTERED,
)

hold = sa.Table(
    "hold",
    metadata,
    _number("repository_id", primary_key=True),
    _bytes("digest", primary_key=True),
    _text("source", primary_key=True),
    _text("reason"),
    _number("until"),
    sa.Index("hold_by_time", "until"),
    **_CLUSTERED,
)

event_outbox = sa.Table(
    "event_outbox",
    metadata,
    _id(),
    _text("kind"),
    _number("repository_id"),
    _bytes("payload"),
    _number("at"),
    **_AUTOINCREMENT,
)

# Numbered by the one job that fills it: consumers remember a place here, never an outbox id.
event_feed = sa.Table(
    "event_feed",
    metadata,
    _number("place", primary_key=True),
    _text("kind"),
    _number("repository_id"),
    _bytes("payload"),
    _number("at"),
    sa.Index("event_feed_by_time", "at"),
)

audit = sa.Table(
    "audit",
    metadata,
    _id(),
    _number("at"),
    _text("actor"),
    _text("credential"),
    _text("request_id"),
    _text("action"),
    _number("repository_id"),
    _bytes("detail"),
    _bytes("seal"),  # empty until the sealing job chains it
    **_AUTOINCREMENT,
)

usage = sa.Table(
    "usage",
    metadata,
    _number("namespace_id", primary_key=True),
    _number("bytes"),
    **_CLUSTERED,
)

usage_delta = sa.Table(
    "usage_delta",
    metadata,
    _id(),
    _number("namespace_id"),
    _number("bytes"),
    _number("at"),
    sa.Index("usage_delta_by_namespace", "namespace_id"),
    **_AUTOINCREMENT,
)

pull_delta = sa.Table(
    "pull_delta",
    metadata,
    _id(),
    _number("repository_id"),
    _number("manifest_id"),
    _text("tag"),
    _number("pulls"),
    _number("last_at"),
    **_AUTOINCREMENT,
)

pull_stat = sa.Table(
    "pull_stat",
    metadata,
    _number("repository_id", primary_key=True),
    _number("manifest_id", primary_key=True),
    _text("tag", primary_key=True),
    _number("pulls"),
    _number("last_at"),
    **_CLUSTERED,
)

job = sa.Table(
    "job",
    metadata,
    _id(),
    _text("name"),
    _text("key"),  # at most one waiting job of a name has a key that is not empty
    _bytes("payload"),
    _text("state"),  # waiting, running, done or dead
    _number("priority"),
    _number("run_at"),
    _number("attempts"),
    _number("max_attempts"),
    _text("worker"),
    _number("lease_until"),
    _number("epoch"),
    _text("error"),
    _number("created_at"),
    _number("finished_at"),
    sa.Index("job_due", "state", "priority", "run_at", "id"),
    sa.Index("job_by_time", "state", "run_at"),
    sa.Index("job_lease", "state", "lease_until"),
    sa.Index("job_by_key", "name", "key", "state"),
    sa.Index("job_finished", "state", "finished_at"),
    **_AUTOINCREMENT,
)

job_schedule = sa.Table(
    "job_schedule",
    metadata,
    _text("name", primary_key=True),
    _number("every"),
    _number("next_at"),
    sa.Index("job_schedule_due", "next_at"),
    **_CLUSTERED,
)

# Servers that were seen lately; nothing is decided by it.
replica = sa.Table(
    "replica",
    metadata,
    _text("id", primary_key=True),
    _text("host"),
    _text("version"),
    _text("settings"),  # a digest of those that all replicas must have alike
    _number("seen_at"),
    sa.Index("replica_by_time", "seen_at"),
    **_CLUSTERED,
)
