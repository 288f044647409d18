"""The tables. Columns are integers, texts and bytes only: raw execution converts nothing.

Conventions, which every table keeps:
- everything names a repository by its id, never by its name, and ids are never used again;
- times are milliseconds since 1970, UTC; `trash_until = 0` means live, since no NULL may stand in
  a unique key;
- a digest is held as its key (`oci/digest.py`); a manifest's or blob's *identity* is its sha256,
  any other digest is an alias that exists only because this server computed it;
- no shared row is updated per request: what is counted is appended and folded later.
"""

import sqlalchemy as sa

import moorage.db.about_schema
import moorage.db.access_schema
import moorage.db.backup_schema
import moorage.db.jobs_schema
import moorage.db.pulls_schema
import moorage.db.repair_schema
import moorage.db.search_schema  # noqa: F401 - their tables are part of the schema
from moorage.db.columns import (
    AUTOINCREMENT,
    CLUSTERED,
    data,
    identity,
    metadata,
    number,
    partial,
    text,
)

SCHEMA_VERSION = 13
# The oldest schema that this program can still read and write.
SCHEMA_COMPATIBLE = 5

setting = sa.Table("setting", metadata, text("key", primary_key=True), text("value"), **CLUSTERED)

# A row more for each restore: what is older in the store is no orphan, and a server that began
# before it ends.
store_epoch = sa.Table("store_epoch", metadata, number("epoch", primary_key=True), number("at"))

namespace = sa.Table(
    "namespace",
    metadata,
    identity(),
    text("name", unique=True),
    text("kind"),  # personal or organisation
    number("created_at"),
    text("visibility", server_default="private"),  # of repositories that a push makes here
    # Counted up by every change of the rules for tags: a write that saw older ones starts again.
    number("rules_version", server_default="0"),
    **AUTOINCREMENT,
)

repository = sa.Table(
    "repository",
    metadata,
    identity(),
    number("namespace_id"),
    text("name"),
    text("kind"),  # hosted, mirror or replica
    text("visibility"),  # private, internal or public
    number("generation"),
    number("created_at"),
    number("trash_until"),
    # Derived, and kept behind what happens (`db/changes.py`): when a tag last moved or ended, else
    # when the repository was made, and 0 until that has been read; and what its newest image is.
    number("changed_at", server_default="0"),
    text("content_kind", server_default=""),
    sa.Index("repository_by_name", "name", "trash_until", unique=True),
    sa.Index("repository_by_namespace", "namespace_id", "name"),
    sa.Index("repository_by_change", "changed_at", "name", "trash_until"),
    partial("repository_in_trash", "trash_until != 0", "trash_until", "id"),
    partial("repository_trashed", "trash_until != 0", "namespace_id", "id"),
    **AUTOINCREMENT,
)

# The names that a repository had before, so that a rename breaks no pull.
repository_alias = sa.Table(
    "repository_alias",
    metadata,
    text("name", primary_key=True),
    number("repository_id"),
    sa.Index("repository_alias_by_repository", "repository_id"),
    **CLUSTERED,
)

blob = sa.Table(
    "blob",
    metadata,
    identity(),
    number("size"),
    text("location", unique=True),
    text("state"),  # live, or lost: known to be damaged, answered as absent, healed by a push
    number("created_at"),
    number("verified_at", server_default="0"),  # when its bytes were last known to be right
    sa.Index("blob_by_verification", "verified_at", "id"),
    **AUTOINCREMENT,
)

# The only way in to a blob.
blob_digest = sa.Table(
    "blob_digest",
    metadata,
    data("digest", primary_key=True),
    number("blob_id"),
    sa.Index("blob_digest_by_blob", "blob_id"),
    **CLUSTERED,
)

repository_blob = sa.Table(
    "repository_blob",
    metadata,
    number("repository_id", primary_key=True),
    number("blob_id", primary_key=True),
    number("namespace_id"),
    # Until then nobody removes the link; then collection looks at it. 0: something names it, and
    # whoever takes that away has it looked at.
    number("lease_until"),
    number("trash_until"),
    sa.Index("repository_blob_by_blob", "blob_id"),
    sa.Index("repository_blob_by_namespace", "namespace_id", "blob_id"),
    partial(
        "repository_blob_by_lease", "lease_until != 0", "lease_until", "repository_id", "blob_id"
    ),
    partial("repository_blob_trashed", "trash_until != 0", "repository_id", "blob_id"),
    **CLUSTERED,
)

manifest = sa.Table(
    "manifest",
    metadata,
    identity(),
    number("repository_id"),
    data("identity"),
    text("media_type"),
    text("artifact_type"),
    # The subject's identity where it is known, else the key as written; empty without a subject.
    data("subject"),
    data("listed"),  # the descriptor that the referrers API lists; empty without a subject
    number("size"),
    number("created_at"),
    number("trash_until"),
    data("raw"),
    sa.Index("manifest_by_identity", "repository_id", "identity", unique=True),
    partial("manifest_trashed", "trash_until != 0", "repository_id", "id"),
    partial(
        "manifest_by_subject", "subject != x''", "repository_id", "subject", "trash_until", "id"
    ),
    partial(
        "manifest_by_subject_and_type",
        "subject != x''",
        "repository_id",
        "subject",
        "artifact_type",
        "trash_until",
        "id",
    ),
    **AUTOINCREMENT,
)

# Every digest that a manifest can be asked by; its identity is one of them.
manifest_digest = sa.Table(
    "manifest_digest",
    metadata,
    number("repository_id", primary_key=True),
    data("digest", primary_key=True),
    number("manifest_id"),
    sa.Index("manifest_digest_by_manifest", "manifest_id"),
    **CLUSTERED,
)

# No foreign key to the child: it may be a blob, a manifest, absent or foreign. `role` says what
# the parent calls it (config, layer, manifest, subject), `kind` what it was found to be.
manifest_reference = sa.Table(
    "manifest_reference",
    metadata,
    number("manifest_id", primary_key=True),
    number("position", primary_key=True),
    number("repository_id"),
    text("role"),
    data("child_digest"),
    text("kind"),  # blob, manifest, foreign or absent
    number("child_id"),  # 0 unless kind is blob or manifest
    # Apart, so that what is looked for by one is never looked for among all the others.
    partial("manifest_reference_by_child", "child_id != 0", "repository_id", "child_id", "kind"),
    partial("manifest_reference_missing", "child_id = 0", "repository_id", "child_digest"),
    **CLUSTERED,
)

tag = sa.Table(
    "tag",
    metadata,
    number("repository_id", primary_key=True),
    text("name", primary_key=True),
    number("manifest_id"),
    data("digest"),  # the one it was pushed with
    number("version"),
    number("updated_at"),
    sa.Index("tag_by_manifest", "repository_id", "manifest_id"),
    **CLUSTERED,
)

# Append-only; version n + 1 follows n over deletion and re-creation. `digest` is empty for an end.
tag_change = sa.Table(
    "tag_change",
    metadata,
    number("repository_id", primary_key=True),
    text("name", primary_key=True),
    number("version", primary_key=True),
    data("digest"),
    number("at"),
    text("actor"),
    text("credential"),
    text("request_id"),
    text("cause"),
    text("cause_id"),
    **CLUSTERED,
)

upload = sa.Table(
    "upload",
    metadata,
    text("id", primary_key=True),
    number("repository_id"),
    text("owner"),
    text("algorithm"),
    data("state"),
    number("offset"),
    data("prefix"),  # the key of the sha256 of all bytes so far; empty when unknown
    number("epoch"),
    number("created_at"),
    number("expires_at"),
    sa.Index("upload_by_expiry", "expires_at"),
    # Ended sessions belong to repository 0.
    partial("upload_by_repository", "repository_id != 0", "repository_id"),
    **CLUSTERED,
)

# Locations that no row names any more; locations are never re-used, so deleting needs no lock.
delete_queue = sa.Table(
    "delete_queue",
    metadata,
    text("location", primary_key=True),
    number("not_before"),
    text("reason"),
    number("size", server_default="0"),  # 0 where it is not known
    data("digest", server_default=""),  # the identity of what is there, where it is known
    sa.Index("delete_queue_by_time", "not_before"),
    partial("delete_queue_by_digest", "digest != x''", "digest"),
    **CLUSTERED,
)

# What may have lost its last reference; filled by the transactions that drop references.
review_queue = sa.Table(
    "review_queue",
    metadata,
    text("kind", primary_key=True),
    number("repository_id", primary_key=True),
    number("subject_id", primary_key=True),
    number("review_after"),
    number("tries"),
    text("event"),
    sa.Index("review_queue_due", "review_after", "kind", "repository_id", "subject_id"),
    **CLUSTERED,
)

# What stays whatever becomes of it, in one repository by digest, or, as repository 0 and an empty
# digest, every object that is in the store. `until` is 0 for as long as the row is there.
hold = sa.Table(
    "hold",
    metadata,
    number("repository_id", primary_key=True),
    data("digest", primary_key=True),
    text("source", primary_key=True),
    text("reason"),
    number("until"),
    sa.Index("hold_by_time", "until"),
    **CLUSTERED,
)

# What each run of collection did; one in which there was nothing to do leaves no row.
collection_run = sa.Table(
    "collection_run",
    metadata,
    identity(),
    text("kind"),  # review, delete or sweep
    text("state"),  # running, done, stopped or broken off
    text("reason"),  # why it stopped
    number("started_at"),
    number("ended_at"),
    number("looked"),
    number("kept"),
    number("repositories"),
    number("manifests"),
    number("links"),
    number("blobs"),
    number("objects"),
    number("bytes"),
    number("missed"),  # what a sweep found that no queue had
    number("orphans"),  # objects that a sweep found and no row names
    sa.Index("collection_run_by_state", "state", "id"),
    sa.Index("collection_run_by_time", "started_at"),
    **AUTOINCREMENT,
)

event_outbox = sa.Table(
    "event_outbox",
    metadata,
    identity(),
    text("kind"),
    number("repository_id"),
    data("payload"),
    number("at"),
    **AUTOINCREMENT,
)

# Numbered by the one job that fills it: consumers remember a place here, never an outbox id.
event_feed = sa.Table(
    "event_feed",
    metadata,
    number("place", primary_key=True),
    text("kind"),
    number("repository_id"),
    data("payload"),
    number("at"),
    sa.Index("event_feed_by_time", "at"),
)

audit = sa.Table(
    "audit",
    metadata,
    identity(),
    number("at"),
    text("actor"),
    text("credential"),
    text("request_id"),
    text("action"),
    number("repository_id"),
    data("detail"),
    data("seal"),  # empty until the sealing job chains it
    number("namespace_id", server_default="0"),
    text("address", server_default=""),
    number("place", server_default="0"),  # in the chain; 0 until it is sealed
    partial("audit_unsealed", "place = 0", "id"),
    sa.Index("audit_by_place", "place"),
    sa.Index("audit_by_actor", "actor", "id"),
    sa.Index("audit_by_namespace", "namespace_id", "id"),
    sa.Index("audit_by_repository", "repository_id", "id"),
    **AUTOINCREMENT,
)

usage = sa.Table(
    "usage",
    metadata,
    number("namespace_id", primary_key=True),
    number("bytes"),
    **CLUSTERED,
)

usage_delta = sa.Table(
    "usage_delta",
    metadata,
    identity(),
    number("namespace_id"),
    number("bytes"),
    number("at"),
    sa.Index("usage_delta_by_namespace", "namespace_id"),
    **AUTOINCREMENT,
)
