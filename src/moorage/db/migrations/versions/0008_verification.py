"""When a blob's bytes were last read, what is damaged, and what runs of verification found.

A step is never edited once it has been released: databases out there were made with it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_integer = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def _damage() -> None:
    op.create_table(
        "damage",
        sa.Column("id", _integer, autoincrement=True, nullable=False),
        sa.Column("location", _text, nullable=False),
        sa.Column("blob_id", _integer, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("size", _integer, nullable=False),
        sa.Column("why", _text, nullable=False),
        sa.Column("found_by", _text, nullable=False),
        sa.Column("found_at", _integer, nullable=False),
        sa.Column("ending", _text, nullable=False),
        sa.Column("ended_at", _integer, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("location"),
        sqlite_autoincrement=True,
    )
    op.create_index("damage_by_digest", "damage", ["digest"], unique=False)
    rule = sa.text("ended_at = 0")
    op.create_index(
        "damage_open", "damage", ["id"], unique=False, sqlite_where=rule, postgresql_where=rule
    )


def _runs() -> None:
    counts = ("step", "looked", "objects", "bytes", "found", "repaired")
    op.create_table(
        "verification_run",
        sa.Column("id", _integer, autoincrement=True, nullable=False),
        sa.Column("kind", _text, nullable=False),
        sa.Column("repairs", _integer, nullable=False),
        sa.Column("state", _text, nullable=False),
        sa.Column("reason", _text, nullable=False),
        sa.Column("job_id", _integer, nullable=False),
        sa.Column("started_at", _integer, nullable=False),
        sa.Column("ended_at", _integer, nullable=False),
        sa.Column(counts[0], _integer, nullable=False),
        sa.Column("place", sa.LargeBinary, nullable=False),
        *(sa.Column(name, _integer, nullable=False) for name in counts[1:]),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("verification_run_by_state", "verification_run", ["state", "id"], unique=False)
    op.create_index("verification_run_by_time", "verification_run", ["started_at"], unique=False)
    op.create_table(
        "verification_finding",
        sa.Column("run_id", _integer, autoincrement=False, nullable=False),
        sa.Column("place", _integer, autoincrement=False, nullable=False),
        sa.Column("rule", _text, nullable=False),
        sa.Column("subject", _text, nullable=False),
        sa.Column("problem", _text, nullable=False),
        sa.Column("repair", _text, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "place"),
        sqlite_with_rowid=False,
    )


def upgrade() -> None:
    """Make the tables, the column and the index."""
    op.add_column("blob", sa.Column("verified_at", _integer, server_default="0", nullable=False))
    # They were verified when they were pushed.
    op.execute("UPDATE blob SET verified_at = created_at")
    op.create_index("blob_by_verification", "blob", ["verified_at", "id"], unique=False)
    _damage()
    _runs()
