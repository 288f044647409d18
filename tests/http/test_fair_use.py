"""A fair share of what is pulled without signing in, over HTTP, for each address behind a proxy."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import PASSWORD, check_answer
from members import Members
from process import Server
from registry import Answer, Registry, Repository, basic

pytestmark = pytest.mark.metadata

SHARE = 5
HEADERS = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Policy", "RateLimit")
Start = Callable[..., Server]


class Limited:
    """A server of two processes with a share, behind a proxy on this machine."""

    def __init__(self, server: Server) -> None:
        self.members = Members.of(server)
        self.admin = Registry(server.url, ("admin", PASSWORD), check=check_answer)
        self.nobody = Registry(server.url, check=check_answer)
        self.public = self._pushed("public")
        self.private = self._pushed("private")
        self._addresses = 0

    def _pushed(self, visibility: str) -> Repository:
        repository = self.admin.repository()
        repository.push_image("latest")
        self.members.show(repository.name, visibility)
        return repository

    def address(self) -> str:
        """Return an address that has pulled nothing so far."""
        self._addresses += 1
        return f"192.0.2.{self._addresses}"

    def ask(self, address: str, method: str = "GET", *more: tuple[str, str], **of: Any) -> Answer:
        """Ask for the manifest from an address; of the public repository unless told otherwise."""
        repository: Repository = of.get("repository", self.public)
        path = repository.path(f"manifests/{of.get('reference', 'latest')}")
        return self.nobody.request(method, path, [("X-Forwarded-For", address), *more])

    def spend(self, address: str) -> None:
        """Have an address pull all that it may."""
        for _ in range(SHARE):
            self.ask(address).expect(200)

    def refused(self, address: str) -> Answer:
        """Ask as clients do that have nobody's credentials, and return the refusal."""
        challenge = self.ask(address).expect(401, "UNAUTHORIZED")
        assert challenge["RateLimit-Remaining"] == "0;w=3600"
        assert f'scope="repository:{self.public.name}:pull"' in challenge["WWW-Authenticate"]
        assert f"{SHARE} in 1 hour are its share" in challenge.message
        return self.ask(address, "GET", self.token()).expect(429, "TOOMANYREQUESTS")

    def token(self, *more: tuple[str, str]) -> tuple[str, str]:
        """Return the header with a token to pull, for nobody unless credentials are sent."""
        scope = f"repository:{self.public.name}:pull"
        answer = self.nobody.get(f"/token?service=x&scope={scope}", more).expect(200)
        return ("Authorization", f"Bearer {answer.json()['token']}")


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Limited]:
    """Run the server."""
    place: Path = tmp_path_factory.mktemp("fair")
    secret = place / "password"
    secret.write_text(PASSWORD)
    env = {
        "MOORAGE_ADMIN_USER": "admin",
        "MOORAGE_ADMIN_PASSWORD_FILE": str(secret),
        "MOORAGE_TRUSTED_PROXIES": "localhost",
        "MOORAGE_LIMITS__ANONYMOUS_PULLS": str(SHARE),
        "MOORAGE_LIMITS__ANONYMOUS_PULLS_SECONDS": "3600",
    }
    with Server(place / "data", env=env, workers=2) as server:
        yield Limited(server)


def test_a_share_and_no_more(limited: Limited) -> None:
    """Counted by all processes together, and told with each answer."""
    address = limited.address()
    for left in reversed(range(SHARE)):
        answer = limited.ask(address).expect(200)
        assert answer["RateLimit-Limit"] == f"{SHARE};w=3600"
        assert answer["RateLimit-Remaining"] == f"{left};w=3600"
        assert answer["RateLimit-Policy"] == f'"anonymous-pulls";q={SHARE};w=3600'
        assert re.fullmatch(rf'"anonymous-pulls";r={left};t=(3600|35\d\d)', answer["RateLimit"])
    for _ in range(4):
        refused = limited.refused(address)
        assert 3_500 < int(refused["Retry-After"]) <= 3_600
        assert refused["RateLimit-Remaining"] == "0;w=3600"
        assert refused["Cache-Control"] == "no-store"
        assert "Sign in for more" in refused.message
        assert limited.public.name not in refused.message
    limited.ask(limited.address()).expect(200)


def test_addresses_of_version_6(limited: Limited) -> None:
    for number in range(SHARE):
        limited.ask(f"2001:db8:1:2::{number}").expect(200)
    limited.refused("2001:db8:1:2:ffff::")
    limited.ask("2001:db8:1:3::").expect(200)


def test_nobody_makes_addresses_up(limited: Limited) -> None:
    """What a client says itself stands before what the proxy adds."""
    address = limited.address()
    for number in range(SHARE):
        limited.ask(f"203.0.113.{number}, {address}").expect(200)
    limited.refused(f"203.0.113.99, {address}")


def test_what_counts_nothing(limited: Limited) -> None:
    """HEAD, blobs, lists, what is not there or not for everybody, and the proxy's own health."""
    address = limited.address()
    forwarded = [("X-Forwarded-For", address)]
    image = limited.ask(address).expect(200).json()
    for _ in range(SHARE * 2):
        assert limited.ask(address, "HEAD").expect(200)["RateLimit-Remaining"] == "4;w=3600"
        limited.ask(address, reference="absent").expect(404)
        limited.ask(address, repository=limited.private).expect(401)
        blob = limited.public.path(f"blobs/{image['config']['digest']}")
        for path in (blob, limited.public.path("tags/list"), "/v2/", "/healthz"):
            answer = limited.nobody.get(path, forwarded)
            assert not any(answer.get(name) for name in HEADERS)
    assert limited.ask(address)["RateLimit-Remaining"] == "3;w=3600"


def test_what_is_refused_to_all_is_told_as_before(limited: Limited) -> None:
    """With nothing left, a private repository and a missing one still ask for credentials."""
    address = limited.address()
    limited.spend(address)
    missing = limited.nobody.repository()
    for repository in (limited.private, missing):
        answer = limited.ask(address, repository=repository).expect(401, "UNAUTHORIZED")
        assert not any(answer.get(name) for name in HEADERS)
    limited.ask(address, reference="absent").expect(404)


def test_by_digest_and_unchanged(limited: Limited) -> None:
    address = limited.address()
    digest = limited.ask(address, "HEAD")["Docker-Content-Digest"]
    limited.ask(address, reference=digest).expect(200)
    unchanged = limited.ask(address, "GET", ("If-None-Match", f'"{digest}"')).expect(304)
    assert unchanged["RateLimit-Remaining"] == "3;w=3600"


def test_who_signs_in_is_not_counted(limited: Limited) -> None:
    """With a password or a token, also where the address has nothing left."""
    address = limited.address()
    limited.spend(address)
    someone = limited.members.account()
    password = ("Authorization", basic(*someone.credentials))
    for header in (limited.token(password), password):
        for _ in range(SHARE * 2):
            answer = limited.ask(address, "GET", header).expect(200)
            assert not any(answer.get(name) for name in HEADERS)
    limited.refused(address)


def test_a_token_for_nobody_is_nobody(limited: Limited) -> None:
    address, header = limited.address(), limited.token()
    assert limited.ask(address, "GET", header)["RateLimit-Remaining"] == "4;w=3600"
    for _ in range(SHARE - 1):
        limited.ask(address, "GET", header).expect(200)
    limited.ask(address, "GET", header).expect(429)
    limited.ask(address, "GET", ("Authorization", "Basic Og==")).expect(429)


def test_a_head_tells_what_is_left(limited: Limited) -> None:
    """Also where it is nothing, to whoever has been asked to sign in."""
    address = limited.address()
    limited.ask(address, "HEAD").expect(200)
    limited.spend(address)
    asked = limited.ask(address, "HEAD").expect(401)
    assert f'scope="repository:{limited.public.name}:pull"' in asked["WWW-Authenticate"]
    assert asked["RateLimit-Remaining"] == "0;w=3600"
    answer = limited.ask(address, "HEAD", limited.token()).expect(200)
    assert answer["RateLimit-Remaining"] == "0;w=3600"


def test_without_a_limit_there_are_no_headers(
    administered: Registry, members: Members, registry: Registry
) -> None:
    admin = Registry(administered.url, ("admin", PASSWORD))
    repository = admin.repository()
    repository.push_image("latest")
    members.show(repository.name, "public")
    answer = administered.get(repository.path("manifests/latest")).expect(200)
    assert not any(answer.get(name) for name in HEADERS)
    local = registry.repository()
    local.push_image("latest")
    assert not any(registry.get(local.path("manifests/latest")).get(name) for name in HEADERS)


def test_local_mode_is_never_limited(server: Start) -> None:
    started = server(env={"MOORAGE_LIMITS__ANONYMOUS_PULLS": "1"})
    repository = Registry(started.url).repository()
    repository.push_image("latest")
    for _ in range(3):
        answer = repository.registry.get(repository.path("manifests/latest")).expect(200)
        assert not any(answer.get(name) for name in HEADERS)
