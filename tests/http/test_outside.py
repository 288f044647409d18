"""Signing in by a provider as a browser does: cookies, redirects, pages, and what comes of it."""

from __future__ import annotations

import html
import json
import re
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest

from api import Api, problem
from cli import Person
from conftest import PASSWORD
from identity import CLIENT, SECRET, IdentityProvider
from process import Server
from registry import Answer, Registry, requirement, unique
from trusting import PROVIDER, SETTINGS, Provider, post

pytestmark = pytest.mark.metadata


@pytest.fixture(scope="module")
def running(
    shared_server: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory
) -> Server:
    """Run a server that may ask providers on this machine."""
    secret = tmp_path_factory.mktemp("secret") / "password"
    secret.write_text(PASSWORD)
    secret.chmod(0o600)
    return shared_server(
        MOORAGE_ADMIN_USER="admin", MOORAGE_ADMIN_PASSWORD_FILE=str(secret), **SETTINGS
    )


@pytest.fixture(scope="module")
def admin(running: Server) -> Api:
    """Return the API as its administrator asks it."""
    return Api(running.url, ("admin", PASSWORD))


@pytest.fixture(scope="module")
def corp(admin: Api) -> Iterator[IdentityProvider]:
    """Run a provider that is registered as `corp`."""
    with IdentityProvider() as provider:
        register(admin, "corp", provider.url)
        yield provider


@pytest.fixture
def alice(corp: IdentityProvider) -> str:
    """Have somebody new be who signs in, and return the name."""
    name = unique("u")
    corp.person = {"sub": f"sub-{name}", "preferred_username": name, "groups": ["dev"]}
    return name


def register(admin: Api, name: str, url: str, **more: str) -> dict[str, Any]:
    """Register a provider."""
    asked = {"name": name, "url": url, "client_id": CLIENT, "client_secret": SECRET, **more}
    made: dict[str, Any] = admin.post("/providers", asked).expect(201).json()
    return made


class Browser:
    """What keeps cookies and goes where it is sent."""

    def __init__(self, url: str) -> None:
        self.registry = Registry(url)
        self.url = url
        self.cookies: dict[str, str] = {}

    def get(self, target: str, **headers: str) -> Answer:
        """Ask for a page, and keep the cookie that comes with it."""
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        sent = {"Accept": "text/html", **headers}
        if cookies:
            sent["Cookie"] = cookies
        answer = self.registry.request("GET", target, sent)
        set_cookie = answer.get("Set-Cookie")
        if set_cookie:
            name, _, value = set_cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer

    def begin(self, name: str = "corp", then: str = "") -> str:
        """Begin a sign-in, and return where the browser is sent."""
        asked = f"?then={quote(then, safe='')}" if then else ""
        answer = self.get(f"/sign-in/{name}{asked}").expect(302)
        return answer["Location"]

    def back(self, query: dict[str, str], name: str = "corp") -> Answer:
        """Come back from the provider."""
        return self.get(f"/sign-in/{name}/callback?{urlencode(query)}")

    def whoami(self) -> Answer:
        """Ask who is signed in by the session's cookie."""
        return self.get("/api/v1/whoami")


@pytest.fixture
def browser(running: Server) -> Browser:
    """Return a browser without cookies."""
    return Browser(running.url)


def page(answer: Answer, status: int) -> str:
    """Check that an answer is a page for people which may do nothing, and return its text."""
    assert answer.status == status, answer.body
    assert answer["Content-Type"] == "text/html; charset=utf-8"
    assert answer["Cache-Control"] == "no-store"
    assert answer["Referrer-Policy"] in ("no-referrer", "same-origin")
    assert "default-src 'none'" in answer["Content-Security-Policy"]
    assert "unsafe" not in answer["Content-Security-Policy"]
    text = answer.body.decode()
    assert not re.search(r'<script(?! type="module" src="/static/)', text)
    assert " style=" not in text
    assert not re.search(r"\son\w+=", text)
    return text


@requirement("S-76")
def test_the_way_in(browser: Browser, corp: IdentityProvider, alice: str) -> None:
    location = browser.begin(then="/api/v1/whoami?x=1")
    asked = parse_qs(urlsplit(location).query)
    assert asked["redirect_uri"] == [f"{browser.url}/sign-in/corp/callback"]
    assert len(asked["state"][0]) >= 43
    assert len(asked["nonce"][0]) >= 43
    answer = browser.back(corp.consent(location)).expect(303)
    assert answer["Location"] == "/api/v1/whoami?x=1"
    assert answer["Cache-Control"] == "no-store"
    assert browser.whoami().expect(200).json()["name"] == alice
    for cookie in (answer["Set-Cookie"], browser.get("/sign-in/corp")["Set-Cookie"]):
        assert "; HttpOnly; SameSite=Lax" in cookie
        assert "; Path=/;" in cookie
        assert "Domain" not in cookie
    # The session is one as any other: its person makes a token of its own by it.
    made = browser.registry.request(
        "POST",
        "/api/v1/tokens",
        {
            "Cookie": f"moorage={browser.cookies['moorage']}",
            "Origin": browser.url,
            "Content-Type": "application/json",
        },
        json.dumps({"name": "laptop"}).encode(),
    ).expect(201)
    token = made.json()["secret"]
    assert Api(browser.url, token).get("/whoami").expect(200).json()["name"] == alice


def test_a_state_of_another_browser(
    running: Server, browser: Browser, corp: IdentityProvider, alice: str
) -> None:
    """Nobody is signed in as somebody else by a link; and no link is good twice."""
    mallory = Browser(running.url)
    query = corp.consent(mallory.begin())
    text = page(browser.back(query), 401)  # without having begun
    assert "did not begin in this browser" in text
    browser.begin()
    page(browser.back(query), 401)  # having begun another one
    assert "moorage" not in browser.cookies
    mallory.back(query).expect(303)
    page(mallory.back(query), 401)
    assert alice not in text


def test_a_mix_up(admin: Api, browser: Browser, corp: IdentityProvider, alice: str) -> None:
    name = unique("evil")
    with IdentityProvider() as evil:
        register(admin, name, evil.url)
        evil.person = {"sub": "1", "preferred_username": unique("u")}
        query = corp.consent(browser.begin())
        page(browser.back(query, name), 401)
        query = corp.consent(browser.begin())
        text = page(browser.back({**query, "iss": evil.url}), 401)
        assert "another provider" in text
        assert evil.forms == []
        admin.delete(f"/providers/{name}").expect(204)
    assert alice not in text


@pytest.mark.parametrize(
    "then", ["//evil.example", "https://evil.example/", "/\\evil.example", "/%0d%0aSet-Cookie:a=b"]
)
def test_nothing_but_a_path_to_go_on_to(
    browser: Browser, corp: IdentityProvider, then: str
) -> None:
    assert corp.url
    answer = browser.get(f"/sign-in/corp?then={then}")
    page(answer, 422)
    assert answer.get("Location") is None
    assert browser.cookies == {}


def test_what_the_provider_says_is_no_markup(
    admin: Api, browser: Browser, corp: IdentityProvider, alice: str
) -> None:
    query = {"state": corp.consent(browser.begin())["state"], "error": "<script>alert(1)</script>"}
    assert "&lt;script" not in page(browser.back(query), 401)
    query = {"state": corp.consent(browser.begin())["state"], "error": "access_denied"}
    assert "access_denied" in page(browser.back(query), 401)
    admin.account(alice)
    corp.person["sub"] = "<b>\"'&"
    text = page(browser.back(corp.consent(browser.begin())), 409)
    assert "<b>" not in text
    assert "<b>\"'& of corp" in html.unescape(text)


@requirement("S-30")
def test_who_is_disabled(admin: Api, browser: Browser, corp: IdentityProvider, alice: str) -> None:
    browser.back(corp.consent(browser.begin())).expect(303)
    browser.whoami().expect(200)
    admin.patch(f"/accounts/{alice}", {"enabled": False}).expect(200)
    browser.whoami().expect(401)
    text = page(browser.back(corp.consent(browser.begin())), 403)
    assert "is disabled" in text
    assert admin.get(f"/accounts/{alice}").expect(200).json()["enabled"] is False
    admin.delete(f"/accounts/{alice}").expect(204)
    assert "was deleted" in page(browser.back(corp.consent(browser.begin())), 403)


def test_a_group_is_taken_away(
    admin: Api, browser: Browser, corp: IdentityProvider, alice: str
) -> None:
    home = admin.organisation()
    admin.post(f"/namespaces/{home}/teams", {"name": "dev"}).expect(201)
    group = {"provider": "corp", "group": "dev"}
    groups = f"/namespaces/{home}/teams/dev/groups"
    admin.post(groups, group).expect(201)
    assert admin.get(groups).expect(200).json()["items"] == [group]
    admin.put(f"/namespaces/{home}/grants/team/{home}/dev", {"role": "owner"}).expect(200)
    browser.back(corp.consent(browser.begin())).expect(303)
    listed = f"/api/v1/namespaces/{home}/teams"
    browser.get(listed).expect(200)
    admin.post(f"{groups}/remove", group).expect(204)
    assert browser.get(listed).status in (401, 404)
    problem(admin.post(f"{groups}/remove", group), 404, "NOT_FOUND")
    problem(admin.post(groups, {**group, "provider": "nowhere"}), 404, "NOT_FOUND")
    assert alice


def test_providers_are_managed(admin: Api, browser: Browser, corp: IdentityProvider) -> None:
    name = unique("idp")
    made = register(admin, name, corp.url, groups_claim="roles")
    assert "client_secret" not in made
    assert (made["has_secret"], made["enabled"]) == (True, True)
    assert made["sign_in"] == f"/sign-in/{name}"
    shown = admin.get(f"/providers/{name}").expect(200)
    assert shown.json() == made
    assert name in [each["name"] for each in admin.items("/providers?limit=1")]
    assert SECRET.encode() not in admin.get("/audit?limit=1000").expect(200).body
    problem(
        admin.post("/providers", {"name": name, "url": corp.url, "client_id": "x"}), 409, "CONFLICT"
    )
    problem(admin.patch(f"/providers/{name}", {}), 422, "INVALID")
    admin.patch(f"/providers/{name}", {"client_secret": "other"}).expect(200)
    admin.patch(f"/providers/{name}", {"enabled": False}).expect(200)
    page(browser.get(f"/sign-in/{name}"), 404)
    page(browser.get(f"/sign-in/{unique('nowhere')}"), 404)
    admin.patch(f"/providers/{name}", {"enabled": True}).expect(200)
    browser.begin(name)
    admin.delete(f"/providers/{name}").expect(204)
    problem(admin.get(f"/providers/{name}"), 404, "NOT_FOUND")
    _, nobody = admin.account()
    problem(nobody.get("/providers"), 403, "DENIED")
    gone = {"name": unique("g"), "url": "http://127.0.0.1:1", "client_id": "x"}
    problem(admin.post("/providers", gone), 422, "INVALID")


NOWHERE = ("/sign-in/corp/callback/", "/sign-in/corp/else", "/sign-in/%2e%2e/x")


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/sign-in/", 404),
        ("/sign-in/corp/", 404),
        ("/sign-in/corp/callback/", 404),
        ("/sign-in/corp/else", 404),
        ("/sign-in/CORP", 404),
        ("/sign-in/%2e%2e/x", 404),
        ("/sign-in/corp/callback", 401),
        ("/sign-in/corp/callback?code=a&code=b", 422),
        ("/sign-in/corp/callback?state=%00", 422),
        ("/sign-in/corp/callback?state=" + "a" * 5_000, 422),
        ("/sign-in/corp?then=/a&then=/b", 422),
    ],
)
def test_odd_addresses(browser: Browser, corp: IdentityProvider, target: str, status: int) -> None:
    assert corp.url
    answer = browser.get(target)
    page(answer, status)
    is_page = not target.startswith(NOWHERE) and not target.endswith("/")
    assert not is_page or answer["Referrer-Policy"] == "no-referrer"
    assert answer.get("WWW-Authenticate") == ('Bearer realm="Moorage"' if status == 401 else None)
    for method in ("POST", "PUT", "DELETE", "HEAD"):
        there = browser.registry.request(method, target, {"Accept": "text/html"})
        assert there.status == (405 if is_page else 404)


def test_a_provider_that_is_down(admin: Api, running: Server) -> None:
    """Every process says so: one that has spoken to the provider before, and one that has not."""
    name = unique("idp")
    browsers = [Browser(running.url) for _ in range(8)]
    with IdentityProvider() as provider:
        register(admin, name, provider.url)
        provider.person = {"sub": "1", "preferred_username": unique("u")}
        queries = [provider.consent(each.begin(name)) for each in browsers]
    for each, query in zip(browsers, queries, strict=True):
        page(each.back(query, name), 503)


@pytest.mark.where(PROVIDER)
def test_with_a_real_provider(admin: Api, browser: Browser, tmp_path: Path) -> None:
    """From its sign-in page to rights by its groups, and to none when it has no group any more."""
    name, who = unique("real"), unique("u")
    claims: dict[str, Any] = {"sub": unique("s"), "preferred_username": who, "groups": ["dev"]}
    with Provider(claims, tmp_path / "log") as provider:
        register(admin, name, provider.url)
        home = admin.organisation()
        admin.post(f"/namespaces/{home}/teams", {"name": "dev"}).expect(201)
        group = {"provider": name, "group": "dev"}
        admin.post(f"/namespaces/{home}/teams/dev/groups", group).expect(201)
        admin.put(f"/namespaces/{home}/grants/team/{home}/dev", {"role": "owner"}).expect(200)
        listed = f"/api/v1/namespaces/{home}/teams"
        for groups, status in ((["dev"], 200), ([], 404)):
            about = json.dumps({**claims, "groups": groups}).encode()
            place = f"{provider.url}/users/{claims['sub']}"
            headers = {"Content-Type": "application/json"}
            urllib.request.urlopen(
                urllib.request.Request(place, about, headers, method="PUT"), timeout=10
            ).close()
            back = post(browser.begin(name), {"sub": claims["sub"]}, {}).headers["Location"]
            assert back.startswith(f"{browser.url}/sign-in/{name}/callback?")
            browser.get(back.removeprefix(browser.url)).expect(303)
            assert browser.whoami().expect(200).json()["name"] == who
            assert browser.get(listed).status == status


def test_on_the_command_line(
    running: Server, corp: IdentityProvider, browser: Browser, tmp_path: Path
) -> None:
    """From a provider to a member of a team by its group, and back."""
    name, home, who = unique("idp"), unique("o"), unique("u")
    root = Person(tmp_path / "home")
    root("login", running.address, "-u", "admin", "--password-stdin", given=PASSWORD)
    secret = tmp_path / "client-secret"
    secret.write_text(SECRET + "\n")
    words = ("--client-id", CLIENT, "--secret-file", str(secret))
    told = root("provider", "add", name, corp.url, *words, "--groups-claim", "roles").out
    assert f"/sign-in/{name}" in told
    assert name in root("provider", "list", "--limit", "all").out
    shown = root("provider", "show", name, "-o", "json")
    assert shown.json()["groups_claim"] == "roles"
    assert SECRET not in shown.out
    root("namespace", "create", home)
    root("team", "create", f"{home}/dev")
    root("team", "group", "add", f"{home}/dev", name, "/acme/developers")
    assert "/acme/developers" in root("team", "group", "list", f"{home}/dev").out
    corp.person = {"sub": "7", "preferred_username": who, "roles": ["/acme/developers"]}
    browser.back(corp.consent(browser.begin(name)), name).expect(303)
    assert who in root("team", "list", f"{home}/dev").out
    root("team", "group", "remove", f"{home}/dev", name, "/acme/developers")
    assert who not in root("team", "list", f"{home}/dev").out
    assert root.run("team", "group", "remove", f"{home}/dev", name, "x").code != 0
    root("provider", "secret", name, "-", given="another")
    page(browser.back(corp.consent(browser.begin(name)), name), 401)
    root("provider", "disable", name)
    page(browser.get(f"/sign-in/{name}"), 404)
    root("provider", "enable", name)
    assert root.run("provider", "remove", name, "--yes").code == 9
    root("user", "bind", who)
    root("provider", "remove", name, "--yes")
    assert root.run("provider", "show", name).code != 0
