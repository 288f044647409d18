"""The list of images: the repositories that somebody may read, with what is newest in each."""

import msgspec

from moorage.auth.policy import decide
from moorage.db import access, readable, repositories, repository_pages
from moorage.db.engine import Tx
from moorage.errors import Invalid
from moorage.model.access import Action, Actor, RepositoryTarget
from moorage.model.images import RepositoryRow
from moorage.oci.names import DEFAULT_NAMESPACE, RepositoryName
from moorage.registry.listing import sees_all
from moorage.registry.namespaces import VISIBILITIES
from moorage.registry.services import Services

# A page with a filter goes through so many names, so often.
_WINDOW = 200
_WINDOWS = 10
# Names have no character below the first nor behind the last.
_BELOW, _BEYOND = "!", "\x7f"


class RepositoryPage(msgspec.Struct, frozen=True):
    """Repositories in ASCII order; `after` begins the next page, empty behind the last.

    With a filter, a page may have fewer than were asked for, or none, and more behind it.
    """

    rows: tuple[RepositoryRow, ...]
    after: str


async def list_rows(
    s: Services,
    actor: Actor,
    after: str,
    limit: int,
    *,
    namespace: str = "",
    visibility: str = "",
) -> RepositoryPage:
    """Return up to `limit` repositories behind `after` that the actor may read.

    Only those of the namespace and of the visibility, if one is named.

    Raises:
        Invalid: there is no such visibility.
    """
    if visibility and visibility not in VISIBILITIES:
        raise Invalid(f"a visibility is one of {', '.join(VISIBILITIES)}")
    whole = await sees_all(s, actor)
    # One-component names belong to a namespace that they do not begin with.
    prefix = f"{namespace}/" if namespace not in ("", DEFAULT_NAMESPACE) else ""

    async def read_names(tx: Tx) -> list[str]:
        first = max(after + _BELOW if after else "", prefix)
        bounds = (first, prefix + _BEYOND)
        if whole:
            return await repositories.list_repositories_between(tx, *bounds, _WINDOW)
        return await readable.list_names_between(tx, actor.subject, *bounds, _WINDOW)

    rows: list[RepositoryRow] = []
    for _ in range(_WINDOWS):
        names = await s.db.read(read_names, pages=True)
        for name in map(RepositoryName, names):
            if not namespace or name.namespace == namespace:
                row = await _row(s, actor, name)
                if row is not None and visibility in ("", row.visibility):
                    if len(rows) == limit:
                        return RepositoryPage(tuple(rows), after)
                    rows.append(row)
            after = name
        if len(names) < _WINDOW:
            return RepositoryPage(tuple(rows), "")
    return RepositoryPage(tuple(rows), after)


async def _row(s: Services, actor: Actor, name: RepositoryName) -> RepositoryRow | None:
    """Return what is shown of the repository, None if it went or the actor may not read it."""

    async def read(tx: Tx) -> RepositoryRow | None:
        found = await access.find_target(tx, actor.subject, name)
        may_read = decide(actor, Action.PULL, RepositoryTarget(name), found.facts).allowed
        if found.repository is None or not may_read:
            return None
        known = await repository_pages.find_summary(tx, found.repository.id)
        most = repository_pages.MOST
        return RepositoryRow(
            name=name,
            visibility=found.repository.visibility,
            newest=known.newest,
            newest_at=known.newest_at,
            tags=min(known.tags, most),
            more_tags=known.tags > most,
            content_size=known.bytes,
            more_content=known.links > most,
        )

    return await s.db.read(read, pages=True)
