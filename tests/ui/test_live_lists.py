"""Lists that go on by themselves while a page is open: the activity, and the jobs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, expect

from registry import unique
from ui.filled import Filled
from ui.watching import Watched

EVERY_MS = 5_000


def happen(filled: Filled) -> str:
    """Have something be written down in the activity; return how it is told there."""
    name = unique("told")
    filled.administrator.post("/namespaces", {"name": name}).expect(201)
    return name


def opened(watched: Callable[..., Watched], place: str) -> Watched:
    """Return the page as the administrator has it, with a clock that the test moves."""
    there = watched("administrator")
    there.page.clock.install()
    assert there.open(place) == 200
    expect(there.page.locator("#live[data-state=live]")).to_be_visible()
    return there


def pass_by(there: Watched, times: int = 1) -> None:
    """Let so many of the list's turns pass."""
    for _ in range(times):
        there.page.clock.run_for(EVERY_MS)
        there.page.wait_for_load_state("networkidle")


def row(there: Watched, text: str) -> Locator:
    return there.page.locator("main tbody tr", has_text=text)


def test_the_activity_goes_on(watched: Callable[..., Watched], filled: Filled) -> None:
    there = opened(watched, "/activity")
    told = happen(filled)
    pass_by(there)
    expect(row(there, told)).to_have_count(1)
    assert there.page.locator("main tbody tr").count() <= 20


def test_a_list_that_was_empty_begins(watched: Callable[..., Watched], filled: Filled) -> None:
    told = unique("told")
    there = opened(watched, f"/activity?namespace={told}")
    expect(there.page.get_by_text("Nothing is like that.")).to_be_visible()
    filled.administrator.post("/namespaces", {"name": told}).expect(201)
    pass_by(there)
    expect(row(there, told).first).to_be_visible()


def test_jobs_go_on(watched: Callable[..., Watched], filled: Filled) -> None:
    """What a job has become since the page was opened is on it."""
    there = opened(watched, "/jobs")
    before = there.page.locator("[data-live]").inner_html()
    filled.administrator.post("/collection/runs", {}).expect(202)
    pass_by(there, 2)
    expect(there.page.locator("main tbody tr").first).to_be_visible()
    assert there.page.locator("[data-live]").inner_html() != before


@pytest.mark.parametrize("what", ["mouse", "keyboard", "open", "chosen"])
def test_nothing_moves_in_somebodys_hands(
    watched: Callable[..., Watched], filled: Filled, what: str
) -> None:
    """It comes as soon as the hands are off."""
    there = opened(watched, "/activity")
    page, first = there.page, there.page.locator("main tbody tr").first
    fold = first.locator("summary")
    if what == "mouse":
        first.hover()
    elif what == "keyboard":
        fold.focus()
    elif what == "open":
        fold.click()
        page.mouse.move(0, 0)
        fold.blur()
    else:
        first.locator("th").select_text()
        page.mouse.move(0, 0)
    told = happen(filled)
    pass_by(there, 2)
    expect(row(there, told)).to_have_count(0)
    if what == "open":
        first.locator("details").evaluate("each => { each.open = false; }")
    elif what == "chosen":
        page.evaluate("getSelection().removeAllRanges()")
    page.mouse.move(0, 0)
    page.evaluate("document.activeElement.blur()")
    pass_by(there)
    expect(row(there, told)).to_have_count(1)


def test_earlier_pages_stay(watched: Callable[..., Watched], filled: Filled) -> None:
    """Only the newest rows go on; whoever reads of before reads what was."""
    for _ in range(35):
        happen(filled)
    there = opened(watched, "/activity")
    there.page.get_by_role("link", name="Earlier").click()
    there.page.wait_for_url("**before=*")
    expect(there.page.locator("#live")).to_be_hidden()


def test_whoever_may_not_see_it_any_more_gets_nothing(
    browser: Browser, signed_in: Callable[[str, str], Any], filled: Filled
) -> None:
    """The session has ended: the list stays as it was, and says that it does not go on."""
    state = signed_in(filled.server.url, "administrator")
    with browser.new_context(storage_state=state) as context:
        there = opened(lambda _: Watched(context, filled.server.url), "/activity")
        context.clear_cookies()
        told = happen(filled)
        there.page.clock.run_for(EVERY_MS)
        expect(there.page.locator("#live[data-state=paused]")).to_be_visible()
        expect(row(there, told)).to_have_count(0)
