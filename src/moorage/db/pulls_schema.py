"""The tables of pulls; `db/schema.py` has the conventions.

What processes counted is appended to `pull_delta`, and a job folds it.
"""

import sqlalchemy as sa

from moorage.db.columns import AUTOINCREMENT, CLUSTERED, identity, metadata, number, text

pull_delta = sa.Table(
    "pull_delta",
    metadata,
    identity(),
    number("repository_id"),
    number("manifest_id"),
    text("tag"),  # empty for a pull by digest
    number("pulls"),
    number("last_at"),
    **AUTOINCREMENT,
)

# Of each manifest, with an empty tag, and of each tag, as manifest 0.
pull_stat = sa.Table(
    "pull_stat",
    metadata,
    number("repository_id", primary_key=True),
    number("manifest_id", primary_key=True),
    text("tag", primary_key=True),
    number("pulls"),
    number("last_at"),
    **CLUSTERED,
)

pull_day = sa.Table(
    "pull_day",
    metadata,
    number("repository_id", primary_key=True),
    number("day", primary_key=True),  # since 1970, UTC
    number("pulls"),
    number("last_at"),
    **CLUSTERED,
)
