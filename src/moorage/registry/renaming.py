"""Repositories under another name: pulls and pushes by the one before go on."""

import msgspec

from moorage.auth.policy import require
from moorage.db import access, renaming, repositories
from moorage.db.engine import Tx
from moorage.errors import Conflicting, Invalid
from moorage.events.outbox import Event
from moorage.model.access import Action, Actor, RepositoryTarget
from moorage.model.artifacts import Repository, TagChange
from moorage.oci.names import RepositoryName
from moorage.registry import rights
from moorage.registry.services import Services


async def rename_repository(
    s: Services, actor: Actor, name: RepositoryName, wanted: RepositoryName, by: TagChange
) -> Repository:
    """Give a repository another name in its namespace; with all that is in it, and all rights.

    The name before leads to it until another repository is made of that name. A token that is
    confined to the name before is good for that alone.

    Raises:
        Unauthorized, NotPermitted: the actor may not configure it, or not push under the new name.
        NotFound: there is no such repository.
        Conflicting: there is another repository of that name.
        Invalid: the new name is in another namespace.
    """
    if wanted.namespace != name.namespace:
        raise Invalid(
            "a repository stays in its own namespace",
            hint="Copy its tags to another one, with moorage tag copy",
        )

    async def write(tx: Tx) -> Repository:
        known = await rights.hold_repository(tx, actor, Action.CONFIGURE, name)
        if known.name == wanted:
            return known
        there = await access.find_target(tx, actor.subject, wanted)
        require(actor, Action.PUSH, RepositoryTarget(wanted), there.facts)
        if await repositories.find_repository(tx, wanted) is not None:
            raise Conflicting(f"there is another repository {wanted}")
        await renaming.rename(tx, known, wanted)
        made = msgspec.structs.replace(known, name=wanted)
        await repositories.put_everybody(tx, made)
        data = {"repository": wanted, "before": known.name, "id": made.id}
        now = s.clock.now()
        event = Event.of(made, "repository.renamed", now, by, data)
        await s.events.publish(tx, event)
        return made

    return await s.db.write(write)
