"""Other sites in the same browser, and whoever sits down at it afterwards: neither does anything.

One that is on another port of the same machine is of the same site, so that the session's cookie is
sent with what it asks; the other one is of another.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from api import PASSWORD, Api
from registry import unique
from ui.filled import Filled

SITES = ("127.0.0.1", "localhost")
SENT = """([url, kind, fields]) => {
    const form = document.createElement("form");
    Object.assign(form, {method: "post", action: url, enctype: kind, target: "_self"});
    for (const [name, value] of Object.entries(fields)) {
        const field = document.createElement("input");
        Object.assign(field, {type: "hidden", name, value});
        form.append(field);
    }
    document.body.append(form);
    form.submit();
}"""
# What a script of another site gets of an answer: nothing, or that it is opaque.
FETCHED = """async ([url, options]) => {
    try {
        const answer = await fetch(url, {credentials: "include", ...options});
        return answer.type === "opaque" ? "opaque" : `read: ${await answer.text()}`;
    } catch (fault) {
        return fault.name;
    }
}"""
FORM, TEXT, PARTS = "application/x-www-form-urlencoded", "text/plain", "multipart/form-data"


class Elsewhere:
    """A web server that is not ours, with one empty page."""

    def __init__(self) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = b"<!doctype html><title>Elsewhere</title><body></body>"
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        """Stop it."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Elsewhere]:
    """Return another site."""
    made = Elsewhere()
    yield made
    made.close()


@pytest.fixture
def mine(
    browser: Browser, filled: Filled, signed_in: Callable[[str, str], Any]
) -> Iterator[BrowserContext]:
    """Return the browser of the owner, who is signed in."""
    with browser.new_context(storage_state=signed_in(filled.server.url, "owner")) as context:
        yield context


def is_signed_in(context: BrowserContext, filled: Filled) -> bool:
    """Return whether the browser is let in where one has to be signed in."""
    return context.request.get(f"{filled.server.url}/account.json").status == 200


def sign_in(page: Page) -> None:
    """Do so by the page, which is open."""
    page.get_by_label("Name", exact=True).fill("reader")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("main").get_by_role("button", name="Sign in").click()


@pytest.mark.parametrize("site", SITES)
def test_no_form_of_another_site_does_anything(
    mine: BrowserContext, filled: Filled, elsewhere: Elsewhere, site: str
) -> None:
    url, owner = filled.server.url, Api(filled.server.url, ("owner", PASSWORD))
    name = unique("x")
    there = filled.owner.repository(f"acme/{unique('theirs-')}")
    there.push_image("kept")
    token = {"name": name, "days": "1"}
    # A form of plain text whose one field makes a document of JSON.
    document = json.dumps({"name": name, "ignored": ""})[:-2], '"}'
    tries: list[tuple[str, str, dict[str, str]]] = [
        ("/tokens", FORM, {"do": "create", **token}),
        ("/tokens", PARTS, {"do": "create", **token}),
        ("/tokens", TEXT, {"do": "create", **token}),
        ("/api/v1/tokens", TEXT, dict([document])),
        ("/api/v1/tokens", FORM, token),
        (f"/r/{there.name}", FORM, {"do": "delete-tag", "tag": "kept"}),
        (f"/r/{there.name}?_method=DELETE", FORM, {"_method": "DELETE"}),
        (f"/v2/{there.name}/blobs/uploads/", FORM, {}),
        ("/n/acme/-/access", FORM, {"do": "grant", "who": "mouse", "role": "owner"}),
        ("/sign-out", FORM, {"do": "sign-out"}),
        ("/theme", FORM, {"do": "theme", "theme": "dark"}),
        ("/sign-in", FORM, {"do": "sign-in", "name": "mouse", "password": PASSWORD}),
    ]
    page = mine.new_page()
    for place, kind, fields in tries:
        page.goto(f"http://{site}:{elsewhere.port}/")
        with page.expect_navigation() as arrived:
            page.evaluate(SENT, [url + place, kind, fields])
        answer = arrived.value
        assert answer is not None
        assert answer.status in (401, 403, 404, 405, 415, 422), (place, kind, answer.status)
    assert [each for each in owner.items("/tokens") if each["name"] == name] == []
    assert there.tags() == ["kept"]
    grants = owner.items("/namespaces/acme/grants")
    assert not [each for each in grants if {"mouse", "owner"} <= set(map(str, each.values()))]
    page.goto(f"{url}/account")
    expect(page.locator(".top details.menu summary")).to_have_text("owner")
    assert page.locator("html").get_attribute("data-theme") == "auto"


@pytest.mark.parametrize("site", SITES)
def test_no_script_of_another_site_reads_or_does_anything(
    mine: BrowserContext, filled: Filled, elsewhere: Elsewhere, site: str
) -> None:
    url, owner = filled.server.url, Api(filled.server.url, ("owner", PASSWORD))
    name = unique("x")
    body = json.dumps({"name": name})
    post: dict[str, Any] = {"method": "POST", "body": body}
    as_json = {**post, "headers": {"Content-Type": "application/json"}}
    page = mine.new_page()
    page.goto(f"http://{site}:{elsewhere.port}/")
    tries: list[tuple[str, dict[str, Any]]] = [
        ("/tokens.json", {}),
        ("/api/v1/tokens", {}),
        ("/v2/acme/shop/tags/list", {}),
        ("/events", {}),
        ("/api/v1/tokens", post),
        ("/api/v1/tokens", as_json),
        ("/api/v1/tokens", {**as_json, "mode": "no-cors"}),
        ("/api/v1/tokens", {**post, "mode": "no-cors"}),
        ("/api/v1/repositories/acme/bare", {"method": "DELETE"}),
        ("/v2/acme/shop/manifests/latest", {"method": "DELETE"}),
    ]
    for place, options in tries:
        told = page.evaluate(FETCHED, [url + place, options])
        assert told in ("TypeError", "opaque"), (place, options, told)
    assert [each for each in owner.items("/tokens") if each["name"] == name] == []
    filled.owner.get("/v2/acme/shop/manifests/latest").expect(200)
    assert is_signed_in(mine, filled)


@pytest.mark.parametrize("site", SITES)
def test_no_page_is_shown_in_a_frame(
    mine: BrowserContext, filled: Filled, elsewhere: Elsewhere, site: str
) -> None:
    """Whatever it is a page of: what is there, what is refused, and what can't be read."""
    page = mine.new_page()
    page.goto(f"http://{site}:{elsewhere.port}/")
    for place in ("/", "/tokens", "/sign-in", "/setup", "/r/acme/none", "/images?after=%00"):
        page.evaluate(
            "src => document.body.replaceChildren(Object.assign("
            "document.createElement('iframe'), {src, id: 'framed'}))",
            filled.server.url + place,
        )
        page.wait_for_timeout(200)
        framed = page.frame_locator("#framed").locator("main, pre, body.bare")
        assert framed.count() == 0, place


def test_a_stored_page_is_a_file_and_never_runs(mine: BrowserContext, filled: Filled) -> None:
    """What is pushed as a page, a picture with a script or a script is saved, and nothing else."""
    there = filled.owner.repository(f"acme/{unique('stored-')}")
    path = f"/repositories/{there.name}"
    page = mine.new_page()
    for text in (
        "<!doctype html><script>document.title = 'ran'</script>",
        "<svg xmlns='http://www.w3.org/2000/svg'><script>document.title = 'ran'</script></svg>",
    ):
        blob = there.push_blob(text.encode())
        filled.administrator.patch(path, {"visibility": "public"}).expect(200)
        page.goto(f"{filled.server.url}/images")
        with page.expect_download() as saved:
            page.evaluate("place => { location = place; }", there.path(f"blobs/{blob['digest']}"))
        assert saved.value.path().read_bytes() == text.encode()
        expect(page).to_have_title("Images · Moorage")


def test_no_script_sees_who_is_signed_in(mine: BrowserContext, filled: Filled) -> None:
    """The session is in no place that a script of ours could read, were it not ours after all."""
    page = mine.new_page()
    page.goto(f"{filled.server.url}/tokens")
    page.wait_for_load_state()
    [session] = [each for each in mine.cookies() if each.get("name") == "moorage"]
    kept = page.evaluate("() => [document.cookie, ...Object.values({...localStorage})].join(' ')")
    assert session["value"] not in kept
    assert session["value"] not in page.content()


def test_nothing_is_left_for_whoever_comes_back(browser: Browser, filled: Filled) -> None:
    """Behind the sign-out, the button that goes back leads to where one signs in."""
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{filled.server.url}/tokens")
        sign_in(page)
        expect(page).to_have_title("Tokens · Moorage")
        page.goto(f"{filled.server.url}/account")
        page.locator(".top details.menu summary").click()
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url("**/?done=signed-out")
        for _ in range(2):
            page.go_back()
            page.wait_for_url("**/sign-in**")
            expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


def test_a_session_that_was_there_before_is_not_taken_over(
    browser: Browser, filled: Filled
) -> None:
    """Neither one that somebody has made up, nor one of another's own."""
    made = Api(filled.server.url).post("/session", {"name": "mouse", "password": PASSWORD})
    others = made.expect(201)["Set-Cookie"].partition(";")[0].partition("=")[2]
    for planted in (f"mrg_{'0' * 38}", others):
        with browser.new_context() as context:
            cookie = {"name": "moorage", "value": planted, "url": filled.server.url}
            context.add_cookies([cookie])  # type: ignore[list-item]
            page = context.new_page()
            page.goto(f"{filled.server.url}/sign-in")
            if page.url.endswith("/sign-in"):  # what was planted is nobody's
                sign_in(page)
                expect(page.locator(".top details.menu summary")).to_have_text("reader")
                [session] = [each for each in context.cookies() if each.get("name") == "moorage"]
                assert session["value"] != planted
        with browser.new_context() as context:
            context.add_cookies([cookie])  # type: ignore[list-item]
            found = context.request.get(f"{filled.server.url}/account.json")
            assert found.status != 200 or found.json()["name"] == "mouse"


def test_signing_in_leads_nowhere_else(
    browser: Browser, filled: Filled, elsewhere: Elsewhere
) -> None:
    """However an address of elsewhere is written, as browsers read it."""
    there = f"localhost:{elsewhere.port}"
    for place in (
        f"//{there}/",
        f"/\\{there}/",
        f"\\\\{there}/",
        f"http://{there}/",
        f"http:{there}/",
        f"/\t/{there}/",
        f"/\n/{there}/",
        f"//{filled.server.address}@{there}/",
        f"/.//{there}/",
        f"/..//{there}/",
        "javascript:document.title='ran'",
        "data:text/html,<title>ran</title>",
    ):
        with browser.new_context() as context:
            page = context.new_page()
            answer = page.goto(f"{filled.server.url}/sign-in?next={quote(place)}")
            assert answer is not None
            if answer.status == 200:
                sign_in(page)
                page.wait_for_url(lambda url: "/sign-in" not in url)
            assert page.url.startswith(f"{filled.server.url}/"), (place, page.url)
