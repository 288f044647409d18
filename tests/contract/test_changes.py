"""Repositories by their last change: everybody's pages, and what they follow."""

import asyncio
import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import psycopg
import pytest
import sqlalchemy as sa

from contract.conftest import OpenDatabase, Registries
from contract.test_search import follow
from moorage.clock import DAY
from moorage.db import changes, events, grants, pulls, repositories, repository_pages
from moorage.db.access_schema import readable
from moorage.db.engine import Query, Tx
from moorage.db.pulls import Delta
from moorage.db.readable import LIST_READABLE, LIST_READABLE_FROM
from moorage.db.repository_pages import Candidate
from moorage.db.schema import event_feed, repository
from moorage.db.search_schema import search_state
from moorage.db.settings import PUT_SETTING
from moorage.errors import Invalid
from moorage.model.access import Action, Actor, Role, Scope, Subject
from moorage.oci.digest import digest_of
from moorage.oci.media_types import OCI_INDEX, OCI_MANIFEST
from moorage.oci.names import RepositoryName, Tag
from moorage.registry import namespaces, renaming, repository_table, tagging
from moorage.registry import repositories as places
from moorage.registry.grants import Where, put_grant, revoke_grant
from moorage.registry.robots import create_robot
from moorage.registry.services import Services
from people import ANONYMOUS, BY, later, number_of, organisation, person, team
from postgres import Postgres
from racing import ALICE, Client
from registry import unique

MINUTE = 60_000
KEPT = Query("test_kept", sa.select(repository.c.id, repository.c.changed_at))
READ = Query("test_read", sa.select(readable.c.repository_id, readable.c.changed_at))
FORGET = tuple(
    Query(title, statement)
    for title, statement in (
        ("test_forget_repositories", sa.update(repository).values(changed_at=0, content_kind="")),
        ("test_forget_readers", sa.update(readable).values(changed_at=0)),
        ("test_forget_state", sa.delete(search_state)),
    )
)
CUT = Query("test_cut", sa.delete(event_feed).where(event_feed.c.place < sa.bindparam("before")))
WAIT = Query("test_wait", sa.select(sa.func.pg_sleep(sa.literal_column("0.5"))), only="postgresql")
AGE = Query("test_age", sa.update(repository).values(created_at=sa.bindparam("at")))


def index(**annotations: str) -> bytes:
    document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}
    return json.dumps({**document, "annotations": annotations or {"of": unique()}}).encode()


class Place:
    """A registry in which every change is a minute behind the one before."""

    def __init__(self, s: Services, actor: Actor = ALICE) -> None:
        self.s, self.actor, self.minutes = s, actor, 0

    def now(self, name: str) -> Client:
        """Return a client of the repository, a minute on."""
        self.minutes += 1
        return Client(later(self.s, self.minutes * MINUTE), name, actor=self.actor)

    async def push(self, name: str, *tags: str, raw: bytes = b"") -> bytes:
        raw = raw or index()
        await self.now(name).manifest(raw, *tags)
        return raw

    async def names(self, actor: Actor | None = None, limit: int = 10, **how: str) -> list[str]:
        """Return all of the list by last change, page by page; no page is too long."""
        return (await self.pages(actor or self.actor, limit, **how))[0]

    async def pages(self, actor: Actor, limit: int, **how: str) -> tuple[list[str], list[str]]:
        """Return all that is found, and the marks that pages ended with."""
        found: list[str] = []
        marks = [""]
        how.setdefault("sort", "changed")
        while True:
            page = await repository_table.list_rows(self.s, actor, marks[-1], limit, **how)
            assert len(page.rows) <= limit
            found += [each.name for each in page.rows]
            if not page.after:
                return found, marks[1:]
            assert page.after not in marks
            marks.append(page.after)

    async def rows(self, **how: str) -> dict[str, Any]:
        page = await repository_table.list_rows(self.s, self.actor, "", 100, **how)
        assert page.after == ""
        return {each.name: each for each in page.rows}

    async def check(self) -> None:
        """What is kept for readers is what is kept of repositories."""
        kept = dict(await self.s.db.read(lambda tx: tx.many(KEPT)))
        for number, at in await self.s.db.read(lambda tx: tx.many(READ)):
            assert kept[number] == at


def test_what_changed_last_is_first(registries: Registries) -> None:
    async def use(s: Services) -> None:
        place = Place(s)
        one = await place.push("web/a", "v1")
        await place.push("web/b", "v1", "v2")
        await place.push("app", "v1")
        await follow(s)
        for limit in (1, 2, 10):
            assert await place.names(limit=limit) == ["app", "web/b", "web/a"]
        # By name it is as it was.
        assert await place.names(sort="name") == ["app", "web/a", "web/b"]
        client = place.now("web/a")
        await tagging.set_tag(
            client.s, ALICE, client.name, Tag("v2"), (client.name, str(digest_of(one))), BY
        )
        await follow(s)
        assert await place.names() == ["web/a", "app", "web/b"]
        await place.now("web/b").delete_tag("v2")
        await follow(s)
        assert await place.names() == ["web/b", "web/a", "app"]
        # What is pushed by digest alone changes no tag, nor does what moves none.
        await place.push("app")
        await place.push("web/a", "v1", raw=one)
        await follow(s)
        assert await place.names() == ["web/b", "web/a", "app"]
        await place.now("app").delete_manifest(await place.push("app", "gone"))
        await follow(s)
        assert await place.names() == ["app", "web/b", "web/a"]
        # What is new counts from when it was made, before anything has followed.
        client = place.now("web/empty")
        await namespaces.create_repository(client.s, ALICE, client.name, BY)
        assert await place.names() == ["web/empty", "app", "web/b", "web/a"]
        await follow(s)
        assert (await place.names())[0] == "web/empty"
        await place.check()

    registries.run(use)


async def people(s: Services) -> tuple[Actor, Actor, Actor]:
    """Make an organisation; return its owner, somebody else, and an administrator."""
    owner, guest = await person(s, "owner"), await person(s, "guest")
    await organisation(s, owner)
    return owner, guest, await person(s, "root", administrator=True)


def test_everybody_has_pages_of_what_he_reads(registries: Registries) -> None:
    async def use(s: Services) -> None:
        owner, guest, root = await people(s)
        place = Place(s, owner)
        visibilities = ("private", "internal", "public")
        for number in range(6):
            name = f"web/{number}{visibilities[number % 3]}"
            await namespaces.create_repository(
                s, owner, RepositoryName.parse(name), BY, visibility=visibilities[number % 3]
            )
            await place.push(name, "v1")
        dev = await team(s, owner, "dev", "guest")
        robot = await create_robot(s, owner, "web", "ci", BY)
        machine = Actor("robot", robot.name, "token", subject=Subject(robot.id, 0, 1))
        await put_grant(
            s, owner, Where.of(RepositoryName.parse("web/0private")), dev, Role.READER, BY
        )
        await put_grant(
            s, owner, Where.of(RepositoryName.parse("web/3private")), robot.name, Role.READER, BY
        )
        await follow(s)
        every = [f"web/{n}{visibilities[n % 3]}" for n in (5, 4, 3, 2, 1, 0)]
        expected = {
            ANONYMOUS: [each for each in every if "public" in each],
            guest: [each for each in every if each != "web/3private"],
            machine: [each for each in every if each != "web/0private"],
            owner: every,
            root: every,
        }
        for actor, names in expected.items():
            for limit in (1, 2, 3, 10):
                assert await place.names(actor, limit) == names, (actor.name, limit)
                assert await place.names(actor, limit, namespace="web") == names
                public = [each for each in names if "public" in each]
                assert await place.names(actor, limit, visibility="public") == public
            assert await place.names(actor, namespace="we") == []
        await place.check()

    registries.run(use)


def test_who_comes_and_goes(registries: Registries) -> None:
    """Grants, visibility, names and the trash: each has the time of the last change with it."""

    async def use(s: Services) -> None:
        owner, guest, _ = await people(s)
        place = Place(s, owner)
        shop, desk = RepositoryName.parse("web/shop"), RepositoryName.parse("web/desk")
        await place.push(desk, "v1")
        await place.push(shop, "v1")
        await place.push(desk, "v2")
        await follow(s)
        assert await place.names(guest) == []
        await put_grant(s, owner, Where("web"), "guest", Role.READER, BY)
        assert await place.names(guest, 1) == [desk, shop]
        await place.push(shop, "v2")
        await follow(s)
        assert await place.names(guest, 1) == [shop, desk]
        await revoke_grant(s, owner, Where("web"), "guest", BY)
        assert await place.names(guest) == []
        await put_grant(s, owner, Where.of(desk), "guest", Role.READER, BY)
        assert await place.names(guest) == [desk]
        await namespaces.set_visibility(s, owner, shop, "internal", BY)
        assert await place.names(guest, 1) == [shop, desk]
        await namespaces.set_visibility(s, owner, shop, "public", BY)
        assert await place.names(ANONYMOUS) == [shop]
        await namespaces.set_visibility(s, owner, shop, "private", BY)
        assert await place.names(guest) == [desk]
        till = RepositoryName.parse("web/till")
        await renaming.rename_repository(s, owner, desk, till, BY)
        assert await place.names(guest) == [till]
        assert await place.names(owner, 1) == [shop, till]
        await places.delete_repository(s, owner, shop, BY)
        await follow(s)
        assert await place.names(owner) == [till]
        await places.restore_repository(s, owner, shop, BY)
        assert await place.names(owner, 1) == [shop, till]
        await place.check()
        await follow(s)
        assert await place.names(owner, 1) == [shop, till]
        await place.check()

    registries.run(use)


def test_what_was_there_before_is_read_through(
    registries: Registries, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database of an earlier release, and one whose feed was cut before it was read."""
    monkeypatch.setattr("moorage.registry.changes._SLICE", 2)
    monkeypatch.setattr("moorage.registry.changes._MOVES", 2)

    async def use(s: Services) -> None:
        place = Place(s)
        for number in range(5):
            await place.push(f"web/{number}", "v1", "v2", "v3")
        await place.push("web/2", "v0")
        await place.now("web/1").delete_tag("v2")
        wanted = ["web/1", "web/2", "web/4", "web/3", "web/0"]
        await follow(s)
        before = await place.rows()
        assert await place.names() == wanted

        async def forget(tx: Tx) -> None:
            for query in FORGET:
                await tx.run(query)

        await s.db.write(forget)
        # Behind all that has been read, and each of them is there.
        assert sorted(await place.names(limit=2)) == sorted(wanted)
        await place.push("web/0", "v9")
        await follow(s)
        assert await place.names(limit=2) == ["web/0", *wanted[:-1]]
        after = await place.rows()
        assert after["web/1"] == before["web/1"]
        await place.check()

        await place.push("web/3", "v9")
        await s.db.write(lambda tx: tx.run(FORGET[0]))
        await follow(s)
        await place.push("web/4", "v9")
        await place.push("web/4", "v8")
        await s.db.write(lambda tx: events.fan_out(tx, 100))
        last = await s.db.read(lambda tx: tx.one(events.LAST_PLACE))
        assert last is not None
        await s.db.write(lambda tx: tx.run(CUT, before=last[0]))
        await follow(s)
        assert await place.names() == ["web/4", "web/3", "web/0", "web/1", "web/2"]
        await place.check()

    registries.run(use)


def test_following_goes_neither_back_nor_on(registries: Registries) -> None:
    async def use(s: Services) -> None:
        place = Place(s)
        await place.push("web/a", "v1")
        await follow(s)
        await place.check()

        async def twice(tx: Tx) -> None:
            await tx.run(
                Query(
                    "test_back",
                    sa.update(search_state)
                    .where(search_state.c.name == sa.literal_column("'changed.feed'"))
                    .values(place=sa.literal_column("0")),
                )
            )

        before = await place.rows()
        await s.db.write(twice)
        await follow(s)
        assert await place.rows() == before

    registries.run(use)


def manifest(config: str, layer: str = "application/octet-stream") -> bytes:
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": config, "digest": str(digest_of(b"{}")), "size": 2},
        "layers": [],
        "annotations": {"of": unique(), "layer": layer},
    }
    return json.dumps(document).encode()


def test_types(registries: Registries) -> None:
    async def use(s: Services) -> None:
        place = Place(s)
        image = manifest("application/vnd.oci.image.config.v1+json")
        kinds = {
            "web/image": image,
            "web/index": index(),
            "web/chart": manifest("application/vnd.cncf.helm.config.v1+json"),
            "web/other": manifest("application/vnd.example+json"),
        }
        for name, raw in kinds.items():
            await Client(s, name).blob(b"{}")
            await place.push(name, "v1", raw=raw)
        # A signature that is pushed behind its image makes it no signature.
        signature = f"sha256-{digest_of(image).hex}.sig"
        await place.push("web/image", signature, raw=manifest("application/vnd.oci.empty.v1+json"))
        await Client(s, "web/signatures").blob(b"{}")
        await place.push("web/signatures", signature, raw=image)
        await namespaces.create_repository(s, ALICE, RepositoryName.parse("web/none"), BY)
        await follow(s)
        found = {name: row.kind for name, row in (await place.rows()).items()}
        assert found == {
            "web/image": "image",
            "web/index": "image",
            "web/chart": "chart",
            "web/other": "artifact",
            "web/signatures": "signature",
            "web/none": "",
        }
        assert await place.names(kind="image") == ["web/image", "web/index"]
        assert await place.names(kind="image", sort="name") == ["web/image", "web/index"]
        assert await place.names(kind="chart", namespace="web", visibility="private") == [
            "web/chart"
        ]
        assert await place.names(kind="chart", visibility="public") == []
        # It is what it is now, whatever it was.
        await place.push("web/other", "v2", raw=image)
        await follow(s)
        assert "web/other" in await place.names(kind="image")
        for wrong in ({"kind": "picture"}, {"pulled": "never"}, {"sort": "size"}):
            with pytest.raises(Invalid):
                await place.names(**wrong)

    registries.run(use)


def test_what_nobody_pulls(registries: Registries) -> None:
    async def use(s: Services) -> None:
        place = Place(s)
        for name in ("web/lately", "web/once", "web/never"):
            await place.push(name, "v1")
        await follow(s)
        now = s.clock.now()

        async def pull(name: str, days: int) -> None:
            async def write(tx: Tx) -> None:
                found = await repositories.find_repository(tx, RepositoryName.parse(name))
                assert found is not None
                at = now - days * DAY
                await pulls.add_deltas(tx, [Delta(found.id, 1, "v1", 1, at)])
                await pulls.fold(tx, 10)

            await s.db.write(write)

        await pull("web/lately", 89)
        await pull("web/once", 90)
        assert await place.names(pulled="recently") == ["web/lately"]
        # Young as they are, nothing can be said of them.
        assert await place.names(pulled="unused") == []
        await s.db.write(lambda tx: tx.run(AGE, at=now - 200 * DAY))
        # Nor where nobody has counted for so long.
        assert await place.names(pulled="unused") == []
        old = str(now - 100 * DAY)
        await s.db.write(lambda tx: tx.run(PUT_SETTING, key="pulls.since", value=old))
        assert await place.names(pulled="unused") == ["web/never", "web/once"]
        assert await place.names(pulled="unused", sort="name") == ["web/never", "web/once"]
        assert await place.names(pulled="recently", kind="image") == ["web/lately"]
        # It goes on being counted from then.
        assert await keep_some_again(s) == old

    registries.run(use)


async def keep_some_again(s: Services) -> str:
    """Begin once more, as after a cut, and return since when pulls are counted."""
    await s.db.write(lambda tx: changes.begin_counting(tx, s.clock.now()))
    return str(await s.db.read(changes.counted_since))


def test_marks_tell_nothing_of_what_is_not_shown(
    registries: Registries, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that looked at much and found little ends at something that is the reader's."""
    monkeypatch.setattr(repository_table, "_WINDOW", 2)
    monkeypatch.setattr(repository_table, "_WINDOWS", 2)
    monkeypatch.setattr(repository_table, "_MOST_SORTED", 2)

    async def use(s: Services) -> None:
        owner, guest, _ = await people(s)
        place = Place(s, owner)
        for number in range(20):
            await place.push(f"web/hidden-{number}", "v1")
            if number % 10 == 0:
                await place.push(f"web/shared-{number}", "v1")
        await follow(s)
        for name in ("web/shared-0", "web/shared-10"):
            where = Where.of(RepositoryName.parse(name))
            await put_grant(s, owner, where, "guest", Role.READER, BY)
        actions = frozenset({Action.PULL, Action.CATALOG})
        scopes = tuple(Scope(f"web/shared-{number}", actions) for number in (0, 10))
        confined = msgspec.structs.replace(owner, scopes=scopes)
        asked = [{}, {"visibility": "private"}, {"namespace": "web"}, {"kind": "chart"}]
        for actor, sort, how in itertools.product((guest, confined), ("name", "changed"), asked):
            found, marks = await place.pages(actor, 1, sort=sort, **how)
            assert all("shared" in mark and "hidden" not in mark for mark in marks)
            expected = [] if "kind" in how else ["web/shared-0", "web/shared-10"]
            assert found == (expected if sort == "name" else expected[::-1])

        # With much that is not asked for, pages end early, and all is found in the end.
        hidden = RepositoryName.parse("web/hidden-3")
        await namespaces.set_visibility(s, owner, hidden, "public", BY)
        found, marks = await place.pages(owner, 10, visibility="public")
        assert (found, len(marks) > 2) == ([hidden], True)

    registries.run(use)


def test_a_credential_goes_through_no_more_than_it_is_for(
    registries: Registries, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what its owner may read, a page looks at nothing else, in either order."""
    looked: list[str] = []
    whole = repository_pages.list_candidates

    async def counted(*args: Any, **how: Any) -> list[Candidate]:
        found = await whole(*args, **how)
        looked.extend(each.name for each in found)
        return found

    monkeypatch.setattr(repository_pages, "list_candidates", counted)
    names = ["other/shop", "web/app", "web/app-2", "web/app/deep", "web/cart", "zoo/shop"]
    everything = ("**", ("pull",))
    expected: list[tuple[tuple[tuple[str, tuple[str, ...]], ...], list[str]]] = [
        ((("web/app", ("pull",)),), ["web/app"]),
        ((("web/**", ("pull",)), ("web/app", ("push", "pull"))), names[1:5]),
        ((("zoo/shop", ("*",)), ("web/cart", ("pull",))), ["web/cart", "zoo/shop"]),
        ((everything, ("web/app", ("pull",))), names),
        ((("web/**", ("push",)), ("none/**", ("pull",))), []),
    ]

    async def use(s: Services) -> None:
        place = Place(s)
        for name in names:
            await place.push(name, "v1")
        await follow(s)
        for wanted, found in expected:
            scopes = tuple(Scope(pattern, frozenset((*of, "catalog"))) for pattern, of in wanted)
            for limits in ({"scopes": scopes}, {"bound": scopes}):
                actor = msgspec.structs.replace(ALICE, **limits)
                for sort, limit in itertools.product(("name", "changed"), (1, 2, 10)):
                    looked.clear()
                    assert sorted((await place.pages(actor, limit, sort=sort))[0]) == found
                    assert set(looked) == set(found)
                inside = [each for each in found if each.startswith("web/")]
                for sort in ("name", "changed"):
                    looked.clear()
                    pages = await place.pages(actor, 10, sort=sort, namespace="web")
                    assert sorted(pages[0]) == inside
                    assert set(looked) == set(inside)
        both = msgspec.structs.replace(
            ALICE,
            scopes=(Scope("web/**", frozenset(("pull", "catalog"))),),
            bound=(Scope("web/cart", frozenset(("pull", "catalog"))), Scope("**", frozenset())),
        )
        looked.clear()
        assert (await place.pages(both, 10))[0] == ["web/cart"]
        assert looked == ["web/cart"]

    registries.run(use)


def test_what_changes_while_somebody_pages_goes_to_the_front(registries: Registries) -> None:
    """As it is documented: it is not among the rest; by name nothing is missed."""

    async def use(s: Services) -> None:
        place = Place(s)
        for name in ("web/a", "web/b", "web/c"):
            await place.push(name, "v1")
        await follow(s)
        first = await repository_table.list_rows(s, ALICE, "", 1, sort="changed")
        by_name = await repository_table.list_rows(s, ALICE, "", 1)
        await place.push("web/b", "v2")
        await follow(s)
        rest = await repository_table.list_rows(s, ALICE, first.after, 9, sort="changed")
        assert [each.name for each in first.rows] == ["web/c"]
        assert [each.name for each in rest.rows] == ["web/a"]
        rest = await repository_table.list_rows(s, ALICE, by_name.after, 9)
        assert [each.name for each in rest.rows] == ["web/b", "web/c"]
        assert (await place.names())[0] == "web/b"

    registries.run(use)


@pytest.mark.parametrize(
    "mark", ["x", "7", "7 ", " a", "-1 a", "7  a", "7 a\n", f"{'9' * 19} a", "7 ä"]
)
def test_a_mark_that_is_none_is_refused(embedded: OpenDatabase, mark: str) -> None:
    async def use(s: Services) -> None:
        with pytest.raises(Invalid):
            await repository_table.list_rows(s, ALICE, mark, 1, sort="changed")

    Registries(embedded.config).run(use)


@pytest.mark.parametrize("grant_first", [True, False])
def test_a_reader_who_comes_meanwhile_has_the_time_as_well(
    shared: OpenDatabase, *, grant_first: bool
) -> None:
    """On PostgreSQL both go on at once: neither may pass the other by."""

    async def use(s: Services) -> None:
        owner, _, _ = await people(s)
        place = Place(s, owner)
        await place.push("web/shop", "v1")
        await follow(s)
        found = await s.db.read(
            lambda tx: repositories.find_repository(tx, RepositoryName.parse("web/shop"))
        )
        assert found is not None
        await put_grant(s, owner, Where("web"), "guest", Role.READER, BY)
        number = await number_of(s, "guest")
        await s.db.write(
            lambda tx: tx.run(repositories.END_READER, principal_id=number, name="web/shop")
        )
        begun = asyncio.Event()

        async def grant(tx: Tx) -> None:
            await grants.keep_reader(tx, number, found.namespace_id, found.id, found.name)

        async def note(tx: Tx) -> None:
            await changes.note(tx, found.id, 2**50, "image")

        bodies = (grant, note) if grant_first else (note, grant)

        async def early(tx: Tx) -> None:
            await bodies[0](tx)
            begun.set()
            await tx.one(WAIT)

        async def late() -> None:
            await begun.wait()
            await s.db.write(bodies[1])

        await asyncio.gather(s.db.write(early), late())
        rows = await s.db.read(lambda tx: tx.many(READ))
        assert {at for repository_id, at in rows if repository_id == found.id} == {2**50}

    Registries(shared.config).run(use)


@pytest.mark.parametrize(
    "query",
    [*repository_pages.LIST_READABLE, LIST_READABLE, LIST_READABLE_FROM],
    ids=lambda query: query.title,
)
def test_pages_of_many_are_in_the_order_of_an_index(full: str, query: Query) -> None:
    """The plan that serves any values, where there are statistics: small tables hide a sort."""
    names: dict[str, int] = {}
    text = re.sub(
        r"%\((\w+)\)s",
        lambda found: f"${names.setdefault(found[1], len(names) + 1)}",
        query.text("postgresql"),
    )
    with psycopg.connect(full, autocommit=True) as connection:
        explain = f"EXPLAIN (GENERIC_PLAN) {text}".encode()
        plan = "\n".join(row[0] for row in connection.execute(explain, prepare=False).fetchall())
    first = plan.split("SubPlan", maxsplit=1)[0]
    assert "Index" in first
    assert "Sort" not in first, plan
    assert "Bitmap" not in first, plan


@pytest.fixture(scope="module")
def full(postgres: Postgres) -> Iterator[str]:
    """Return the address of a database in which two read 25,000 repositories each."""
    url = postgres.database()
    series = "SELECT generate_series(1, 50000) AS i"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO repository (id, namespace_id, name, kind, visibility, generation,"
            " created_at, trash_until, changed_at) SELECT i, 1, i % 100 || '/' || i, 'hosted',"
            f" 'public', 1, i, 0, i FROM ({series}) g"
        )
        connection.execute(
            "INSERT INTO readable (principal_id, name, repository_id, changed_at)"
            f" SELECT -(i % 2), i % 100 || '/' || i, i, i FROM ({series}) g"
        )
        connection.execute("ANALYZE")
    yield url
    postgres.drop(url)
