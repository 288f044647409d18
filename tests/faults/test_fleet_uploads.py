"""Upload sessions that go from replica to replica, one of which stands still in the middle.

The short form is for every change; `make faults` uploads a whole GiB.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from faults.fronting import QUIET
from fleet import DATABASE, Fleet
from process import Server
from proxy import Fault, FaultyProxy
from registry import Answer, Registry, Repository, digest_of, unique, with_query

MIB = 1 << 20
PATCHED_MIB = int(os.environ.get("FLEET_PATCHED_MIB", "60"))
STEP = 5 * MIB
PART = 5 * MIB
SIZES = {"small": 100_000, "large": 3 * PART + 300_000}
PATIENCE = 30
Figure = Callable[[str], None]

pytestmark = pytest.mark.timeout(120 + PATCHED_MIB)


@contextmanager
def standing_still(server: Server) -> Iterator[None]:
    """Stop all processes of a server, as a machine does that is frozen, and let them go on."""
    os.killpg(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(server.pid, signal.SIGCONT)


@pytest.fixture(scope="module")
def proxy(fleet: Fleet) -> Iterator[FaultyProxy]:
    """Run a proxy before the store."""
    with FaultyProxy(fleet.store.port) as running:
        yield running


@pytest.fixture(scope="module")
def behind(
    fleet: Fleet, proxy: FaultyProxy, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Run one more replica, which reaches the store by the proxy."""
    env = {**fleet.environment(), "MOORAGE_S3__ENDPOINT": proxy.endpoint}
    with Server(tmp_path_factory.mktemp("behind") / "data", env=env, workers=1) as running:
        yield running


class Writer:
    """A client of one replica, on a session that others may have as well."""

    def __init__(self, fleet: Fleet, server: Server, name: str) -> None:
        self.repository: Repository = Registry(server.url, fleet.credentials).repository(name)
        self._registry = self.repository.registry

    def patch(self, location: str, content: bytes) -> None:
        """Append content where the session is."""
        self._registry.patch(location, content).expect(202)

    def offset(self, location: str) -> int:
        """Return how many bytes the session has."""
        said = self._registry.get(location).expect(204)["Range"]
        return int(said.partition("-")[2]) + 1

    def put(self, location: str, content: bytes, whole: bytes) -> Answer:
        """Finish the session."""
        return self._registry.put(with_query(location, digest=digest_of(whole)), content)

    def content(self, digest: str) -> bytes:
        """Return the blob, from the store where the replica sends its clients."""
        answer = self._registry.get(self.repository.path(f"blobs/{digest}")).expect((200, 307))
        if answer.status == 200:
            return answer.body
        parts = urlsplit(answer["Location"])
        store = Registry(f"http://{parts.netloc}")
        return store.get(f"{parts.path}?{parts.query}").expect(200).body


def wait_until(what: Callable[[], object]) -> None:
    """Return when it holds."""
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)


def writers(fleet: Fleet, first: Server) -> tuple[Writer, Writer]:
    """Return a client of the replica that will stand still and one of another, on one name."""
    name = f"sessions/{unique('r')}"
    return Writer(fleet, first, name), Writer(fleet, fleet.servers[1], name)


def check_blobs(fleet: Fleet, name: str, *contents: bytes) -> None:
    """Ask every replica for each blob, byte by byte."""
    for server in fleet.servers:
        reader = Writer(fleet, server, name)
        for content in contents:
            assert reader.content(digest_of(content)) == content


def check_nothing_is_left(fleet: Fleet) -> None:
    """Let the jobs do what falls due within a few days; afterwards there are blobs only."""

    def run(text: str) -> list[tuple[int]]:
        return fleet.database.execute(text, database=DATABASE)

    run("UPDATE upload SET expires_at = 1")
    run("UPDATE delete_queue SET not_before = 1")
    run("UPDATE job_schedule SET next_at = 1 WHERE name IN ('uploads.expire', 'objects.delete')")
    wait_until(lambda: run("SELECT count(*) FROM upload") == [(0,)])
    wait_until(lambda: run("SELECT count(*) FROM delete_queue") == [(0,)])
    assert fleet.store.unfinished(fleet.storage) == 0
    named = {str(location) for (location,) in run("SELECT location FROM blob")}
    stored = {key.rpartition("/")[2] for key in fleet.store.keys(fleet.storage)}
    assert named <= stored
    assert stored == named, "something is left that no blob has"


@pytest.mark.parametrize("begun", [False, True], ids=["a new session", "a session with bytes"])
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_a_replica_stands_still_in_a_patch(fleet: Fleet, size: int, begun: bool) -> None:
    """Another goes on and finishes: its bytes are the blob, and the first client is refused."""
    frozen = fleet.servers[0]
    one, two = writers(fleet, frozen)
    other = random.randbytes(size)
    one.repository.push_blob(other)
    location = one.repository.begin()
    before = random.randbytes(size) if begun else b""
    if begun:
        one.patch(location, before)
    lost, won = (random.randbytes(size) for _ in range(2))
    headers = {"Content-Length": str(size)}
    with one.repository.registry.wire(timeout=60) as wire:
        wire.send(one.repository.registry.head_of("PATCH", location, headers, b""))
        wire.send(lost[: size // 3 * 2])
        time.sleep(0.5)  # what has come is on its way to the store
        with standing_still(frozen):
            assert two.offset(location) == len(before)
            two.patch(location, won)
            whole = before + won
            two.put(location, b"", whole).expect(201)
        wire.send(lost[size // 3 * 2 :])
        check_refused(wire.answer("PATCH"))
    check_blobs(fleet, one.repository.name, whole, other)
    check_nothing_is_left(fleet)
    check_blobs(fleet, one.repository.name, whole, other)


def check_refused(answer: Answer) -> None:
    """Check that a writer was told that another was there or has finished, or to try again.

    A store that closes the connection on a part of an upload that is over says no more than that.
    """
    answer.expect((404, 416, 503))
    if answer.status == 503:
        assert answer["Retry-After"]


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_a_replica_stands_still_in_the_body_of_a_put(fleet: Fleet, size: int) -> None:
    """Another finishes with other last bytes: those are the blob's."""
    frozen = fleet.servers[0]
    one, two = writers(fleet, frozen)
    location = one.repository.begin()
    before, lost, won = (random.randbytes(size) for _ in range(3))
    one.patch(location, before)
    target = with_query(location, digest=digest_of(before + lost))
    headers = {"Content-Length": str(size)}
    with one.repository.registry.wire(timeout=60) as wire:
        wire.send(one.repository.registry.head_of("PUT", target, headers, b""))
        wire.send(lost[: size // 3 * 2])
        time.sleep(0.5)
        with standing_still(frozen):
            two.put(location, won, before + won).expect(201)
        wire.send(lost[size // 3 * 2 :])
        check_refused(wire.answer("PUT"))
    check_blobs(fleet, one.repository.name, before + won)
    one.repository.registry.head(one.repository.path(f"blobs/{digest_of(before + lost)}")).expect(
        404
    )
    check_nothing_is_left(fleet)
    check_blobs(fleet, one.repository.name, before + won)


@pytest.mark.parametrize(
    "fault", [Fault.STALL, Fault.STALL_ANSWER], ids=["before it is stored", "when it is stored"]
)
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_a_replica_stands_still_while_it_completes(
    fleet: Fleet,
    behind: Server,
    proxy: FaultyProxy,
    size: int,
    fault: Fault,
) -> None:
    """Its call that makes the object is on its way, or done and not known; another finishes."""
    one, two = writers(fleet, behind)
    location = one.repository.begin()
    whole = random.randbytes(size)
    if size > PART:
        one.patch(location, whole)
    proxy.heal()
    proxy.on("POST" if size > PART else "PUT", "uploadId=" if size > PART else "/objects/", fault)
    rest = b"" if size > PART else whole
    before = set(fleet.store.keys(fleet.storage))
    target = with_query(location, digest=digest_of(whole))
    with one.repository.registry.wire(timeout=60) as wire:
        head = one.repository.registry.head_of("PUT", target, {}, rest)
        wire.send(head + rest)
        wait_until(lambda: proxy.seen)
        if fault is Fault.STALL_ANSWER:
            wait_until(lambda: set(fleet.store.keys(fleet.storage)) > before)
        with standing_still(behind):
            two.put(location, rest, whole).expect(201)
        check_refused(wire.answer("PUT"))
    check_blobs(fleet, one.repository.name, whole)
    check_nothing_is_left(fleet)
    check_blobs(fleet, one.repository.name, whole)


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_a_session_expires_while_its_replica_stands_still(fleet: Fleet, size: int) -> None:
    """Whoever was frozen in it finds it gone, and what it had written goes too."""
    frozen = fleet.servers[0]
    one, _ = writers(fleet, frozen)
    location = one.repository.begin()
    one.patch(location, random.randbytes(size))
    content = random.randbytes(size)
    headers = {"Content-Length": str(size)}
    with one.repository.registry.wire(timeout=60) as wire:
        wire.send(one.repository.registry.head_of("PATCH", location, headers, b""))
        wire.send(content[: size // 3 * 2])
        time.sleep(0.5)
        with standing_still(frozen):
            check_nothing_is_left(fleet)
        wire.send(content[size // 3 * 2 :])
        check_refused(wire.answer("PATCH"))
    check_nothing_is_left(fleet)


@pytest.mark.parametrize("part", [5, 16], ids="parts of {} MiB".format)
def test_patches_over_replicas_are_read_once(
    fleet: Fleet, tmp_path: Path, proxy: FaultyProxy, figure: Figure, part: int
) -> None:
    """Each PATCH goes to another replica, and the PUT reads the content once; nothing else does.

    But for the first of them: whether more would come was not known when it was written.
    """
    env = {
        **fleet.environment(),
        **QUIET,
        "MOORAGE_S3__ENDPOINT": proxy.endpoint,
        "MOORAGE_S3__PART_BYTES": str(part * MIB),
    }
    proxy.heal()
    with (
        Server(tmp_path / "one" / "data", env=env, workers=1) as one,
        Server(tmp_path / "two" / "data", env=env, workers=1) as two,
    ):
        name = f"patched/{unique('r')}"
        pair = [Writer(fleet, server, name) for server in (one, two)]
        location = pair[0].repository.begin()
        hashed = hashlib.sha256()
        block = random.randbytes(STEP - 8)
        count = PATCHED_MIB * MIB // STEP
        first, began = proxy.read, time.monotonic()
        for number in range(count):
            content = number.to_bytes(8, "big") + block
            hashed.update(content)
            pair[number % 2].patch(location, content)
        gathered, patched = proxy.read - first, time.monotonic() - began
        target = with_query(location, digest=f"sha256:{hashed.hexdigest()}")
        with pair[0].repository.registry.wire(timeout=120) as wire:
            wire.send(pair[0].repository.registry.head_of("PUT", target, {}, b""))
            wire.answer("PUT").expect(201)
    read, size = proxy.read - first - gathered, count * STEP
    figure(
        f"{size / MIB:.0f} MiB in {count} PATCHes: {patched:.1f} s and {gathered / size:.2f} of it"
        f" read, PUT {time.monotonic() - began - patched:.1f} s and {read / size:.2f} of it read"
    )
    assert read <= size
    assert gathered <= (0 if part * MIB == STEP else STEP)
