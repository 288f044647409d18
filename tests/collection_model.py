"""All interleavings of collection with what clients do, each step one transaction or one call.

One content with two digests in two repositories, manifests that name it by either, an index whose
child may come late, trash, restore, a hold, a reader, a backup, and time. Any process may stop for
ever at any step, which is a crash. `explore` looks at every state that there is: none may break a
promise, and from each of them collection alone must come to what is named and no more.

A rule that is left out (`RULES`) must have a counter-example, or it is not needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

# What a step stands for in the program; a test looks that each is there.
STEPS = {
    "write": "moorage.blobs.store:UploadSession.finish",
    "publish": "moorage.registry.uploads:_publish",
    "put": "moorage.registry.push:put_manifest",
    "look": "moorage.registry.pull:find_blob",
    "renew": "moorage.registry.pull:extend_lease",
    "mount": "moorage.registry.mounts:mount",
    "delete": "moorage.registry.delete:delete_manifest",
    "delete_blob": "moorage.registry.delete:delete_blob",
    "restore": "moorage.db.manifests:revive",
    "hold": "moorage.db.collection:what_keeps_blob",
    "read": "moorage.registry.pull:read",
    "collect_blob": "moorage.registry.collect:collect_blob",
    "collect_manifest": "moorage.registry.collect:collect_manifest",
    "list_due": "moorage.db.blobs:list_due_deletes",
    "look_for_hold": "moorage.db.collection_runs:is_store_held",
    "delete_object": "moorage.registry.deleting:delete",
    "hold_store": "moorage.db.backups:hold_store",
    "snapshot": "moorage.registry.backup:Backup._take",
    "copy": "moorage.registry.backup:Backup._copy",
    "release": "moorage.db.backups:release_store",
    "time": "moorage.clock:Clock.now",
}
RULES = {
    "lease": "a link is not removed while it is leased",
    "again": "a candidate is judged again in the transaction that removes it",
    "named": "what a manifest names by its id is not removed",
    "alias": "what a manifest names by any of its digests is not removed",
    "trash names": "what a manifest in the trash names is not removed",
    "trash": "what was deleted is not removed before its time in the trash ends",
    "hold": "what is held is not removed",
    "index": "what an index names is not removed",
    "others": "a blob is not removed while another repository has it",
    "fresh": "a location is never used twice",
    "delay": "an object is deleted some time after its row went",
    "parts": "a manifest is taken only if its parts are there",
    "renewed": "who asks for a blob to skip a push gets a lease",
    "told": "who asks is told that a blob is there only if its lease was renewed",
    "one": "a blob's row and its repository's link to it come in one transaction",
    "locks": "what a manifest names stays until the manifest is there",
    "queued": "what loses a reference is looked at",
    "ended": "what is leased is looked at when the lease has ended",
    "store": "nothing is deleted while the store is held",
    "before": "a backup holds the store before it looks at the rows",
    "last": "the hold of the store is looked for after what is due was listed",
}
ALL = frozenset(RULES)
REPOSITORIES = ("A", "B")
ENDED, LEASED = 1, 2  # a lease; 0 is none: something names the blob


class Link(NamedTuple):
    """A repository's hold on the blob; trash is 0 live, 1 in it, 2 when its time has ended."""

    lease: int
    trash: int = 0
    queued: bool = False


class Manifest(NamedTuple):
    """A manifest's row; `found` says that what it names was there by that name."""

    trash: int
    found: bool
    queued: bool = False
    names: frozenset[int] = frozenset({1})


@dataclass(frozen=True)
class Kind:
    """A manifest of the scene: where it is, and what it names by which digest."""

    repository: str
    child: str  # another manifest, or empty for the blob
    digest: int
    sparse: bool = False


KINDS = {
    "image": Kind("A", "", 1),
    "alias": Kind("A", "", 2, sparse=True),
    "far": Kind("B", "", 1),
    "index": Kind("A", "image", 1, sparse=True),
    "index by alias": Kind("A", "image", 2, sparse=True),
}


class State(NamedTuple):
    """Everything there is at one moment."""

    links: tuple[Link | None, Link | None] = (None, None)
    row: int = 0
    aliased: bool = False
    objects: frozenset[int] = frozenset()
    queue: frozenset[tuple[int, bool]] = frozenset()
    manifests: tuple[Manifest | None, ...] = (None,) * len(KINDS)
    held: bool = False
    places: tuple[int, ...] = (0,) * 9
    told: frozenset[str] = frozenset()
    reading: int = 0
    store_held: bool = False
    named: int = 0  # what a backup's snapshot names and it has not copied yet
    due: int = 0  # what was listed to be deleted
    passed: bool = False  # no hold was found
    chosen: str = ""  # without the rule: what is removed next, as it was judged before
    checked: str = ""  # without the rule: what is put next, as it was looked for before

    def link(self, repository: str) -> Link | None:
        """Return a repository's link."""
        return self.links[REPOSITORIES.index(repository)]

    def with_link(self, repository: str, link: Link | None) -> State:
        """Return the state with another one."""
        place = REPOSITORIES.index(repository)
        links = (*self.links[:place], link, *self.links[place + 1 :])
        return self._replace(links=links)

    def manifest(self, name: str) -> Manifest | None:
        """Return a manifest."""
        return self.manifests[list(KINDS).index(name)]

    def with_manifest(self, name: str, manifest: Manifest | None) -> State:
        """Return the state with another one."""
        place = list(KINDS).index(name)
        return self._replace(
            manifests=(*self.manifests[:place], manifest, *self.manifests[place + 1 :])
        )

    def at(self, actor: int, place: int) -> State:
        """Return the state with an actor at another place of what it does."""
        return self._replace(places=(*self.places[:actor], place, *self.places[actor + 1 :]))


Step = tuple[str, State]


@dataclass(frozen=True)
class Scene:
    """Who takes part: manifests by name, other actors, and how often time passes."""

    manifests: tuple[str, ...]
    actors: frozenset[str]
    times: int = 2


# The smallest first.
SCENES = {
    "a reader": Scene(("image",), frozenset({"A", "again", "read", "delete"}), 3),
    "trash": Scene(
        ("image",), frozenset({"A", "again", "delete", "restore", "delete_blob", "hold"}), 3
    ),
    "two digests": Scene(("alias", "far"), frozenset({"A", "B", "delete"}), 2),
    "a backup": Scene((), frozenset({"A", "again", "head", "backup"}), 3),
    "an index": Scene(
        ("image", "index", "index by alias"), frozenset({"A", "delete", "restore"}), 2
    ),
    "pushes": Scene(("image", "far"), frozenset({"A", "B", "head", "mount", "delete"}), 1),
}


class Model:
    """The protocol with some of its rules, in one scene."""

    def __init__(self, scene: Scene, rules: frozenset[str] = ALL) -> None:
        self.scene = scene
        self.rules = rules

    def steps(self, s: State) -> Iterator[Step]:
        """Yield every step that can be taken, with its name and what comes of it."""
        actors = self.scene.actors
        if "A" in actors:
            yield from self._upload(s, 0, "A", 1)
        if "again" in actors and s.places[0] == 2:
            yield from self._upload(s, 1, "A", 1)
        if "B" in actors:
            yield from self._upload(s, 2, "B", 2)
        for name in self.scene.manifests:
            yield from self._of_manifest(s, name)
        yield from self._of_link(s, actors)
        if "hold" in actors:
            yield from self._hold(s)
        if "backup" in actors:
            yield from self._backup(s)
        if s.places[7] < self.scene.times:
            yield "time", self.later(s.at(7, s.places[7] + 1))
        yield from self.collection(s)

    def _of_link(self, s: State, actors: frozenset[str]) -> Iterator[Step]:
        link = s.link("A")
        if "head" in actors:
            yield from self._head(s)
        if link is None or link.trash:
            return
        if "mount" in actors and not s.places[4]:
            yield "mount", self._linked(s.at(4, 1), "B")
        if "delete_blob" in actors and not self._is_named_live(s, "A"):
            deleted = s.with_link("A", Link(LEASED, 1, link.queued))
            yield "delete_blob", deleted._replace(told=s.told - {"A"})
        if "read" in actors and not s.reading and not s.places[6]:
            yield "read", s._replace(reading=s.row).at(6, 1)

    def _hold(self, s: State) -> Iterator[Step]:
        if s.held:
            yield "hold", s._replace(held=False)
        elif not s.places[5] and s.link("A") is not None:
            yield "hold", s._replace(held=True).at(5, 1)

    def _backup(self, s: State) -> Iterator[Step]:
        """Hold the store, look at the rows, copy what they name, and let go."""
        place = s.places[8]
        first, second = (0, 1) if "before" in self.rules else (1, 0)
        if place == first:
            yield "hold_store", s._replace(store_held=True).at(8, place + 1)
        elif place == second:
            yield "snapshot", s._replace(named=s.row).at(8, place + 1)
        elif place == 2:
            yield "copy", s._replace(named=0).at(8, 3)
        elif place == 3:
            yield "release", s._replace(store_held=False).at(8, 4)

    def _upload(self, s: State, actor: int, repository: str, digest: int) -> Iterator[Step]:
        location = self._location(actor)
        if s.places[actor] == 0:
            yield "write", s._replace(objects=s.objects | {location}).at(actor, 1)
        elif s.places[actor] == 1:
            queue = s.queue
            if s.row and s.row != location:
                queue |= {(s.row, False)}
            made = s._replace(row=location, aliased=s.aliased or digest == 2, queue=queue)
            if "one" in self.rules:
                made = self._linked(made, repository)
            yield "publish", made.at(actor, 2 if "one" in self.rules else 9)
        elif s.places[actor] == 9:
            yield "publish", self._linked(s.at(actor, 2), repository)

    def _location(self, actor: int) -> int:
        return actor + 1 if "fresh" in self.rules else 1

    def _linked(self, s: State, repository: str) -> State:
        """Give the repository the blob, and tell who waited for it there."""
        link = s.link(repository)
        s = s.with_link(repository, Link(LEASED, 0, link.queued if link else False))
        s = s._replace(told=s.told | {repository})
        for name, kind in KINDS.items():
            manifest = s.manifest(name)
            waits = manifest and kind.repository == repository and not kind.child
            if manifest and waits and (kind.digest == 1 or s.aliased):
                s = s.with_manifest(name, manifest._replace(found=True))
        return s

    def _of_manifest(self, s: State, name: str) -> Iterator[Step]:
        manifest = s.manifest(name)
        if manifest is None or manifest.trash:
            yield from self._puts(s, name)
        elif 2 not in manifest.names and self._has_alias(name):
            yield "put", self._put(s, name, 2, found=manifest.found)
        if manifest and not manifest.trash and "delete" in self.scene.actors:
            yield "delete", s.with_manifest(name, manifest._replace(trash=1, queued=True))
        if manifest and manifest.trash == 1 and "restore" in self.scene.actors:
            yield "restore", self._restore(s, name, manifest)

    def _puts(self, s: State, name: str) -> Iterator[Step]:
        kind = KINDS[name]
        is_there = self._is_there(s, kind)
        may = is_there or kind.sparse or "parts" not in self.rules
        if "locks" in self.rules:
            if may:
                yield "put", self._put(s, name, 1, found=is_there or not kind.sparse)
        elif s.checked == name:
            yield "put", self._put(s._replace(checked=""), name, 1, found=True)
        elif is_there and not s.checked:
            yield "check", s._replace(checked=name)

    def _has_alias(self, name: str) -> bool:
        return any(KINDS[each] == Kind("A", name, 2, True) for each in self.scene.manifests)

    def _put(self, s: State, name: str, digest: int, *, found: bool) -> State:
        known = s.manifest(name)
        if known is None:
            manifest = Manifest(0, found, names=frozenset({digest}))
        else:
            manifest = known._replace(trash=0, names=known.names | {digest})
        s = s.with_manifest(name, manifest)
        for each in self.scene.manifests:
            parent = s.manifest(each)
            if parent and KINDS[each].child == name and KINDS[each].digest in manifest.names:
                s = s.with_manifest(each, parent._replace(found=True))
        return s

    def _restore(self, s: State, name: str, manifest: Manifest) -> State:
        kind = KINDS[name]
        s = s.with_manifest(name, manifest._replace(trash=0))
        link = s.link(kind.repository)
        if not kind.child and link and link.trash:
            s = s.with_link(kind.repository, link._replace(trash=0))
        return s

    def _is_there(self, s: State, kind: Kind) -> bool:
        """Tell whether what a manifest names can be pulled by that name."""
        if kind.child:
            child = s.manifest(kind.child)
            return child is not None and not child.trash and kind.digest in child.names
        link = s.link(kind.repository)
        return link is not None and not link.trash and (kind.digest == 1 or s.aliased)

    def _head(self, s: State) -> Iterator[Step]:
        link = s.link("A")
        if s.places[3] == 0 and link and not link.trash:
            if link.lease == LEASED:
                yield "look", s._replace(told=s.told | {"A"}).at(3, 2)
            else:
                yield "look", s.at(3, 1)
        elif s.places[3] == 1:
            if link and not link.trash:
                if "renewed" in self.rules:
                    s = s.with_link("A", link._replace(lease=LEASED))
                yield "renew", s._replace(told=s.told | {"A"}).at(3, 2)
            else:
                told = s.told if "told" in self.rules else s.told | {"A"}
                yield "renew", s._replace(told=told).at(3, 2)

    def later(self, s: State) -> State:
        """Let leases and times in the trash end, readers be done, and objects be due."""
        for repository in REPOSITORIES:
            link = s.link(repository)
            if link:
                lease = ENDED if link.lease == LEASED else link.lease
                trash = 2 if link.trash else 0
                s = s.with_link(repository, link._replace(lease=lease, trash=trash))
        for name in self.scene.manifests:
            manifest = s.manifest(name)
            if manifest and manifest.trash:
                s = s.with_manifest(name, manifest._replace(trash=2))
        queue = frozenset((location, True) for location, _ in s.queue)
        return s._replace(queue=queue, told=frozenset(), reading=0)

    def collection(self, s: State) -> Iterator[Step]:
        """Yield what collection can do."""
        for repository in REPOSITORIES:
            yield from self._collect_link(s, repository)
        if s.row and not any(s.links):  # as a sweep finds it
            queue = s.queue | {(s.row, False)}
            yield "collect_blob", s._replace(row=0, aliased=False, queue=queue)
        for name in self.scene.manifests:
            manifest = s.manifest(name)
            if manifest and manifest.queued:
                yield "collect_manifest", self._collect_manifest(s, name, manifest)
        if "backup" in self.scene.actors:
            yield from self._delete_slowly(s)
            return
        for entry in s.queue:
            if entry[1] or "delay" not in self.rules:
                objects = s.objects - {entry[0]}
                yield "delete_object", s._replace(objects=objects, queue=s.queue - {entry})

    def _delete_slowly(self, s: State) -> Iterator[Step]:
        """Delete in the steps that it takes: others come in between."""
        last = "last" in self.rules
        is_listed, may_list = bool(s.due), last or s.passed
        if not is_listed and may_list:
            for location, is_due in s.queue:
                if is_due:
                    yield "list_due", s._replace(due=location)
        if not s.passed and (is_listed or not last):
            is_free = not s.store_held or "store" not in self.rules
            # Where there is a hold it gives up, and begins anew.
            yield "look_for_hold", s._replace(passed=is_free, due=s.due if is_free else 0)
        if is_listed and s.passed:
            left = frozenset(entry for entry in s.queue if entry[0] != s.due)
            gone = s._replace(objects=s.objects - {s.due}, queue=left, due=0, passed=False)
            yield "delete_object", gone

    def _collect_link(self, s: State, repository: str) -> Iterator[Step]:
        link = s.link(repository)
        if s.chosen == repository:
            yield "collect_blob", self._remove(s._replace(chosen=""), repository)
        has_ended = link is not None and link.lease == ENDED and "ended" in self.rules
        if link is None or not (has_ended or link.queued):
            return
        if "again" in self.rules:
            yield "collect_blob", self._collect_blob(s, repository, link)
        elif not s.chosen and not self._judge(s, repository, link):
            yield "choose", s._replace(chosen=repository)

    def _judge(self, s: State, repository: str, link: Link) -> str:
        if "lease" in self.rules and link.lease == LEASED and link.trash != 1:
            return "leased"
        if "trash" in self.rules and link.trash == 1:
            return "trash"
        if self._is_named(s, repository):
            return "named"
        return "held" if "hold" in self.rules and s.held and repository == "A" else ""

    def _collect_blob(self, s: State, repository: str, link: Link) -> State:
        why = self._judge(s, repository, link)
        if not why:
            return self._remove(s, repository)
        lease = 0 if why == "named" else LEASED
        return s.with_link(repository, Link(lease, link.trash, queued=False))

    def _remove(self, s: State, repository: str) -> State:
        if s.link(repository) is None:
            return s
        s = s.with_link(repository, None)
        if any(s.links) and "others" in self.rules:
            return s
        queue = s.queue | {(s.row, False)} if s.row else s.queue
        return s._replace(row=0, aliased=False, queue=queue)

    def _is_named(self, s: State, repository: str) -> bool:
        return any(
            self._names(s, manifest, kind)
            for manifest, kind in zip(s.manifests, KINDS.values(), strict=True)
            if manifest and not kind.child and kind.repository == repository
        )

    def _names(self, s: State, manifest: Manifest, kind: Kind) -> bool:
        if manifest.trash and "trash names" not in self.rules:
            return False
        if manifest.found:
            return "named" in self.rules
        return "alias" in self.rules and (kind.digest == 1 or s.aliased)

    def _is_named_live(self, s: State, repository: str) -> bool:
        return any(
            manifest and not manifest.trash and manifest.found
            for manifest, kind in zip(s.manifests, KINDS.values(), strict=True)
            if not kind.child and kind.repository == repository
        )

    def _collect_manifest(self, s: State, name: str, manifest: Manifest) -> State:
        if manifest.trash == 1 and "trash" in self.rules:
            return s
        is_kept = "index" in self.rules and self._has_parent(s, name, manifest)
        if is_kept or not manifest.trash:
            return s.with_manifest(name, manifest._replace(queued=False))
        s = s.with_manifest(name, None)
        return self._queued(s, KINDS[name], manifest) if "queued" in self.rules else s

    def _queued(self, s: State, kind: Kind, manifest: Manifest) -> State:
        """Have what the manifest named looked at, by whatever name it is known."""
        child = s.manifest(kind.child) if kind.child else None
        if child:
            return s.with_manifest(kind.child, child._replace(queued=True))
        link = s.link(kind.repository)
        if not kind.child and link and (manifest.found or kind.digest == 1 or s.aliased):
            s = s.with_link(kind.repository, link._replace(queued=True))
        return s

    def _has_parent(self, s: State, name: str, manifest: Manifest) -> bool:
        parents = [(s.manifest(each), KINDS[each]) for each in self.scene.manifests]
        return any(
            parent.found or ("alias" in self.rules and kind.digest in manifest.names)
            for parent, kind in parents
            if parent and kind.child == name
        )

    def torn(self, step: str, s: State, after: State) -> str:
        """Return the promise that a step of collection breaks, empty if it breaks none."""
        if not step.startswith("collect"):
            return ""
        for name in self.scene.manifests:
            manifest, kind = s.manifest(name), KINDS[name]
            if manifest is None:
                continue
            if manifest.trash < 2 and after.manifest(name) is None:
                return f"the {name} went before its time"
            if not manifest.trash and self._is_there(s, kind) and not self._is_there(after, kind):
                return f"what the {name} names could be pulled, and can't be any more"
        for repository in REPOSITORIES:
            link = s.link(repository)
            if link and link.trash == 1 and after.link(repository) is None:
                return "a blob went before its time in the trash was over"
        return ""

    def broken(self, s: State) -> str:
        """Return the promise that a state breaks, empty if it breaks none."""
        for name in self.scene.manifests:
            manifest, kind = s.manifest(name), KINDS[name]
            if manifest is None or manifest.trash == 2:
                continue
            if manifest.found and not self._is_whole(s, kind):
                return f"what the {name} names is gone"
        for repository in REPOSITORIES:
            link = s.link(repository)
            if link and s.row not in s.objects:
                return "a blob has no object"
            if repository in s.told and (link is None or link.trash):
                return f"a pusher to {repository} was told of a blob that is gone"
        if s.held and s.link("A") is None:
            return "what is held is gone"
        for needed, what in ((s.reading, "that is being read"), (s.named, "that a backup names")):
            if needed and needed not in s.objects:
                return f"an object went {what}"
        return ""

    def _is_whole(self, s: State, kind: Kind) -> bool:
        if kind.child:
            return s.manifest(kind.child) is not None
        return s.link(kind.repository) is not None and s.row in s.objects

    def leak(self, s: State) -> str:
        """Return what collection alone would leave for ever though nothing names it."""
        s = s._replace(held=False, store_held=False, chosen="", checked="")
        while True:
            before = s
            s = self.later(s)
            while following := next((each for _, each in self.collection(s) if each != s), None):
                s = following
            if s == before:
                break
        return self._left(s)

    def _left(self, s: State) -> str:
        for repository in REPOSITORIES:
            if s.link(repository) and not Model(self.scene)._is_named(s, repository):
                return f"the blob stays in {repository} though nothing names it"
        for name in self.scene.manifests:
            manifest = s.manifest(name)
            if manifest and manifest.trash and not Model(self.scene)._has_parent(s, name, manifest):
                return f"the {name} stays in the trash for ever"
        return "an object stays without a row" if s.objects - self._unfinished(s) - {s.row} else ""

    def _unfinished(self, s: State) -> set[int]:
        return {self._location(actor) for actor in range(3) if s.places[actor] == 1}


class Found(NamedTuple):
    """How many states there are, and the promise that one breaks with the way to it, if any."""

    states: int
    problem: str
    way: list[str]
    taken: frozenset[str]


def explore(model: Model, most: int = 1_000_000) -> Found:
    """Look at every state that can be reached, the nearest first."""
    start = State()
    came: dict[State, tuple[str, State] | None] = {start: None}
    frontier = [start]
    taken: set[str] = set()
    while frontier:
        further = []
        for state in frontier:
            problem = model.broken(state) or model.leak(state)
            if problem:
                return Found(len(came), problem, _way(came, state), frozenset(taken))
            for name, after in model.steps(state):
                torn = model.torn(name, state, after)
                if torn:
                    return Found(len(came), torn, [*_way(came, state), name], frozenset(taken))
                taken.add(name)
                if after not in came:
                    came[after] = (name, state)
                    further.append(after)
        assert len(came) < most, "there is no end to it"
        frontier = further
    return Found(len(came), "", [], frozenset(taken))


def _way(came: dict[State, tuple[str, State] | None], state: State) -> list[str]:
    way = []
    while (step := came[state]) is not None:
        name, state = step
        way.append(name)
    return way[::-1]
