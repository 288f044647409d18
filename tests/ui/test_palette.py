"""The palette: by the keyboard alone to any place that the visitor may see."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, Page, expect

from api import PASSWORD
from ui.filled import Filled
from ui.test_matrix import NARROW, WIDER, told
from ui.watching import Watched

ACTIVE = """() => {
    const box = document.getElementById("palette-box");
    const one = document.getElementById(box.getAttribute("aria-activedescendant"));
    return one && one.getAttribute("aria-selected") === "true" ? one.textContent : null;
}"""
HAS_FOCUS = "document.activeElement.id"


def opened(there: Watched, path: str = "/r/acme/shop") -> Page:
    """Open a page and then the palette."""
    assert there.open(path) == 200
    there.page.keyboard.press("Control+k")
    expect(there.page.get_by_role("dialog")).to_be_visible()
    return there.page


def test_it_goes_where_it_is_told(watched: Callable[..., Watched], filled: Filled) -> None:
    page = opened(watched("owner"), "/")
    assert page.evaluate(HAS_FOCUS) == "palette-box"
    page.keyboard.type("acme/sh")
    expect(page.get_by_role("option", name="acme/shop", exact=True)).to_be_visible()
    page.keyboard.type("op")
    expect(page.get_by_role("option").first).to_have_text("acme/shop")
    assert page.evaluate(ACTIVE) == "acme/shop"
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{filled.server.url}/r/acme/shop")


def test_it_finds_digests_and_what_is_pasted(
    watched: Callable[..., Watched], filled: Filled
) -> None:
    digest = filled.addresses["image"]
    page = opened(watched("anonymous"), "/")
    page.keyboard.type(digest.partition(":")[2][:10])
    page.get_by_role("group", name="Digests").get_by_role("option").first.wait_for()
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{filled.server.url}/r/acme/shop/-/d/{digest}")
    page.keyboard.press("Control+k")
    page.keyboard.type(f"{filled.server.address}/acme/shop:latest")
    expect(page.get_by_role("option").first).to_have_text("acme/shop:latest")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{filled.server.url}/r/acme/shop/-/d/{digest}?tag=latest")


def test_each_tag_is_a_place_of_its_own(watched: Callable[..., Watched], filled: Filled) -> None:
    page = opened(watched("anonymous"), "/")
    page.keyboard.type("v1.0.")
    tags = page.get_by_role("group", name="Tags").get_by_role("option")
    tags.nth(3).wait_for()
    page.keyboard.press("ArrowDown")
    active = page.evaluate(ACTIVE)
    page.keyboard.press("Enter")
    tag = active.partition("sha256")[0].partition(":")[2]
    expect(page).to_have_url(re.compile(rf"/r/acme/shop/-/d/sha256:[0-9a-f]+\?tag={tag}$"))


def test_it_does_what_the_page_can(watched: Callable[..., Watched], filled: Filled) -> None:
    page = opened(watched("owner"))
    page.keyboard.type("new tok")
    assert page.evaluate(ACTIVE) == "New token…"
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{filled.server.url}/tokens#new")
    page.goto(f"{filled.server.url}/r/acme/shop")
    page.keyboard.press("Control+k")
    page.keyboard.type("compare")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert page.evaluate(HAS_FOCUS) == "a"
    page.keyboard.press("Control+k")
    page.keyboard.type("colours dark")
    page.keyboard.press("Enter")
    page.wait_for_selector("html[data-theme=dark]")
    page.keyboard.press("Control+k")
    page.keyboard.type("colours auto")
    page.keyboard.press("Enter")
    page.wait_for_selector("html[data-theme=auto]")


def test_the_keys_and_the_focus(watched: Callable[..., Watched]) -> None:
    there = watched("reader")
    assert there.open("/r/acme/shop") == 200
    page = there.page
    page.locator("#filter").focus()
    page.keyboard.press("Control+k")
    count = page.get_by_role("dialog").get_by_role("option").count()
    assert count > 5
    seen = [page.evaluate(ACTIVE)]
    for _ in range(count - 1):
        page.keyboard.press("ArrowDown")
        seen.append(page.evaluate(ACTIVE))
    assert None not in seen
    assert seen == page.get_by_role("dialog").get_by_role("option").all_text_contents()
    page.keyboard.press("ArrowDown")
    assert page.evaluate(ACTIVE) == seen[0]
    page.keyboard.press("ArrowUp")
    assert page.evaluate(ACTIVE) == seen[-1]
    for _ in range(3):
        page.keyboard.press("Tab")
    assert page.evaluate("document.querySelector('main').contains(document.activeElement)") is False
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert page.evaluate(HAS_FOCUS) == "filter"
    page.keyboard.press("Control+k")
    page.keyboard.press("Control+k")
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert page.evaluate(HAS_FOCUS) == "filter"


def test_recent_places_are_of_whoever_was_there(browser: Browser, filled: Filled) -> None:
    url = filled.server.url
    with browser.new_context() as context:
        there = Watched(context, url)
        page = there.page
        there.open("/sign-in")
        page.get_by_label("Name", exact=True).fill("owner")
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("main").get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{url}/")
        there.open("/r/acme/bare/-/settings")
        there.open("/r/acme/none", 404)
        recent = opened(there, "/").get_by_role("group", name="Recent").get_by_role("option")
        assert recent.all_text_contents() == ["Settings of acme/bare"]
        page.keyboard.type("sign out")
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile("done=signed-out"))
        page.keyboard.press("Control+k")
        expect(page.get_by_role("option").first).to_be_visible()
        assert page.get_by_role("group", name="Recent").count() == 0
        assert page.evaluate("localStorage.length") == 0
        there.check()


@pytest.mark.parametrize("visitor", ["anonymous", "administrator"])
def test_it_is_readable_in_every_colour(watched: Callable[..., Watched], visitor: str) -> None:
    page = opened(watched(visitor))
    page.evaluate(AXE_SCRIPT)
    for text in ("", "shop"):
        page.keyboard.type(text)
        expect(page.locator("#palette-told")).to_contain_text("found" if text else "")
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)
            told(page, f"palette with {text!r}", theme)
        page.emulate_media(color_scheme="light", forced_colors="active")
        told(page, f"palette with {text!r}", "forced colours")
        page.emulate_media(color_scheme="light", forced_colors="none")
        page.set_viewport_size(NARROW)
        assert not page.evaluate(WIDER)
        box = page.get_by_role("dialog").bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= NARROW["width"]
        page.set_viewport_size({"width": 1280, "height": 900})


def test_without_scripts_there_is_the_search(browser: Browser, filled: Filled) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        there = Watched(context, filled.server.url)
        there.open("/")
        assert not there.page.locator("#palette").is_visible()
        assert not there.page.locator("#palette-open").is_visible()
        there.page.get_by_label(re.compile("^Search images")).fill("shop")
        there.page.keyboard.press("Enter")
        expect(there.page.get_by_role("main")).to_contain_text("acme/shop")
        there.check()
