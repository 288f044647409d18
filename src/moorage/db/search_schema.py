"""The tables of search; `db/schema.py` has the conventions, which hold here as well.

They hold nothing that is not elsewhere: a move and a backup leave them out, and what comes up
without them is read through once more.
"""

import sqlalchemy as sa

from moorage.db.columns import AUTOINCREMENT, CLUSTERED, identity, metadata, number, text

# What can be found, one row for each name, tag, label, digest and description of a repository.
search_entry = sa.Table(
    "search_entry",
    metadata,
    identity(),
    number("repository_id"),
    number("kind"),  # model/words.py
    text("subject"),  # as it is written; one of a kind in a repository
    number("manifest_id"),  # what has the label or the digest, the last one; 0 for other kinds
    number("scope"),  # whose it is to find, see below
    text("folded"),  # what is compared
    sa.Index("search_entry_by_subject", "repository_id", "kind", "subject", unique=True),
    sa.Index("search_entry_by_repository", "repository_id", "id"),
    **AUTOINCREMENT,
)

# The pieces of its text by which each entry is found. `scope` is 0 for what everybody may read, -1
# for everybody who is signed in, else the namespace of a private repository: who searches reads
# the scopes that are his and no others, so that others' don't show in the time that it takes.
search_piece = sa.Table(
    "search_piece",
    metadata,
    text("piece", primary_key=True),
    number("kind", primary_key=True),
    number("scope", primary_key=True),
    number("entry_id", primary_key=True),
    **CLUSTERED,
)

# How far the index has come: `fill` in repositories, `feed` in places of the feed of events.
search_state = sa.Table(
    "search_state",
    metadata,
    text("name", primary_key=True),
    number("place"),
    **CLUSTERED,
)
