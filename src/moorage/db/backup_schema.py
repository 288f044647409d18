"""The table of backups; `db/schema.py` has the conventions, which hold here as well."""

import sqlalchemy as sa

from moorage.db.columns import CLUSTERED, data, metadata, number, text

# Which backups there are, for whoever must know where content still is. What a backup has is told
# by its own files alone: this is only where to look.
backup = sa.Table(
    "backup",
    metadata,
    text("id", primary_key=True),  # begins with its time, so that the last is the youngest
    text("host"),
    text("place"),  # the directory on that host
    text("state"),  # running or complete
    number("started_at"),
    number("taken_at"),  # what the metadata show
    number("ended_at"),
    number("objects"),
    number("bytes"),
    data("digest"),  # the sha256 of its manifest
    sa.Index("backup_by_state", "state", "id"),
    sa.Index("backup_by_place", "host", "place", "id"),
    **CLUSTERED,
)
