"""Finds what somebody may read: names, tags, labels, digests and descriptions, the nearest first.

What only others may read is not looked at: candidates come from the scopes that are the actor's,
and what is found is decided on once more, as if it were pulled. A page ends after some work even
where it is not full; its cursor then goes on.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Literal

import msgspec

from moorage.auth.policy import decide, require
from moorage.db import about, access, naming, search, tags
from moorage.db.access import Found
from moorage.db.engine import Tx
from moorage.db.search import ALL, SLICE, Entry, Place, Scope
from moorage.errors import Invalid, NameInvalid, TagInvalid
from moorage.model.access import BEFORE_ACCOUNTS, Action, Actor, RepositoryTarget, System
from moorage.model.words import ABOUT, DIGEST, LABEL, REPOSITORY, TAG, Words, parse_words, probes_of
from moorage.oci.digest import Digest
from moorage.oci.names import RepositoryName, Tag
from moorage.registry import listing, rights
from moorage.registry.services import Services

Kind = Literal["repository", "tag", "label", "digest"]
MOST = 100
# Of so many slices: 30 ms where all their candidates are compared in vain.
_MOST_SLICES = 16
_PLACE = re.compile(r"[0-2](?:\.-?[0-9]{1,18}){3}", re.ASCII)
# A repository may have more tags of that name than there are on a page.
_MOST_PAGES = 5
_KINDS: dict[int, Kind] = {
    DIGEST: "digest",
    REPOSITORY: "repository",
    TAG: "tag",
    ABOUT: "repository",
    LABEL: "label",
}


class Hit(msgspec.Struct, frozen=True):
    """Something that was found; what it is not about is empty.

    `match` says how near it is: `exact`, `prefix` or `part`.
    """

    kind: Kind
    match: Literal["exact", "prefix", "part"]
    repository: RepositoryName
    tags: tuple[Tag, ...] = ()
    digest: Digest | None = None
    text: str = ""  # of a label or a description


class Results(msgspec.Struct, frozen=True):
    """What was found, and where to go on; empty at the end."""

    hits: list[Hit]
    after: str


class _Search:
    """One search: what for, by whom, and how much of its work is left."""

    def __init__(self, tx: Tx, actor: Actor, words: Words, limit: int, *, sees_all: bool) -> None:
        self.tx = tx
        self.actor = actor
        self.words = words
        self.limit = limit
        self.sees_all = sees_all
        self.hits: list[Hit] = []
        self.slices = _MOST_SLICES
        self._scopes: list[Scope] = []
        self._known: dict[tuple[str, bool], Found | None] = {}

    @property
    def is_full(self) -> bool:
        return len(self.hits) >= self.limit or self.slices <= 0

    def add(self, hit: Hit) -> None:
        self.hits.append(hit)

    async def scopes(self) -> list[Scope]:
        """Return where the actor finds things, in order."""
        if not self._scopes:
            self._scopes = (
                [Scope(ALL)]
                if self.sees_all
                else await search.list_scopes(self.tx, self.actor.subject)
            )
        return self._scopes

    async def readable(self, name: RepositoryName, *, content: bool) -> Found | None:
        """Return the repository if the actor may read it now, with what its credential is for.

        The names of repositories are told like those of the catalogue, for which one that is
        confined to some of them is good as well.
        """
        asked = (name, content)
        if asked not in self._known:
            found = await access.find_target(self.tx, self.actor.subject, name)
            actor = self.actor
            if not content:
                actor = msgspec.structs.replace(actor, scopes=None, bound=None)
            allowed = decide(actor, Action.PULL, RepositoryTarget(name), found.facts).allowed
            self._known[asked] = found if allowed and found.repository is not None else None
        return self._known[asked]


# A step takes where to begin, and returns where to go on, or nothing at its end.
_Step = Callable[[_Search, str], Awaitable[str]]


async def require_search(s: Services, actor: Actor) -> None:
    """Let pass who may search: everybody, as soon as there are accounts; all find what is public.

    Raises:
        Denied: the registry is in local mode, and the request is not local.
        Unauthorized, NotPermitted: the credential has ended, or is not for the catalogue.
    """
    facts = await rights.find_standing(s, actor)
    if actor.kind != "anonymous" or facts.standing == BEFORE_ACCOUNTS:
        require(actor, Action.CATALOG, System(), facts)


async def find(
    s: Services, actor: Actor, text: str, *, kind: str = "", after: str = "", limit: int = 20
) -> Results:
    """Return up to `limit` things that have all the words of a text, the nearest first.

    First come digests, then repositories by their whole name, by its beginning and by a part of
    it, then tags, descriptions and labels. `kind` leaves the others out.

    Raises:
        Invalid: `after` is not where a page has ended.
    """
    words = parse_words(text)
    steps = [step for of, step in _STEPS if not kind or of == kind]
    first, place = _place_of(after, len(steps))
    if not words.words or not limit:
        return Results([], "")
    sees_all = await listing.sees_all(s, actor)

    async def read(tx: Tx) -> Results:
        running = _Search(tx, actor, words, limit, sees_all=sees_all)
        begin = place
        for number in range(first, len(steps)):
            begin = await steps[number](running, begin)
            if begin or running.is_full:
                on = f"{number}.{begin}" if begin else f"{number + 1}."
                return Results(running.hits, on if begin or number + 1 < len(steps) else "")
        return Results(running.hits, "")

    return await s.db.read(read, pages=True)


async def find_repositories(s: Services, actor: Actor, text: str, limit: int) -> list[Hit]:
    """Return up to `limit` repositories, each once, that have what `find` finds."""
    found: dict[str, Hit] = {}
    after = ""
    for _ in range(_MOST_PAGES):
        page = await find(s, actor, text, after=after, limit=MOST)
        for hit in page.hits:
            found.setdefault(hit.repository, hit)
        after = page.after
        if not after or len(found) >= limit:
            break
    return list(found.values())[:limit]


def _place_of(after: str, steps: int) -> tuple[int, str]:
    if not after:
        return 0, ""
    number, dot, place = after.partition(".")
    is_step = number.isascii() and number.isdigit() and len(number) == 1
    if not dot or not is_step or int(number) >= steps:
        raise Invalid("after is not where a page has ended")
    return int(number), place


async def _whole_name(running: _Search, _: str) -> str:
    """Find the repository of that very name."""
    name = _repository_of(running.words.text)
    if name is not None:
        await _show_name(running, name, "exact")
    return ""


async def _show_name(
    running: _Search, name: RepositoryName, match: Literal["exact", "prefix"]
) -> None:
    found = await running.readable(name, content=False)
    if found is not None and found.repository is not None:
        said = await about.find_about(running.tx, found.repository.id)
        running.add(Hit("repository", match, name, text=said.shown))


async def _whole_tag(running: _Search, _: str) -> str:
    """Find the tag that is written as clients write it, behind a repository and a colon."""
    text, colon, behind = running.words.raw.partition(":")
    name = _repository_of(text)
    if name is None or not colon:
        return ""
    try:
        tag = Tag.parse(behind)
    except TagInvalid:
        return ""
    found = await running.readable(name, content=True)
    if found is None or found.repository is None:
        return ""
    if await tags.find_tag(running.tx, found.repository.id, tag) is not None:
        running.add(Hit("tag", "exact", name, (tag,)))
    return ""


def _repository_of(text: str) -> RepositoryName | None:
    try:
        return RepositoryName.parse(text)
    except NameInvalid:
        return None


async def _beginning(running: _Search, begin: str) -> str:
    """Find repositories whose names begin so, in ASCII order."""
    text = running.words.text
    wanted = running.limit - len(running.hits)
    names = await listing.names_from(
        running.tx, running.actor, text, begin, wanted + 1, sees_all=running.sees_all
    )
    for name in names[:wanted]:
        if name != text:
            await _show_name(running, RepositoryName(name), "prefix")
    return names[wanted - 1] if len(names) > wanted else ""


def _in_index(kind: int) -> _Step:
    async def step(running: _Search, begin: str) -> str:
        pieces = probes_of(kind, running.words)
        if not pieces:
            return ""
        start, place = _scope_and_place(begin)
        for scope in await running.scopes():
            if scope < start:
                continue
            place = place if scope == start else Place()
            end = await _in_scope(running, kind, scope, pieces, place)
            if end is not None:
                return f"{scope.family}.{scope.number}.{end.scope}.{end.entry}"
        return ""

    return step


def _scope_and_place(begin: str) -> tuple[Scope, Place]:
    if not begin:
        return Scope(-1), Place()
    if not _PLACE.fullmatch(begin):
        raise Invalid("after is not where a page has ended")
    family, number, scope, entry = map(int, begin.split("."))
    return Scope(family, number), Place(scope, entry)


async def _in_scope(
    running: _Search, kind: int, scope: Scope, pieces: list[str], place: Place
) -> Place | None:
    """Find what is in one scope behind the place; return where it stopped, None at the end."""
    # A digest may be written with its algorithm, and is kept without.
    words = (running.words.digest,) if kind == DIGEST else running.words.words
    rarest = ""
    if scope.family != search.SINGLE:
        rarest = await search.find_rarest(running.tx, scope, kind, pieces)
        if not rarest:
            return None
    while True:
        if running.is_full:
            return place
        running.slices -= 1
        found, is_end = await search.look(
            running.tx, scope, kind, rarest, words, place, limit=SLICE
        )
        for candidate, has_words in found:
            place = candidate
            if has_words:
                await _show(running, candidate.entry)
            if len(running.hits) >= running.limit:
                return place
        if is_end:
            return None


async def _show(running: _Search, number: int) -> None:
    """Add an entry to what was found, if it still is so, and the actor may read it."""
    entry = await search.find_entry(running.tx, number)
    if entry is None or not _is_meant(running.words, entry):
        return
    found = await running.readable(entry.name, content=entry.kind not in (REPOSITORY, ABOUT))
    if found is None or found.repository is None or found.repository.id != entry.repository_id:
        return
    hit = await _hit(running, entry)
    if hit is not None:
        running.add(hit)


def _is_meant(words: Words, entry: Entry) -> bool:
    """Tell whether an entry has all words, of which the statement compares three only."""
    if entry.kind == DIGEST:
        return entry.folded.startswith(words.digest)
    return words.match(entry.folded)


async def _hit(running: _Search, entry: Entry) -> Hit | None:
    text = running.words.text
    kind = _KINDS[entry.kind]
    if entry.kind in (REPOSITORY, ABOUT):
        # What is found by its name, or the beginning of it, has been found already.
        if entry.name.startswith(text) or _is_named(running.words, entry):
            return None
        said = await about.find_about(running.tx, entry.repository_id)
        return Hit(kind, "part", entry.name, text=said.shown)
    if entry.kind == TAG:
        named = await tags.find_tag(running.tx, entry.repository_id, Tag(entry.subject))
        match = _match(text, entry.folded)
        return Hit(kind, match, entry.name, (Tag(entry.subject),), named) if named else None
    content = await search.find_manifest(running.tx, entry.repository_id, entry.manifest_id)
    if content is None:
        return None
    digest, named_by = content
    if not named_by:
        named_by = await _tags_above(running.tx, entry)
    if entry.kind == DIGEST:
        match = _match(running.words.digest, entry.folded)
        return Hit(kind, match, entry.name, tuple(named_by), digest)
    return Hit(kind, "part", entry.name, tuple(named_by), digest, entry.subject)


def _is_named(words: Words, entry: Entry) -> bool:
    return entry.kind == ABOUT and words.match(entry.name)


async def _tags_above(tx: Tx, entry: Entry) -> list[Tag]:
    """Return the tags of the first index that lists an image without any of its own."""
    for number, _, until in await naming.list_parents(
        tx, entry.repository_id, naming.MANIFEST, entry.manifest_id
    ):
        above = None if until else await search.find_manifest(tx, entry.repository_id, number)
        if above is not None and above[1]:
            return above[1]
    return []


def _match(text: str, folded: str) -> Literal["exact", "prefix", "part"]:
    if folded == text:
        return "exact"
    return "prefix" if folded.startswith(text) else "part"


_STEPS: tuple[tuple[Kind, _Step], ...] = (
    ("digest", _in_index(DIGEST)),
    ("repository", _whole_name),
    ("tag", _whole_tag),
    ("repository", _beginning),
    ("repository", _in_index(REPOSITORY)),
    ("tag", _in_index(TAG)),
    ("repository", _in_index(ABOUT)),
    ("label", _in_index(LABEL)),
)
