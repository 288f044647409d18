"""Every page as everybody sees it: nothing wrong in it, readable, usable, in every colour."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT

from moorage.ui.pages import PAGES as TABLE
from process import Server
from ui.conftest import PAGES
from ui.filled import VISITORS, Filled
from ui.watching import Watched

STATES = ("full", "empty", "error")
SHOWN = [name for name, entry in PAGES.items() if any(state in entry for state in STATES)]
RULES = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]}
NARROW, WIDE = {"width": 320, "height": 640}, {"width": 1280, "height": 900}
REFUSED = (400, 401, 403, 404, 422)
WIDER = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
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
def looked_at() -> set[tuple[str, str]]:
    """Return whom which pages have been looked at as, by their titles."""
    return set()


def test_every_page_of_the_table_is_looked_at() -> None:
    assert {page.name for page in TABLE} == set(PAGES)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("visitor", VISITORS)
@pytest.mark.parametrize("name", SHOWN)
def test_a_page(
    filled: Filled,
    bare: Server,
    watched: Callable[..., Watched],
    looked_at: set[tuple[str, str]],
    name: str,
    visitor: str,
) -> None:
    entry = PAGES[name]
    for state in STATES:
        if state not in entry:
            continue
        address = entry[state].format(**filled.addresses)
        is_bare = state == "empty" and not address.startswith("/r/")
        there = watched(visitor, bare.url if is_bare else filled.server.url)
        is_shown = state != "error" and VISITORS.index(visitor) >= VISITORS.index(
            entry.get("least", "anonymous")
        )
        status = there.open(address, *(() if is_shown else REFUSED))
        assert status == 200 if is_shown else status in (200, *REFUSED), (state, status)
        # What is refused, or left to signing in, is the same page wherever it happens.
        shown = (visitor, there.page.title())
        if is_shown or shown not in looked_at:
            looked_at.add(shown)
            look(there, state, is_forced=visitor == "owner")
        there.check()
        there.close()


def look(there: Watched, state: str, *, is_forced: bool) -> None:
    """Check a page that is open in every colour, and on the narrowest screen."""
    page = there.page
    page.evaluate(AXE_SCRIPT)
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        told(page, state, theme)
    if is_forced:
        page.emulate_media(color_scheme="light", forced_colors="active")
        told(page, state, "forced colours")
        assert page.evaluate(UNSEEN) == [], f"{state}: can't be seen in forced colours"
    page.emulate_media(color_scheme="light", forced_colors="none")
    page.set_viewport_size(NARROW)
    assert not page.evaluate(WIDER), f"{state}: wider than 320 px: {widest(page)}"
    assert page.evaluate(CUT) == [], f"{state}: cut off at 320 px"
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
