"""The list of images: the repositories that somebody may read, with what is newest in each."""

import re
from typing import Any

import msgspec

from moorage.auth.policy import covers, decide
from moorage.clock import DAY
from moorage.db import access, changes, repository_pages
from moorage.db.engine import Tx
from moorage.db.repository_pages import Candidate, Span
from moorage.errors import Invalid
from moorage.model.access import Action, Actor, RepositoryTarget, Subject
from moorage.model.images import RepositoryRow
from moorage.oci.kinds import ARTIFACT, CHART, IMAGE, PROVENANCE, SBOM, SIGNATURE, WASM
from moorage.oci.names import DEFAULT_NAMESPACE, RepositoryName
from moorage.registry.listing import sees_all
from moorage.registry.namespaces import VISIBILITIES
from moorage.registry.services import Services

BY_NAME, CHANGED = "name", "changed"
SORTS = (BY_NAME, CHANGED)
# An index is the image that it is for several platforms.
TYPES = (IMAGE, CHART, ARTIFACT, WASM, SIGNATURE, SBOM, PROVENANCE)
RECENTLY, UNUSED = "recently", "unused"
PULLED = (RECENTLY, UNUSED)
# Whatever nobody pulled for so many days is unused.
UNUSED_DAYS = 90
# A page with a filter goes through so many repositories, so often.
_WINDOW = 500
_WINDOWS = 10
# Of a namespace, so many are sorted by their changes.
_MOST_SORTED = 5_000
# Names have no character below the first nor behind the last.
_BELOW, _BEYOND = "!", "\x7f"
_NEWEST = _NEVER = 2**62
_MARK = re.compile(r"([0-9]{1,18}) ([!-~]{1,255})", re.ASCII)


class RepositoryPage(msgspec.Struct, frozen=True):
    """Repositories in the order asked for; `after` begins the next page, empty behind the last.

    With a filter, a page may have fewer than were asked for, or none, and more behind it.
    """

    rows: tuple[RepositoryRow, ...]
    after: str


class _Wanted(msgspec.Struct, frozen=True):
    """What is asked for, in which order."""

    sort: str
    namespace: str
    visibility: str
    kind: str
    pulled: str
    since: int  # the day from which on pulls are recent

    def check(self) -> None:
        for name, value, known in (
            ("visibility", self.visibility, VISIBILITIES),
            ("type", self.kind, TYPES),
            ("pulled", self.pulled, PULLED),
        ):
            if value and value not in known:
                raise Invalid(f"{name} is one of {', '.join(known)}")
        if self.sort not in SORTS:
            raise Invalid(f"repositories can be sorted by {BY_NAME} or {CHANGED}")

    @property
    def prefix(self) -> str:
        """What all names begin with that are asked for."""
        # One-component names belong to a namespace that they do not begin with.
        return f"{self.namespace}/" if self.namespace not in ("", DEFAULT_NAMESPACE) else ""

    @property
    def is_choosy(self) -> bool:
        """Whether there may be candidates that are not asked for."""
        is_bound = self.prefix and self.sort == BY_NAME
        has_others = bool(self.namespace and not is_bound)
        return has_others or bool(self.visibility or self.kind or self.pulled)

    def bounds(self, after: str) -> tuple[Any, str]:
        """Return between what the candidates behind the mark are."""
        if self.sort == CHANGED:
            if not after:
                return _NEWEST, _BEYOND
            found = _MARK.fullmatch(after)
            if found is None:
                raise Invalid("after is not the mark of a page")
            return int(found[1]), found[2]
        return max(after + _BELOW if after else "", self.prefix), self.prefix + _BEYOND

    def mark(self, last: Candidate) -> str:
        """Return what the page behind that one begins with: nothing that its row does not show."""
        return f"{last.changed_at} {last.name}" if self.sort == CHANGED else last.name

    def has(self, found: Candidate, counted_since: int) -> bool:
        """Tell whether it is one of those asked for; unknown pulls are none that there were not."""
        namespace = RepositoryName(found.name).namespace
        begin = self.since * DAY
        is_unused = not found.is_pulled and max(found.created_at, counted_since) < begin
        return (
            self.namespace in ("", namespace)
            and self.visibility in ("", found.visibility)
            and self.kind in ("", found.kind)
            and (self.pulled != RECENTLY or bool(found.is_pulled))
            and (self.pulled != UNUSED or is_unused)
        )


async def list_rows(  # noqa: PLR0913 - a page, in an order, of what is like that
    s: Services,
    actor: Actor,
    after: str,
    limit: int,
    *,
    sort: str = BY_NAME,
    namespace: str = "",
    visibility: str = "",
    kind: str = "",
    pulled: str = "",
) -> RepositoryPage:
    """Return up to `limit` repositories that the actor may read, behind the mark `after`.

    `sort` is `name` for ASCII order, or `changed` for what changed last first. Only those of the
    namespace, the visibility and the type, one of `TYPES`, that are named; and with `pulled` those
    that somebody pulled `recently`, or that are `unused`: older than 90 days, and not pulled for as
    long by what has been counted.

    Raises:
        Invalid: there is no such visibility, type, order or mark.
    """
    since = s.clock.now() // DAY - UNUSED_DAYS + 1
    wanted = _Wanted(sort, namespace, visibility, kind, pulled, since)
    wanted.check()
    wanted.bounds(after)  # before anything is read: a mark that is none is refused
    whole = await sees_all(s, actor)

    async def read(tx: Tx) -> RepositoryPage:
        return await _page(tx, actor, wanted, after, limit, whole=whole)

    return await s.db.read(read, pages=True)


async def _page(
    tx: Tx, actor: Actor, wanted: _Wanted, after: str, limit: int, *, whole: bool
) -> RepositoryPage:
    counted_since = _NEVER
    if wanted.pulled == UNUSED:
        counted_since = await changes.counted_since(tx) or _NEVER
    window = _WINDOW if wanted.is_choosy else min(_WINDOW, limit + 1)
    rows: list[RepositoryRow] = []
    windows, start, begun, last_shown = 0, after, after, ""
    while True:
        found, is_all = await _candidates(
            tx, None if whole else actor.subject, wanted, begun, window
        )
        for each in found:
            begun = wanted.mark(each)
            # What the credential is not for is passed over: no page ends with what it can't show.
            if not covers(actor, Action.PULL, RepositoryTarget(RepositoryName(each.name))):
                continue
            row = await _row(tx, actor, each) if wanted.has(each, counted_since) else None
            if row is not None and wanted.visibility in ("", row.visibility):
                if len(rows) == limit:
                    return RepositoryPage(tuple(rows), last_shown)
                rows.append(row)
                last_shown = begun
            after = begun
        windows += 1
        if is_all:
            return RepositoryPage(tuple(rows), "")
        if windows >= _WINDOWS and after != start:
            return RepositoryPage(tuple(rows), after)


async def _candidates(
    tx: Tx, subject: Subject | None, wanted: _Wanted, after: str, window: int
) -> tuple[list[Candidate], bool]:
    """Return the next candidates behind the mark, and whether there are none behind them."""
    bounds = wanted.bounds(after)
    by_change = wanted.sort == CHANGED
    if by_change and wanted.prefix:
        own = await _of_namespace(tx, subject, wanted)
        if own is not None:
            behind = [each for each in own if (each.changed_at, each.name) < bounds]
            return sorted(behind, key=lambda each: (each.changed_at, each.name))[::-1], True
    span = Span(bounds, wanted.since, window)
    found = await repository_pages.list_candidates(tx, subject, span, by_change=by_change)
    return found, len(found) < window


async def _of_namespace(tx: Tx, subject: Subject | None, wanted: _Wanted) -> list[Candidate] | None:
    """Return all candidates of the namespace, None if there are very many.

    They are found by name, since few namespaces are so large; by their changes, a page would go
    through those of all others.
    """
    found: list[Candidate] = []
    first = wanted.prefix
    while len(found) <= _MOST_SORTED:
        span = Span((first, wanted.prefix + _BEYOND), wanted.since, _WINDOW)
        some = await repository_pages.list_candidates(tx, subject, span, by_change=False)
        found += some
        if len(some) < _WINDOW:
            return found
        first = some[-1].name + _BELOW
    return None


async def _row(tx: Tx, actor: Actor, candidate: Candidate) -> RepositoryRow | None:
    """Return what is shown of the repository, None if it went or the actor may not read it."""
    name = RepositoryName(candidate.name)
    found = await access.find_target(tx, actor.subject, name)
    may_read = decide(actor, Action.PULL, RepositoryTarget(name), found.facts).allowed
    if found.repository is None or not may_read:
        return None
    if found.repository.id != candidate.id:
        return None  # the name is another one's since
    known = await repository_pages.find_summary(tx, candidate.id)
    most = repository_pages.MOST
    return RepositoryRow(
        name=name,
        visibility=found.repository.visibility,
        kind=candidate.kind,
        changed_at=candidate.changed_at or candidate.created_at,
        newest=known.newest,
        newest_at=known.newest_at,
        tags=min(known.tags, most),
        more_tags=known.tags > most,
        content_size=known.bytes,
        more_content=known.links > most,
    )
