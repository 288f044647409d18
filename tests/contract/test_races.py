"""Two replicas at one thing at the same time: every place of every race, then sixteen at once."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from contract.conftest import OpenDatabase, Registries
from moorage.db import events, jobs
from moorage.db.engine import Tx
from moorage.db.tags import Condition, Present
from moorage.errors import RegistryError
from moorage.oci.digest import digest_of
from moorage.oci.names import RepositoryName
from moorage.registry import uploads
from moorage.registry.services import Services
from racing import ALICE, Client, Use, chunks, image, index, race, violations, wipe

LAYER, OTHER = b"layer" * 100, b"other" * 100
IMAGE, OTHER_IMAGE = image(LAYER), image(LAYER, OTHER)
SIGNATURE = image(OTHER, subject=IMAGE, algorithm="sha512")
# What is done before, then the late and the quick one; each is given two clients of one repository
# and one of another in the same namespace.
Step = Callable[[Client, Client, Client], Awaitable[Any]]
Case = tuple[Step, Step, Step]


async def nothing(a: Client, b: Client, elsewhere: Client) -> None:
    """Begin without a repository: whoever makes it first keeps the other waiting."""


async def begun(a: Client, b: Client, elsewhere: Client) -> None:
    """Begin with two repositories that have other content."""
    await a.blob(b"seed")
    await elsewhere.blob(b"seed")


async def layers(a: Client, b: Client, elsewhere: Client) -> None:
    """Begin with the layers in one repository, and with the other one."""
    await begun(a, b, elsewhere)
    await a.blob(LAYER)
    await a.blob(OTHER)


async def images(a: Client, b: Client, elsewhere: Client) -> None:
    """Begin with both images, one of them tagged."""
    await layers(a, b, elsewhere)
    await a.manifest(IMAGE, "old")
    await a.manifest(OTHER_IMAGE)


async def both(a: Client, b: Client, elsewhere: Client) -> None:
    """Begin with the layers in both repositories."""
    await layers(a, b, elsewhere)
    await elsewhere.blob(LAYER)


FAR = RepositoryName.parse("far/away")


async def far_away(a: Client, b: Client, elsewhere: Client) -> None:
    """Begin with a layer in another namespace."""
    await begun(a, b, elsewhere)
    await Client(a.s, FAR).blob(LAYER)


CASES: dict[str, Case] = {
    "one blob to no repository yet": (
        nothing,
        lambda a, b, _: a.blob(LAYER),
        lambda a, b, _: b.blob(LAYER),
    ),
    "one blob to one repository": (
        begun,
        lambda a, b, _: a.blob(LAYER),
        lambda a, b, _: b.blob(LAYER),
    ),
    "one blob to two repositories": (
        begun,
        lambda a, b, _: a.blob(LAYER),
        lambda a, b, c: c.blob(LAYER),
    ),
    "one blob by two digests": (
        begun,
        lambda a, b, _: a.blob(LAYER, "sha512"),
        lambda a, b, c: c.blob(LAYER),
    ),
    "a blob again, and mounted": (
        layers,
        lambda a, b, _: a.blob(LAYER),
        lambda a, b, c: c.mount(LAYER, a.name),
    ),
    "a mount, and the blob again": (
        layers,
        lambda a, b, c: c.mount(LAYER, a.name),
        lambda a, b, _: a.blob(LAYER),
    ),
    "a mount and a push": (
        layers,
        lambda a, b, c: c.mount(LAYER, a.name),
        lambda a, b, c: c.blob(LAYER),
    ),
    "a mount, and its source is deleted": (
        layers,
        lambda a, b, c: c.mount(LAYER, a.name),
        lambda a, b, c: b.delete_blob(LAYER),
    ),
    "mounts into one namespace that had it not": (
        far_away,
        lambda a, b, c: a.mount(LAYER, FAR),
        lambda a, b, c: c.mount(LAYER, FAR),
    ),
    "mounts both ways": (
        both,
        lambda a, b, c: c.mount(LAYER, a.name),
        lambda a, b, c: b.mount(LAYER, c.name),
    ),
    "one manifest": (
        layers,
        lambda a, b, _: a.manifest(IMAGE, "new", "old"),
        lambda a, b, _: b.manifest(IMAGE, "old", "new"),
    ),
    "one manifest by two digests": (
        layers,
        lambda a, b, _: a.manifest(IMAGE, "new", algorithm="sha512"),
        lambda a, b, _: b.manifest(IMAGE, "new"),
    ),
    "one new tag": (
        images,
        lambda a, b, _: a.manifest(IMAGE, "new"),
        lambda a, b, _: b.manifest(OTHER_IMAGE, "new"),
    ),
    "one new tag that may not be there": (
        images,
        lambda a, b, _: a.manifest(IMAGE, "new", condition=Condition(Present.FORBIDDEN)),
        lambda a, b, _: b.manifest(OTHER_IMAGE, "new", condition=Condition(Present.FORBIDDEN)),
    ),
    "a tag moved and deleted": (
        images,
        lambda a, b, _: a.manifest(OTHER_IMAGE, "old"),
        lambda a, b, _: b.delete_tag("old"),
    ),
    "a tag deleted and moved": (
        images,
        lambda a, b, _: a.delete_tag("old"),
        lambda a, b, _: b.manifest(OTHER_IMAGE, "old"),
    ),
    "a manifest deleted and tagged": (
        images,
        lambda a, b, _: a.delete_manifest(IMAGE),
        lambda a, b, _: b.manifest(IMAGE, "new"),
    ),
    "a manifest tagged and deleted": (
        images,
        lambda a, b, _: a.manifest(IMAGE, "new"),
        lambda a, b, _: b.delete_manifest(IMAGE),
    ),
    "an index, and its child is deleted": (
        images,
        lambda a, b, _: a.manifest(index(IMAGE, OTHER_IMAGE), "all"),
        lambda a, b, _: b.delete_manifest(OTHER_IMAGE),
    ),
    "a child deleted, and its index": (
        images,
        lambda a, b, _: a.delete_manifest(OTHER_IMAGE),
        lambda a, b, _: b.manifest(index(IMAGE, OTHER_IMAGE), "all"),
    ),
    "an image, and its layer is deleted": (
        layers,
        lambda a, b, _: a.manifest(IMAGE),
        lambda a, b, _: b.delete_blob(LAYER),
    ),
    "a layer deleted, and its image": (
        layers,
        lambda a, b, _: a.delete_blob(LAYER),
        lambda a, b, _: b.manifest(IMAGE),
    ),
    "a layer pushed again and its image": (
        layers,
        lambda a, b, _: a.blob(LAYER),
        lambda a, b, _: b.manifest(IMAGE),
    ),
    "a layer deleted and pushed": (
        layers,
        lambda a, b, _: a.delete_blob(LAYER),
        lambda a, b, _: b.blob(LAYER),
    ),
    "one session finished twice": (
        begun,
        lambda a, b, _: finish(a),
        lambda a, b, _: finish(b),
    ),
}
# An absent child is noted, and resolved when it comes: only where indexes may be sparse.
SPARSE: dict[str, Case] = {
    "an index before its child": (
        layers,
        lambda a, b, _: a.manifest(index(IMAGE, OTHER_IMAGE), "all"),
        lambda a, b, _: b.manifest(OTHER_IMAGE),
    ),
    "a child before its index": (
        layers,
        lambda a, b, _: a.manifest(OTHER_IMAGE),
        lambda a, b, _: b.manifest(index(IMAGE, OTHER_IMAGE), "all"),
    ),
    "an image before its layer": (
        begun,
        lambda a, b, _: a.manifest(IMAGE),
        lambda a, b, _: b.blob(LAYER),
    ),
    "a layer before its image": (
        begun,
        lambda a, b, _: a.blob(LAYER),
        lambda a, b, _: b.manifest(IMAGE),
    ),
    "an image before a layer that is mounted": (
        both,
        lambda a, b, c: c.manifest(OTHER_IMAGE),
        lambda a, b, c: c.mount(OTHER, a.name),
    ),
    "a layer that is mounted before its image": (
        both,
        lambda a, b, c: c.mount(OTHER, a.name),
        lambda a, b, c: c.manifest(OTHER_IMAGE),
    ),
    "a signature before what it signs": (
        layers,
        lambda a, b, _: a.manifest(SIGNATURE),
        lambda a, b, _: b.manifest(IMAGE, algorithm="sha512"),
    ),
    "what is signed before its signature": (
        layers,
        lambda a, b, _: a.manifest(IMAGE, algorithm="sha512"),
        lambda a, b, _: b.manifest(SIGNATURE),
    ),
}
SESSIONS: dict[RepositoryName, str] = {}


async def finish(client: Client) -> str:
    """Finish the repository's one session with a layer; say who did."""
    upload_id = SESSIONS.get(client.name)
    if upload_id is None:
        opened = await uploads.open_upload(client.s, ALICE, client.name, "sha256")
        upload_id = SESSIONS[client.name] = opened.id
    body = uploads.Body(chunks(LAYER))
    await uploads.finish(client.s, ALICE, client.name, upload_id, body, digest_of(LAYER))
    return "finished"


# A race of many places takes its time: every third of them, and the others when there is time.
THIRDS = [0, pytest.param(1, marks=pytest.mark.long), pytest.param(2, marks=pytest.mark.long)]


async def every_place(
    case: Case,
    url: str,
    sparse: str,
    one: Services,
    two: Services,
    places: range = range(100),
) -> int:
    """Run the race at each of these places, each on an empty database; return how many it has."""
    before, late, quick = case
    for number in places:
        clients = [
            Client(one, "race/here", sparse),
            Client(two, "race/here", sparse),
            Client(two, "race/elsewhere", sparse),
        ]
        wipe(url)
        SESSIONS.clear()
        await before(*clients)
        reached, *results = await race(
            url, number, lambda c=clients: late(*c), lambda c=clients: quick(*c)
        )
        for result in results:
            assert not isinstance(result, BaseException) or expected(result), (number, result)
        assert violations(url) == {}, f"held before statement {number}: {results}"
        if not reached:
            return number
    raise AssertionError("there is no end to it")


def expected(result: BaseException) -> bool:
    """Tell whether it is a refusal that says why, not a failure."""
    return isinstance(result, RegistryError) and result.status < 500


@pytest.mark.parametrize("name", CASES)
def test_nothing_is_torn_by_a_race(shared: OpenDatabase, name: str) -> None:
    registries = Registries(shared.config)

    async def use(one: Services, two: Services) -> int:
        return await every_place(CASES[name], shared.url, "never", one, two)

    assert registries.run(use, 2) >= 3


@pytest.mark.parametrize("name", SPARSE)
def test_what_arrives_meanwhile_is_found(shared: OpenDatabase, name: str) -> None:
    registries = Registries(shared.config)

    async def use(one: Services, two: Services) -> int:
        return await every_place(SPARSE[name], shared.url, "always", one, two)

    assert registries.run(use, 2) >= 3


async def fan_out(s: Services) -> int:
    return await s.db.write(lambda tx: events.fan_out(tx, 50))


async def enqueue(s: Services) -> int:
    return await s.db.write(lambda tx: jobs.add_job(tx, "work", b"", key="one", run_at=1, now=1))


async def claim(s: Services) -> Any:
    async def body(tx: Tx) -> Any:
        await jobs.fire_due(tx, 10)
        return await jobs.claim_job(tx, "worker", 10, 20)

    return await s.db.write(body)


@pytest.mark.parametrize("what", [fan_out, enqueue, claim])
def test_queues_hand_out_each_thing_once(shared: OpenDatabase, what: Any) -> None:
    """Events are numbered once, a key waits once, a job is claimed once."""
    registries = Registries(shared.config)

    async def use(one: Services, two: Services) -> None:
        client = Client(one, "web/shop")
        claimed: list[int] = []
        for number in range(20):
            wipe(shared.url)
            await images(client, client, client)
            await one.db.write(
                lambda tx, n=number: jobs.add_job(tx, f"job{n}", b"", run_at=1, now=1)
            )
            await client.manifest(IMAGE, f"tag{number}")
            reached, *results = await race(shared.url, number, lambda: what(one), lambda: what(two))
            for result in results:
                assert not isinstance(result, BaseException), (number, result)
                claimed += [result.id] if what is claim and result is not None else []
            assert violations(shared.url) == {}
            if not reached:
                break
        assert not reached
        assert len(claimed) == len(set(claimed))

    registries.run(use, 2)


def sixteen(one: Services, two: Services, chosen: random.Random) -> list[Use]:
    """Return what sixteen clients do in one repository and its neighbour, in any order."""
    a, b, c = Client(one, "web/shop"), Client(two, "web/shop"), Client(two, "web/other")
    whole = index(IMAGE, OTHER_IMAGE)
    todo: list[Use] = [
        lambda: a.blob(LAYER),
        lambda: b.blob(LAYER, "sha512"),
        lambda: c.blob(LAYER),
        lambda: c.mount(OTHER, a.name),
        lambda: a.mount(LAYER, c.name),
        lambda: a.manifest(IMAGE, "one", "two"),
        lambda: b.manifest(IMAGE, "two", "one"),
        lambda: b.manifest(OTHER_IMAGE, "one", "two", algorithm="sha512"),
        lambda: a.manifest(whole, "all"),
        lambda: b.manifest(SIGNATURE, "signature"),
        lambda: b.delete_manifest(OTHER_IMAGE),
        lambda: a.delete_manifest(IMAGE),
        lambda: b.delete_tag("one"),
        lambda: a.delete_blob(OTHER),
        lambda: fan_out(one),
        lambda: fan_out(two),
    ]
    chosen.shuffle(todo)
    return todo


@pytest.mark.parametrize("seed", range(4))
def test_sixteen_at_once(shared: OpenDatabase, seed: int) -> None:
    registries = Registries(shared.config)
    chosen = random.Random(seed)

    async def use(one: Services, two: Services) -> None:
        client = Client(one, "web/shop")
        await images(client, client, client)
        for _ in range(6):
            todo = sixteen(one, two, chosen)
            results = await asyncio.gather(*(each() for each in todo), return_exceptions=True)
            failed = [each for each in results if isinstance(each, BaseException)]
            assert [each for each in failed if not expected(each)] == []
            found = violations(shared.url)
            # Indexes may be sparse here: their images may be deleted.
            gone = found.pop("a manifest whose content is gone", [])
            assert found == {}
            assert {kind for kind, _ in gone} <= {"manifest"}

    registries.run(use, 2)


@pytest.mark.parametrize(
    "what", ["one blob to one repository", "one manifest", "one new tag", "a mount and a push"]
)
def test_sixteen_at_one_thing(shared: OpenDatabase, what: str) -> None:
    """Nobody is refused: all sixteen ask for what can be had."""
    registries = Registries(shared.config)
    before, first, second = CASES[what]

    async def use(one: Services, two: Services) -> None:
        clients = Client(one, "web/shop"), Client(two, "web/shop"), Client(two, "web/other")
        await before(*clients)
        await asyncio.gather(*((first, second)[n % 2](*clients) for n in range(16)))
        assert violations(shared.url) == {}

    registries.run(use, 2)
