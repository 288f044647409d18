"""Lists that go on by themselves while a page is open: the activity, and the jobs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Request, expect

from registry import unique
from ui.filled import Filled
from ui.watching import Watched

EVERY_MS = 5_000
# Of the real time: longer than a request needs to be on its way.
A_MOMENT_MS = 200
PATIENCE = 20.0


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


def take_turn(there: Watched) -> None:
    """Let the list's turn come, and what is asked in it be answered."""
    place = there.page.url
    with there.page.expect_response(lambda answer: answer.url == place) as asked:
        there.page.clock.run_for(EVERY_MS)
    asked.value.finished()


def pass_by(there: Watched, times: int) -> None:
    """Let so many of the list's turns pass; in none of them may anything be asked."""
    asked: list[Request] = []

    def note(request: Request) -> None:
        asked.append(request)

    there.page.on("request", note)
    for _ in range(times):
        there.page.clock.run_for(EVERY_MS)
        there.page.wait_for_timeout(A_MOMENT_MS)
    there.page.remove_listener("request", note)
    assert not asked


def wait_until_done(filled: Filled, name: str, key: str) -> None:
    """Wait until that job, one of the newest, is done."""
    end = time.monotonic() + PATIENCE
    while True:
        jobs = filled.administrator.get("/jobs").expect(200).json()["items"]
        (state,) = (job["state"] for job in jobs if (job["name"], job["key"]) == (name, key))
        if state == "done":
            return
        assert time.monotonic() < end, f"the job is {state}"
        time.sleep(0.1)


def row(there: Watched, text: str) -> Locator:
    return there.page.locator("main tbody tr", has_text=text)


def test_the_activity_goes_on(watched: Callable[..., Watched], filled: Filled) -> None:
    there = opened(watched, "/activity")
    told = happen(filled)
    take_turn(there)
    expect(row(there, told)).to_have_count(1)
    assert there.page.locator("main tbody tr").count() <= 20


def test_a_list_that_was_empty_begins(watched: Callable[..., Watched], filled: Filled) -> None:
    told = unique("told")
    there = opened(watched, f"/activity?namespace={told}")
    expect(there.page.get_by_text("Nothing is like that.")).to_be_visible()
    filled.administrator.post("/namespaces", {"name": told}).expect(201)
    take_turn(there)
    expect(row(there, told).first).to_be_visible()


def test_jobs_go_on(watched: Callable[..., Watched], filled: Filled) -> None:
    """A job that was made since the page was opened is on it, and then what has become of it."""
    there = opened(watched, "/jobs")
    run = filled.administrator.post("/verification/runs", {"kind": "fast"}).expect(202).json()
    job = row(there, f"verification.run {run['id']}")
    expect(job).to_have_count(0)
    take_turn(there)
    expect(job).to_have_count(1)
    wait_until_done(filled, "verification.run", str(run["id"]))
    take_turn(there)
    expect(job.locator(".chip")).to_have_text("done")


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
    take_turn(there)
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
