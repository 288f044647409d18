"""No namespace loses its last owner by its owners' own doing."""

from collections.abc import Iterable

from moorage.auth.policy import decide
from moorage.db import access, grants
from moorage.db.engine import Tx
from moorage.errors import Conflicting
from moorage.model.access import Action, Actor, Role, System

_PAGE = 1_000


async def places_of(
    tx: Tx, principal_id: int, *, role: Role | None = None
) -> list[tuple[int, str]]:
    """Return id and name of every namespace where the principal itself was given anything.

    With a role, those that it was given this one for all of.
    """
    found: dict[int, str] = {}
    after = (0, -1)
    while True:
        page = await grants.list_grants_of(tx, principal_id, after, _PAGE)
        found |= {
            number: name
            for number, name, repository_id, given in page
            if role is None or (given is role and not repository_id)
        }
        if len(page) < _PAGE:
            return sorted(found.items())
        after = (page[-1][0], page[-1][2])


async def keep_an_owner(tx: Tx, actor: Actor, places: Iterable[tuple[int, str]]) -> None:
    """Look, after a change, whether somebody in force still owns each namespace.

    Administrators may leave one without: they are its owners then.

    Raises:
        Conflicting: nobody would; the transaction is undone.
    """
    facts = await access.find_standing(tx, actor.subject)
    if decide(actor, Action.ADMINISTER, System(), facts).allowed:
        return
    for number, name in places:
        if not await grants.has_owner(tx, number):
            raise Conflicting(
                f"the namespace {name} would be without an owner",
                hint="Make somebody else an owner first",
            )
