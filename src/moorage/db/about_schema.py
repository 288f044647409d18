"""The table of what repositories are about; `db/schema.py` has the conventions."""

import sqlalchemy as sa

from moorage.db.columns import CLUSTERED, metadata, number, text

about = sa.Table(
    "about",
    metadata,
    number("repository_id", primary_key=True),
    text("description"),  # one line; empty where none was given
    text("readme"),  # Markdown, as it was given
    number("version"),  # counted up by each change of these two; 0 where there was none
    number("changed_at"),
    # What the newest image says of itself, and which that is: shown where no one has said anything.
    text("found"),
    number("found_in"),
    **CLUSTERED,
)
