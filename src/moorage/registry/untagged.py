"""Images that no tag names, which stay until somebody deletes them.

What an index lists is not among them, nor what is attached to an image, while these are there.
"""

import msgspec

from moorage.db import tag_pages, untagged
from moorage.db.engine import Tx
from moorage.model.access import Action, Actor
from moorage.model.images import UntaggedRow
from moorage.oci.digest import Digest
from moorage.oci.kinds import kind_of
from moorage.oci.names import RepositoryName
from moorage.registry import rights
from moorage.registry.services import Services

# So many manifests are looked at for one page.
_WINDOW = 500
_WINDOWS = 10


class Untagged(msgspec.Struct, frozen=True):
    """Images in the order of their digests; `after` begins the next page, empty behind the last.

    A page may have fewer than were asked for, or none, and more behind it.
    """

    rows: list[UntaggedRow]
    after: str


async def list_untagged(
    s: Services, actor: Actor, name: RepositoryName, after: Digest | None, limit: int
) -> Untagged:
    """Return up to `limit` images behind `after` that no tag names.

    Raises:
        Unauthorized, NotPermitted: the actor may not read the repository.
        NotFound: there is no such repository.
    """

    async def read(tx: Tx) -> tuple[list[UntaggedRow], bytes]:
        place = await rights.allow_repository(tx, actor, Action.PULL, name)
        seen, last = await untagged.list_window(tx, place.id, mark, _WINDOW)
        rows: list[UntaggedRow] = []
        for each in seen:
            if each.is_named:
                continue
            rows.append(_row(each, await tag_pages.find_size(tx, each.id)))
            if len(page) + len(rows) == limit:
                return rows, each.identity.key
        return rows, last

    page: list[UntaggedRow] = []
    mark = after.key if after is not None else b""
    for _ in range(_WINDOWS):
        found, mark = await s.db.read(read, pages=True)
        page += found
        if len(page) == limit or not mark:
            break
    return Untagged(page, Digest.from_key(mark) if mark else "")


def _row(seen: untagged.Seen, content_size: int) -> UntaggedRow:
    return UntaggedRow(
        digest=seen.identity,
        kind=kind_of(seen.media_type, seen.artifact_type),
        media_type=seen.media_type,
        size=seen.size,
        content_size=content_size,
        pushed_at=seen.created_at,
    )
