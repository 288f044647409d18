"""How providers are spoken to: how often they are asked, and what a code is sent with."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from identity import CLIENT, SECRET, IdentityProvider
from moorage.auth.openid import OpenId, Returned
from moorage.errors import Unauthorized, Unavailable
from moorage.model.providers import Attempt, Person, Provider
from moorage.outbound import Fetcher
from oidc import DISCOVERY

BACK = "https://registry.example/sign-in/corp/callback"


class Clock:
    """A clock whose seconds go on when they are told to."""

    def __init__(self) -> None:
        self.at = 1_000.0

    def now(self) -> int:
        """Return the time in milliseconds, of the provider's day."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Return seconds."""
        return self.at


@pytest.fixture
def corp() -> Iterator[IdentityProvider]:
    """Run a provider."""
    with IdentityProvider() as running:
        running.person = {"sub": "1", "preferred_username": "alice"}
        yield running


def record(running: IdentityProvider, **changes: Any) -> Provider:
    """Return the provider as it was registered."""
    about = {"name_claim": "preferred_username", "groups_claim": "groups", **changes}
    return Provider("corp", running.url, CLIENT, b"", "openid", enabled=True, created_at=1, **about)


def run(use: Callable[[OpenId, Clock], Awaitable[None]]) -> None:
    """Run a coroutine function with what speaks to providers on this machine."""

    async def body() -> None:
        clock = Clock()
        await use(OpenId(clock, Fetcher(("127.0.0.0/8",), seconds=1)), clock)

    asyncio.run(body())


async def come(openid: OpenId, corp: IdentityProvider, provider: Provider, secret: str) -> Person:
    """Go all the way."""
    location, attempt = await openid.begin(provider, "state", BACK, "/")
    query = corp.consent(location)
    returned = Returned(query["code"], query.get("iss", ""), BACK)
    return await openid.complete(provider, secret, attempt, returned)


def test_a_provider_is_asked_rarely(corp: IdentityProvider) -> None:
    async def use(openid: OpenId, clock: Clock) -> None:
        provider = record(corp)
        await asyncio.gather(*(openid.begin(provider, "s", BACK, "/") for _ in range(20)))
        assert corp.asked == [DISCOVERY]
        clock.at += 599
        await openid.begin(provider, "s", BACK, "/")
        assert corp.asked == [DISCOVERY]
        clock.at += 2
        await openid.begin(provider, "s", BACK, "/")
        assert corp.asked == [DISCOVERY] * 2

    run(use)


def test_one_that_is_down_is_asked_rarely_too(corp: IdentityProvider) -> None:
    async def use(openid: OpenId, clock: Clock) -> None:
        provider = record(corp)
        corp.status = 503
        for _ in range(3):
            with pytest.raises(Unavailable) as refused:
                await openid.begin(provider, "s", BACK, "/")
        assert refused.value.headers["Retry-After"] == "10"
        assert len(corp.asked) == 1
        corp.status = 200
        clock.at += 11
        await openid.begin(provider, "s", BACK, "/")

    run(use)


def test_where_a_browser_is_sent(corp: IdentityProvider) -> None:
    async def use(openid: OpenId, _: Clock) -> None:
        corp.about["authorization_endpoint"] = f"{corp.url}/authorize?tenant=7"
        first, attempt = await openid.begin(record(corp), "state", BACK, "/")
        second, other = await openid.begin(record(corp), "state", BACK, "/")
        asked = parse_qs(urlsplit(first).query)
        assert asked["tenant"] == ["7"]
        assert asked["code_challenge_method"] == ["S256"]
        assert attempt.verifier not in first
        assert (attempt.verifier, attempt.nonce) != (other.verifier, other.nonce)
        assert parse_qs(urlsplit(second).query)["nonce"] != asked["nonce"]
        assert attempt.verifier not in repr([attempt])

    run(use)


def test_what_a_code_is_sent_with(corp: IdentityProvider) -> None:
    """The secret goes as the provider wants it; a public client has none."""

    async def use(openid: OpenId, clock: Clock) -> None:
        assert (await come(openid, corp, record(corp), SECRET)).name == "alice"
        assert "client_secret" not in corp.forms[-1]
        with pytest.raises(Unauthorized):
            await come(openid, corp, record(corp), "wrong")
        corp.about["token_endpoint_auth_methods_supported"] = ["client_secret_post"]
        clock.at += 601
        assert (await come(openid, corp, record(corp), SECRET)).subject == "1"
        assert corp.forms[-1]["client_secret"] == SECRET
        corp.secret = ""
        assert (await come(openid, corp, record(corp), "")).subject == "1"
        assert "client_secret" not in corp.forms[-1]

    run(use)


def test_a_provider_that_does_not_name_itself(corp: IdentityProvider) -> None:
    async def use(openid: OpenId, clock: Clock) -> None:
        corp.names_itself = False
        with pytest.raises(Unauthorized, match="another provider"):
            await come(openid, corp, record(corp), SECRET)
        del corp.about["authorization_response_iss_parameter_supported"]
        clock.at += 601
        assert (await come(openid, corp, record(corp), SECRET)).name == "alice"

    run(use)


@pytest.mark.parametrize(
    ("claim", "name"),
    [
        ("alice", "alice"),
        ("Alice.B", "alice.b"),
        ("alice@example.com", "alice"),
        ("\u212aate", ""),
        ("a/b", ""),
        ("@example.com", ""),
        (["alice"], ""),
        ("x" * 300, ""),
    ],
)
def test_names(corp: IdentityProvider, claim: Any, name: str) -> None:
    async def use(openid: OpenId, _: Clock) -> None:
        corp.person["preferred_username"] = claim
        assert (await come(openid, corp, record(corp), SECRET)).name == name

    run(use)


def test_codes_that_are_none(corp: IdentityProvider) -> None:
    async def use(openid: OpenId, _: Clock) -> None:
        attempt = Attempt("corp", "v", "n", "/", 1)
        for code in ("", "x" * 3_000):
            with pytest.raises(Unauthorized, match="has no code"):
                await openid.complete(record(corp), SECRET, attempt, Returned(code, corp.url, BACK))
        assert corp.forms == []

    run(use)
