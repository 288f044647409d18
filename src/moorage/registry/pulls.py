"""How often a repository was pulled from, by day and by tag; up to a minute late."""

import msgspec

from moorage.clock import DAY
from moorage.db import pulls as rows
from moorage.db.engine import Tx
from moorage.db.pulls import Day, TagPulls
from moorage.model.access import Action, Actor
from moorage.oci.names import RepositoryName
from moorage.registry import rights
from moorage.registry.services import Services

MOST_DAYS = 90


class Pulls(msgspec.Struct, frozen=True):
    """The days on which there were pulls, in order, and the last pull of all; 0 is never."""

    days: list[Day]
    last_at: int


async def find_pulls(s: Services, actor: Actor, name: RepositoryName, days: int) -> Pulls:
    """Return the pulls of the last so many days, today's among them.

    Raises:
        Unauthorized, NotPermitted: the actor may not read the repository.
        NotFound: there is none.
    """

    async def read(tx: Tx) -> Pulls:
        place = await rights.allow_repository(tx, actor, Action.PULL, name)
        since = s.clock.now() // DAY - days + 1
        found = await rows.list_days(tx, place.id, since, MOST_DAYS)
        return Pulls(found, await rows.find_last(tx, place.id))

    return await s.db.read(read)


async def list_tag_pulls(
    s: Services, actor: Actor, name: RepositoryName, after: str, limit: int
) -> list[TagPulls]:
    """Return up to `limit` tags behind `after` that were pulled, in ASCII order; as above."""

    async def read(tx: Tx) -> list[TagPulls]:
        place = await rights.allow_repository(tx, actor, Action.PULL, name)
        return await rows.list_tag_pulls(tx, place.id, after, limit)

    return await s.db.read(read, pages=True)
