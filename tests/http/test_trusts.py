"""CI's own identity tokens as passwords, over HTTP against a running server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import oidc
from conftest import PASSWORD, check_answer
from moorage.model import presets
from process import Server
from registry import Answer, Registry, Repository, requirement, unique
from trusting import AUDIENCE, PROVIDER, SETTINGS, Provider, Trusting

pytestmark = pytest.mark.metadata

CLAIMS: dict[str, Any] = {
    "sub": "repo:acme/shop:ref:refs/heads/main",
    "aud": AUDIENCE,
    "repository": "acme/shop",
    "repository_id": "77",
    "ref": "refs/heads/main",
    "event_name": "push",
}
RULES = presets.github("acme/shop", "77", branch="main")


@pytest.fixture(scope="module")
def issuer() -> Iterator[oidc.Issuer]:
    """Run an issuer."""
    with oidc.Issuer("RS256") as running:
        yield running


@pytest.fixture(scope="module")
def trusting_server(
    shared_server: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory
) -> Server:
    """Run a server that may ask issuers on this machine."""
    secret = tmp_path_factory.mktemp("secret") / "password"
    secret.write_text(PASSWORD)
    secret.chmod(0o600)
    return shared_server(
        MOORAGE_ADMIN_USER="admin", MOORAGE_ADMIN_PASSWORD_FILE=str(secret), **SETTINGS
    )


@pytest.fixture
def trusting(trusting_server: Server) -> Trusting:
    """Return the use cases beside the server."""
    return Trusting(trusting_server)


@pytest.fixture
def home(trusting: Trusting, issuer: oidc.Issuer) -> str:
    """Make a namespace whose robot the issuer's tokens stand for."""
    name = unique("web")
    trusting.establish(name, issuer.url, RULES)
    return name


@pytest.fixture
def asked_by(trusting_server: Server) -> Callable[..., Registry]:
    """Return a function that returns the registry as asked with a password, in a namespace."""

    def ask(password: str, namespace: str = "") -> Registry:
        user = f"{namespace}+ci" if namespace else "oidc"
        return Registry(trusting_server.url, (user, password), check_answer)

    return ask


Asked = Callable[..., Registry]


def fetched(repository: Repository) -> Answer:
    """Return the answer for the tag that the tests push."""
    return repository.registry.get(repository.path("manifests/1"))


@requirement("S-32")
def test_a_token_is_a_password(
    home: str, issuer: oidc.Issuer, asked_by: Asked, trusting: Trusting
) -> None:
    """It pushes and pulls where the robot may, and nowhere else; and ends with the trust."""
    asked = asked_by(issuer.sign(CLAIMS), home)
    asked.get("/v2/").expect(200)
    repository = Repository(asked, f"{home}/shop")
    pushed = repository.push_image("1")
    assert fetched(repository).expect(200).body == pushed.raw
    asked.delete(repository.path("manifests/1")).expect(401, "DENIED")
    other = f"/v2/{unique('other')}/shop/blobs/uploads/"
    asked.post(other).expect(401, "DENIED")
    trusting.disable(home)
    assert fetched(repository).status == 401
    asked.post(repository.path("blobs/uploads/")).expect(401)
    assert asked.get("/v2/").status == 401


@requirement("S-24", "S-25", "S-26", "S-32")
def test_what_is_refused_says_why(home: str, issuer: oidc.Issuer, asked_by: Asked) -> None:
    """One that is proved and not let in reads which rule did not hold; all others less."""
    own = oidc.new_key("RS256", "key-1")
    for token, told in (
        (issuer.sign({**CLAIMS, "ref": "refs/heads/dev"}), "this trust only allows branch main"),
        (issuer.sign({**CLAIMS, "aud": [AUDIENCE, "x"]}), "its audience is"),
        (issuer.sign({**CLAIMS, "exp": 5}), "it has run out"),
        (issuer.sign({**CLAIMS, "iss": "https://evil.example"}), "not trusted here"),
        (issuer.sign(CLAIMS, jku="https://evil.example"), "its header has jku"),
        (issuer.sign(CLAIMS, kid="other"), "no key of its issuer"),
        (oidc.sign(own, issuer.header(), issuer.claims(**CLAIMS)), "no key of its issuer"),
        (oidc.sign(own, {"alg": "none"}, issuer.claims(**CLAIMS)), "not signed by"),
    ):
        refused = asked_by(token, home).get("/v2/").expect(401, "UNAUTHORIZED")
        assert told in refused.message
        assert token.encode() not in refused.body


def test_an_exchanged_token(
    home: str, issuer: oidc.Issuer, asked_by: Asked, trusting: Trusting
) -> None:
    """What a token is exchanged for outlives it, and ends with the trust as well."""
    token = trusting.exchange(issuer.sign(CLAIMS), f"{home}+ci")
    repository = Repository(asked_by(token), f"{home}/shop")
    repository.push_image("1")
    trusting.disable(home)
    assert fetched(repository).status == 401


def test_the_user_name_says_which_robot(
    trusting: Trusting, issuer: oidc.Issuer, asked_by: Asked
) -> None:
    """Who trusts a workload that others trust as well takes nothing away from them."""
    claims = {**CLAIMS, "repository_id": "4711"}
    rules = presets.github("acme/shop", "4711", branch="main")
    first, second = unique("evil"), unique("web")
    trusting.establish(first, issuer.url, rules)
    token = issuer.sign(claims)
    asked_by(token).get("/v2/").expect(200)
    trusting.establish(second, issuer.url, rules)
    refused = asked_by(issuer.sign(claims)).get("/v2/").expect(401)
    assert f"under the name of one, {first}+ci or {second}+ci" in refused.message
    for name in (first, second):
        Repository(asked_by(token, name), f"{name}/shop").push_image("1")
    asked_by(token, unique("none")).get("/v2/").expect(401)


@pytest.mark.where(PROVIDER)
def test_a_real_provider(
    trusting: Trusting, trusting_server: Server, asked_by: Asked, tmp_path: Path
) -> None:
    """A program that others wrote issues the token: discovery, keys and signature are its own."""
    claims = {name: value for name, value in CLAIMS.items() if name != "aud"}
    name = unique("web")
    with Provider(claims, tmp_path / "provider.log") as provider:
        trusting.establish(name, provider.url, RULES)
        asked = asked_by(provider.token(AUDIENCE))
        Repository(asked, f"{name}/shop").push_image("1")
        refused = asked_by(provider.token("https://other.example")).get("/v2/").expect(401)
        assert f"this trust only allows {AUDIENCE}" in refused.message
    # The provider has gone; what has been proved is still good.
    assert fetched(Repository(asked, f"{name}/shop")).status == 200


def test_the_token_is_in_no_log(
    home: str, issuer: oidc.Issuer, asked_by: Asked, trusting_server: Server
) -> None:
    token = issuer.sign(CLAIMS)
    asked_by(token, home).get("/v2/").expect(200)
    asked_by(token[:-4] + "AAAA", home).get("/v2/").expect(401)
    deadline = time.monotonic() + 5
    while f"{home}+ci" not in (log := trusting_server.log.read_text()):
        assert time.monotonic() < deadline, "the access log names the robot"
        time.sleep(0.05)
    for part in token.split("."):
        assert part not in log
