"""The table of a repository's tags: pages by name or newest first, with what each stands for."""

import fnmatch
import re
from collections.abc import Callable

import msgspec

from moorage.auth.policy import require
from moorage.db import access, tag_pages
from moorage.db.access import Found
from moorage.db.engine import BEYOND_ALL, Tx
from moorage.db.tag_pages import TagLine
from moorage.errors import Invalid, NotFound
from moorage.model.access import Action, Actor, RepositoryTarget
from moorage.model.images import TagRow
from moorage.oci.contents import read_contents
from moorage.oci.kinds import kind_of, kind_of_tag
from moorage.oci.names import RepositoryName
from moorage.registry.history import by_for
from moorage.registry.services import Services
from moorage.web.numbers import number_of

BY_NAME, NEWEST = "name", "newest"
# A pattern is looked for among so many tags at once, and so often for one page.
_WINDOW = 1_000
_WINDOWS = 10
_LEAST_WINDOW = 100
# Tags are of letters, digits and -._ : the first character below, and the last one behind them.
_BELOW, _BEYOND = "!", "\x7f"
_LONGEST_PATTERN = 128
_WILD = re.compile(r"[*?\[]")


class TagPage(msgspec.Struct, frozen=True):
    """Tags in the order that was asked for; `after` begins the next page, empty behind the last.

    With a pattern, a page may have fewer tags than were asked for, or none, and more behind it.
    """

    rows: tuple[TagRow, ...]
    after: str


class _Wanted(msgspec.Struct, frozen=True):
    """Names with the ids of their manifests where these are known, and where to go on."""

    names: list[tuple[str, int]]
    after: str


async def list_rows(  # noqa: PLR0913 - a page, in an order, of what matches
    s: Services,
    actor: Actor,
    name: RepositoryName,
    after: str,
    limit: int,
    *,
    sort: str = BY_NAME,
    pattern: str = "",
) -> TagPage:
    """Return up to `limit` tags behind `after`, the mark that the page before ended with.

    `sort` is `name` for ASCII order, or `newest` for the image that was pushed last first, with the
    tags of one image together. `pattern` is the beginning of names, or one for all of a name if it
    has `*`, `?` or `[…]`.

    Raises:
        Unauthorized, NotPermitted: the actor may not read the repository.
        NotFound: there is no such repository.
        Invalid: the order, the mark or the pattern is none.
    """
    if sort not in (BY_NAME, NEWEST):
        raise Invalid(f"tags can be sorted by {BY_NAME} or {NEWEST}")
    if len(pattern) > _LONGEST_PATTERN:
        raise Invalid(f"a pattern for tags has up to {_LONGEST_PATTERN} characters")
    mark = _mark(after) if sort == NEWEST else None

    async def read(tx: Tx) -> TagPage:
        found = await access.find_target(tx, actor.subject, name)
        require(actor, Action.PULL, RepositoryTarget(name), found.facts)
        if found.repository is None:
            raise NotFound(f"there is no repository {name}")
        number = found.repository.id
        if mark is not None:
            wanted = await _newest(tx, number, mark, limit, _matches(pattern))
            lines = await tag_pages.find_rows(tx, number, wanted.names, 4 * limit)
            return _page(actor, name, found, lines, wanted.after)
        if not _WILD.search(pattern):
            lines = await tag_pages.list_rows(tx, number, *_span(after, pattern), limit + 1)
            more = lines[limit - 1].name if len(lines) > limit else ""
            return _page(actor, name, found, lines[:limit], more)
        wanted = await _matching(tx, number, after, limit, pattern)
        lines = await tag_pages.find_rows(tx, number, wanted.names, 0)
        return _page(actor, name, found, lines, wanted.after)

    return await s.db.read(read, pages=True)


def _mark(after: str) -> tuple[int, str]:
    """Return the image and the tag that the page before ended with."""
    number, _, tag = after.partition(" ")
    if not after:
        return BEYOND_ALL, _BEYOND
    image = number_of(number)
    if image is None or not tag:
        raise Invalid("after is not the mark of a page")
    return image, tag


def _span(after: str, prefix: str) -> tuple[str, str]:
    """Return the first and last names that can be on the page."""
    return max(after + _BELOW if after else "", prefix), prefix + _BEYOND


def _matches(pattern: str) -> Callable[[str], bool]:
    if not _WILD.search(pattern):
        return lambda name: name.startswith(pattern)
    compiled = re.compile(fnmatch.translate(pattern))
    return lambda name: compiled.match(name) is not None


async def _matching(tx: Tx, number: int, after: str, limit: int, pattern: str) -> _Wanted:
    """Return the names that match on this page, looked for among those with the same beginning."""
    matches = _matches(pattern)
    first, last = _span(after, _WILD.split(pattern, maxsplit=1)[0])
    wanted: list[tuple[str, int]] = []
    for _ in range(_WINDOWS):
        names = await tag_pages.list_names(tx, number, first, last, _WINDOW)
        for name in names:
            after = name
            if matches(name):
                wanted.append((name, 0))
                if len(wanted) == limit:
                    return _Wanted(wanted, after)
        if len(names) < _WINDOW:
            return _Wanted(wanted, "")
        first = after + _BELOW
    return _Wanted(wanted, after)


async def _newest(
    tx: Tx, number: int, mark: tuple[int, str], limit: int, matches: Callable[[str], bool]
) -> _Wanted:
    before, last = mark
    window = max(limit + 1, _LEAST_WINDOW)
    wanted: list[tuple[str, int]] = []
    names = []
    if before != BEYOND_ALL:
        left = await tag_pages.list_names_of(tx, number, before)
        names = [(name, before) for name in left if name > last]
    for _ in range(_WINDOWS):
        found = await tag_pages.list_newest(tx, number, before, window)
        for name, image in names + found:
            if matches(name):
                if len(wanted) == limit:
                    return _Wanted(wanted, f"{wanted[-1][1]} {wanted[-1][0]}")
                wanted.append((name, image))
            before, last = image, name
        if len(found) < window:
            return _Wanted(wanted, "")
        names = []
    return _Wanted(wanted, f"{before} {last}")


def _page(
    actor: Actor, name: RepositoryName, found: Found, lines: list[TagLine], after: str
) -> TagPage:
    return TagPage(tuple(_row(actor, name, found, each) for each in lines), after)


def _row(actor: Actor, name: RepositoryName, found: Found, line: TagLine) -> TagRow:
    listed = read_contents(line.raw).manifests if line.raw else ()
    platforms = [each.platform for each in listed if each.platform]
    return TagRow(
        name=line.name,
        digest=line.digest,
        at=line.at,
        by=by_for(actor, name, found, line.by),
        kind=kind_of_tag(line.name) or kind_of(line.media_type, line.artifact_type),
        media_type=line.media_type,
        platforms=tuple(dict.fromkeys(platforms)),
        content_size=line.bytes,
        grown=line.bytes - line.earlier if line.earlier is not None else None,
    )
