"""Repositories and what is in them.

A step is never edited once it has been released: databases out there were made with it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_integer = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def _setting() -> None:
    op.create_table(
        "setting",
        sa.Column("key", _text, nullable=False),
        sa.Column("value", _text, nullable=False),
        sa.PrimaryKeyConstraint("key"),
        sqlite_with_rowid=False,
    )


def _namespace() -> None:
    op.create_table(
        "namespace",
        sa.Column("id", _integer, nullable=False, autoincrement=True),
        sa.Column("name", _text, nullable=False),
        sa.Column("kind", _text, nullable=False),
        sa.Column("created_at", _integer, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
        sqlite_autoincrement=True,
    )


def _repository() -> None:
    op.create_table(
        "repository",
        sa.Column("id", _integer, nullable=False, autoincrement=True),
        sa.Column("namespace_id", _integer, nullable=False),
        sa.Column("name", _text, nullable=False),
        sa.Column("kind", _text, nullable=False),
        sa.Column("visibility", _text, nullable=False),
        sa.Column("generation", _integer, nullable=False),
        sa.Column("created_at", _integer, nullable=False),
        sa.Column("trash_until", _integer, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("repository_by_name", "repository", ["name", "trash_until"], unique=True)
    op.create_index("repository_by_namespace", "repository", ["namespace_id", "name"], unique=False)


def _repository_alias() -> None:
    op.create_table(
        "repository_alias",
        sa.Column("name", _text, nullable=False),
        sa.Column("repository_id", _integer, nullable=False),
        sa.PrimaryKeyConstraint("name"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "repository_alias_by_repository", "repository_alias", ["repository_id"], unique=False
    )


def _blob() -> None:
    op.create_table(
        "blob",
        sa.Column("id", _integer, nullable=False, autoincrement=True),
        sa.Column("size", _integer, nullable=False),
        sa.Column("location", _text, nullable=False),
        sa.Column("state", _text, nullable=False),
        sa.Column("created_at", _integer, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("location"),
        sqlite_autoincrement=True,
    )


def _blob_digest() -> None:
    op.create_table(
        "blob_digest",
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("blob_id", _integer, nullable=False),
        sa.PrimaryKeyConstraint("digest"),
        sqlite_with_rowid=False,
    )
    op.create_index("blob_digest_by_blob", "blob_digest", ["blob_id"], unique=False)


def _repository_blob() -> None:
    op.create_table(
        "repository_blob",
        sa.Column("repository_id", _integer, nullable=False),
        sa.Column("blob_id", _integer, nullable=False),
        sa.Column("namespace_id", _integer, nullable=False),
        sa.Column("lease_until", _integer, nullable=False),
        sa.Column("trash_until", _integer, nullable=False),
        sa.PrimaryKeyConstraint("repository_id", "blob_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("repository_blob_by_blob", "repository_blob", ["blob_id"], unique=False)
    op.create_index(
        "repository_blob_by_namespace", "repository_blob", ["namespace_id", "blob_id"], unique=False
    )


def _manifest() -> None:
    op.create_table(
        "manifest",
        sa.Column("id", _integer, nullable=False, autoincrement=True),
        sa.Column("repository_id", _integer, nullable=False),
        sa.Column("identity", sa.LargeBinary, nullable=False),
        sa.Column("media_type", _text, nullable=False),
        sa.Column("artifact_type", _text, nullable=False),
        sa.Column("subject", sa.LargeBinary, nullable=False),
        sa.Column("listed", sa.LargeBinary, nullable=False),
        sa.Column("size", _integer, nullable=False),
        sa.Column("created_at", _integer, nullable=False),
        sa.Column("trash_until", _integer, nullable=False),
        sa.Column("raw", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("manifest_by_identity", "manifest", ["repository_id", "identity"], unique=True)
    op.create_index(
        "manifest_by_subject",
        "manifest",
        ["repository_id", "subject", "trash_until", "id"],
        unique=False,
        sqlite_where=sa.text("subject != x''"),
        postgresql_where=sa.text("subject != ''::bytea"),
    )
    op.create_index(
        "manifest_by_subject_and_type",
        "manifest",
        ["repository_id", "subject", "artifact_type", "trash_until", "id"],
        unique=False,
        sqlite_where=sa.text("subject != x''"),
        postgresql_where=sa.text("subject != ''::bytea"),
    )


def _manifest_digest() -> None:
    op.create_table(
        "manifest_digest",
        sa.Column("repository_id", _integer, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("manifest_id", _integer, nullable=False),
        sa.PrimaryKeyConstraint("repository_id", "digest"),
        sqlite_with_rowid=False,
    )
    op.create_index("manifest_digest_by_manifest", "manifest_digest", ["manifest_id"], unique=False)


def _manifest_reference() -> None:
    op.create_table(
        "manifest_reference",
        sa.Column("manifest_id", _integer, nullable=False),
        sa.Column("position", _integer, nullable=False),
        sa.Column("repository_id", _integer, nullable=False),
        sa.Column("role", _text, nullable=False),
        sa.Column("child_digest", sa.LargeBinary, nullable=False),
        sa.Column("kind", _text, nullable=False),
        sa.Column("child_id", _integer, nullable=False),
        sa.PrimaryKeyConstraint("manifest_id", "position"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "manifest_reference_absent",
        "manifest_reference",
        ["repository_id", "child_digest"],
        unique=False,
        sqlite_where=sa.text("kind = 'absent'"),
        postgresql_where=sa.text("kind = 'absent'"),
    )
    op.create_index(
        "manifest_reference_by_child",
        "manifest_reference",
        ["repository_id", "child_id", "kind"],
        unique=False,
    )


def _tag() -> None:
    op.create_table(
        "tag",
        sa.Column("repository_id", _integer, nullable=False),
        sa.Column("name", _text, nullable=False),
        sa.Column("manifest_id", _integer, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("version", _integer, nullable=False),
        sa.Column("updated_at", _integer, nullable=False),
        sa.PrimaryKeyConstraint("repository_id", "name"),
        sqlite_with_rowid=False,
    )
    op.create_index("tag_by_manifest", "tag", ["repository_id", "manifest_id"], unique=False)


def _tag_change() -> None:
    op.create_table(
        "tag_change",
        sa.Column("repository_id", _integer, nullable=False),
        sa.Column("name", _text, nullable=False),
        sa.Column("version", _integer, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("at", _integer, nullable=False),
        sa.Column("actor", _text, nullable=False),
        sa.Column("credential", _text, nullable=False),
        sa.Column("request_id", _text, nullable=False),
        sa.Column("cause", _text, nullable=False),
        sa.Column("cause_id", _text, nullable=False),
        sa.PrimaryKeyConstraint("repository_id", "name", "version"),
        sqlite_with_rowid=False,
    )


def _upload() -> None:
    op.create_table(
        "upload",
        sa.Column("id", _text, nullable=False),
        sa.Column("repository_id", _integer, nullable=False),
        sa.Column("owner", _text, nullable=False),
        sa.Column("algorithm", _text, nullable=False),
        sa.Column("state", sa.LargeBinary, nullable=False),
        sa.Column("offset", _integer, nullable=False),
        sa.Column("prefix", sa.LargeBinary, nullable=False),
        sa.Column("epoch", _integer, nullable=False),
        sa.Column("created_at", _integer, nullable=False),
        sa.Column("expires_at", _integer, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_with_rowid=False,
    )
    op.create_index("upload_by_expiry", "upload", ["expires_at"], unique=False)
    op.create_index(
        "upload_by_repository",
        "upload",
        ["repository_id"],
        unique=False,
        sqlite_where=sa.text("repository_id != 0"),
        postgresql_where=sa.text("repository_id != 0"),
    )


def upgrade() -> None:
    """Make the tables with their indexes."""
    _setting()
    _namespace()
    _repository()
    _repository_alias()
    _blob()
    _blob_digest()
    _repository_blob()
    _manifest()
    _manifest_digest()
    _manifest_reference()
    _tag()
    _tag_change()
    _upload()
