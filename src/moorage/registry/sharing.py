"""Where else content is: told of the repositories that the actor may read, and of no others."""

from collections.abc import Iterable

from moorage.db import readable
from moorage.db.engine import Tx
from moorage.model.access import Action, Actor
from moorage.model.images import Use
from moorage.oci.digest import Digest
from moorage.oci.names import RepositoryName

# So many repositories of those that somebody may read are looked at, and so many are told.
_WINDOW = 1_000
_MOST = 100
_NAMES = 10


async def list_uses(
    tx: Tx, actor: Actor, own: RepositoryName, digests: Iterable[Digest], *, whole: bool
) -> dict[Digest, Use]:
    """Return in which other repositories each blob is; `whole` is `listing.sees_all` of the actor.

    Nothing of it depends on repositories that the actor may not read, not even the time it takes.
    """
    uses = {}
    for digest in dict.fromkeys(digests):
        if whole:
            found = await readable.list_all_with(tx, digest, _MOST + 1)
        else:
            found = await readable.list_with(tx, actor.subject, digest, _MOST + 1, _WINDOW)
        names = sorted(each for each in found if each != own and is_covered(actor, each))
        more = len(names) > _MOST or len(found) > _MOST
        uses[digest] = Use(min(len(names), _MOST), tuple(names[:_NAMES]), more)
    return uses


def is_covered(actor: Actor, name: str) -> bool:
    """Tell whether the actor's credential is good for pulls from the repository of that name."""
    return all(
        limits is None or any(each.covers(name, Action.PULL) for each in limits)
        for limits in (actor.scopes, actor.bound)
    )
