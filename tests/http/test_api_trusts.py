"""Issuers and trusts through the API: identity tokens are exchanged, tried and refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import oidc
from api import Api, problem
from conftest import PASSWORD
from process import Server
from registry import requirement, unique

pytestmark = pytest.mark.metadata

AUDIENCE = "https://registry.example"
RULES = [{"claim": "sub", "patterns": ["repo:acme/shop:ref:*/*/main"]}]


@pytest.fixture(scope="module")
def issuer() -> Iterator[oidc.Issuer]:
    """Run an issuer."""
    with oidc.Issuer() as running:
        yield running


@pytest.fixture(scope="module")
def admin(
    shared_server: Callable[..., Server],
    tmp_path_factory: pytest.TempPathFactory,
    issuer: oidc.Issuer,
) -> Api:
    """Return the API of a server that may ask issuers on this machine, and knows one."""
    secret = tmp_path_factory.mktemp("secret") / "password"
    secret.write_text(PASSWORD)
    secret.chmod(0o600)
    started = shared_server(
        MOORAGE_ADMIN_USER="admin",
        MOORAGE_ADMIN_PASSWORD_FILE=str(secret),
        MOORAGE_OUTBOUND__ALLOW="127.0.0.0/8",
    )
    api = Api(started.url, ("admin", PASSWORD))
    made = api.post("/issuers", {"url": issuer.url, "kind": "generic"}).expect(201).json()
    assert (made["url"], made["enabled"], made["own_keys"]) == (issuer.url, True, False)
    return api


def home(admin: Api, issuer: oidc.Issuer) -> str:
    """Make a namespace with a robot that the issuer's tokens stand for."""
    name = admin.organisation()
    admin.post(f"/namespaces/{name}/robots", {"name": "ci"}).expect(201)
    asked: dict[str, Any] = {"name": "builds", "issuer": issuer.url, "robot": "ci"}
    asked |= {"rules": RULES, "audience": AUDIENCE}
    made = admin.post(f"/namespaces/{name}/trusts", asked).expect(201).json()
    assert (made["robot"], made["rules"]) == (f"{name}+ci", RULES)
    return name


def token(issuer: oidc.Issuer, ref: str = "refs/heads/main") -> str:
    """Return a token of a job on a branch."""
    return issuer.sign({"sub": f"repo:acme/shop:ref:{ref}", "aud": AUDIENCE})


@requirement("S-32")
def test_an_exchange(admin: Api, issuer: oidc.Issuer) -> None:
    """An identity token is exchanged once for a token of the robot that it stands for."""
    name = home(admin, issuer)
    nobody = Api(admin.url)
    given = token(issuer)
    asked = {"token": given, "robot": f"{name}+ci"}
    made = nobody.post("/exchange", asked).expect(201).json()
    assert made["robot"] == f"{name}+ci"
    assert Api(admin.url, made["secret"]).get("/whoami").expect(200).json()["name"] == f"{name}+ci"
    answer = nobody.post("/exchange", asked)
    problem(answer, 401, "UNAUTHORIZED")
    assert given.encode() not in answer.body
    other = {"token": token(issuer, "refs/heads/dev"), "robot": f"{name}+ci"}
    problem(nobody.post("/exchange", other), 401, "UNAUTHORIZED")
    for wrong in ("x", "a.b.c", given[:-4] + "AAAA"):
        problem(nobody.post("/exchange", {"token": wrong}), 401, "UNAUTHORIZED")


def test_a_trial(admin: Api, issuer: oidc.Issuer) -> None:
    """Owners try a token, and are told rule by rule; nothing is used up by it."""
    name = home(admin, issuer)
    path = f"/namespaces/{name}/trusts/-/try"
    found = admin.post(path, {"token": token(issuer)}).expect(200).json()
    assert found["allowed"] is True
    found = admin.post(path, {"token": token(issuer, "refs/heads/dev")}).expect(200).json()
    verdicts = found["tried"][0]["verdicts"]
    assert [(each["claim"], each["holds"]) for each in verdicts] == [("aud", True), ("sub", False)]
    problem(admin.post(path, {"token": "x"}), 422, "INVALID")


def test_the_end_of_a_trust(admin: Api, issuer: oidc.Issuer) -> None:
    """What was signed in by a trust ends when it is put out of force, or removed."""
    name = home(admin, issuer)
    path = f"/namespaces/{name}/trusts/builds"
    asked = {"token": token(issuer), "robot": f"{name}+ci"}
    robot = Api(admin.url, Api(admin.url).post("/exchange", asked).expect(201).json()["secret"])
    robot.get("/whoami").expect(200)
    assert admin.patch(path, {"enabled": False}).expect(200).json()["enabled"] is False
    problem(robot.get("/whoami"), 401, "UNAUTHORIZED")
    assert admin.get(f"{path}/uses").expect(200).json()["items"] is not None
    admin.delete(path).expect(204)
    assert admin.items(f"/namespaces/{name}/trusts") == []
    problem(admin.delete(path), 404, "NOT_FOUND")


@requirement("S-20")
def test_who_trusts(admin: Api, issuer: oidc.Issuer) -> None:
    """Only owners write trusts, only administrators register issuers."""
    name = home(admin, issuer)
    other = home(admin, issuer)
    alice, api = admin.account()
    path = f"/namespaces/{name}/trusts"
    asked = {"name": "x", "issuer": issuer.url, "robot": "ci", "rules": RULES}
    problem(api.post(path, asked), 404, "NOT_FOUND")
    problem(api.get(path), 404, "NOT_FOUND")
    for answer in (api.get("/issuers"), api.post("/issuers", {"url": "https://a.example"})):
        problem(answer, 403, "DENIED")
    admin.put(f"/namespaces/{name}/grants/account/{alice}", {"role": "maintainer"}).expect(200)
    for answer in (
        api.get(path),
        api.post(path, asked),
        api.patch(f"{path}/builds", {"enabled": False}),
        api.delete(f"{path}/builds"),
        api.post(f"{path}/-/try", {"token": token(issuer)}),
    ):
        problem(answer, 403, "DENIED")
    admin.put(f"/namespaces/{name}/grants/account/{alice}", {"role": "owner"}).expect(200)
    foreign = {**asked, "robot": f"{other}+ci", "audience": AUDIENCE}
    assert api.post(path, foreign).status in (404, 422)
    unknown = {**asked, "issuer": "https://unknown.example", "audience": AUDIENCE}
    problem(api.post(path, unknown), 404, "NOT_FOUND")
    problem(api.post(path, {**asked, "rules": []}), 422, "INVALID")
    assert [each["name"] for each in api.items(path)] == ["builds"]


def test_an_issuer(admin: Api) -> None:
    """An issuer with keys of its own is registered, put out of force, and forgotten."""
    with oidc.Issuer() as unreachable:
        keys = unreachable.jwks.decode()
    url = f"https://{unique('i')}.example"
    made = admin.post("/issuers", {"url": url, "jwks": keys}).expect(201).json()
    assert made["own_keys"] is True
    problem(admin.post("/issuers", {"url": url, "jwks": keys}), 409, "CONFLICT")
    path = f"/issuers/{made['id']}"
    admin.patch(path, {"enabled": False}).expect(200)
    problem(admin.patch(path, {}), 422, "INVALID")
    problem(admin.patch(path, {"jwks": "{}"}), 422, "INVALID")
    assert url in [each["url"] for each in admin.items("/issuers?limit=1")]
    admin.delete(path).expect(204)
    problem(admin.delete(path), 404, "NOT_FOUND")


@pytest.mark.parametrize(
    "url",
    ["https://*]", "https://[::1", "https://a:x", "https://a:99999", "https://", "https://?a"],
)
def test_addresses_of_issuers_that_are_none(admin: Api, url: str) -> None:
    """What is no address is refused, and asked of nobody."""
    problem(admin.post("/issuers", {"url": url}), 422, "INVALID")
