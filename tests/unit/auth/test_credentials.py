"""Who asks: every form of `Authorization`."""

import asyncio
import base64
import shutil
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import cast

import pytest
from argon2 import PasswordHasher
from multidict import CIMultiDict

from moorage.auth import passwords
from moorage.auth.bearers import Bearers
from moorage.auth.credentials import Credentials, Guard
from moorage.auth.local import LocalMode
from moorage.clock import MINUTE, SystemClock
from moorage.config import Config
from moorage.db import principals
from moorage.db.engine import Tx
from moorage.db.migrate import migrate_sqlite
from moorage.db.sqlite import SqliteDatabase
from moorage.errors import Unauthorized
from moorage.model.access import Actor, Subject
from moorage.registry.accounts import put_administrator
from moorage.web.clients import Proxies
from moorage.web.request import Request

PASSWORD = "correct: horse ünd battery"


@pytest.fixture(scope="module", autouse=True)
def cheap_hashes() -> Iterator[None]:
    """Hash with little work: here it matters which password is right, not what guessing costs."""
    with pytest.MonkeyPatch.context() as patch:
        cheap = partial(PasswordHasher, time_cost=1, memory_cost=8, parallelism=1)
        patch.setattr(passwords, "PasswordHasher", cheap)
        passwords._nobodys.cache_clear()
        yield
    passwords._nobodys.cache_clear()


class Connection(dict[str, object]):
    """A connection that requests come by: what has been found out about it."""


class Asked:
    """A request as far as credentials are concerned."""

    def __init__(self, authorization: str | None, by: Connection | None = None) -> None:
        self.headers = CIMultiDict({"Authorization": authorization} if authorization else {})
        self.kept = Connection() if by is None else by
        self.actor = ""

    def connection(self, name: str) -> object:
        return ("192.0.2.1", 1234) if name == "peername" else None


def basic(user: str, password: str, scheme: str = "Basic") -> str:
    """Return the header of a user and password."""
    return f"{scheme} {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


Ask = Callable[[str | None], tuple[Actor, str]]


@pytest.fixture(scope="module")
def authenticate(tmp_path_factory: pytest.TempPathFactory) -> Ask:
    """Return what tells who the registry says it is, and what goes into the access log."""
    directory = tmp_path_factory.mktemp("credentials")
    migrate_sqlite(directory)

    async def body(authorization: str | None) -> tuple[Actor, str]:
        asked, clock = Asked(authorization), SystemClock()
        db = SqliteDatabase(directory)
        await db.open()
        try:
            await put_administrator(db, clock, "admin", PASSWORD)
            credentials = Credentials(db, clock, LocalMode(Config()), Guard(Proxies(())))
            actor = await credentials.authenticate(cast("Request", asked))
        finally:
            await db.close()
        return actor, asked.actor

    return lambda authorization: asyncio.run(body(authorization))


@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC"])
def test_the_administrator(authenticate: Ask, scheme: str) -> None:
    actor, logged = authenticate(basic("admin", PASSWORD, scheme))
    # A time is with it, by which an account from outside is looked at.
    asked_at = actor.subject.asked_at
    assert abs(asked_at - SystemClock().now()) < MINUTE
    assert actor == Actor("account", "admin", "password", subject=Subject(1, 0, 1, asked_at))
    assert logged == "admin"


def test_nobody(authenticate: Ask) -> None:
    actor, logged = authenticate(None)
    assert (actor.kind, actor.refusal, logged) == ("anonymous", "", "anonymous")


@pytest.mark.parametrize(
    "authorization",
    [
        basic("admin", "wrong password"),
        basic("other", PASSWORD),
        basic("Admin", PASSWORD),
        basic("admin", PASSWORD + "\0"),
        basic("admin\0", PASSWORD),
        basic("admin", ""),
        basic("", PASSWORD),
        "Basic",
        "Basic ",
        "Basic !!!",
        "Basic YWRtaW4",
        "Basic YWRtaW4=",
        "Basic /w==",
        "Basic é",
        "Bearer abc",
        "Negotiate abc",
        "admin",
    ],
)
def test_refused_in_one_way(authenticate: Ask, authorization: str) -> None:
    """Nothing but 401, whatever is wrong with it."""
    with pytest.raises(Unauthorized):
        authenticate(authorization)


def test_name_and_password_are_refused_in_the_same_words(authenticate: Ask) -> None:
    told = set()
    for user, password in (("admin", "wrong password"), ("nobody", PASSWORD), ("nobody", "x")):
        with pytest.raises(Unauthorized) as refused:
            authenticate(basic(user, password))
        told.add((refused.value.message, refused.value.hint))
    assert len(told) == 1


class Still(SystemClock):
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.time = super().now()

    def now(self) -> int:
        return self.time


class Signed:
    """Bearer tokens: `good` is somebody's at `here`, until the second minute."""

    def __init__(self, clock: Still) -> None:
        self.asked: list[str] = []
        self._ends = clock.now() + 2 * MINUTE
        self._clock = clock

    async def identify(self, text: str, request: Request, *, grace: int) -> Actor:
        self.asked.append(text)
        host = request.headers.get("Host")
        if (text, host) != ("good", "here") or self._clock.now() - grace >= self._ends:
            raise Unauthorized("the token is not good", error="invalid_token")
        return Actor("account", "she", "password", subject=Subject(1, 0, 1), expires_at=self._ends)


class Remembering:
    """Credentials of a registry with an account, and what asks them by connections."""

    def __init__(self, directory: Path) -> None:
        self.clock = Still()
        self.db = SqliteDatabase(directory)
        self.signed = Signed(self.clock)
        bearers = cast("Bearers", self.signed)
        self.credentials = Credentials(
            self.db, self.clock, LocalMode(Config()), Guard(Proxies(())), bearers
        )

    async def ask(self, authorization: str | None, by: Connection, host: str = "here") -> Actor:
        """Return who it is that sends this by the connection."""
        return await self.credentials.authenticate(self.asked(authorization, by, host))

    def asked(self, authorization: str | None, by: Connection, host: str = "here") -> Request:
        """Return the request."""
        asked = Asked(authorization, by)
        asked.headers["Host"] = host
        return cast("Request", asked)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of a registry whose administrator is `admin`, to be copied."""
    directory = tmp_path_factory.mktemp("template")
    migrate_sqlite(directory)

    async def make() -> None:
        db = SqliteDatabase(directory)
        await db.open()
        try:
            await put_administrator(db, SystemClock(), "admin", PASSWORD)
        finally:
            await db.close()

    asyncio.run(make())
    return directory


@pytest.fixture
def directory(template: Path, tmp_path: Path) -> Path:
    """Return a copy of it."""
    return Path(shutil.copytree(template, tmp_path / "copy"))


def remembering(body: Callable[[Remembering], Awaitable[None]], directory: Path) -> None:
    """Run the body with the registry of the directory."""

    async def run() -> None:
        registry = Remembering(directory)
        await registry.db.open()
        try:
            await body(registry)
        finally:
            await registry.db.close()

    asyncio.run(run())


def test_a_connection_is_looked_at_once(directory: Path) -> None:
    """What a bearer's connection sends again is not verified again, for a minute."""

    async def body(registry: Remembering) -> None:
        by = Connection()
        for _ in range(3):
            assert (await registry.ask("Bearer good", by)).name == "she"
        assert registry.signed.asked == ["good"]
        await registry.ask("Bearer good", Connection())
        assert len(registry.signed.asked) == 2
        registry.clock.time += MINUTE
        await registry.ask("Bearer good", by)
        assert len(registry.signed.asked) == 3

    remembering(body, directory)


@pytest.mark.parametrize(
    "other",
    ["Bearer gooe", "Bearer goo", "Bearer good2", "bearer  gooD", "Bearer \udce9", "Bearer é"],
)
def test_a_connection_is_not_who_it_was(directory: Path, other: str) -> None:
    """A proxy sends many people's requests by one connection: each is looked at by itself."""

    async def body(registry: Remembering) -> None:
        by = Connection()
        await registry.ask("Bearer good", by)
        with pytest.raises(Unauthorized):
            await registry.ask(other, by)
        assert (await registry.ask(None, by)).kind == "anonymous"
        assert (await registry.ask("Basic Og==", by)).kind == "anonymous"
        assert (await registry.ask(basic("admin", PASSWORD), by)).name == "admin"
        with pytest.raises(Unauthorized):
            await registry.ask(basic("admin", PASSWORD + "x"), by)
        assert (await registry.ask("Bearer good", by)).name == "she"

    remembering(body, directory)


def test_a_hash_is_not_enough(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has the hash of what the connection sent last is another text all the same."""
    monkeypatch.setattr("moorage.auth.credentials.hash", lambda _: 7, raising=False)

    async def body(registry: Remembering) -> None:
        by = Connection()
        await registry.ask("Bearer good", by)
        with pytest.raises(Unauthorized):
            await registry.ask("Bearer gooe", by)
        assert (await registry.ask("Bearer good", by)).name == "she"
        assert registry.signed.asked == ["good", "gooe"]

    remembering(body, directory)


def test_what_a_connection_sent_is_not_shown(directory: Path) -> None:
    """A trace or a debugger's view of the connection has no secret in it."""

    async def body(registry: Remembering) -> None:
        by = Connection()
        await registry.ask("Bearer good", by)
        assert by
        assert "good" not in repr(dict(by))

    remembering(body, directory)


def test_a_bearer_is_for_the_host_that_the_connection_asked(directory: Path) -> None:
    async def body(registry: Remembering) -> None:
        by = Connection()
        await registry.ask("Bearer good", by)
        with pytest.raises(Unauthorized):
            await registry.ask("Bearer good", by, host="elsewhere")

    remembering(body, directory)


def test_a_bearer_ends_on_its_connection_too(directory: Path) -> None:
    """Not a minute after it was looked at, but when its own time is over."""

    async def body(registry: Remembering) -> None:
        by = Connection()
        registry.clock.time += 2 * MINUTE - 1
        await registry.ask("Bearer good", by)
        registry.clock.time += 1
        with pytest.raises(Unauthorized):
            await registry.ask("Bearer good", by)
        # Good once more on an upload's address alone, and that is not remembered.
        asked = registry.asked("Bearer good", by)
        assert (await registry.credentials.authenticate(asked, grace=MINUTE)).name == "she"
        with pytest.raises(Unauthorized):
            await registry.ask("Bearer good", by)

    remembering(body, directory)


def test_a_minute_is_that_of_the_password(directory: Path) -> None:
    """A connection does not make it longer: it is over for all of them at the same time."""

    async def body(registry: Remembering) -> None:
        header, first, second = basic("admin", PASSWORD), Connection(), Connection()
        old = await registry.ask(header, first)
        registry.clock.time += MINUTE - 1
        assert (await registry.ask(header, second)).subject.generation == 1

        async def write(tx: Tx) -> None:
            await principals.end_credentials(tx, old.subject.principal_id)

        await registry.db.write(write)
        assert (await registry.ask(header, second)).subject.generation == 1
        registry.clock.time += 1
        for by in (first, second):
            assert (await registry.ask(header, by)).subject.generation == 2

    remembering(body, directory)


def test_what_is_forgotten_is_forgotten_on_every_connection(directory: Path) -> None:
    async def body(registry: Remembering) -> None:
        header, first, second = basic("admin", PASSWORD), Connection(), Connection()
        for by in (first, second):
            assert (await registry.ask(header, by)).subject.generation == 1

        async def write(tx: Tx) -> None:
            await principals.end_credentials(tx, 1)

        await registry.db.write(write)
        for by in (first, second):
            assert registry.credentials.forget(registry.asked(header, by))
            assert (await registry.ask(header, by)).subject.generation == 2
        assert not registry.credentials.forget(registry.asked(basic("a", "b"), Connection()))

    remembering(body, directory)
