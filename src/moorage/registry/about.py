"""What a repository is about: a description of one line and a README, which its maintainers write.

A README is kept and given as it came. Whoever shows it as a page makes sure that it does nothing.
"""

from moorage.db import about as rows
from moorage.db.about import About
from moorage.db.engine import Tx
from moorage.errors import Invalid, NotFound, PreconditionFailed
from moorage.events.outbox import Event
from moorage.model.access import Action, Actor, RepositoryTarget
from moorage.model.artifacts import TagChange
from moorage.oci.names import RepositoryName
from moorage.registry import rights
from moorage.registry.services import Services

MOST_BYTES = 64 << 10


async def find_about(s: Services, actor: Actor, name: RepositoryName) -> About:
    """Return what a repository is about.

    Raises:
        Unauthorized, NotPermitted: the actor may not read it.
        NotFound: there is none.
    """

    async def read(tx: Tx) -> About:
        place = await rights.allow_repository(tx, actor, Action.PULL, name)
        return await rows.find_about(tx, place.id)

    return await s.db.read(read)


async def set_about(  # noqa: PLR0913 - what, of what, on what condition, by whom
    s: Services,
    actor: Actor,
    name: RepositoryName,
    description: str,
    readme: str,
    by: TagChange,
    *,
    expected: int | None,
) -> About:
    """Say what a repository is about, and return that; both are replaced.

    Raises:
        Unauthorized, NotPermitted: the actor may not configure it.
        NotFound: there is none.
        Invalid: the README has more than 64 KiB.
        PreconditionFailed: it has been changed since the version that was expected.
    """
    size = len(readme.encode())
    if size > MOST_BYTES:
        raise Invalid(f"the README has {size} bytes, 65,536 are the most")

    async def write(tx: Tx) -> About:
        found = await rights.hold(tx, actor, Action.CONFIGURE, RepositoryTarget(name))
        place = found.repository
        if place is None:
            raise NotFound(f"there is no repository {name}")
        now = s.clock.now()
        version = await rows.change_about(
            tx, place.id, description, readme, expected=expected, now=now
        )
        if version is None:
            raise PreconditionFailed(
                f"what {name} is about has been changed since version {expected}"
            )
        data = {
            "repository": name,
            "description": description,
            "readme_bytes": size,
            "version": version,
        }
        event = Event.of(place, "repository.described", now, by, data)
        await s.events.publish(tx, event)
        return await rows.find_about(tx, place.id)

    return await s.db.write(write)
