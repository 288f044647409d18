"""Pages of every table, in the order of keys, with what breaks an invariant in each row.

Each page is one statement, which sees one moment of the database: what is being changed breaks
nothing. The numbers are those of docs/explanation/verification.md.
"""

import sqlalchemy as sa

from moorage.db.engine import BEYOND_IDENTITIES, EMPTY, NO_TEXT, ONE
from moorage.db.looking import absent, case, going, look_at, name_of, none, of, one_of
from moorage.db.repositories import LIVE
from moorage.db.schema import (
    audit,
    blob,
    blob_digest,
    delete_queue,
    event_feed,
    manifest,
    manifest_digest,
    manifest_reference,
    repository,
    repository_blob,
    tag,
    tag_change,
    upload,
)

_later = tag_change.alias("later")
_change = tag_change.alias("change")
TAGS = look_at(
    "look_at_tags",
    (
        case(
            (absent(tag), 5),
            (going(tag), 0),
            (
                none(
                    one_of(
                        manifest,
                        manifest.c.id == tag.c.manifest_id,
                        manifest.c.repository_id == tag.c.repository_id,
                        manifest.c.trash_until == LIVE,
                    )
                ),
                1,
            ),
            (
                none(
                    one_of(
                        manifest_digest,
                        manifest_digest.c.repository_id == tag.c.repository_id,
                        manifest_digest.c.digest == tag.c.digest,
                        manifest_digest.c.manifest_id == tag.c.manifest_id,
                    )
                ),
                2,
            ),
            (
                none(
                    one_of(
                        _change,
                        _change.c.repository_id == tag.c.repository_id,
                        _change.c.name == tag.c.name,
                        _change.c.version == tag.c.version,
                        _change.c.digest == tag.c.digest,
                    )
                ),
                3,
            ),
            (
                sa.not_(
                    none(
                        one_of(
                            _later,
                            _later.c.repository_id == tag.c.repository_id,
                            _later.c.name == tag.c.name,
                            _later.c.version == tag.c.version + ONE,
                        )
                    )
                ),
                4,
            ),
        ),
        name_of(tag),
        tag.c.name.label("tag_name"),
    ),
    tag,
    "{0}:{1}",
    {
        1: ("I1", "the tag names no live manifest of its repository"),
        2: ("I1", "the tag's digest is not one of its manifest"),
        3: ("I12", "the tag's history has not the change that made it so"),
        4: ("I12", "the tag's history has a later change"),
        5: ("I1", "the tag is of a repository that is gone"),
    },
    key=(tag.c.repository_id, tag.c.name),
)

_earlier = tag_change.alias("earlier")
_next = none(
    one_of(
        _later,
        _later.c.repository_id == tag_change.c.repository_id,
        _later.c.name == tag_change.c.name,
        _later.c.version == tag_change.c.version + ONE,
    )
)
_untagged = none(
    one_of(tag, tag.c.repository_id == tag_change.c.repository_id, tag.c.name == tag_change.c.name)
)
CHANGES = look_at(
    "look_at_history",
    (
        case(
            (absent(tag_change), 4),
            (going(tag_change), 0),
            (
                sa.and_(
                    tag_change.c.version > ONE,
                    none(
                        one_of(
                            _earlier,
                            _earlier.c.repository_id == tag_change.c.repository_id,
                            _earlier.c.name == tag_change.c.name,
                            _earlier.c.version == tag_change.c.version - ONE,
                        )
                    ),
                ),
                1,
            ),
            (sa.and_(_next, tag_change.c.digest != EMPTY, _untagged), 2),
            (sa.and_(_next, tag_change.c.digest == EMPTY, sa.not_(_untagged)), 3),
        ),
        name_of(tag_change),
        tag_change.c.name.label("tag_name"),
        tag_change.c.version.label("tag_version"),
    ),
    tag_change,
    "{0}:{1} version {2}",
    {
        1: ("I12", "the change before it is not there"),
        2: ("I12", "by its history the tag is there, and it is not"),
        3: ("I12", "by its history the tag was deleted, and it is there"),
        4: ("I12", "the history is of a repository that is gone"),
    },
    key=(tag_change.c.repository_id, tag_change.c.name, tag_change.c.version),
)

_child = manifest.alias("child")
REFERENCES = look_at(
    "look_at_references",
    (
        case(
            (of(manifest.c.id, manifest_reference.c.manifest_id).is_(None), 1),
            (of(manifest.c.trash_until, manifest_reference.c.manifest_id) != LIVE, 0),
            (
                sa.and_(
                    manifest_reference.c.kind == sa.literal_column("'blob'"),
                    none(
                        one_of(
                            repository_blob,
                            repository_blob.c.repository_id == manifest_reference.c.repository_id,
                            repository_blob.c.blob_id == manifest_reference.c.child_id,
                            repository_blob.c.trash_until == LIVE,
                        )
                    ),
                ),
                2,
            ),
            (
                sa.and_(
                    manifest_reference.c.kind == sa.literal_column("'manifest'"),
                    none(
                        one_of(
                            _child,
                            _child.c.id == manifest_reference.c.child_id,
                            _child.c.repository_id == manifest_reference.c.repository_id,
                        )
                    ),
                ),
                3,
            ),
        ),
        name_of(manifest_reference),
        of(manifest.c.identity, manifest_reference.c.manifest_id).label("parent"),
        manifest_reference.c.child_digest,
    ),
    manifest_reference,
    "{0}@{1} naming {2}",
    {
        1: ("I2", "the manifest that names it is not there"),
        2: ("I2", "the repository has not the blob that the manifest names"),
        3: ("I2", "the repository has not the manifest that the index names"),
    },
    key=(manifest_reference.c.manifest_id, manifest_reference.c.position),
)

_queued = sa.not_(none(one_of(delete_queue, delete_queue.c.location == blob.c.location)))
_identity = (
    sa.select(blob_digest.c.digest)
    .where(blob_digest.c.blob_id == blob.c.id)
    .where(blob_digest.c.digest < BEYOND_IDENTITIES)
    .limit(ONE)
    .scalar_subquery()
)
TO_BE_DELETED, NO_IDENTITY, LOST = 1, 2, 3
BLOBS = look_at(
    "look_at_blobs",
    (
        case(
            (_queued, TO_BE_DELETED),
            (_identity.is_(None), NO_IDENTITY),
            (blob.c.state == sa.literal_column("'lost'"), LOST),
        ),
        _identity.label("identity"),
        blob.c.location,
    ),
    blob,
    "blob {0} at {1}",
    {
        TO_BE_DELETED: ("I6", "the blob's object is to be deleted"),
        NO_IDENTITY: ("I3", "the blob has no sha256"),
        LOST: ("I5", "the blob is lost: its bytes are damaged or gone, push it again"),
    },
    key=(blob.c.id,),
)
LINKS = look_at(
    "look_at_links",
    (
        case(
            (
                none(one_of(blob, blob.c.id == repository_blob.c.blob_id)),
                1,
            ),
            (absent(repository_blob), 2),
            (
                of(repository.c.namespace_id, repository_blob.c.repository_id)
                != repository_blob.c.namespace_id,
                3,
            ),
        ),
        name_of(repository_blob),
        repository_blob.c.blob_id.label("number"),
    ),
    repository_blob,
    "{0}, blob number {1}",
    {
        1: ("I3", "the repository has a blob that is not there"),
        2: ("I3", "a repository that is gone has a blob"),
        3: ("I3", "the blob is counted in another namespace"),
    },
    key=(repository_blob.c.repository_id, repository_blob.c.blob_id),
)
DIGESTS = look_at(
    "look_at_digests",
    (
        case((none(one_of(blob, blob.c.id == blob_digest.c.blob_id)), 1)),
        blob_digest.c.digest.label("name"),
    ),
    blob_digest,
    "{0}",
    {1: ("I3", "the digest leads to a blob that is not there")},
    key=(blob_digest.c.digest,),
)
NAMES = look_at(
    "look_at_names_of_manifests",
    (
        case(
            (
                none(
                    one_of(
                        manifest,
                        manifest.c.id == manifest_digest.c.manifest_id,
                        manifest.c.repository_id == manifest_digest.c.repository_id,
                    )
                ),
                1,
            )
        ),
        name_of(manifest_digest),
        manifest_digest.c.digest.label("name_of_manifest"),
    ),
    manifest_digest,
    "{0}@{1}",
    {1: ("I1", "the digest leads to a manifest that is not there")},
    key=(manifest_digest.c.repository_id, manifest_digest.c.digest),
)
UPLOADS = look_at(
    "look_at_uploads",
    (
        case(
            (
                sa.and_(
                    upload.c.state != EMPTY,
                    sa.or_(absent(upload), upload.c.owner == NO_TEXT),
                ),
                1,
            )
        ),
        upload.c.created_at,
    ),
    upload,
    "an upload of {0}",
    {1: ("I13", "the upload belongs to nobody, or to no repository")},
    key=(upload.c.id,),
)
_before_it = event_feed.alias("before_it")
_long_before = event_feed.alias("long_before")
# The oldest are forgotten, so the first that is there has none before it.
FEED = look_at(
    "look_at_feed",
    (
        case(
            (
                sa.and_(
                    none(one_of(_before_it, _before_it.c.place == event_feed.c.place - ONE)),
                    sa.not_(none(one_of(_long_before, _long_before.c.place < event_feed.c.place))),
                ),
                1,
            )
        ),
        event_feed.c.place.label("number"),
    ),
    event_feed,
    "event {0}",
    {1: ("I11", "the event before it is not there")},
    key=(event_feed.c.place,),
)
_sealed_before = audit.alias("sealed_before")
TRAIL = look_at(
    "look_at_trail",
    (
        case(
            (
                sa.and_(
                    audit.c.place > ONE,
                    none(one_of(_sealed_before, _sealed_before.c.place == audit.c.place - ONE)),
                ),
                1,
            )
        ),
        audit.c.place.label("number"),
    ),
    audit,
    "entry {0} of the trail",
    {1: ("I11", "the entry before it is not there; see moorage audit verify")},
    key=(audit.c.place,),
)
