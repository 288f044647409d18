"""Every page as everybody sees it: nothing wrong in it, readable, usable, in every colour."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT

from moorage.ui.pages import PAGES as TABLE
from process import Server
from registry import absent_digest
from ui.conftest import PAGES
from ui.filled import VISITORS, Filled
from ui.watching import Watched

STATES = ("full", "empty", "error")
SHOWN = [name for name, entry in PAGES.items() if any(state in entry for state in STATES)]
RULES = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]}
NARROW, WIDE = {"width": 320, "height": 640}, {"width": 1280, "height": 900}
REFUSED = (400, 401, 403, 404, 422)
WIDER = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
# What differs in a page whenever it is made, or by who looks: neither is seen by what looks here.
PASSING = re.compile(r"[0-9a-f]{128}|\b(?:just now|\d+ (?:s|min)(?: ago)?)\b|datetime=.[^>]*>")
OF_REQUEST = re.compile(r"Request <code>[^<]*")
# What stands out of the window and is in nothing that scrolls, or ends in an ellipsis, is cut off.
CUT = """() => [...document.querySelectorAll("body *")].filter((each) => {
    const box = each.getBoundingClientRect();
    if (box.right <= window.innerWidth + 1 || box.width < 2 || box.height < 2) return false;
    for (let on = each.parentElement; on; on = on.parentElement) {
        const style = getComputedStyle(on);
        if (["auto", "scroll"].includes(style.overflowX)) return false;
        if (style.clipPath !== "none") return false;  // for those alone who hear the page
        if (style.overflowX === "hidden" && style.textOverflow === "ellipsis") return false;
    }
    return true;
}).slice(0, 6).map((each) => each.outerHTML.slice(0, 120))"""
# Shadows and backgrounds are gone in forced colours: what is left are outlines and borders.
UNSEEN = """() => {
    const found = [];
    const has = (style, width) => style !== "none" && parseFloat(width) >= 1;
    const all = "a[href], button, input, select, textarea, summary, [tabindex='0']";
    for (const each of document.querySelectorAll(all)) {
        if (!each.checkVisibility() || !each.getClientRects().length || each.disabled) continue;
        const told = each.outerHTML.slice(0, 120);
        const rest = getComputedStyle(each);
        const is_native = ["checkbox", "radio"].includes(each.type);
        if (each.matches("button, input, select, textarea") && !is_native &&
            !has(rest.borderTopStyle, rest.borderTopWidth)) found.push(`no border: ${told}`);
        each.focus({preventScroll: true});
        if (document.activeElement !== each) continue;
        const held = getComputedStyle(each);
        const beside = each.matches(".panes > input") ? getComputedStyle(each.labels[0]) : held;
        if (!has(beside.outlineStyle, beside.outlineWidth)) found.push(`no focus: ${told}`);
        each.blur();
    }
    return found.slice(0, 8);
}"""


@pytest.fixture(scope="module")
def fresh() -> Iterator[Server]:
    """Return a registry without accounts, which lets this machine in."""
    with Server(workers=1) as server:
        yield server


@pytest.fixture(scope="module")
def seen() -> set[str]:
    """Return the pages that have been looked at, as they are."""
    return set()


def places(name: str, state: str, **named: str) -> list[str]:
    """Return where a page is in a state, if it can be."""
    found = PAGES[name].get(state, [])
    return [each.format(**named) for each in ([found] if isinstance(found, str) else found)]


def is_bare(name: str, state: str) -> bool:
    """Return whether the registry that has nothing shows it; what is of something needs that."""
    [path] = [page.path for page in TABLE if page.name == name]
    return state == "empty" and path.replace("{namespace}", "").count("{") == 0


def test_every_page_of_the_table_is_looked_at() -> None:
    """In every state, but for those that it can't be in."""
    assert {page.name for page in TABLE} == set(PAGES)
    for name, entry in PAGES.items():
        if "instead" not in entry:
            found = [(state in entry, bool(entry.get(f"no-{state}"))) for state in STATES]
            assert all(map(operator.xor, *zip(*found, strict=True))), name


@pytest.mark.timeout(180)
@pytest.mark.parametrize("visitor", VISITORS)
@pytest.mark.parametrize("name", SHOWN)
def test_a_page(
    filled: Filled,
    bare: Server,
    watched: Callable[..., Watched],
    seen: set[str],
    name: str,
    visitor: str,
) -> None:
    """One that is the same for two visitors, but for their names, is looked at once."""
    entry = PAGES[name]
    least = VISITORS.index(entry.get("least", "anonymous"))
    fullest = VISITORS[max(least, VISITORS.index("owner"))]
    for state in STATES:
        url = bare.url if is_bare(name, state) else filled.server.url
        is_shown = state != "error" and VISITORS.index(visitor) >= least
        for number, place in enumerate(places(name, state, **filled.addresses)):
            there = watched(visitor, url)
            status = opened(there, place, *(() if is_shown else REFUSED))
            assert status == 200 if is_shown else status in (200, *REFUSED), (place, status)
            if state == "full" and number == 0 and visitor == VISITORS[-1]:
                assert there.page.locator("main tbody tr").count() >= entry.get("rows", 0), place
            shown = as_it_is(there, visitor)
            if shown not in seen:
                look(there, place, is_forced=visitor == fullest)
                seen.add(shown)
            there.check()
            there.close()


@pytest.mark.parametrize("name", SHOWN)
def test_before_there_are_accounts(
    fresh: Server, watched: Callable[..., Watched], name: str
) -> None:
    """This machine alone is let in, and what needs somebody says how the first one is made."""
    secret = (fresh.link_file() or Path()).read_text().strip().partition("#")[2]
    named = {"image": absent_digest(), "deep": absent_digest(), "blank": absent_digest()}
    found = places(name, "empty", **named) or places(name, "error")
    for place in [f"/setup#{secret}"] if name == "set-up" else found:
        there = watched("anonymous", fresh.url)
        assert opened(there, place, *REFUSED) in (200, *REFUSED), place
        look(there, place, is_forced=False)
        there.check()
        there.close()


def opened(there: Watched, place: str, *expected: int) -> int:
    """Open a page, wait until it says what it is, and return with which status it came."""
    status = there.open(place, *expected)
    there.page.locator("#lead", has_text="One moment").wait_for(state="hidden")
    return status


def as_it_is(there: Watched, visitor: str) -> str:
    """Return a page as one finds it, but for the visitor's name, the time and the request."""
    made = OF_REQUEST.sub("", PASSING.sub("", there.page.content()))
    return made.replace(there.url, "").replace(visitor, "")


def look(there: Watched, place: str, *, is_forced: bool) -> None:
    """Check a page that is open in every colour, and on the narrowest screen.

    In forced colours axe finds what it finds in all others; it is asked once for each page.
    """
    page = there.page
    page.evaluate(AXE_SCRIPT)
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        told(page, place, theme)
    page.emulate_media(color_scheme="light", forced_colors="active")
    if is_forced:
        told(page, place, "forced colours")
    assert page.evaluate(UNSEEN) == [], f"{place}: can't be seen in forced colours"
    page.emulate_media(color_scheme="light", forced_colors="none")
    page.set_viewport_size(NARROW)
    assert not page.evaluate(WIDER), f"{place}: wider than 320 px: {widest(page)}"
    assert page.evaluate(CUT) == [], f"{place}: cut off at 320 px"
    page.set_viewport_size(WIDE)


def told(page: Any, state: str, theme: str) -> None:
    """Check what axe says."""
    options = {"runOnly": RULES, "resultTypes": ["violations"]}
    found = page.evaluate("options => axe.run(options)", options)["violations"]
    shown = [
        f"{each['id']}: {node['html'][:200]} ({node['failureSummary'][:300]})"
        for each in found
        for node in each["nodes"][:4]
    ]
    assert not found, f"{state}, {theme}:\n" + "\n".join(shown)


def widest(page: Any) -> Any:
    """Return the elements that stand out, for the message."""
    return page.evaluate(
        """() => [...document.querySelectorAll("body *")]
            .filter((each) => each.getBoundingClientRect().right > 321)
            .slice(0, 6).map((each) => each.outerHTML.slice(0, 120))"""
    )
