"""Tokens, sessions and second factors: what signs in, to what, and until when."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyotp
import pytest

from api import PASSWORD as LONG
from api import Api, problem
from conftest import PASSWORD
from process import Server
from registry import Answer, Registry, requirement, unique

pytestmark = pytest.mark.metadata


def test_a_token(admin: Api) -> None:
    """A token is shown once, signs in to all that its owner may, and ends when it is revoked."""
    alice, api = admin.account()
    made = api.post("/tokens", {"name": "laptop"}).expect(201)
    secret, number = made.json()["secret"], made.json()["token"]["id"]
    assert re.fullmatch(r"mrg_[0-9A-Za-z]{38}", secret)
    assert made["Location"] == f"/api/v1/tokens/{number}"
    token = Api(admin.url, secret)
    found = token.get("/whoami").expect(200).json()
    assert (found["name"], found["credential"]) == (alice, f"token:{number}")
    shown = api.get(f"/tokens/{number}").expect(200)
    assert secret.encode() not in shown.body
    assert shown.json()["mark"] == secret[:10]
    assert [each["id"] for each in api.items("/tokens?limit=1")] == [number]
    api.delete(f"/tokens/{number}").expect(204)
    problem(token.get("/whoami"), 401, "UNAUTHORIZED")
    problem(api.delete(f"/tokens/{number}"), 404, "NOT_FOUND")


def test_a_rotation(admin: Api) -> None:
    """A rotated token goes on for as long as was asked, the new one is like it."""
    _, api = admin.account()
    scopes = [{"pattern": "web/**", "actions": ["pull"]}]
    first = api.post("/tokens", {"name": "ci", "scopes": scopes}).expect(201).json()
    path = f"/tokens/{first['token']['id']}/rotate"
    problem(api.post(path, {"overlap_hours": 25}), 422, "INVALID")
    second = api.post(path, {"overlap_hours": 1}).expect(201).json()
    assert second["token"]["scopes"] == scopes
    for each in (first, second):
        Api(admin.url, each["secret"]).get("/whoami").expect(200)
    path = f"/tokens/{second['token']['id']}/rotate"
    third = api.post(path, {"overlap_hours": 0}).expect(201).json()
    problem(Api(admin.url, second["secret"]).get("/whoami"), 401, "UNAUTHORIZED")
    Api(admin.url, third["secret"]).get("/whoami").expect(200)


def test_a_confined_token_manages_nothing(admin: Api) -> None:
    """Who comes by a token with scopes neither manages nor makes itself a wider one."""
    scopes = [{"pattern": "**", "actions": ["pull", "push", "delete", "catalog"]}]
    made = admin.post("/tokens", {"name": "x", "scopes": scopes}).expect(201).json()
    token = Api(admin.url, made["secret"])
    name = admin.organisation()
    assert token.get("/whoami").expect(200).json()["scopes"][0]["pattern"] == "**"
    for answer in (
        token.post("/tokens", {"name": "wider"}),
        token.get("/tokens"),
        token.post(f"/tokens/{made['token']['id']}/rotate", {}),
        token.get("/accounts"),
        token.post("/namespaces", {"name": unique("o")}),
        token.get(f"/namespaces/{name}/grants"),
        token.put(f"/namespaces/{name}/grants/account/admin", {"role": "owner"}),
        token.put("/accounts/admin/password", {"old": PASSWORD, "new": LONG}),
        token.post("/accounts/admin/totp"),
    ):
        assert answer.status in (403, 404), answer


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "x", "scopes": []},
        {"name": "x", "scopes": [{"pattern": "web/**", "actions": []}]},
        {"name": "x", "scopes": [{"pattern": "*", "actions": ["pull"]}]},
        {"name": "x", "scopes": [{"pattern": "web/*", "actions": ["pull"]}]},
        {"name": "x", "scopes": [{"pattern": "web", "actions": ["manage-access"]}]},
        {"name": "x", "scopes": [{"pattern": "web", "actions": ["pull"], "x": 1}]},
        {"name": "x", "days": -1},
        {"name": "x", "days": 4_000},
        {"name": "x", "days": 1.5},
        {"name": "x", "who": "admin"},
        {"name": "x", "principal_id": 1},
    ],
)
def test_tokens_that_can_not_be(admin: Api, body: dict[str, Any]) -> None:
    """What a token can't be is refused."""
    problem(admin.post("/tokens", body), 422, "INVALID")


def test_tokens_of_others(admin: Api) -> None:
    """Nobody sees another's tokens; an administrator sees and revokes, but makes none."""
    alice, api = admin.account()
    _, bob = admin.account()
    made = api.post("/tokens", {"name": "x"}).expect(201).json()
    number = made["token"]["id"]
    for answer in (
        bob.get(f"/tokens/{number}"),
        bob.delete(f"/tokens/{number}"),
        bob.post(f"/tokens/{number}/rotate", {}),
    ):
        problem(answer, 404, "NOT_FOUND")
    problem(bob.get(f"/tokens?who={alice}"), 403, "DENIED")
    assert [each["id"] for each in admin.items(f"/tokens?who={alice}")] == [number]
    problem(admin.post(f"/tokens/{number}/rotate", {}), 404, "NOT_FOUND")
    Api(admin.url, made["secret"]).get("/whoami").expect(200)
    admin.delete(f"/tokens/{number}").expect(204)
    problem(Api(admin.url, made["secret"]).get("/whoami"), 401, "UNAUTHORIZED")


def test_the_end_of_all_credentials(admin: Api) -> None:
    """Signing out everywhere ends all tokens; one's own, or by an administrator."""
    alice, api = admin.account()
    secret = api.post("/tokens", {"name": "x"}).expect(201).json()["secret"]
    problem(admin.account()[1].delete(f"/accounts/{alice}/credentials"), 403, "DENIED")
    api.delete(f"/accounts/{alice}/credentials").expect(204)
    problem(Api(admin.url, secret).get("/whoami"), 401, "UNAUTHORIZED")
    secret = api.post("/tokens", {"name": "x"}).expect(201).json()["secret"]
    admin.delete(f"/accounts/{alice}/credentials").expect(204)
    problem(Api(admin.url, secret).get("/whoami"), 401, "UNAUTHORIZED")


def test_a_password_that_is_remembered(admin: Api) -> None:
    """After all credentials have ended, the right password is good at once, in every process."""
    alice, api = admin.account()
    for _ in range(3):
        for _ in range(6):
            api.get("/whoami").expect(200)
            api.registry.get("/v2/", api.headers).expect(200)
        admin.delete(f"/accounts/{alice}/credentials").expect(204)


class Page:
    """A page of ours in a browser: what it sends has its origin, and the cookie of its session."""

    def __init__(self, url: str) -> None:
        self.api = Api(url)
        self.origin = {"Origin": url}
        self.cookie = ""

    def sign_in(self, name: str, password: str, **more: str) -> Answer:
        """Sign in, and keep the cookie."""
        asked = {"name": name, "password": password, **more}
        answer = self.api.post("/session", asked, **self.origin)
        if answer.status == 201:
            self.cookie = answer["Set-Cookie"].partition(";")[0]
        return answer

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Send a request as the browser does."""
        return self.api.ask(method, path, body, **{"Cookie": self.cookie, **self.origin, **headers})


class TestSession:
    """A page signs in by a cookie that is good for pages of ours alone."""

    def test_a_session(self, admin: Api) -> None:
        name, _ = admin.account()
        page = Page(admin.url)
        answer = page.sign_in(name, LONG).expect(201)
        assert answer.json()["name"] == name
        parts = [part.strip() for part in answer["Set-Cookie"].split(";")]
        assert re.fullmatch(r"moorage=mrg_[0-9A-Za-z]{38}", parts[0])
        assert set(parts[1:]) == {"Path=/", "Max-Age=43200", "HttpOnly", "SameSite=Lax"}
        found = page.ask("GET", "/whoami").expect(200).json()
        assert found["name"] == name
        assert found["credential"].startswith("session:")
        made = page.ask("POST", "/tokens", {"name": "x"}).expect(201).json()
        page.ask("DELETE", f"/tokens/{made['token']['id']}").expect(204)
        answer = page.ask("DELETE", "/session").expect(204)
        assert answer["Set-Cookie"].startswith("moorage=; ")
        assert "Max-Age=0" in answer["Set-Cookie"]
        problem(page.ask("GET", "/whoami"), 401, "UNAUTHORIZED")

    def test_wrong(self, admin: Api) -> None:
        """Whatever is wrong, the answer is the same."""
        name, _ = admin.account()
        told = []
        for user, password in ((name, "wrong password!"), (unique("u"), LONG), ("A B", LONG)):
            answer = Page(admin.url).sign_in(user, password)
            told.append(problem(answer, 401, "UNAUTHORIZED"))
            assert answer.get("Set-Cookie") is None
            del told[-1]["request_id"]
        assert told[0] == told[1] == told[2]

    @requirement("S-72")
    @pytest.mark.parametrize(
        "headers",
        [
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Origin": "https://evil.example", "Content_Type": "text/plain"},
            {"Origin": "https://evil.example", "X_HTTP_Method_Override": "DELETE"},
            {"Sec_Fetch_Site": "cross-site"},
        ],
    )
    def test_from_another_site(self, admin: Api, headers: dict[str, str]) -> None:
        page = Page(admin.url)
        page.sign_in("admin", PASSWORD).expect(201)
        name = unique("u")
        answer = page.ask("POST", "/accounts", {"name": name}, **headers)
        problem(answer, 403, "DENIED")
        problem(admin.get(f"/accounts/{name}"), 404, "NOT_FOUND")
        page.ask("DELETE", "/session").expect(204)

    def test_without_an_origin(self, admin: Api) -> None:
        """A cookie changes nothing unless the browser says that the page is ours."""
        page = Page(admin.url)
        page.sign_in("admin", PASSWORD).expect(201)
        page.origin = {}
        page.ask("GET", "/whoami").expect(200)
        problem(page.ask("POST", "/accounts", {"name": unique("u")}), 401, "UNAUTHORIZED")
        problem(page.ask("DELETE", "/session"), 401, "UNAUTHORIZED")

    def test_no_other_door(self, admin: Api) -> None:
        """What is in the cookie is no token: neither as a bearer, nor at `/v2`."""
        page = Page(admin.url)
        page.sign_in("admin", PASSWORD).expect(201)
        secret = page.cookie.partition("=")[2]
        problem(Api(admin.url, secret).get("/whoami"), 401, "UNAUTHORIZED")
        Registry(admin.url, ("x", secret)).get("/v2/").expect(401)
        headers = {"Cookie": page.cookie, **page.origin}
        Registry(admin.url).get("/v2/", headers).expect(401)

    @pytest.mark.parametrize(
        "cookie", ["moorage=", "moorage=x", "Moorage={0}", "{1}; {1}", "x={0}"]
    )
    def test_cookies_that_are_none(self, admin: Api, cookie: str) -> None:
        page = Page(admin.url)
        page.sign_in("admin", PASSWORD).expect(201)
        page.cookie = cookie.format(page.cookie.partition("=")[2], page.cookie)
        problem(page.ask("GET", "/whoami"), 401, "UNAUTHORIZED")

    def test_a_new_password_ends_it(self, admin: Api) -> None:
        name, _ = admin.account()
        page, other = Page(admin.url), Page(admin.url)
        page.sign_in(name, LONG).expect(201)
        other.sign_in(name, LONG).expect(201)
        asked = {"old": LONG, "new": "quite another password"}
        page.ask("PUT", f"/accounts/{name}/password", asked).expect(204)
        for each in (page, other):
            problem(each.ask("GET", "/whoami"), 401, "UNAUTHORIZED")

    def test_a_credential_goes_first(self, admin: Api) -> None:
        """With both a cookie and credentials, the credentials count, wrong ones too."""
        page = Page(admin.url)
        page.sign_in("admin", PASSWORD).expect(201)
        answer = page.ask("GET", "/whoami", Authorization="Bearer mrg_" + "0" * 38)
        problem(answer, 401, "UNAUTHORIZED")


def test_a_second_factor(admin: Api) -> None:
    """With a second factor, a page asks for a code, each once; a password alone is nothing."""
    name, api = admin.account()
    path = f"/accounts/{name}/totp"
    problem(admin.post(path), 404, "NOT_FOUND")
    made = api.post(path).expect(201).json()
    totp = pyotp.TOTP(made["secret"])
    asked = {"ticket": made["ticket"], "code": totp.now(), "password": LONG}
    problem(api.put(path, {**asked, "password": "wrong password"}), 403, "DENIED")
    problem(api.put(path, {**asked, "ticket": "x"}), 422, "INVALID")
    api.put(path, asked).expect(204)
    problem(api.get("/whoami"), 401, "UNAUTHORIZED")
    page = Page(admin.url)
    problem(page.sign_in(name, LONG), 401, "UNAUTHORIZED")
    problem(page.sign_in(name, LONG, code=asked["code"]), 401, "UNAUTHORIZED")
    problem(admin.account()[1].post(f"{path}/remove", {}), 403, "DENIED")
    admin.post(f"{path}/remove", {}).expect(204)
    page.sign_in(name, LONG).expect(201)


def test_behind_https(server: Callable[..., Server], tmp_path: Path) -> None:
    """Where the registry's address is HTTPS, the cookie is for it alone, and so is the origin."""
    secret = tmp_path / "password"
    secret.write_text(PASSWORD)
    url = "https://registry.example"
    env = {"ADMIN_USER": "admin", "ADMIN_PASSWORD_FILE": str(secret), "URL": url}
    started = server(env={f"MOORAGE_{name}": value for name, value in env.items()})
    page = Page(started.url)
    problem(page.sign_in("admin", PASSWORD), 403, "DENIED")
    page.origin = {"Origin": url}
    answer = page.sign_in("admin", PASSWORD).expect(201)
    assert answer["Set-Cookie"].startswith("__Host-moorage=mrg_")
    assert {"Secure", "Path=/"} <= {part.strip() for part in answer["Set-Cookie"].split(";")}
    page.ask("POST", "/tokens", {"name": "x"}).expect(201)
    page.cookie = page.cookie.removeprefix("__Host-")
    problem(page.ask("GET", "/whoami"), 401, "UNAUTHORIZED")
