"""`/api/v1/accounts` and links: who may make, see, change and end which account."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from api import PASSWORD as LONG
from api import Api, problem
from conftest import PASSWORD
from process import Server
from registry import requirement, unique

pytestmark = pytest.mark.metadata


@pytest.fixture(scope="session")
def alice(admin: Api) -> tuple[str, Api]:
    """Return an account that is no administrator, for what does not change it."""
    return admin.account()


def test_an_invitation(admin: Api) -> None:
    """Whoever has the link makes the account once, and can then sign in."""
    name = unique("u")
    made = admin.post("/links", {"kind": "invitation", "name": name}).expect(201).json()
    assert made["path"] == f"/link#{made['secret']}"
    nobody = Api(admin.url)
    found = nobody.post("/links/find", {"secret": made["secret"]}).expect(200).json()
    assert (found["kind"], found["name"]) == ("invitation", name)
    asked = {"secret": made["secret"], "password": LONG}
    assert nobody.post("/links/redeem", asked).expect(201).json() == {"name": name}
    problem(nobody.post("/links/redeem", asked), 404, "NOT_FOUND")
    problem(nobody.post("/links/find", {"secret": made["secret"]}), 404, "NOT_FOUND")
    found = Api(admin.url, (name, LONG)).get("/whoami").expect(200).json()
    assert (found["name"], found["administrator"]) == (name, False)


def test_a_link_that_is_open(admin: Api) -> None:
    """Who has a link without a name chooses one; a bad choice does not spend it."""
    secret = admin.post("/links", {"kind": "invitation"}).expect(201).json()["secret"]
    nobody = Api(admin.url)
    name = unique("u")
    for wrong in (
        {"name": "admin", "password": LONG},
        {"name": "anonymous", "password": LONG},
        {"name": name, "password": "short"},
        {"password": LONG},
    ):
        answer = nobody.post("/links/redeem", {"secret": secret, **wrong})
        assert answer.status in (409, 422), answer
    nobody.post("/links/redeem", {"secret": secret, "name": name, "password": LONG}).expect(201)


def test_a_password_link(admin: Api) -> None:
    """A link for a password ends the old one."""
    name, api = admin.account()
    made = admin.post("/links", {"kind": "password", "name": name}).expect(201).json()
    new = "quite another password"
    Api(admin.url).post("/links/redeem", {"secret": made["secret"], "password": new}).expect(201)
    problem(api.get("/whoami"), 401, "UNAUTHORIZED")
    Api(admin.url, (name, new)).get("/whoami").expect(200)
    problem(admin.post("/links", {"kind": "password"}), 422, "INVALID")
    problem(admin.post("/links", {"kind": "password", "name": unique()}), 404, "NOT_FOUND")


@pytest.mark.parametrize("secret", ["x", "mrg_" + "0" * 38, "", "\x00"])
def test_secrets_that_are_none(admin: Api, secret: str) -> None:
    """Whatever is no link's secret is answered alike, and is not repeated."""
    for path in ("/links/redeem", "/setup"):
        answer = Api(admin.url).post(path, {"secret": secret, "name": "x", "password": LONG})
        assert answer.status == (404 if secret.strip("\x00") else 422)
        assert LONG.encode() not in answer.body


def test_no_set_up_with_accounts(admin: Api) -> None:
    """Once there is an account, there is no first one to be made."""
    problem(admin.post("/links", {"kind": "setup"}), 409, "CONFLICT")
    secret = admin.post("/links", {"kind": "invitation"}).expect(201).json()["secret"]
    asked = {"secret": secret, "name": unique("u"), "password": LONG}
    problem(Api(admin.url).post("/setup", asked), 404, "NOT_FOUND")


def test_accounts_of_others(admin: Api, alice: tuple[str, Api]) -> None:
    """Who does not administer sees and changes itself alone; what is not there looks the same."""
    name, api = alice
    assert api.get(f"/accounts/{name}").expect(200).json()["name"] == name
    told = [
        problem(api.get(f"/accounts/{other}"), 403, "DENIED") for other in ("admin", unique("u"))
    ]
    for each in told:
        del each["request_id"]
    assert told[0] == told[1]
    for answer in (
        api.get("/accounts"),
        api.post("/accounts", {"name": unique("u")}),
        api.post("/links", {"kind": "invitation"}),
        api.post("/links", {"kind": "password", "name": name}),
        api.patch("/accounts/admin", {"enabled": False}),
        api.patch(f"/accounts/{name}", {"enabled": True}),
        api.delete("/accounts/admin"),
        api.delete(f"/accounts/{name}"),
        api.delete("/accounts/admin/credentials"),
    ):
        problem(answer, 403, "DENIED")
    admin.get("/accounts/admin").expect(200)


@requirement("S-33")
def test_nobody_promotes_itself(admin: Api, alice: tuple[str, Api]) -> None:
    """An account makes itself no administrator, by whatever field."""
    name, api = alice
    problem(api.patch(f"/accounts/{name}", {"administrator": True}), 403, "DENIED")
    for field in ("is_admin", "admin", "role", "name", "id", "has_password"):
        answer = api.patch(f"/accounts/{name}", {"full_name": "A", field: True})
        assert field in problem(answer, 422, "INVALID")["detail"]
    both = {"full_name": "A", "administrator": True}
    problem(api.patch(f"/accounts/{name}", both), 422, "INVALID")
    secret = admin.post("/links", {"kind": "invitation"}).expect(201).json()["secret"]
    asked = {"secret": secret, "name": unique("u"), "password": LONG, "administrator": True}
    problem(Api(admin.url).post("/links/redeem", asked), 422, "INVALID")
    found = api.get(f"/accounts/{name}").expect(200).json()
    assert (found["administrator"], found["full_name"]) == (False, "")


def test_a_life(admin: Api) -> None:
    """An account is made, named, put out of force and in again, promoted, demoted, and ended."""
    name = unique("u")
    answer = admin.post("/accounts", {"name": name, "email": "a@x.io"}).expect(201)
    assert answer["Location"] == f"/api/v1/accounts/{name}"
    assert answer.json()["has_password"] is False
    problem(admin.post("/accounts", {"name": name}), 409, "CONFLICT")
    path = f"/accounts/{name}"
    changed = admin.patch(path, {"full_name": "Alice Ä"}).expect(200).json()
    assert (changed["full_name"], changed["email"]) == ("Alice Ä", "a@x.io")
    for field, value in (("enabled", False), ("enabled", True), ("administrator", True)):
        assert admin.patch(path, {field: value}).expect(200).json()[field] is value
    admin.patch(path, {"administrator": False}).expect(200)
    assert name in [each["name"] for each in admin.items("/accounts?limit=2")]
    admin.delete(path).expect(204)
    problem(admin.get(path), 404, "NOT_FOUND")
    problem(admin.delete(path), 404, "NOT_FOUND")
    problem(admin.patch(path, {"enabled": True}), 404, "NOT_FOUND")


def test_the_last_administrator_stays(admin: Api) -> None:
    """Nobody leaves the registry without an administrator."""
    for answer in (
        admin.patch("/accounts/admin", {"enabled": False}),
        admin.patch("/accounts/admin", {"administrator": False}),
        admin.delete("/accounts/admin"),
    ):
        problem(answer, 409, "CONFLICT")


def test_disabled(admin: Api) -> None:
    """Who is put out of force is nobody at the next request."""
    name, api = admin.account()
    api.get("/whoami").expect(200)
    admin.patch(f"/accounts/{name}", {"enabled": False}).expect(200)
    problem(api.get("/whoami"), 401, "UNAUTHORIZED")
    problem(api.post("/tokens", {"name": "x"}), 401, "UNAUTHORIZED")


def test_own_password(admin: Api) -> None:
    """One's own password needs the old one, and nobody else sets it."""
    name, api = admin.account()
    new = "quite another password"
    path = f"/accounts/{name}/password"
    problem(api.put(path, {"old": "wrong password", "new": new}), 403, "DENIED")
    problem(api.put(path, {"old": LONG, "new": "short"}), 422, "INVALID")
    problem(admin.put(path, {"old": PASSWORD, "new": new}), 404, "NOT_FOUND")
    problem(api.put("/accounts/admin/password", {"old": LONG, "new": new}), 404, "NOT_FOUND")
    api.put(path, {"old": LONG, "new": new}).expect(204)
    problem(api.get("/whoami"), 401, "UNAUTHORIZED")
    Api(admin.url, (name, new)).get("/whoami").expect(200)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b"\xff",
        b'{"name": "a"} x',
        b'{"name": 1}',
        b'{"name": null}',
        b'{"name": "A"}',
        b'{"name": "a\\u0000"}',
        b'{"name": "\\ud800"}',
        b'{"full_name": "x"}',
        b'{"name": "ok", "full_name": "a\\u0000b"}',
        b'{"name": "ok", "full_name": "a\\nb"}',
        b'{"name": "' + b"a" * 100 + b'"}',
        b'{"a":' * 50_000,
        b"[" * 100_000,
        b'{"name": ' + b"9" * 10_000 + b"}",
    ],
)
def test_bodies_that_are_none(admin: Api, body: bytes) -> None:
    """Whatever a body is, it is never a fault of the server."""
    answer = admin.post("/accounts", body)
    assert answer.status in (415, 422), answer
    assert answer["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "json"]
)
def test_bodies_of_other_kinds(admin: Api, kind: str) -> None:
    """What forms of pages can send is not taken."""
    name = unique("u")
    answer = admin.post("/accounts", {"name": name}, Content_Type=kind)
    problem(answer, 415, "UNSUPPORTED")
    problem(admin.get(f"/accounts/{name}"), 404, "NOT_FOUND")


def test_a_body_that_is_too_long(admin: Api) -> None:
    """A body has 1 MiB at most, whether its length is told or not."""
    body = b'{"name": "' + b"a" * (1 << 20) + b'"}'
    problem(admin.post("/accounts", body), 413, "SIZE_INVALID")
    answer = admin.registry.post("/api/v1/accounts", [body], {**admin.headers, **_JSON})
    problem(answer, 413, "SIZE_INVALID")


_JSON = {"Content-Type": "application/json"}


class TestIdempotency:
    """The same request with the same key is done once."""

    def test_again(self, admin: Api) -> None:
        name, key = unique("u"), unique()
        first = admin.post("/accounts", {"name": name}, Idempotency_Key=key).expect(201)
        second = admin.post("/accounts", {"name": name}, Idempotency_Key=key).expect(201)
        assert first.get("Idempotent-Replayed") is None
        assert second["Idempotent-Replayed"] == "true"
        assert (second.body, second["Location"]) == (first.body, first["Location"])
        problem(admin.post("/accounts", {"name": name}), 409, "CONFLICT")

    def test_another_request(self, admin: Api) -> None:
        key = unique()
        admin.post("/accounts", {"name": unique("u")}, Idempotency_Key=key).expect(201)
        other = unique("u")
        problem(admin.post("/accounts", {"name": other}, Idempotency_Key=key), 422, "INVALID")
        problem(admin.get(f"/accounts/{other}"), 404, "NOT_FOUND")

    def test_a_refusal_is_not_kept(self, admin: Api) -> None:
        name, key = unique("u"), unique()
        problem(admin.post("/accounts", {"name": "admin"}, Idempotency_Key=key), 409, "CONFLICT")
        admin.post("/accounts", {"name": name}, Idempotency_Key=key).expect(201)

    def test_of_another_account(self, admin: Api) -> None:
        """Nobody is told what another one asked under the same key."""
        key = unique()
        body = {"name": unique("u")}
        admin.post("/accounts", body, Idempotency_Key=key).expect(201)
        _, api = admin.account()
        problem(api.post("/accounts", body, Idempotency_Key=key), 403, "DENIED")
        problem(Api(admin.url).post("/accounts", body, Idempotency_Key=key), 401, "UNAUTHORIZED")

    def test_no_secret_is_kept(self, admin: Api) -> None:
        key = unique()
        asked = {"kind": "invitation"}
        admin.post("/links", asked, Idempotency_Key=key).expect(201)
        again = problem(admin.post("/links", asked, Idempotency_Key=key), 409, "CONFLICT")
        assert "secret" in again["detail"]

    @pytest.mark.parametrize("key", ["", "a b", "ä", "x" * 201])
    def test_keys_that_are_none(self, admin: Api, key: str) -> None:
        body = {"name": unique("u")}
        problem(admin.post("/accounts", body, Idempotency_Key=key), 422, "INVALID")


def test_local_mode(moorage: Any, server: Callable[..., Server]) -> None:
    """In local mode, what needs accounts says that there is a link for the first one."""
    local = Api(moorage.url)
    for answer in (
        local.get("/accounts"),
        local.get("/accounts/local"),
        local.post("/accounts", {"name": "x"}),
        local.post("/links", {"kind": "invitation"}),
        local.post("/links", {"kind": "setup"}),
        local.put("/accounts/local/password", {"old": LONG, "new": LONG}),
    ):
        assert "set-up link" in problem(answer, 403, "DENIED")["do"]
    local.get("/repositories").expect(200)
    local.get("/whoami").expect(200)
