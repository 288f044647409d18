"""Why somebody may do something, or may not: the very decision of the doors, with where it is from.

Whoever asks about himself learns no more than the doors would tell him.
"""

import msgspec

from moorage.auth.policy import decide, require
from moorage.db import access, grants, members, tokens
from moorage.db.engine import Tx
from moorage.errors import NotFound
from moorage.model.access import (
    NOBODY,
    Action,
    Actor,
    Namespace,
    RepositoryTarget,
    Role,
    Scope,
    Subject,
)
from moorage.oci.names import RepositoryName
from moorage.registry import rights
from moorage.registry.grants import Where, list_grants
from moorage.registry.services import Services

ANONYMOUS = "anonymous"
_MOST_PATHS = 100
_MAY: dict[Role, tuple[Action, ...]] = {
    Role.READER: (Action.PULL,),
    Role.WRITER: (Action.PULL, Action.PUSH),
    Role.MAINTAINER: (Action.PULL, Action.PUSH, Action.DELETE, Action.CONFIGURE),
    Role.OWNER: (
        Action.PULL,
        Action.PUSH,
        Action.DELETE,
        Action.CONFIGURE,
        Action.SEE_ACCESS,
        Action.MANAGE_ACCESS,
        Action.AUDIT,
    ),
    Role.AUDITOR: (Action.PULL, Action.SEE_ACCESS, Action.AUDIT),
}


class Path(msgspec.Struct, frozen=True):
    """One grant that counts: `through` is the principal itself, or a team that it is in."""

    through: str
    role: Role
    on: str


class Explanation(msgspec.Struct, frozen=True):
    """A decision: whether, why, by which grants, and what the token that was asked about lets.

    `visibility` is empty where the asker may not know of the repository, or there is none.
    """

    allowed: bool
    reason: str
    paths: tuple[Path, ...] = ()
    visibility: str = ""
    scopes: tuple[Scope, ...] | None = None


class Reported(msgspec.Struct, frozen=True):
    """A row of a report: who may do what on what, by which role."""

    who: str
    kind: str
    on: str
    role: Role
    may: tuple[Action, ...]
    after: tuple[int, int]


async def explain(
    s: Services, actor: Actor, who: str, action: Action, where: Where, *, token_id: int = 0
) -> Explanation:
    """Tell whether `who`, by the token if one is named, may do this there, and why.

    Everybody may ask about himself, owners and auditors about all others, `anonymous` among them.

    Raises:
        NotFound: there is nobody of that name, or no such token of his.
        Unauthorized, NotPermitted: the actor may not see who may what there.
    """
    is_own = actor.is_signed_in and actor.name == who

    async def read(tx: Tx) -> Explanation:
        if not is_own:
            await _allow(tx, actor, where)
        # Of himself, whoever came by a confined token asks as that and as nothing more.
        is_confined = actor.scopes is not None or actor.bound is not None
        is_as_came = is_own and (is_confined or not token_id)
        asked = actor if is_as_came else await _asked(tx, s, who, token_id)
        target = RepositoryTarget(where.repository) if where.repository else None
        found = await _found(tx, asked.subject, where)
        decision = decide(asked, action, target or Namespace(where.namespace), found.facts)
        if is_own and not (decision.allowed or decision.disclose):
            return Explanation(decision.allowed, decision.reason, scopes=asked.scopes)
        paths = await _paths(tx, asked.subject, where)
        shown = found.facts.visibility if found.facts.exists else ""
        return Explanation(decision.allowed, decision.reason, paths, shown, asked.scopes)

    return await s.db.read(read)


async def report(
    s: Services, actor: Actor, where: Where, after: tuple[int, int], limit: int
) -> list[Reported]:
    """Return up to `limit` rows of who may do what on the namespace or repository.

    `after` is the last row's; (0, 0) begins.

    Raises:
        Unauthorized, NotPermitted: the actor may not see who may what there.
    """
    return [
        Reported(
            each.who,
            each.kind,
            each.repository or f"{where.namespace}/**",
            each.role,
            _MAY[each.role],
            (each.repository_id, each.principal_id),
        )
        for each in await list_grants(s, actor, where, after, limit)
    ]


async def _allow(tx: Tx, actor: Actor, where: Where) -> None:
    if where.repository is not None:
        # Also of one that is yet to be made: who may make it is a question like the others.
        found = await access.find_target(tx, actor.subject, where.repository)
        require(actor, Action.SEE_ACCESS, RepositoryTarget(where.repository), found.facts)
    else:
        await rights.allow_namespace(tx, actor, Action.SEE_ACCESS, where.namespace)


async def _asked(tx: Tx, s: Services, who: str, token_id: int) -> Actor:
    """Return whoever is asked about as the doors would see him."""
    if who == ANONYMOUS:
        return Actor("anonymous", who, "none")
    found = await members.find_principal(tx, who)
    if found is None or found.kind == "team":
        raise NotFound(f"there is nobody called {who}")
    scopes: tuple[Scope, ...] | None = None
    if token_id:
        token = await tokens.find_token(tx, token_id)
        is_over = token is not None and 0 < token.expires_at <= s.clock.now()
        if token is None or is_over or token.principal_id != found.id:
            raise NotFound(f"{who} has no token {token_id}")
        scopes = token.scopes
    return Actor(
        "account" if found.kind == "account" else "robot",
        found.name,
        "asked about",
        subject=Subject(found.id, token_id, 0, s.clock.now()),
        scopes=scopes,
    )


async def _found(tx: Tx, subject: Subject, where: Where) -> access.Found:
    if where.repository is not None:
        return await access.find_target(tx, subject, where.repository)
    found = await access.find_namespace_target(tx, subject, where.namespace)
    return access.Found(None, found.facts)


async def _paths(tx: Tx, subject: Subject, where: Where) -> tuple[Path, ...]:
    if subject == NOBODY:
        return ()
    place = await access.find_namespace_target(tx, subject, where.namespace)
    if place.namespace is None:
        return ()
    number = await _number(tx, subject, where.repository)
    found = await grants.list_paths(
        tx, subject.principal_id, (place.namespace.id, number), _MOST_PATHS
    )
    return tuple(
        Path(each.who, each.role, each.repository or f"{where.namespace}/**")
        for each in sorted(found, key=lambda each: (-each.role.rank, each.who))
    )


async def _number(tx: Tx, subject: Subject, name: RepositoryName | None) -> int:
    found = await access.find_target(tx, subject, name) if name is not None else None
    return found.repository.id if found is not None and found.repository is not None else 0
