"""What somebody may ends on every replica, whichever of them was told, and when it is said to.

The rule is: at once for what writes, within a minute for what reads. Everything that a replica may
remember of a caller is warm before: it has read and written on both of them just now, by what it
signs in with and by a bearer token. The figures tell how long it took.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from api import Api
from faults.fronting import new_fleet
from fleet import Fleet
from registry import OCI_INDEX, Answer, Registry, encode, unique

# Within which a reader is refused; a writer is by the first request that follows.
READS_END = 60.0
HAMMERS = 2
# Whose account is disabled has a wrong password from then on, and too many of these.
REFUSED = {401, 429}
INDEX = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}
Figure = Callable[[str], None]

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Run two replicas over one database."""
    with new_fleet(tmp_path_factory.mktemp("pair"), replicas=2) as running:
        yield running


@dataclass(frozen=True)
class Caller:
    """Somebody at one of the replicas, by one of the ways to sign in."""

    registry: Registry
    authorization: str
    name: str

    def read(self) -> Answer:
        """Ask for the repository's tags."""
        return self._send("GET", "tags/list")

    def push(self, tag: str) -> Answer:
        """Push something small."""
        raw = encode({**INDEX, "annotations": {"unique": unique()}})
        return self._send("PUT", f"manifests/{tag}", raw, OCI_INDEX)

    def begin(self) -> Answer:
        """Begin an upload."""
        return self._send("POST", "blobs/uploads/")

    def go_on(self, session: str) -> Answer:
        """Send something to an upload that is under way."""
        return self.registry.request("PATCH", session, self._headers(), b"some")

    def _send(self, method: str, rest: str, body: bytes | None = None, kind: str = "") -> Answer:
        headers = self._headers() | ({"Content-Type": kind} if kind else {})
        return self.registry.request(method, f"/v2/{self.name}/{rest}", headers, body)

    def _headers(self) -> dict[str, str | None]:
        return {"Authorization": self.authorization}


class Stand:
    """A namespace with one account that may push to it, and how to take that from it."""

    def __init__(self, pair: Fleet, told: int) -> None:
        self.urls = [server.url for server in pair.servers]
        self.admin = Api(self.urls[told], pair.credentials)
        self.who, person = self.admin.account()
        self.namespace = self.admin.organisation()
        self.admin.post(f"/namespaces/{self.namespace}/teams", {"name": "dev"}).expect(201)
        made = person.post("/tokens", {"name": "machine"}).expect(201).json()
        self.token: int = made["token"]["id"]
        self.name = f"{self.namespace}/app"
        self.by = {"password": person.headers["Authorization"]}
        self.by["token"] = f"Bearer {made['secret']}"

    @property
    def grant(self) -> str:
        """The address of the account's own grant."""
        return f"/namespaces/{self.namespace}/grants/account/{self.who}"

    @property
    def member(self) -> str:
        """The address of the account in the team."""
        return f"/namespaces/{self.namespace}/teams/dev/members/{self.who}"

    def give(self, how: str) -> None:
        """Let the account push, by its own grant or as a member of the team."""
        if how == "member":
            team = f"/namespaces/{self.namespace}/grants/team/{self.namespace}/dev"
            self.admin.put(team, {"role": "writer"}).expect(200)
            self.admin.put(self.member).expect(204)
        else:
            self.admin.put(self.grant, {"role": "writer"}).expect(200)

    def take(self, how: str) -> None:
        """Take that, or what the account signs in with."""
        account = f"/accounts/{self.who}"
        match how:
            case "token":
                self.admin.delete(f"/tokens/{self.token}").expect(204)
            case "grant":
                self.admin.delete(self.grant).expect(204)
            case "member":
                self.admin.delete(self.member).expect(204)
            case "account":
                self.admin.patch(account, {"enabled": False}).expect(200)
            case "credentials":
                self.admin.delete(f"{account}/credentials").expect(204)

    def callers(self, *ways: str) -> list[Caller]:
        """Return the account at each replica, by each of the ways and by bearers got with them."""
        found = []
        for url in self.urls:
            for way in ways:
                registry = Registry(url)
                asked = {"Authorization": self.by[way]}
                scope = f"repository:{self.name}:pull,push"
                bearer = registry.get(f"/token?scope={scope}", asked).expect(200).json()["token"]
                both = (self.by[way], f"Bearer {bearer}")
                found += [Caller(registry, each, self.name) for each in both]
        return found


# What is taken, and by what one has signed in that this ends.
ENDS = {
    "token": ("token",),
    "grant": ("password", "token"),
    "member": ("password", "token"),
    "account": ("password", "token"),
    "credentials": ("token",),
}


@pytest.mark.parametrize(("how", "told"), [(how, place % 2) for place, how in enumerate(ENDS)])
def test_what_is_taken_ends_on_both_replicas(
    pair: Fleet, figure: Figure, how: str, told: int
) -> None:
    """The first write after it is refused; a read at the latest a minute after.

    `told` is the replica that it is taken at.
    """
    stand = Stand(pair, told)
    stand.give(how)
    callers = stand.callers(*ENDS[how])
    sessions = []
    for number, caller in enumerate(callers):
        caller.push(f"v{number}").expect(201)
        caller.read().expect(200)
        sessions.append(caller.begin().expect(202)["Location"])
    stand.take(how)
    taken = time.monotonic()
    for caller, session in zip(callers, sessions, strict=True):
        caller.push("late").expect(401)
        caller.begin().expect(401)
        caller.go_on(session).expect(401)
    waited = 0.0
    for caller in callers:
        while caller.read().status == 200:
            assert time.monotonic() - taken < READS_END, "it still reads"
            time.sleep(0.05)
            waited = time.monotonic() - taken
    figure(f"reads ended {'at once' if not waited else f'after {waited:.1f} s'}")
    tags = Registry(stand.urls[0], pair.credentials).get(f"/v2/{stand.name}/tags/list")
    assert "late" not in tags.expect(200).json()["tags"]


@pytest.mark.parametrize("how", ENDS)
def test_nothing_is_written_after_it_was_taken(pair: Fleet, figure: Figure, how: str) -> None:
    """Pushes are under way on both replicas all the time: none is done once it is acknowledged."""
    stand = Stand(pair, 0)
    stand.give(how)
    callers = stand.callers(*ENDS[how])
    callers[0].push("first").expect(201)
    done = threading.Event()
    answers: list[tuple[float, int]] = []

    def hammer(caller: Caller) -> None:
        while not done.is_set():
            began = time.monotonic()
            answers.append((began, caller.push(unique("v")).status))

    threads = [threading.Thread(target=hammer, args=(each,)) for each in callers * HAMMERS]
    for each in threads:
        each.start()
    time.sleep(0.5)
    stand.take(how)
    taken = time.monotonic()
    registry = Registry(stand.urls[1], pair.credentials)
    then = registry.get(f"/v2/{stand.name}/tags/list?n=10000").expect(200).json()["tags"]
    time.sleep(0.5)
    done.set()
    for each in threads:
        each.join()
    later = registry.get(f"/v2/{stand.name}/tags/list?n=10000").expect(200).json()["tags"]
    assert {status for began, status in answers if began < taken} <= {201, *REFUSED}
    assert {status for began, status in answers if began > taken} <= REFUSED
    assert len(then) > 1
    assert then == later
    figure(f"{len(then)} pushes before, {sum(began > taken for began, _ in answers)} refused after")
