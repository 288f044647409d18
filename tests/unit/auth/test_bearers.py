"""Bearer tokens: what is believed, and every way in which one may not be ours."""

import asyncio
import base64
import hashlib
import hmac
import json
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest
from joserfc import jws
from joserfc.jwk import ECKey, OKPKey
from multidict import CIMultiDict

from moorage.auth.address import Address
from moorage.auth.bearers import LIFETIME, SKEW, Access, Bearers
from moorage.auth.cipher import Cipher
from moorage.auth.keys import KeyRing
from moorage.clock import HOUR, MINUTE, SECOND
from moorage.config import Config
from moorage.db import keys
from moorage.db.engine import Tx
from moorage.db.keys import StoredKey
from moorage.db.migrate import migrate_sqlite
from moorage.db.sqlite import SqliteDatabase
from moorage.errors import Denied, Unauthorized
from moorage.model.access import Action, Actor, Scope, Subject
from moorage.web.request import Request

HERE = Address("http://registry.example:5000")
PULL = Access("repository", "a/b", ("pull",))
PERSON = Actor("account", "ann", "password", subject=Subject(7, 0, 3))
SECRET = b"s" * 32


class Standing:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.time = 1_800_000_000_000

    def now(self) -> int:
        return self.time

    def monotonic(self) -> float:
        return self.time / 1000


class Asked:
    """A request as far as its address is concerned."""

    is_tls = False

    def __init__(self, host: str = HERE.service) -> None:
        self.headers = CIMultiDict({"Host": host})


class Bench:
    """A key ring and the tokens of one process, with all that a forger may wish for."""

    def __init__(self, db: SqliteDatabase, config: Config = Config()) -> None:  # noqa: B008 - frozen
        self.db = db
        self.clock = Standing()
        self.keys = KeyRing(db, self.clock, SECRET)
        self.bearers = Bearers(self.keys, self.clock, config)

    async def issued(self, actor: Actor = PERSON, *access: Access) -> str:
        return (await self.bearers.issue(actor, access or (PULL,), HERE)).text

    async def identify(self, text: str, *, host: str = HERE.service, grace: int = 0) -> Actor:
        return await self.bearers.identify(text, cast("Request", Asked(host)), grace=grace)

    async def signed(self, header: dict[str, Any] | bytes | None = None, **claims: Any) -> str:
        """Return a token under our own key; None in place of a claim leaves it out."""
        key = await self.keys.signer()
        now = self.clock.now() // SECOND
        usual = {
            "iss": HERE.base,
            "sub": "7",
            "aud": HERE.service,
            "exp": now + 300,
            "nbf": now,
            "iat": now,
            "jti": "1",
            "access": [],
            "who": {
                "kind": "account",
                "name": "ann",
                "credential": "password",
                "token": 0,
                "generation": 3,
                "scopes": "",
            },
        }
        said = {name: value for name, value in {**usual, **claims}.items() if value is not None}
        return await self.sealed(
            {"alg": "ES256", "kid": key.id, "typ": "JWT", **(header or {})}
            if not isinstance(header, bytes)
            else header.replace(b"KID", key.id.encode()),
            json.dumps(said).encode(),
        )

    async def sealed(self, header: dict[str, Any] | bytes, payload: bytes) -> str:
        """Sign any header and payload with our own key, whatever the header says."""
        key = (await self.keys.signer()).key
        raw = header if isinstance(header, bytes) else json.dumps(header).encode()
        honest = jws.serialize_compact({"alg": "ES256"}, b"{}", key, algorithms=["ES256"])
        assert honest
        said = b".".join(map(encoded, (raw, payload)))
        signature = jws.JWSRegistry.algorithms["ES256"].sign(said, key)
        return b".".join((said, encoded(signature))).decode()


def encoded(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


Use = Callable[[Bench], Awaitable[None]]


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of a database that nothing is in."""
    directory = tmp_path_factory.mktemp("empty")
    migrate_sqlite(directory)
    return directory


@pytest.fixture
def run(empty: Path, tmp_path: Path) -> Callable[..., None]:
    """Return what runs a coroutine function over a bench."""
    shutil.copytree(empty, tmp_path, dirs_exist_ok=True)

    def with_bench(use: Use, **settings: Any) -> None:
        async def body() -> None:
            db = SqliteDatabase(tmp_path)
            await db.open()
            try:
                await use(Bench(db, Config(**settings)))
            finally:
                await db.close()

        asyncio.run(body())

    return with_bench


def test_a_token_says_who_it_is_and_what_it_was_asked_for(run: Callable[..., None]) -> None:
    scopes = (Scope("a/**", frozenset({"pull", "push"})),)
    actor = Actor("robot", "ci", "token:5", subject=Subject(9, 5, 0), scopes=scopes)
    catalog = Access("registry", "catalog", ("*",))

    async def use(bench: Bench) -> None:
        for _ in range(2):  # verified, then remembered
            found = await bench.identify(await bench.issued(actor, PULL, catalog))
            assert (found.kind, found.name, found.credential) == ("robot", "ci", "token:5")
            assert found.subject == actor.subject
            assert found.scopes == scopes
            bound = found.bound
            assert bound is not None
            assert bound[0].covers("a/b", Action.PULL)
            assert not any(each.covers("a/b", Action.PUSH) for each in bound)
            assert not any(each.covers("a/bc", Action.PULL) for each in bound)
            assert not any(each.covers("a/b/c", Action.PULL) for each in bound)
            assert "catalog" in bound[1].actions
            assert not bound[1].covers("catalog", Action.PULL)

    run(use)


def test_nobody_gets_a_token_that_is_bound_as_well(run: Callable[..., None]) -> None:
    async def use(bench: Bench) -> None:
        found = await bench.identify(await bench.issued(Actor("anonymous", "anonymous", "none")))
        assert found.kind == "anonymous"
        assert found.subject == Subject()
        assert found.bound is not None

    run(use)


def test_a_token_ends_with_its_credential(run: Callable[..., None]) -> None:
    async def use(bench: Bench) -> None:
        now = bench.clock.now()
        soon = Actor("account", "ann", "token:1", subject=Subject(7, 1, 0), expires_at=now + 30_000)
        assert (await bench.bearers.issue(soon, [], HERE)).expires_at == now + 30_000
        assert (await bench.bearers.issue(PERSON, [], HERE)).expires_at == now + LIFETIME

    run(use)


def test_what_there_is_no_room_for_is_left_out(run: Callable[..., None]) -> None:
    many = [Access("repository", f"a/{'n' * 200}{n}", ("pull", "push")) for n in range(60)]

    async def use(bench: Bench) -> None:
        bearer = await bench.bearers.issue(PERSON, many, HERE)
        assert 10 < len(bearer.access) < 60
        assert len(bearer.text) <= 8192
        await bench.identify(bearer.text)
        scopes = tuple(Scope(f"a/{'n' * 200}{n}", frozenset({"pull"})) for n in range(60))
        with pytest.raises(Denied):
            await bench.issued(
                Actor("account", "ann", "token:1", subject=Subject(7), scopes=scopes)
            )

    run(use)


@pytest.mark.requirement("S-26")
@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "other.example"},
        {"aud": [HERE.service]},
        {"aud": [HERE.service, "other.example"]},
        {"aud": None},
        {"iss": "https://registry.example:5000"},
        {"iss": "http://other.example"},
        {"iss": None},
        {"exp": None},
        {"exp": 1_800_000_000 - 61},
        {"exp": 1_800_000_000 + 3_601},
        {"exp": 1_800_000_300.0},
        {"exp": "1800000300"},
        {"exp": True},
        {"exp": -1},
        {"nbf": None},
        {"nbf": 1_800_000_061},
        {"iat": None},
        {"iat": 1_800_000_061, "exp": 1_800_000_300},
        {"sub": None},
        {"sub": ""},
        {"sub": "x"},
        {"sub": 7},
        {"access": None},
        {"access": [{"type": "repository", "name": "a", "actions": "pull"}]},
        {"who": None},
        {"who": {}},
        {"admin": True},
    ],
    ids=str,
)
def test_claims_that_are_not_exactly_ours_are_refused(
    run: Callable[..., None], claims: dict[str, Any]
) -> None:
    """Signed by our own key, as by another deployment that has it, and refused all the same."""

    async def use(bench: Bench) -> None:
        await bench.identify(await bench.signed())
        for _ in range(2):
            with pytest.raises(Unauthorized) as refused:
                await bench.identify(await bench.signed(**claims))
            assert refused.value.error == "invalid_token"

    run(use)


@pytest.mark.requirement("S-24", "S-25")
@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": "RS256"},
        {"alg": "ES384"},
        {"alg": "Ed25519"},
        {"alg": None},
        {"alg": ["ES256"]},
        {"kid": "unknown"},
        {"kid": None},
        {"kid": 1},
        {"kid": "../../etc/passwd"},
        {"jwk": {"kty": "EC"}},
        {"jku": "http://127.0.0.1:9/keys"},
        {"x5u": "http://127.0.0.1:9/keys"},
        {"x5c": ["AAAA"]},
        {"crit": ["exp"], "exp": 1},
        {"crit": []},
        {"b64": False},
        {"zip": "DEF"},
        {"typ": "JOSE"},
        {"typ": None},
        b'{"alg":"ES256","kid":"KID","typ":"JWT","alg":"ES256"}',
        b'{"alg":"none","alg":"ES256","kid":"KID","typ":"JWT"}',
        b'{"alg":"ES256","kid":"KID","typ":"JWT"',
        b'["ES256"]',
        b"null",
        b"[" * 4000,
        b"\xff",
    ],
    ids=str,
)
def test_headers_that_are_not_exactly_ours_are_refused(
    run: Callable[..., None], header: dict[str, Any] | bytes
) -> None:
    async def use(bench: Bench) -> None:
        text = await bench.signed(header)
        with pytest.raises(Unauthorized) as refused:
            await bench.identify(text)
        assert refused.value.error == "invalid_token"

    run(use)


@pytest.mark.requirement("S-24")
def test_a_claim_that_is_there_twice_is_refused(run: Callable[..., None]) -> None:
    async def use(bench: Bench) -> None:
        text = await bench.signed()
        head, payload, _ = text.split(".")
        raw = base64.urlsafe_b64decode(payload + "==")
        header = json.loads(base64.urlsafe_b64decode(head + "=="))
        twice = raw.replace(b'"sub": "7"', b'"sub": "1", "sub": "7"')
        assert twice != raw
        with pytest.raises(Unauthorized):
            await bench.identify(await bench.sealed(header, twice))

    run(use)


@pytest.mark.requirement("S-24")
def test_the_public_key_signs_nothing(run: Callable[..., None]) -> None:
    """HMAC under what everybody can fetch, in each of its spellings."""

    async def use(bench: Bench) -> None:
        payload = (await bench.signed()).split(".")[1]
        [public] = await bench.keys.published()
        key = (await bench.keys.signer()).key
        for secret in (
            json.dumps(public).encode(),
            key.as_pem(private=False),
            key.as_der(private=False),
            b"",
        ):
            for alg in ("HS256", "ES256", "none"):
                header = {"alg": alg, "kid": public["kid"], "typ": "JWT"}
                said = encoded(json.dumps(header).encode()) + b"." + payload.encode()
                seal = hmac.digest(secret, said, hashlib.sha256)
                for signature in (seal, seal * 2, b"\0" * 64, b""):
                    with pytest.raises(Unauthorized):
                        await bench.identify((said + b"." + encoded(signature)).decode())

    run(use)


def test_another_key_signs_nothing(run: Callable[..., None]) -> None:
    async def use(bench: Bench) -> None:
        kid = (await bench.keys.signer()).id
        payload = base64.urlsafe_b64decode((await bench.signed()).split(".")[1] + "==")
        other = ECKey.generate_key("P-256")
        header = {"alg": "ES256", "kid": kid, "typ": "JWT"}
        with pytest.raises(Unauthorized):
            await bench.identify(jws.serialize_compact(header, payload, other))

    run(use)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_every_character_counts(run: Callable[..., None], place: int) -> None:
    async def use(bench: Bench) -> None:
        parts = (await bench.issued()).split(".")
        middle = len(parts[place]) // 2
        other = "A" if parts[place][middle] != "A" else "B"
        parts[place] = parts[place][:middle] + other + parts[place][middle + 1 :]
        with pytest.raises(Unauthorized):
            await bench.identify(".".join(parts))

    run(use)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text + ".e30",
        lambda text: text.rpartition(".")[0],
        lambda text: text.rpartition(".")[0] + ".",
        lambda text: text + "=",
        lambda text: " " + text,
        lambda text: text + "\n",
        lambda text: "." * 3,
        lambda text: "." * 8000,
        lambda text: text + "A" * 9000,
        lambda text: "é" + text,
        lambda text: "",
    ],
)
def test_what_has_not_three_parts_is_refused(
    run: Callable[..., None], change: Callable[[str], str]
) -> None:
    async def use(bench: Bench) -> None:
        text = await bench.issued()
        with pytest.raises(Unauthorized):
            await bench.identify(change(text))

    run(use)


def test_a_token_is_for_one_address(run: Callable[..., None]) -> None:
    """Sent to another name of the registry, verified already or not, it is refused."""

    async def use(bench: Bench) -> None:
        text = await bench.issued()
        for _ in range(2):
            with pytest.raises(Unauthorized):
                await bench.identify(text, host="127.0.0.1:5000")
            await bench.identify(text)
            await bench.identify(text, host=HERE.service.upper())

    run(use)


def test_the_setting_decides_on_the_address(run: Callable[..., None]) -> None:
    async def use(bench: Bench) -> None:
        await bench.identify(await bench.issued(), host="whatever.example")

    run(use, url=HERE.base)


def test_a_token_runs_out_with_a_minute_for_the_clocks(run: Callable[..., None]) -> None:
    async def use(bench: Bench) -> None:
        text = await bench.issued()
        bench.clock.time += LIFETIME + SKEW - SECOND
        await bench.identify(text)
        bench.clock.time += SECOND
        for _ in range(2):
            with pytest.raises(Unauthorized) as refused:
                await bench.identify(text)
            assert refused.value.message == "the token has expired"

    run(use)


def test_grace_is_for_those_who_ask_for_it(run: Callable[..., None]) -> None:
    async def use(bench: Bench) -> None:
        text, late = await bench.issued(), 12 * HOUR
        bench.clock.time += LIFETIME + late - MINUTE
        assert (await bench.identify(text, grace=late)).name == "ann"
        with pytest.raises(Unauthorized):
            await bench.identify(text)
        bench.clock.time += MINUTE
        with pytest.raises(Unauthorized):
            await bench.identify(text, grace=late)

    run(use)


def test_keys_of_the_other_kind_sign_as_well(run: Callable[..., None]) -> None:
    """Each key has its own algorithm, and only that."""

    async def use(bench: Bench) -> None:
        made = OKPKey.generate_key("Ed25519")
        private = json.dumps(made.as_dict(private=True)).encode()
        sealed = Cipher(SECRET, "signing keys").seal("okp", private)
        public = json.dumps(made.as_dict(private=False)).encode()
        stored = StoredKey("okp", "Ed25519", sealed, public, bench.clock.now() - HOUR)

        async def add(tx: Tx) -> None:
            await keys.add_key(tx, stored)

        await bench.db.write(add)
        text = await bench.issued()
        assert json.loads(base64.urlsafe_b64decode(text.split(".")[0] + "=="))["alg"] == "Ed25519"
        assert (await bench.identify(text)).name == "ann"
        forged = {"alg": "ES256", "kid": "okp", "typ": "JWT"}
        other = ECKey.generate_key("P-256")
        with pytest.raises(Unauthorized):
            await bench.identify(jws.serialize_compact(forged, b"{}", other))

    run(use)


def test_nothing_shows_a_token(run: Callable[..., None]) -> None:
    async def use(bench: Bench) -> None:
        bearer = await bench.bearers.issue(PERSON, [PULL], HERE)
        assert bearer.text not in repr(bearer)
        await bench.identify(bearer.text)
        assert bearer.text not in repr(vars(bench.bearers))

    run(use)
