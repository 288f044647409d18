"""Keeps what can be searched for, behind what happens: a push waits for none of it.

A job follows the feed of events and reads what each is about as it is at that moment, so that it
does not matter how often or how late that is done. What was there before it began is read through
once, and so is everything when the feed has gone on without it. The same job keeps when
repositories last changed (`registry/changes.py`).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from moorage.db import about, search_rows, tags
from moorage.db.engine import Tx
from moorage.db.events import LAST_PLACE, FeedEvent, list_feed
from moorage.db.search_rows import FEED, FILL, Content, Kept, Wanted
from moorage.errors import DigestInvalid
from moorage.jobs.queue import Again, Running
from moorage.model.artifacts import Repository
from moorage.model.words import ABOUT, DIGEST, LABEL, REPOSITORY, TAG, fold
from moorage.oci.digest import Digest
from moorage.registry import changes
from moorage.registry.labels import find_labels
from moorage.registry.services import Services

FOLLOW = "search.follow"
WALK = "search.walk"
FAN_OUT = "events.fan-out"
# Of entries in a transaction: 20 ms.
_SLICE = 50
_MANIFESTS = 10
_EVENTS = 20
# Of events in a transaction; one of them may name many tags.
_TOGETHER = 5
_BETWEEN_SECONDS = 1.0
# So many parts of the work, then other jobs have their turn.
_PARTS = 100
_NOWHERE = 2**62
_MOST_LABELS = 32
_LONGEST_LABEL = 250
_LONGEST_DESCRIPTION = 200
# Of a README, what it begins with.
_README = 1_000
_DESCRIBE = ("org.opencontainers.image.description", "org.opencontainers.image.title")
# Of these, the whole of a repository is looked at again.
_OF_ALL = frozenset({"repository.deleted", "repository.restored", "repository.created"})


class Walk(msgspec.Struct, frozen=True):
    """A walk through a repository; `whole` reads its manifests and tags as well."""

    repository: int
    whole: bool = True


class _Prepared(msgspec.Struct, frozen=True):
    """What an event asks for: nothing, a walk, or some entries of a repository."""

    place: int
    repository_id: int = 0
    walk: Walk | None = None
    contents: tuple[tuple[Content, dict[str, str]], ...] = ()
    tags: tuple[str, ...] = ()


class Watch:
    """Has the job run as soon as there is something to do; a look costs a few reads.

    Events are moved on once a second at most: what is pushed meanwhile goes together, so that many
    small pushes do not wait for as many commits of this.
    """

    def __init__(self, s: Services) -> None:
        """Look at the services' database."""
        self._s = s
        self._moves_at = 0.0

    async def keep(self) -> None:
        """Enqueue what moves events on, and what follows them; to be called often."""
        now = self._s.clock.monotonic()

        async def look(tx: Tx) -> str:
            if now >= self._moves_at and await search_rows.is_waiting(tx):
                return FAN_OUT
            last = await tx.one(LAST_PLACE)
            place = await search_rows.find_state(tx, FEED)
            end = last[0] if last else 0
            filled = await search_rows.find_state(tx, FILL) == _NOWHERE
            done = filled and place == end and await changes.is_done(tx, end)
            return "" if done else FOLLOW

        name = await self._s.db.read(look)
        if name == FAN_OUT:
            self._moves_at = now + _BETWEEN_SECONDS
        if name:

            async def add(tx: Tx) -> None:
                await self._s.jobs.enqueue(tx, name, key=name)

            await self._s.db.write(add)


async def follow(s: Services, running: Running) -> None:
    """Read through what is there already, then go on behind the feed."""
    for _ in range(_PARTS):
        # Side by side: what takes long of one does not keep the other waiting.
        changed = await changes.keep_some(s, running)
        searched = await _fill_some(s, running) or await _follow_some(s, running)
        if not changed and not searched:
            return
    raise Again


async def walk(s: Services, running: Running) -> None:
    """Have all of one repository as it is now."""
    asked = msgspec.json.decode(running.job.payload, type=Walk)
    await _walk(s, running, asked)


async def _fill_some(s: Services, running: Running) -> bool:
    """Read through the next repository; tell whether there was one."""

    async def begin(tx: Tx) -> int:
        await search_rows.hold(tx)
        found = await search_rows.find_state(tx, FILL)
        if found is None:
            last = await tx.one(LAST_PLACE)
            await search_rows.put_state(tx, FEED, last[0] if last else 0)
            await search_rows.put_state(tx, FILL, 0)
        return found or 0

    async def state(tx: Tx) -> int | None:
        return await search_rows.find_state(tx, FILL)

    place = await s.db.read(state)
    if place is None:
        place = await running.write(begin)
    if place == _NOWHERE:
        return False

    async def following(tx: Tx) -> list[int]:
        return await search_rows.list_repositories(tx, place, 1)

    found = await s.db.read(following)
    if found:
        await _walk(s, running, Walk(found[0]))

    async def note(tx: Tx) -> None:
        await search_rows.put_state(tx, FILL, found[0] if found else _NOWHERE)

    await running.write(note)
    return True


async def _follow_some(s: Services, running: Running) -> bool:
    """Do what the next events ask for; tell whether there were any."""

    async def read(tx: Tx) -> tuple[int, list[FeedEvent]]:
        place = await search_rows.find_state(tx, FEED) or 0
        return place, await list_feed(tx, place, _EVENTS)

    place, found = await s.db.read(read, pages=True)
    if not found:
        return False
    if found[0].place != place + 1:
        return await _begin_anew(running)
    prepared = [await _prepare_event(s, event) for event in found]
    for first in range(0, len(prepared), _TOGETHER):
        await _put_few(s, running, prepared[first : first + _TOGETHER])
    return True


async def _begin_anew(running: Running) -> bool:
    """Read everything through again: the feed was cut before it was read."""

    async def note(tx: Tx) -> None:
        last = await tx.one(LAST_PLACE)
        await search_rows.put_state(tx, FEED, last[0] if last else 0)
        await search_rows.put_state(tx, FILL, 0)

    await running.write(note)
    return True


async def _prepare_event(s: Services, event: FeedEvent) -> _Prepared:
    """Read what the event is about, before anybody has to wait for it."""
    if not event.repository_id:
        return _Prepared(event.place)
    if event.kind in _OF_ALL or event.kind == "repository.visibility-changed":
        walk = Walk(event.repository_id, whole=event.kind in _OF_ALL)
        return _Prepared(event.place, event.repository_id, walk)
    data = msgspec.json.decode(event.payload, type=dict[str, Any])
    contents = [
        content
        for digest in _digests_in(data)
        if (content := await _prepare(s, event.repository_id, digest)) is not None
    ]
    return _Prepared(event.place, event.repository_id, None, tuple(contents), tuple(_tags_in(data)))


async def _put_few(s: Services, running: Running, few: Sequence[_Prepared]) -> None:
    """Have in one transaction what some events are about, and that they are read."""

    async def write(tx: Tx) -> None:
        await search_rows.hold(tx)
        for each in few:
            if each.walk is not None:
                key = f"{each.walk.repository} {each.walk.whole}"
                await s.jobs.enqueue(tx, WALK, each.walk, key=key)
            elif each.repository_id:
                await _put_prepared(tx, each)
        await search_rows.put_state(tx, FEED, few[-1].place)

    await running.write(write)


async def _put_prepared(tx: Tx, prepared: _Prepared) -> None:
    place = await search_rows.find_repository(tx, prepared.repository_id)
    if place is None:
        return
    await _put_name(tx, place)
    for content, labels in prepared.contents:
        await _put_content(tx, place, content, labels)
    for tag in prepared.tags:
        await _put_tag(tx, place, tag)
    await _put_about(tx, place)


def _digests_in(data: Mapping[str, Any]) -> list[Digest]:
    named = data.get("manifests")
    texts = [data.get("digest"), *(named if isinstance(named, list) else [])]
    found = []
    for text in texts:
        try:
            found.append(Digest.parse(str(text)))
        except DigestInvalid:
            continue  # an event without one, or one of before a release that knows it
    return found


def _tags_in(data: Mapping[str, Any]) -> list[str]:
    named = data.get("tags")
    texts = [data.get("tag"), *(named if isinstance(named, list) else [])]
    return [text for text in texts if isinstance(text, str) and text]


async def _walk(s: Services, running: Running, asked: Walk) -> None:
    async def find(tx: Tx) -> Repository | None:
        return await search_rows.find_repository(tx, asked.repository)

    place = await s.db.read(find)
    await _revise(running, asked.repository)
    if place is not None and asked.whole:
        await _read_manifests(s, running, place)
        await _read_tags(s, running, place)


async def _revise(running: Running, repository_id: int) -> None:
    """Have all entries in the scope of the repository, and none of one that is gone."""
    after = 0
    while True:

        async def revise(tx: Tx, after: int = after) -> list[Kept]:
            await search_rows.hold(tx)
            place = await search_rows.find_repository(tx, repository_id)
            found = await search_rows.list_kept(tx, repository_id, after, _SLICE)
            if place is None:
                await search_rows.end(tx, found)
            else:
                await search_rows.move(tx, found, search_rows.scope_of(place))
                await _put_name(tx, place)
                await _put_about(tx, place)
            return found

        found = await running.write(revise)
        if len(found) < _SLICE:
            return
        after = found[-1].id


async def _read_manifests(s: Services, running: Running, place: Repository) -> None:
    after = b""
    while True:

        async def read(tx: Tx, after: bytes = after) -> list[Content]:
            return await search_rows.list_content(tx, place.id, after, _MANIFESTS)

        found = await s.db.read(read, pages=True)
        prepared = [(each, await find_labels(s, place.id, each)) for each in found if each.is_live]

        async def write(tx: Tx, prepared: list[tuple[Content, dict[str, str]]] = prepared) -> None:
            await search_rows.hold(tx)
            now = await search_rows.find_repository(tx, place.id)
            if now is None:
                return
            for content, labels in prepared:
                await _put_content(tx, now, content, labels)
            await _put_about(tx, now)

        if prepared:
            await running.write(write)
        if len(found) < _MANIFESTS:
            return
        after = found[-1].identity.key


async def _read_tags(s: Services, running: Running, place: Repository) -> None:
    after = ""
    while True:

        async def read(tx: Tx, after: str = after) -> list[str]:
            return await tags.list_tags(tx, place.id, after, _SLICE)

        found = await s.db.read(read, pages=True)

        async def write(tx: Tx, found: list[str] = found) -> None:
            await search_rows.hold(tx)
            now = await search_rows.find_repository(tx, place.id)
            for tag in found if now is not None else ():
                await _put_tag(tx, now or place, tag)

        if found:
            await running.write(write)
        if len(found) < _SLICE:
            return
        after = found[-1]


async def _put_name(tx: Tx, place: Repository) -> None:
    known = await search_rows.find_kept(tx, place.id, REPOSITORY, "")
    folded = fold(place.name)
    if known is None or (known.folded, known.scope) != (folded, search_rows.scope_of(place)):
        wanted = Wanted(REPOSITORY, "", folded)
        await search_rows.put(tx, place.id, search_rows.scope_of(place), [wanted])


async def _put_about(tx: Tx, place: Repository) -> None:
    found = await about.find_about(tx, place.id)
    folded = fold(f"{found.shown} {found.readme[:_README]}")
    if folded:
        wanted = Wanted(ABOUT, "", folded)
        await search_rows.put(tx, place.id, search_rows.scope_of(place), [wanted])
    else:
        await _end(tx, place.id, ABOUT, [""])


async def _put_tag(tx: Tx, place: Repository, tag: str) -> None:
    if await search_rows.is_tag(tx, place.id, tag):
        wanted = Wanted(TAG, tag, fold(tag))
        await search_rows.put(tx, place.id, search_rows.scope_of(place), [wanted])
    else:
        await _end(tx, place.id, TAG, [tag])


async def _put_content(
    tx: Tx, place: Repository, content: Content, labels: Mapping[str, str]
) -> None:
    hexadecimal = content.identity.hex
    if await search_rows.is_live(tx, content.id):
        wanted = [Wanted(DIGEST, hexadecimal, hexadecimal, content.id)]
        wanted += [Wanted(LABEL, text, fold(text), content.id) for text in _texts(labels)]
        await search_rows.put(tx, place.id, search_rows.scope_of(place), wanted)
        said = next((labels[key] for key in _DESCRIBE if labels.get(key)), "")
        if said:
            text = _storable(" ".join(said.split())[:_LONGEST_DESCRIPTION])
            await about.note_found(tx, place.id, content.id, text)
    else:
        await about.forget_found(tx, place.id, content.id)
        await _end(tx, place.id, DIGEST, [hexadecimal])
        await _end(tx, place.id, LABEL, _texts(labels), content.id)


async def _end(
    tx: Tx, repository_id: int, kind: int, subjects: Iterable[str], manifest_id: int = 0
) -> None:
    """Forget entries; of labels those that this manifest was the last to have."""
    for subject in subjects:
        kept = await search_rows.find_kept(tx, repository_id, kind, subject)
        if kept is not None and manifest_id in (0, kept.manifest_id):
            await search_rows.end(tx, [kept])


def _texts(labels: Mapping[str, str]) -> list[str]:
    found = (f"{key}={value}"[:_LONGEST_LABEL] for key, value in labels.items())
    return list(dict.fromkeys(map(_storable, found)))[:_MOST_LABELS]


def _storable(text: str) -> str:
    """Return the text without what no database takes: JSON may have halves of characters."""
    return text.replace("\x00", " ").encode("utf-8", "replace").decode()


async def _prepare(
    s: Services, repository_id: int, digest: Digest
) -> tuple[Content, dict[str, str]] | None:
    async def read(tx: Tx) -> Content | None:
        return await search_rows.find_content(tx, repository_id, digest)

    content = await s.db.read(read)
    return None if content is None else (content, await find_labels(s, repository_id, content))
