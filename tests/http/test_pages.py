"""Pages: who sees which, what they may load and run, whose forms count, and what nobody learns."""

from __future__ import annotations

import html
import json
import re
import time
from pathlib import Path
from urllib.parse import urlencode

import pytest

import moorage.ui
from browser import HTML, Browser
from cast import PASSWORD, PLACES, Cast
from moorage.ui import files
from moorage.ui.pages import PAGES
from paged import ROWS, address, ask
from registry import OCI_CONFIG, Answer, Registry, describe, encode

pytestmark = [pytest.mark.metadata, pytest.mark.usefixtures("hidden_tags")]

ROOM = Path(moorage.ui.__file__).parent
WHO = ("anonymous", "stranger", "reader", "maintainer", "owner", "auditor", "administrator")
# They have rows elsewhere: in api_matrix.toml those, and below the stream.
ELSEWHERE = {"set-up", "link", "provider-sign-in", "provider-callback", "events"}
HOSTILE = "<img src=x onerror=alert(1)>\"'</script><b>"


@pytest.fixture
def browser(cast: Cast) -> Browser:
    """Return a browser that nobody is signed in with."""
    return Browser(cast)


def test_every_page_has_a_row() -> None:
    assert {page.name for page in PAGES} - ELSEWHERE == set(ROWS)


@pytest.mark.parametrize("name", ROWS)
def test_who_sees_it(cast: Cast, name: str) -> None:
    path = address(cast, name)
    expected = dict(zip(WHO, map(int, ROWS[name][1].split()), strict=True))
    assert {who: ask(cast, who, path).status for who in WHO} == expected
    if expected["anonymous"] == 303 and name != "compare-pick":
        there = ask(cast, "anonymous", path)["Location"]
        assert there.startswith("/sign-in?next=/")


@pytest.mark.parametrize("name", [page.name for page in PAGES if page.twin])
def test_the_twin_has_what_the_page_has(cast: Cast, name: str) -> None:
    path, _, query = address(cast, name).partition("?")
    twin = f"{path}.json" + (f"?{query}" if query else "")
    expected = dict(zip(WHO, map(int, ROWS[name][1].split()), strict=True))
    for who in WHO:
        answer = ask(cast, who, twin)
        assert answer.status == (401 if expected[who] == 303 else expected[who]), who
        told = json.loads(answer.body)
        assert ("status" in told) == (answer.status != 200)


@pytest.mark.parametrize("name", ROWS)
def test_a_page_loads_and_runs_nothing_but_our_own(cast: Cast, name: str) -> None:
    answer = ask(cast, "administrator", address(cast, name))
    if answer.status in (302, 303):
        return
    policy = answer["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self'" in policy
    assert "unsafe" not in policy
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Cache-Control"] == "no-store"
    assert answer["Referrer-Policy"] == "same-origin"
    text = answer.body.decode()
    assert not re.search(r"<script(?! type=\"module\" src=\"/static/)|\son\w+=|\sstyle=", text)
    loaded = re.findall(r'<(?:script|link|img)[^>]*?(?:src|href)="([^"]+)"', text)
    assert all(each.startswith(("/static/", "/")) and "//" not in each for each in loaded)


@pytest.mark.parametrize("name", ROWS)
def test_what_is_hidden_looks_like_what_is_not_there(cast: Cast, name: str) -> None:
    path = address(cast, name)
    if "acme/private" not in path or path.startswith("/access"):
        return
    hidden = ask(cast, "stranger", path)
    missing = ask(cast, "stranger", path.replace("acme/private", "gone/private"))
    assert (hidden.status, missing.status) == (404, 404)
    assert plain(hidden) == plain(missing).replace("gone/private", "acme/private")
    for each in ("anonymous", "former"):
        one = ask(cast, each, path)
        other = ask(cast, each, path.replace("acme/private", "gone/private"))
        assert one.status == other.status
        assert plain(one) == plain(other).replace("gone/private", "acme/private")


def plain(answer: Answer) -> str:
    """Return a page without what is of each request alone."""
    text = re.sub(r"[0-9a-f]{32,128}", "", answer.body.decode())
    return text + (answer.get("Location") or "")


def test_the_first_page_has_no_push_of_what_is_hidden(cast: Cast) -> None:
    """A push is told to those alone who may read where it went."""
    shown = {"anonymous": {"public"}, "stranger": {"public", "internal"}, "reader": set(PLACES)}
    for who, visibilities in shown.items():
        told = json.loads(ask(cast, who, "/.json").expect(200).body)["recent"]
        names = {each["repository"] for each in told} & set(PLACES.values())
        assert names == {PLACES[each] for each in visibilities}, who
        text = ask(cast, who, "/").body.decode()
        assert "secret/x" not in text
        assert (PLACES["private"] in text) == (who == "reader")


@pytest.mark.parametrize("who", ["scoped", "token for elsewhere"])
def test_a_confined_token_searches_no_page(cast: Cast, who: str) -> None:
    """As it does not over the API: what it is for is no more than some repositories."""
    for path in ("/search?q=acme", "/search.json?q=acme", "/images", "/n", "/storage"):
        assert ask(cast, who, path).status == 403, path
    assert ask(cast, who, "/search?q=acme").body.count(b"acme/public") == 0


def test_a_namespace_that_nobody_may_see_is_not_there(cast: Cast) -> None:
    for who in ("anonymous", "stranger", "anonymous after", "stranger after"):
        who, after, _ = who.partition(" after")  # noqa: PLW2901
        query = "?after=zzz" if after else ""
        one, other = (ask(cast, who, f"/n/{name}{query}") for name in ("secret", "nowhere"))
        assert one.status == (303 if who == "anonymous" else 404)
        assert one.status == other.status
        assert plain(one).replace("secret", "") == plain(other).replace("nowhere", "")


def test_signing_in_and_out(browser: Browser) -> None:
    assert browser.get("/tokens")["Location"] == "/sign-in?next=/tokens"
    browser.sign_in("owner")
    assert browser.get("/tokens").status == 200
    assert browser.get("/account").status == 200
    session = browser.cookies["moorage"]
    answer = browser.post("/sign-out", {"do": "sign-out"})
    assert (answer.status, answer["Location"]) == (303, "/?done=signed-out")
    assert browser.cookies["moorage"] == ""
    browser.cookies["moorage"] = session
    assert browser.get("/tokens").status == 303


def test_the_cookie_of_a_session_is_for_no_script_and_no_other_site(browser: Browser) -> None:
    browser.get("/sign-in")
    fields = {"do": "sign-in", "name": "owner", "password": PASSWORD}
    made = browser.post("/sign-in", fields)["Set-Cookie"]
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(made.split("; "))


def test_a_wrong_password_says_no_more_than_a_wrong_name(browser: Browser) -> None:
    browser.get("/sign-in")
    answers = [
        browser.post("/sign-in", {"do": "sign-in", "name": name, "password": "no"})
        for name in ("owner", "nobody")
    ]
    assert [each.status for each in answers] == [401, 401]
    texts = [plain(each).replace("nobody", "owner") for each in answers]
    assert texts[0] == texts[1]


@pytest.mark.parametrize(
    "place",
    [
        "//evil.example",
        "/\\evil.example",
        "https:evil.example",
        "https://evil.example/",
        "javascript:alert(1)",
        "/\r\nSet-Cookie: a=b",
        "\\/evil.example",
        "/\t/evil.example",
        "evil",
    ],
)
def test_nobody_is_sent_away_from_here(browser: Browser, place: str) -> None:
    browser.get("/sign-in?" + urlencode({"next": place if place.isprintable() else "/"}))
    fields = {"do": "sign-in", "name": "owner", "password": PASSWORD, "next": place}
    answer = browser.post("/sign-in", fields)
    assert (answer.status, answer["Location"]) == (303, "/")


def test_after_signing_in_one_goes_on(browser: Browser) -> None:
    browser.get("/sign-in")
    fields = {"do": "sign-in", "name": "owner", "password": PASSWORD, "next": "/r/acme/private?a=b"}
    assert browser.post("/sign-in", fields)["Location"] == "/r/acme/private?a=b"


@pytest.mark.parametrize(
    "changed",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": None},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Content_Type": "text/plain"},
        {"Content_Type": "application/json"},
        {"Content_Type": "multipart/form-data"},
    ],
)
def test_no_other_page_sends_a_form(browser: Browser, changed: dict[str, str | None]) -> None:
    browser.sign_in("owner")
    answer = browser.post("/tokens", {"do": "create", "name": "x", "days": "1"}, **changed)
    assert answer.status in (403, 422)
    assert b"The token x is made" not in browser.get("/tokens").body


@pytest.mark.parametrize("token", ["", "0" * 128, "f" * 128, "x", "another session's"])
def test_a_form_is_of_its_own_session(cast: Cast, browser: Browser, token: str) -> None:
    browser.sign_in("owner")
    if token == "another session's":
        token = Browser(cast).sign_in("reader").token
    answer = browser.post("/tokens", {"do": "create", "name": "x", "days": "1", "form": token})
    assert answer.status == 403
    assert b"before you signed in" in answer.body


def test_a_token_is_shown_once_and_works(cast: Cast, browser: Browser) -> None:
    browser.sign_in("owner")
    fields = {"do": "create", "name": "ci", "days": "7", "pattern": "acme/**", "action": "pull"}
    answer = browser.post("/tokens", fields)
    assert answer.status == 200
    secret = re.search(r"mrg_\w+", answer.body.decode())
    assert secret is not None
    assert secret[0].encode() not in browser.get("/tokens").body
    with_it = Registry(browser.registry.url, ("token", secret[0]))
    assert with_it.request("GET", "/v2/acme/private/tags/list").status == 200


def test_hostile_texts_are_texts(cast: Cast, browser: Browser) -> None:
    """Whatever an image or a form says is shown as it is, and is never markup."""
    there = cast.asked_by["owner"].repository("acme/hostile")
    said = {"Labels": {HOSTILE: HOSTILE}, "Env": [HOSTILE], "User": HOSTILE}
    config = encode({"os": HOSTILE, "architecture": HOSTILE, "author": HOSTILE, "config": said})
    there.push_blob(config)
    image = there.new_image(config=describe(config, OCI_CONFIG), annotations={HOSTILE: HOSTILE})
    digest = there.push_manifest(image, "hostile").digest
    browser.sign_in("owner")
    for tab in ("", "/layers", "/config", "/attached", "/raw"):
        text = browser.get(f"/r/acme/hostile/-/d/{digest}{tab}").body.decode()
        assert "<img" not in text
        assert "<b>" not in text
    shown = browser.get(f"/r/acme/hostile/-/d/{digest}").body.decode()
    assert HOSTILE in html.unescape(shown)
    for path in ("/search", "/activity", "/access", "/images"):
        answer = browser.get(f"{path}?" + urlencode({"q": HOSTILE, "who": HOSTILE, "where": "a"}))
        assert b"<img" not in answer.body


def test_what_is_pasted_behind_the_address_is_found(cast: Cast) -> None:
    digest = cast.images["private"].digest
    for path, place in (
        ("/acme/private:latest", "/r/acme/private/-/t/latest"),
        (f"/acme/private@{digest}", f"/r/acme/private/-/d/{digest}"),
        (f"/acme/private:latest@{digest}", f"/r/acme/private/-/d/{digest}"),
        ("/acme/private", "/r/acme/private"),
    ):
        assert ask(cast, "reader", path)["Location"] == place
        answer = cast.asked_by["reader"].request("GET", path, [("Accept", "application/json")])
        assert (answer.status, answer["Vary"]) == (404, "Accept")
    for path in ("/Acme/x", "/a/../b", "/acme/private:", "/-/x", "//evil.example", "/api/v2/x"):
        assert ask(cast, "reader", path).status in (400, 404)


def test_colours_are_kept_without_a_script(browser: Browser) -> None:
    browser.get("/")
    answer = browser.post("/theme", {"do": "theme", "theme": "dark", "next": "/images"})
    assert (answer.status, answer["Location"]) == (303, "/images")
    assert "moorage-theme=dark" in answer["Set-Cookie"]


@pytest.mark.parametrize(
    "path", ["/setup", "/link", "/sign-in/none", "/sign-in/none/callback?code=x"]
)
def test_an_address_with_a_secret_is_told_to_nobody(cast: Cast, path: str) -> None:
    answer = ask(cast, "anonymous", path)
    assert answer.status in (200, 404)
    assert answer["Referrer-Policy"] == "no-referrer"
    assert answer["Cache-Control"] == "no-store"
    assert b"code=x" not in answer.body
    assert b'action="/theme"' not in answer.body


def test_what_clients_ask_is_answered_as_before(cast: Cast) -> None:
    nobody: Registry = cast.asked_by["anonymous"]
    assert nobody.request("GET", "/")["Content-Type"].startswith("text/plain")
    assert nobody.request("GET", "/healthz", [HTML]).body == b"ok\n"
    assert nobody.request("GET", "/api/v1/none", [HTML]).status == 404


@pytest.mark.parametrize("name", files.NAMES)
def test_files_are_kept_for_ever_and_compressed(cast: Cast, name: str) -> None:
    place = files.address_of(name)
    nobody = cast.asked_by["anonymous"]
    answer = nobody.request("GET", place)
    assert (answer.status, answer.body) == (200, (ROOM / "static" / name).read_bytes())
    assert "immutable" in answer["Cache-Control"]
    packed = nobody.request("GET", place, [("Accept-Encoding", "gzip, br")])
    assert packed["Content-Encoding"] == "gzip"
    assert len(packed.body) < len(answer.body)
    head = nobody.request("HEAD", place)
    assert (head.status, head.body) == (200, b"")
    assert nobody.request("POST", place).status == 405
    assert nobody.request("GET", f"/static/{name}").status == 404


def test_crawlers_are_told_that_there_is_nothing_for_them(cast: Cast) -> None:
    """Also those who take nothing but text: it is no name of a repository at a terminal."""
    nobody = cast.asked_by["anonymous"]
    for headers in ([], [HTML], [("Accept", "text/plain")]):
        answer = nobody.request("GET", "/robots.txt", headers)
        assert (answer.status, answer.body) == (200, b"User-agent: *\nDisallow: /\n")
        assert answer["Content-Type"] == "text/plain; charset=utf-8"
        assert "immutable" not in answer["Cache-Control"]
    assert nobody.request("HEAD", "/robots.txt").status == 200
    assert nobody.request("POST", "/robots.txt").status == 405


@pytest.mark.parametrize(
    "path",
    ["/static/", "/static", "/static/../app.py", "/static/%2e%2e/app.py", "/static//link.js"],
)
def test_no_other_file_is(cast: Cast, path: str) -> None:
    answer = cast.asked_by["anonymous"].request("GET", path, [("Accept", "application/json")])
    assert answer.status in (400, 404)


@pytest.mark.parametrize("name", [each for each in files.NAMES if each.endswith(".js")])
def test_scripts_fetch_nothing_from_elsewhere_and_write_no_markup(name: str) -> None:
    """What the registry or an address says is set as text, never as HTML."""
    text = (ROOM / "static" / name).read_text()
    assert not re.search(r"https?://|innerHTML|insertAdjacent|document\.write|eval\(", text)


def test_the_palette_is_where_one_may_search(cast: Cast) -> None:
    """Without scripts its button is not shown, and the form of the search page is there."""
    text = ask(cast, "anonymous", "/").body.decode()
    assert re.search(rf'<script [^>]*data-then="{files.address_of("palette.js")}[ "]', text)
    assert re.search(r"<dialog [^>]*id=\"palette\"(?![^>]* open)", text)
    assert re.search(r"<button [^>]*id=\"palette-open\"[^>]* hidden>", text)
    assert '<form class="find" action="/search" role="search">' in text


def test_what_is_hidden_is_not_shown_after_all() -> None:
    """Any `display` of a class would win over the attribute's own."""
    assert "[hidden] { display: none !important; }" in (ROOM / "static/moorage.css").read_text()


def test_templates_have_nothing_inline_and_trust_nothing() -> None:
    for path in (ROOM / "templates").iterdir():
        text = path.read_text()
        assert not re.search(
            r"\|\s*safe|autoescape|<style|\sstyle=|\son\w+=\"|https?://(?!token)", text
        )


def test_the_pages_of_a_first_visit_are_small(cast: Cast) -> None:
    """A hundred kilobytes in eight requests: with much to spare."""
    packed = ("Accept-Encoding", "gzip")
    answer = ask(cast, "administrator", "/", packed)
    total, requests = len(answer.body), 1 + len(files.NAMES)
    for name in files.NAMES:
        total += len(files.all_files()[name].packed)
    assert total < 40_000
    assert requests <= 8


def test_a_fault_is_a_page_for_people_and_a_problem_for_programs(cast: Cast) -> None:
    """An address that can't be read is refused before there is a page, and looks like one."""
    nobody = cast.asked_by["anonymous"]
    query = "&".join(["a=b"] * 1_001)
    page = nobody.request("GET", f"/images?{query}", [HTML])
    assert page.status == 414
    assert page["Content-Type"].startswith("text/html")
    assert "default-src 'none'" in page["Content-Security-Policy"]
    told = nobody.request("GET", f"/images.json?{query}")
    assert (told.status, told["Content-Type"]) == (414, "application/problem+json")


def test_the_trail_is_shown_whatever_its_entries_are_about(cast: Cast) -> None:
    """Entries about an account or a namespace have no repository."""
    end = time.monotonic() + 30
    while b"<tr><td>" not in (answer := ask(cast, "administrator", "/activity").expect(200)).body:
        assert time.monotonic() < end, answer.body
        time.sleep(0.2)
    found = json.loads(ask(cast, "administrator", "/activity.json").expect(200).body)["entries"]
    assert any("repository" not in each["detail"] for each in found)
