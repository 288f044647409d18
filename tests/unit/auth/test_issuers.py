"""The keys of issuers: when they are fetched, how often, and what is done while they can't be."""

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import oidc
from moorage.auth.issuers import COOL_DOWN, FRESH, RETRY, STALE, IssuerKeys, KeysUnavailable
from moorage.auth.jws import Key, take_apart
from moorage.model.trusts import Issuer
from moorage.outbound import Fetcher


class Clock:
    """A clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.at = 1_000.0

    def now(self) -> int:
        """Return the time in milliseconds."""
        return int(self.at * 1_000)

    def monotonic(self) -> float:
        """Return the time in seconds."""
        return self.at


@pytest.fixture
def issuer() -> Iterator[oidc.Issuer]:
    """Run an issuer."""
    with oidc.Issuer() as running:
        yield running


def record(running: oidc.Issuer, **changes: Any) -> Issuer:
    """Return the issuer as it was registered."""
    about = {"url": running.url, "kind": "generic", "jwks": b"", "ca_file": "", **changes}
    return Issuer(id=1, shared=False, enabled=True, **about)


def run(running: oidc.Issuer, use: Callable[..., Any]) -> None:
    """Run a coroutine function with the keys, a function that looks for one, and the clock."""

    async def body() -> None:
        clock = Clock()
        keys = IssuerKeys(clock, Fetcher(("127.0.0.0/8",), seconds=0.5))

        async def find(**header: Any) -> Key | None:
            token = take_apart(running.sign({}, **header))
            return await keys.find(record(running), token)

        await use(find, clock)

    asyncio.run(body())


def test_keys_are_found_and_kept(issuer: oidc.Issuer) -> None:
    async def use(find: Callable[..., Any], clock: Clock) -> None:
        for _ in range(5):
            assert (await find()) is not None
        assert issuer.asked == [oidc.DISCOVERY, "/keys"]
        clock.at += FRESH - 1
        assert await find()
        assert len(issuer.asked) == 2
        clock.at += 2
        assert await find()
        assert len(issuer.asked) == 4

    run(issuer, use)


@pytest.mark.requirement("S-25")
def test_unknown_keys_ask_once_a_minute(issuer: oidc.Issuer) -> None:
    async def use(find: Callable[..., Any], clock: Clock) -> None:
        assert await find()
        clock.at += 1
        for number in range(50):
            assert await find(kid=f"made-up-{number}") is None
        assert len(issuer.asked) == 2, "just fetched: nothing newer can be expected"
        clock.at += COOL_DOWN
        await asyncio.gather(*(find(kid=f"other-{number}") for number in range(50)))
        assert len(issuer.asked) == 4
        for _ in range(10):
            clock.at += 5
            await find(kid="more")
        assert len(issuer.asked) == 4
        assert await find(), "and the cache of the real ones is whole"

    run(issuer, use)


def test_rotation(issuer: oidc.Issuer) -> None:
    async def use(find: Callable[..., Any], clock: Clock) -> None:
        assert await find()
        clock.at += COOL_DOWN
        issuer.rotate()
        assert await find(), "a new key is asked for once it is used"
        clock.at += FRESH + 1
        issuer.rotate(keep=False)
        assert await find()
        assert await find(kid="key-1") is None, "what is no longer published is good no longer"

    run(issuer, use)


def test_a_key_of_another_kind_is_another_key(issuer: oidc.Issuer) -> None:
    async def use(find: Callable[..., Any], _: Clock) -> None:
        assert await find(alg="RS256") is None
        assert await find()

    run(issuer, use)


def test_a_token_that_names_no_key(issuer: oidc.Issuer) -> None:
    """Where there is one key of its kind, it is meant; of two, neither is."""

    async def use(find: Callable[..., Any], clock: Clock) -> None:
        key = await find(kid=None)
        assert key is not None
        assert key.id == "key-1"
        assert await find(kid=None, alg="RS256") is None
        issuer.rotate()
        clock.at += FRESH
        assert await find(kid=None) is None
        for _ in range(10):
            assert await find(kid=None) is None
        assert len(issuer.asked) == 4

    run(issuer, use)


def test_old_keys_while_there_are_no_newer_ones(issuer: oidc.Issuer) -> None:
    async def use(find: Callable[..., Any], clock: Clock) -> None:
        assert await find()
        issuer.status = 500
        clock.at += STALE - 10
        assert await find()
        assert len(issuer.asked) == 3
        assert await find()
        assert len(issuer.asked) == 3, "one attempt a minute"
        clock.at += 20
        with pytest.raises(KeysUnavailable, match="500"):
            await find()
        clock.at += COOL_DOWN
        issuer.status = 200
        assert await find()

    run(issuer, use)


def test_an_issuer_that_was_never_there(issuer: oidc.Issuer) -> None:
    async def use(find: Callable[..., Any], clock: Clock) -> None:
        issuer.status = 503
        for _ in range(5):
            with pytest.raises(KeysUnavailable, match="503"):
                await find()
        assert len(issuer.asked) == 1
        issuer.status = 200
        clock.at += RETRY
        assert await find()

    run(issuer, use)


def test_a_slow_issuer_is_asked_once_by_all(issuer: oidc.Issuer) -> None:
    async def use(find: Callable[..., Any], _: Clock) -> None:
        issuer.delay = 0.1
        found = await asyncio.gather(*(find() for _ in range(20)))
        assert all(found)
        assert len(issuer.asked) == 2

    run(issuer, use)


def test_one_that_hangs_costs_no_more_than_its_time(issuer: oidc.Issuer) -> None:
    async def use(find: Callable[..., Any], _: Clock) -> None:
        issuer.delay = 1.0
        with pytest.raises(KeysUnavailable, match="in time"):
            await find()

    run(issuer, use)


def test_going_away_takes_nothing_from_others(issuer: oidc.Issuer) -> None:
    """Whoever begins an attempt and breaks off can't make all others wait for the next one."""

    async def use(find: Callable[..., Any], _: Clock) -> None:
        issuer.delay = 0.1
        first = asyncio.create_task(find())
        await asyncio.sleep(0.02)
        first.cancel()
        assert await find()
        assert len(issuer.asked) == 2

    run(issuer, use)


@pytest.mark.parametrize(
    ("about", "told"),
    [
        ({"issuer": "https://evil.example"}, "does not call itself so"),
        ({"issuer": None}, "does not call itself so"),
        ({"jwks_uri": None}, "where its keys are"),
        ({"jwks_uri": 5}, "where its keys are"),
        ({"jwks_uri": "file:///etc/passwd"}, "https"),
        ({"jwks_uri": "http://10.0.0.1/keys"}, "inside"),
        ({"jwks_uri": "https://169.254.169.254/keys"}, "inside"),
        ({"jwks_uri": "http://8.8.8.8/keys"}, "https"),
    ],
)
def test_a_discovery_that_leads_elsewhere(
    issuer: oidc.Issuer, about: dict[str, Any], told: str
) -> None:
    async def use(find: Callable[..., Any], _: Clock) -> None:
        issuer.about = about
        with pytest.raises(KeysUnavailable, match=told):
            await find()
        assert issuer.asked == [oidc.DISCOVERY]

    run(issuer, use)


def test_another_name_for_the_same_issuer_is_another_issuer(issuer: oidc.Issuer) -> None:
    async def body() -> None:
        keys = IssuerKeys(Clock(), Fetcher(("127.0.0.0/8",)))
        with pytest.raises(KeysUnavailable, match="call itself"):
            await keys.fetch(record(issuer, url=issuer.url + "/"))

    asyncio.run(body())


def test_keys_that_were_given(issuer: oidc.Issuer) -> None:
    """Nothing is fetched; other keys are taken as soon as the record has them."""

    async def body() -> None:
        keys = IssuerKeys(Clock(), Fetcher())
        token = take_apart(issuer.sign({}))
        given = record(issuer, jwks=issuer.jwks)
        assert await keys.find(given, token)
        issuer.rotate(keep=False)
        assert await keys.find(given, take_apart(issuer.sign({}))) is None
        newer = record(issuer, jwks=issuer.jwks)
        assert await keys.find(newer, take_apart(issuer.sign({})))
        assert await keys.find(newer, token) is None

    asyncio.run(body())
    assert issuer.asked == []


def test_a_path_in_the_address() -> None:
    with oidc.Issuer(path="/realms/ci") as running:

        async def body() -> None:
            keys = IssuerKeys(Clock(), Fetcher(("127.0.0.0/8",)))
            assert await keys.fetch(record(running))

        asyncio.run(body())
        assert running.asked == [f"/realms/ci{oidc.DISCOVERY}", "/realms/ci/keys"]


def test_large_and_broken_sets(issuer: oidc.Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    for broken in (b"x", b"[]", json.dumps({"keys": [{}] * 101}).encode(), b" " * 600_000):
        monkeypatch.setattr(oidc.Issuer, "jwks", property(lambda _, broken=broken: broken))

        async def use(find: Callable[..., Any], _: Clock) -> None:
            with pytest.raises(KeysUnavailable):
                await find()

        run(issuer, use)
