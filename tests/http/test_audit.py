"""What the trail tells of requests: who did what from where, what was refused, and no secret."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from conftest import PASSWORD
from moorage.app import database
from moorage.auth.passwords import hash_password
from moorage.config import load
from moorage.db import audit, principals
from moorage.db.columns import metadata
from moorage.db.engine import Query, Tx
from moorage.model.audit import Entry, Refusal
from moorage.registry.audit import read_entries
from process import Server
from registry import Registry, encode, requirement, unique

pytestmark = pytest.mark.metadata

Start = Callable[..., Server]
EVE = "eve's own long password"


class Trail:
    """A server with an administrator and an account without rights, and its database."""

    def __init__(self, start: Start, secret: Path, **env: str) -> None:
        secret.write_text(PASSWORD)
        secret.chmod(0o600)
        env |= {"MOORAGE_ADMIN_USER": "admin", "MOORAGE_ADMIN_PASSWORD_FILE": str(secret)}
        self.server = start(env=env, workers=1)
        self.within(self._add_eve)
        self.admin = Registry(self.server.url, ("admin", PASSWORD))
        self.eve = Registry(self.server.url, ("eve", EVE))
        self.nobody = Registry(self.server.url)

    def within(self, use: Callable[[Any], Any]) -> Any:
        """Run a coroutine function on the server's database, beside the server."""

        async def body() -> Any:
            config = load(None, self.server.env, {"data": str(self.server.data)}).config
            db, _ = database(config)
            await db.open()
            try:
                return await use(db)
            finally:
                await db.close()

        return asyncio.run(body())

    async def _add_eve(self, db: Any) -> None:
        async def write(tx: Tx) -> None:
            hashed = hash_password(EVE)
            await principals.add_account(tx, "eve", password=hashed, administrator=False, now=1)

        await db.write(write)

    def refusals(self) -> list[Refusal]:
        """Stop the server, which writes what it has counted, and return that."""
        assert self.server.stop() == 0, self.server.stderr_tail()

        async def use(db: Any) -> list[Refusal]:
            found: list[Refusal] = await db.write(lambda tx: audit.take_refusals(tx, 2**40, 1_000))
            return found

        found: list[Refusal] = self.within(use)
        return found

    def entries(self) -> list[Entry]:
        """Return the entries, the oldest first."""

        async def use(db: Any) -> list[Entry]:
            return (await read_entries(db, {}, 0, 1_000)).entries[::-1]

        found: list[Entry] = self.within(use)
        return found


@pytest.fixture
def trail(server: Start, tmp_path: Path) -> Trail:
    """Return a server of its own."""
    return Trail(server, tmp_path / "password")


def test_a_change_tells_from_where(trail: Trail) -> None:
    repository = trail.admin.repository()
    repository.push_image("latest")
    trail.admin.delete(repository.path("manifests/latest"), {"X-Request-Id": "mine"}).expect(202)
    entries = trail.entries()
    assert [entry.action for entry in entries] == ["manifest.pushed", "tag.deleted"]
    for entry in entries:
        told = (entry.actor, entry.credential, entry.address)
        assert told == ("admin", "password", "127.0.0.1")
        assert entry.namespace_id
        assert entry.repository_id
        assert json.loads(entry.detail)["repository"] == repository.name
    assert entries[-1].request_id == "mine"


@pytest.mark.parametrize(("trusted", "address"), [("127.0.0.1", "192.0.2.7"), ("", "127.0.0.1")])
def test_the_address_is_what_a_trusted_proxy_says(
    server: Start, tmp_path: Path, trusted: str, address: str
) -> None:
    """Nobody else can make up an address, neither of a change nor of a refusal."""
    env = {"MOORAGE_TRUSTED_PROXIES": trusted} if trusted else {}
    trail = Trail(server, tmp_path / "password", **env)
    forwarded = {"X-Forwarded-For": "198.51.100.1, 192.0.2.7"}
    repository = trail.admin.repository()
    repository.push_image("latest")
    trail.admin.delete(repository.path("manifests/latest"), forwarded).expect(202)
    trail.eve.get(repository.path("tags/list"), forwarded).expect(401)
    assert [each.address for each in trail.refusals()] == [address]
    assert trail.entries()[-1].address == address


@requirement("S-33")
def test_a_refusal_is_there_once_with_its_count(trail: Trail) -> None:
    name = trail.admin.repository().name
    for _ in range(5):
        trail.eve.post(f"/v2/{name}/blobs/uploads/").expect(401)
    for reference in ("latest", "other"):
        trail.eve.get(f"/v2/{name}/manifests/{reference}", {"X-Request-Id": "last"}).expect(401)
    found = {each.action: each for each in trail.refusals()}
    assert {action: each.times for action, each in found.items()} == {
        "post uploads": 5,
        "get manifest": 2,
    }
    for each in found.values():
        told = (each.actor, each.address, each.repository, each.credential)
        assert told == ("eve", "127.0.0.1", name, "password")
    assert found["get manifest"].request_id == "last"
    assert found["get manifest"].reason == f"eve has no pull right on {name}"


def test_what_is_no_refusal(trail: Trail) -> None:
    """Challenges, and what is not there, are not in the trail."""
    name = trail.admin.repository().name
    trail.nobody.get("/v2/").expect(401)
    trail.nobody.get(f"/v2/{name}/manifests/latest").expect(401)
    trail.nobody.post(f"/v2/{name}/blobs/uploads/").expect(401)
    trail.nobody.get("/metrics").expect(401)
    trail.nobody.get("/v2/", {"Authorization": "Basic Og=="}).expect(401)
    trail.admin.get(f"/v2/{name}/manifests/latest").expect(404)
    trail.admin.get("/v2/UPPER/manifests/latest").expect(400)
    trail.admin.get("/nothing").expect(404)
    assert trail.refusals() == []
    assert trail.entries() == []


def test_wrong_credentials_are_refusals_of_nobody(trail: Trail) -> None:
    tried = unique("name")
    for number in range(3):
        Registry(trail.server.url, (tried, f"password {number}")).get("/v2/").expect(401)
    trail.nobody.get("/metrics", {"Authorization": "Bearer nonsense"}).expect(401)
    found = sorted(trail.refusals(), key=lambda each: each.action)
    assert [(each.actor, each.action, each.times) for each in found] == [
        ("", "get base", 3),
        ("", "get metrics", 1),
    ]
    assert all(each.address == "127.0.0.1" for each in found)
    assert tried not in repr(found)


@requirement("S-113")
def test_no_secret_is_in_the_trail(trail: Trail) -> None:
    """Whatever is given in the place of a secret, or of a name, is in no row and no line."""
    planted = [secrets.token_hex(12) for _ in range(8)]
    name = trail.admin.repository().name
    url = trail.server.url
    Registry(url, ("admin", planted[0])).get("/v2/").expect(401)
    Registry(url, (planted[1], "x")).get("/v2/").expect(401)  # the password as the name
    Registry(url, ("admin", f"mrg_{planted[2]}")).get(f"/v2/{name}/tags/list").expect(401)
    for header in (f"Bearer {planted[3]}", f"Basic {planted[4]}", f"Digest {planted[5]}"):
        trail.nobody.get("/v2/", {"Authorization": header}).expect(401)
    trail.eve.get(f"/v2/{name}/tags/list?last={planted[6]}").expect(401)
    trail.eve.get(f"/v2/{name}/tags/list", {"Cookie": planted[7]}).expect(401)
    repository = trail.admin.repository()
    repository.push_image("latest")
    trail.server.stop()

    async def everything(db: Any) -> str:
        told = []
        for table in ("audit", "refusal", "event_outbox", "tag_change"):
            query = Query(f"test_all_{table}", sa.select(metadata.tables[table]))
            told += await db.read(lambda tx, query=query: tx.many(query), pages=True)
        return repr(told)

    found = trail.within(everything) + trail.server.log.read_text()
    assert "admin" in found
    assert "has no pull right" in found
    for secret in (*planted, PASSWORD, EVE):
        assert secret not in found


@requirement("S-114")
def test_no_text_of_a_client_breaks_a_row(trail: Trail) -> None:
    """Names that are none, agents and ids with control characters go into no row as they are."""
    for path in ("/v2/%0a%1b/manifests/x", "/v2/a%0ab/tags/list"):
        trail.eve.get(path, {"X-Request-Id": "a\tb", "User-Agent": "\x1b[2J"})
    trail.eve.request("PUT", "/v2/acme/shop/manifests/x", body=encode({})).expect(401)
    for each in trail.refusals():
        assert repr(each).isprintable()
        assert "\\x" not in repr(each)


def test_refusals_are_written_while_the_server_runs(trail: Trail) -> None:
    trail.eve.get("/metrics").expect(401)

    async def look(db: Any) -> int:
        query = Query("test_refusals", sa.select(metadata.tables["refusal"].c.times))
        for _ in range(100):
            rows = await db.read(lambda tx: tx.many(query))
            if rows:
                return int(rows[0][0])
            await asyncio.sleep(0.1)
        return 0

    assert trail.within(look) == 1
    metrics = trail.admin.get("/metrics").expect(200).body.decode()
    assert "moorage_refusals_total 1.0" in metrics
