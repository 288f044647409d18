"""What somebody may have meant by a name that nothing has: told to whoever may read what has it."""

import difflib

from moorage.db import tags
from moorage.db.engine import BEYOND_ALL, Tx
from moorage.db.tag_pages import list_newest
from moorage.db.tags import FIND_TAG
from moorage.oci.names import Tag

_LOOKED_AT = 200
# Longer ones are like nothing: to compare two takes the square of their length.
_LONGEST = 64
_TOLD = 3
_ALIKE = 0.6


async def find_tag(tx: Tx, repository_id: int, tag: Tag) -> int | None:
    """Return the id of the manifest that the tag names."""
    row = await tx.one(FIND_TAG, repository_id=repository_id, name=tag)
    return row[0] if row else None


async def tags_like(tx: Tx, repository_id: int, tag: Tag) -> str | None:
    """Return which tags there are that may have been meant, None if there are none at all.

    Those behind the first letter are looked at, and the newest.
    """
    newest = [name for name, _ in await list_newest(tx, repository_id, BEYOND_ALL, _TOLD)]
    if not newest:
        return None
    near = await tags.list_tags(tx, repository_id, tag[:1], _LOOKED_AT)
    alike = closest(tag, [*near, *newest])
    told = f"Newest: {', '.join(newest)}"
    return f"{told}. Did you mean {' or '.join(alike)}?" if alike else told


def closest(word: str, words: list[str]) -> list[str]:
    """Return those of the words that are most like this one, the likest first; no long ones."""
    if len(word) > _LONGEST:
        return []
    short = dict.fromkeys(each for each in words if len(each) <= _LONGEST)
    return difflib.get_close_matches(word, list(short), _TOLD, _ALIKE)
