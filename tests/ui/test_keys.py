"""Single characters as keys: what each does, where none may do anything, and turning them off."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, Page, expect

from ui.filled import Filled
from ui.test_matrix import NARROW, UNSEEN, WIDER, told
from ui.watching import Watched

TAGS = "/r/acme/shop?sort=name"
FOCUSED = """() => {
    const one = document.activeElement;
    const row = one.closest("main tr");
    const style = getComputedStyle(one);
    return {
        row: row ? [...row.parentElement.children].indexOf(row) : -1,
        isSeen: one.matches(":focus-visible") && style.outlineStyle !== "none"
            && parseFloat(style.outlineWidth) >= 1,
        isClear: (() => {
            const box = one.getBoundingClientRect();
            const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
            return top !== null && (one.contains(top) || top.contains(one));
        })(),
    };
}"""
FIELDS = {
    "input": "<input>",
    "checkbox": "<input type=checkbox>",
    "textarea": "<textarea></textarea>",
    "select": "<select><option>one</option></select>",
    "editable": "<p contenteditable>text</p>",
}
INTO = """made => {
    const room = new DOMParser().parseFromString(made, "text/html").body.firstElementChild;
    room.id = "field";
    document.getElementById("main").append(room);
    room.focus();
}"""
COMPOSED = """() => {
    for (const key of ["g", "i", "/", "?", "j"]) {
        const made = { key, bubbles: true, isComposing: true };
        document.body.dispatchEvent(new KeyboardEvent("keydown", made));
    }
}"""
BLOCKED = """Object.defineProperty(window, "localStorage", {
    get() { throw new DOMException("blocked", "SecurityError"); },
});"""


@pytest.fixture
def alone(browser: Browser, filled: Filled) -> Iterator[Watched]:
    """Return a page of a browser that keeps nothing from or for other tests."""
    with browser.new_context(reduced_motion="reduce") as context:
        there = Watched(context, filled.server.url)
        yield there
        there.check()


def press(page: Page, *keys: str) -> None:
    """Press one key after the other."""
    for key in keys:
        page.keyboard.press(key)


def is_untouched(page: Page, url: str, focused: str) -> None:
    """Check that no key did anything."""
    page.wait_for_timeout(100)
    assert page.url == url
    assert not page.locator("#sheet").is_visible()
    assert page.evaluate("document.activeElement.id") == focused


def works(page: Page) -> None:
    """Check that keys do something here."""
    press(page, "?")
    expect(page.locator("#sheet")).to_be_visible()
    press(page, "Escape")
    expect(page.locator("#sheet")).to_be_hidden()


def test_g_goes_to_every_page_of_the_navigation(
    watched: Callable[..., Watched], filled: Filled
) -> None:
    there = watched("administrator")
    assert there.open(TAGS) == 200
    links = there.page.locator(".rail a")
    found = [(each.get_attribute("data-go"), each.get_attribute("href")) for each in links.all()]
    assert {("i", "/images"), ("a", "/activity"), ("s", "/storage")} < set(found)
    assert len({letter for letter, _ in found}) == len(found) == 9
    for letter, place in found:
        assert letter is not None
        press(there.page, "g", letter)
        expect(there.page).to_have_url(f"{filled.server.url}{place}")


def test_g_goes_only_where_the_navigation_does(
    watched: Callable[..., Watched], filled: Filled
) -> None:
    there = watched("anonymous")
    assert there.open(TAGS) == 200
    page = there.page
    press(page, "g", "s", "g", "a", "g", "t", "g", "j", "g", "x")
    is_untouched(page, filled.server.url + TAGS, "")
    press(page, "g")
    page.wait_for_timeout(1600)
    press(page, "i")
    is_untouched(page, filled.server.url + TAGS, "")
    press(page, "g", "Escape", "i")
    is_untouched(page, filled.server.url + TAGS, "")
    press(page, "g", "i")
    expect(page).to_have_url(f"{filled.server.url}/images")


def test_slash_goes_to_the_search(watched: Callable[..., Watched]) -> None:
    there = watched("anonymous")
    assert there.open(TAGS) == 200
    press(there.page, "/")
    assert there.page.evaluate("document.activeElement.id") == "find"
    assert there.page.locator("#find").input_value() == ""


def test_j_and_k_move_through_the_rows(watched: Callable[..., Watched], filled: Filled) -> None:
    there = watched("owner")
    assert there.open(TAGS) == 200
    page = there.page
    rows = page.locator("main tbody tr")
    last = rows.count() - 1
    assert last == 19
    for keys, row in (
        ("j", 0),
        ("jj", 2),
        ("k", 1),
        ("kkk", 0),
        ("j" * last, last),
        ("kkk", last - 3),
    ):
        press(page, *keys)
        assert page.evaluate(FOCUSED) == {"row": row, "isSeen": True, "isClear": True}, keys
    for row in reversed(range(last - 3)):
        press(page, "k")
        assert page.evaluate(FOCUSED) == {"row": row, "isSeen": True, "isClear": True}
    press(page, *("j" * (last + 1)))
    expect(page.get_by_role("link", name="Load more")).to_be_focused()
    name = rows.nth(last).get_by_role("rowheader").inner_text()
    press(page, "k", "Enter")
    expect(page).to_have_url(re.compile(rf"/-/d/sha256:[0-9a-f]+\?tag={re.escape(name)}$"))


def test_rows_of_entries_are_opened_where_they_are(watched: Callable[..., Watched]) -> None:
    there = watched("administrator")
    assert there.open("/activity") == 200
    press(there.page, "j", "j", "Enter")
    expect(there.page.locator("main tbody tr").nth(1).locator("details")).to_have_attribute(
        "open", ""
    )


def test_c_copies_the_pull_command_of_the_row(alone: Watched, filled: Filled) -> None:
    alone.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    assert alone.open(TAGS) == 200
    page = alone.page
    page.evaluate("navigator.clipboard.writeText('before')")
    press(page, "c")
    page.wait_for_timeout(100)
    assert page.evaluate("navigator.clipboard.readText()") == "before"
    press(page, "j", "j", "c")
    expect(page.locator("#said")).to_have_text("Copied")
    name = page.locator("main tbody tr").nth(1).get_by_role("rowheader").inner_text()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.endswith(f"pull {filled.server.address}/acme/shop:{name}")
    assert page.evaluate(FOCUSED)["row"] == 1


@pytest.mark.parametrize("kind", FIELDS)
def test_no_field_loses_a_character(
    watched: Callable[..., Watched], filled: Filled, kind: str
) -> None:
    there = watched("owner")
    assert there.open(TAGS) == 200
    page = there.page
    works(page)
    page.evaluate(INTO, FIELDS[kind])
    press(page, "g", "i", "/", "j", "k", "c", "?")
    is_untouched(page, filled.server.url + TAGS, "field")
    if kind in ("input", "textarea"):
        assert page.locator("#field").input_value() == "gi/jkc?"
    if kind == "editable":
        assert sorted(page.locator("#field").inner_text()) == sorted("gi/jkc?text")


@pytest.mark.parametrize("held", ["Control", "Alt", "Meta"])
def test_none_counts_with_another_key(
    watched: Callable[..., Watched], filled: Filled, held: str
) -> None:
    there = watched("owner")
    assert there.open(TAGS) == 200
    page = there.page
    works(page)
    press(page, f"{held}+g", "i", "g", f"{held}+i", f"{held}+/", f"{held}+j", f"{held}+?")
    is_untouched(page, filled.server.url + TAGS, "")


def test_none_counts_while_a_text_is_composed(
    watched: Callable[..., Watched], filled: Filled
) -> None:
    there = watched("owner")
    assert there.open(TAGS) == 200
    works(there.page)
    there.page.evaluate(COMPOSED)
    is_untouched(there.page, filled.server.url + TAGS, "")
    there.page.evaluate(COMPOSED.replace("isComposing: true", "isComposing: false"))
    expect(there.page).to_have_url(f"{filled.server.url}/images")


def test_none_counts_in_a_dialog(watched: Callable[..., Watched], filled: Filled) -> None:
    there = watched("owner")
    assert there.open(TAGS) == 200
    page = there.page
    press(page, "?")
    close = page.get_by_role("dialog").get_by_role("button", name="Close")
    expect(close).to_be_focused()
    press(page, "g", "i", "/", "j", "c", "?")
    page.wait_for_timeout(100)
    assert page.url == filled.server.url + TAGS
    expect(close).to_be_focused()
    press(page, "Control+k")
    expect(page.locator("#sheet")).to_be_hidden()
    expect(page.locator("#palette-box")).to_be_focused()
    press(page, "g", "i", "?")
    assert page.url == filled.server.url + TAGS
    expect(page.locator("#palette-box")).to_have_value("gi?")
    page.locator("#palette-box").fill("keys of")
    press(page, "Enter")
    expect(page.locator("#sheet")).to_be_visible()
    press(page, "Enter")
    expect(page.locator("#sheet")).to_be_hidden()


def test_they_are_turned_off_and_on(alone: Watched, filled: Filled) -> None:
    page = alone.page
    assert alone.open(TAGS) == 200
    assert str(page.locator("#find").get_attribute("placeholder")).endswith("  /")
    press(page, "?", "Tab")
    box = page.get_by_role("checkbox", name="Single characters are keys")
    expect(box).to_be_focused()
    expect(box).to_be_checked()
    press(page, "Space", "Escape")
    for path in (TAGS, "/images"):
        assert alone.open(path) == 200
        press(page, "g", "h", "/", "j", "c", "?")
        is_untouched(page, filled.server.url + path, "")
        assert "/" not in str(page.locator("#find").get_attribute("placeholder"))
    page.get_by_role("button", name="Keys", exact=True).click()
    expect(box).not_to_be_checked()
    box.check()
    press(page, "Escape")
    works(page)
    assert page.evaluate("localStorage.getItem('moorage-keys')") is None


def test_it_counts_in_other_windows_at_once(alone: Watched) -> None:
    assert alone.open(TAGS) == 200
    other = Watched(alone.page.context, alone.url)
    assert other.open("/images") == 200
    press(other.page, "?", "Tab", "Space")
    expect(alone.page.locator("#sheet-open kbd")).to_be_hidden()
    press(alone.page, "?")
    alone.page.wait_for_timeout(100)
    expect(alone.page.locator("#sheet")).to_be_hidden()
    other.check()


def test_a_browser_that_keeps_nothing_has_them_too(alone: Watched, filled: Filled) -> None:
    page = alone.page
    page.add_init_script(BLOCKED)
    assert alone.open(TAGS) == 200
    works(page)
    press(page, "?", "Tab", "Space", "Escape", "g", "i", "?")
    is_untouched(page, filled.server.url + TAGS, "")
    assert alone.open("/images") == 200
    works(page)


@pytest.mark.parametrize(("visitor", "has_rows"), [("anonymous", False), ("administrator", True)])
def test_the_sheet_says_what_the_page_has(
    watched: Callable[..., Watched], visitor: str, *, has_rows: bool
) -> None:
    there = watched(visitor)
    page = there.page
    assert there.open(TAGS if has_rows else "/sign-in") == 200
    if has_rows:
        press(page, "?")
    else:  # the first field has the focus there
        page.locator("#sheet-open").press("Enter")
    shown = page.locator("#sheet dt").filter(visible=True).all_inner_texts()
    own = ["/", "Ctrl K", *(["j k", "Enter", "c"] if has_rows else []), "?"]
    sections = ["g h", "g i", "g n", "g s", "g c", "g t", "g a", "g j", "g d"] if has_rows else []
    assert [each.strip() for each in shown] == own + sections
    page.evaluate(AXE_SCRIPT)
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        told(page, "the sheet of keys", theme)
    page.emulate_media(color_scheme="light", forced_colors="active")
    told(page, "the sheet of keys", "forced colours")
    assert page.evaluate(UNSEEN) == []
    page.emulate_media(color_scheme="light", forced_colors="none")
    page.set_viewport_size(NARROW)
    assert not page.evaluate(WIDER)
    box = page.get_by_role("dialog").bounding_box()
    assert box is not None
    assert 0 <= box["x"] <= box["x"] + box["width"] <= NARROW["width"]
    assert 0 <= box["y"] <= box["y"] + box["height"] <= NARROW["height"]


def test_without_scripts_nothing_speaks_of_keys(browser: Browser, filled: Filled) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        there = Watched(context, filled.server.url)
        for path in (TAGS, "/"):
            assert there.open(path) == 200
            assert there.page.locator("kbd").filter(visible=True).count() == 0
            assert not there.page.locator("#sheet, #sheet-open").first.is_visible()
            assert "/" not in str(there.page.locator("#find").get_attribute("placeholder"))
        there.check()
