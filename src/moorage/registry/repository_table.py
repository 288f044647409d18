"""The list of images: the repositories that somebody may read, with what is newest in each."""

import re

import msgspec

from moorage.auth.policy import covers, decide
from moorage.clock import DAY
from moorage.db import access, changes, repository_pages
from moorage.db.engine import Tx
from moorage.db.repository_pages import Candidate, Span
from moorage.errors import Invalid
from moorage.model.access import Action, Actor, RepositoryTarget, Scope, Subject
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
# Of namespaces and scopes, so many are sorted by their changes.
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


# The least name, and the least behind all.
_Range = tuple[str, str]
_ALL = ("", _BEYOND)


class _Wanted(msgspec.Struct, frozen=True):
    """What is asked for, in which order."""

    sort: str
    namespace: str
    visibility: str
    kind: str
    pulled: str
    since: int  # the day from which on pulls are recent
    ranges: tuple[_Range, ...]  # between what all names are that are asked for, in order

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
    def is_confined(self) -> bool:
        """Whether all names are of some namespaces, or some by themselves."""
        return self.ranges != (_ALL,)

    @property
    def is_choosy(self) -> bool:
        """Whether there may be candidates that are not asked for."""
        is_partial = self.namespace == DEFAULT_NAMESPACE
        is_partial = is_partial or (self.is_confined and self.sort == CHANGED)
        return is_partial or bool(self.visibility or self.kind or self.pulled)

    def before(self, after: str) -> tuple[int, str]:
        """Return what the candidates behind the mark are before, by their changes.

        Raises:
            Invalid: it is the mark of no page in that order.
        """
        if not after:
            return _NEWEST, _BEYOND
        found = _MARK.fullmatch(after)
        if found is None:
            raise Invalid("after is not the mark of a page")
        return int(found[1]), found[2]

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
    ranges = _ranges_of(namespace, actor)
    wanted = _Wanted(sort, namespace, visibility, kind, pulled, since, ranges)
    wanted.check()
    if sort == CHANGED:
        wanted.before(after)  # before anything is read: a mark that is none is refused
    whole = await sees_all(s, actor)

    async def read(tx: Tx) -> RepositoryPage:
        return await _page(tx, actor, wanted, after, limit, whole=whole)

    return await s.db.read(read, pages=True)


def _ranges_of(namespace: str, actor: Actor) -> tuple[_Range, ...]:
    """Return between what the names are of the namespace that the actor's credential is for."""
    # One-component names belong to a namespace that they do not begin with.
    prefix = f"{namespace}/" if namespace not in ("", DEFAULT_NAMESPACE) else ""
    found = [(prefix, prefix + _BEYOND)]
    for limit in (actor.scopes, actor.bound):
        if limit is not None:
            allowed = [_range_of(each) for each in limit if each.allows(Action.PULL)]
            # Of two, either one is within the other or they have nothing in common.
            cut = {(max(a, c), min(b, d)) for a, b in found for c, d in allowed}
            found = [(first, last) for first, last in cut if first < last]
    return tuple(
        each
        for each in sorted(found)
        if not any(a <= each[0] and each[1] <= b for a, b in found if (a, b) != each)
    )


def _range_of(scope: Scope) -> _Range:
    if scope.pattern.endswith("**"):
        prefix = scope.pattern.removesuffix("**")
        return prefix, prefix + _BEYOND
    return scope.pattern, scope.pattern + _BELOW


async def _page(
    tx: Tx, actor: Actor, wanted: _Wanted, after: str, limit: int, *, whole: bool
) -> RepositoryPage:
    counted_since = _NEVER
    if wanted.pulled == UNUSED:
        counted_since = await changes.counted_since(tx) or _NEVER
    window = _WINDOW if wanted.is_choosy else min(_WINDOW, limit + 1)
    candidates = _Candidates(tx, None if whole else actor.subject, wanted, window)
    rows: list[RepositoryRow] = []
    windows, start, begun, last_shown = 0, after, after, ""
    while True:
        found, is_all = await candidates.behind(begun)
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


class _Candidates:
    """What is within the ranges that are asked for, in the order that is, window by window."""

    def __init__(self, tx: Tx, subject: Subject | None, wanted: _Wanted, window: int) -> None:
        self._tx, self._subject, self._wanted, self._window = tx, subject, wanted, window
        self._is_begun = False
        self._gathered: list[Candidate] | None = None

    async def behind(self, after: str) -> tuple[list[Candidate], bool]:
        """Return the next behind the mark, and whether there are none behind them."""
        if self._wanted.sort == BY_NAME:
            found = await self._by_name(after, self._window)
            return found, len(found) < self._window
        before = self._wanted.before(after)
        if self._wanted.is_confined and not self._is_begun:
            self._is_begun = True
            self._gathered = await self._gather()
        if self._gathered is not None:
            return [e for e in self._gathered if (e.changed_at, e.name) < before], True
        span = Span(before, self._wanted.since, self._window)
        found = await repository_pages.list_candidates(
            self._tx, self._subject, span, by_change=True
        )
        return found, len(found) < self._window

    async def _by_name(self, after: str, limit: int) -> list[Candidate]:
        """Return the next `limit` behind the name; fewer are the last."""
        found: list[Candidate] = []
        for least, last in self._wanted.ranges:
            first = max(after + _BELOW if after else "", least)
            if first < last and len(found) < limit:
                span = Span((first, last), self._wanted.since, limit - len(found))
                found += await repository_pages.list_candidates(
                    self._tx, self._subject, span, by_change=False
                )
        return found

    async def _gather(self) -> list[Candidate] | None:
        """Return all by their changes, None if there are very many.

        They are found by name, since few namespaces are so large; by their changes, a page would go
        through those of all others.
        """
        found: list[Candidate] = []
        while len(found) <= _MOST_SORTED:
            some = await self._by_name(found[-1].name if found else "", _WINDOW)
            found += some
            if len(some) < _WINDOW:
                return sorted(found, key=lambda each: (each.changed_at, each.name), reverse=True)
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
