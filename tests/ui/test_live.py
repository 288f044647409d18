"""A page that shows what is pushed: told late, or not let listen."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from process import Server
from registry import Registry, Repository, unique
from streaming import Stream, wait_for_a_place
from ui.filled import Filled
from ui.watching import Watched

SHARE = 16
MINUTE_MS = 60_000


def test_a_page_that_was_refused_listens_again(browser: Browser, bare: Server) -> None:
    """Too many pages are open at its address; a minute after one of them was closed it is live."""
    nobody = Registry(bare.url)
    with browser.new_context() as context, ExitStack() as pages:
        for _ in range(SHARE):
            pages.enter_context(Stream(nobody))
        page = context.new_page()
        page.clock.install()
        with page.expect_response(f"{bare.url}/events?*") as refused:
            page.goto(f"{bare.url}/")
        assert refused.value.status == 429
        page.wait_for_selector("#live[data-state=paused]")
        pages.close()
        wait_for_a_place(nobody)
        page.clock.fast_forward(MINUTE_MS)
        page.wait_for_selector("#live[data-state=live]", timeout=5_000)


def place_behind(registry: Registry, there: Repository) -> str:
    """Push an image and return the place in the feed at which that is told."""
    with Stream(registry) as stream:
        there.push_image("before")
        while stream.next()["repository"] != there.name:
            pass
        return stream.place


def listen_from(page: Page, place: str) -> None:
    """Have the page told all that came behind the place, as what is told late."""

    def ask(route: Route) -> None:
        route.continue_(headers={**route.request.headers, "Last-Event-ID": place})

    page.route("**/events?*", ask)


def test_rows_stay_when_the_page_is_told_late_of_what_it_has(
    watched: Callable[..., Watched], filled: Filled
) -> None:
    """What was pushed just before the page was made is told behind it; what is ticked stays."""
    there = filled.owner.repository(f"acme/{unique('late')}")
    place = place_behind(filled.owner, there)
    for tag in ("one", "two"):
        there.push_image(tag)
    one = watched("owner")
    listen_from(one.page, place)
    one.open(f"/r/{there.name}")
    one.page.get_by_label("Choose all tags that are shown").check()
    chosen = one.page.get_by_role("button", name="Delete 3 tags…")
    expect(chosen).to_be_enabled()
    there.push_image("three")
    expect(one.page.locator("tr.new")).to_have_count(1)
    expect(one.page.locator("[data-pushes] th")).to_have_text(["three", "two", "one", "before"])
    expect(chosen).to_be_enabled()


def test_a_push_that_the_home_page_has_is_not_on_it_twice(
    watched: Callable[..., Watched], filled: Filled
) -> None:
    there = filled.owner.repository(f"acme/{unique('late')}")
    place = place_behind(filled.owner, there)
    there.push_image("one")
    one = watched("owner")
    listen_from(one.page, place)
    one.open("/")
    there.push_image("two")
    expect(one.page.locator("tr.new")).to_have_count(1)
    of_it = one.page.locator("[data-pushes] tr", has_text=there.name)
    expect(of_it.locator(".tag")).to_have_text(["two", "one", "before"])


@pytest.mark.parametrize("place", ["/", "/r/{name}"])
def test_what_is_pushed_before_the_page_listens_is_told(
    watched: Callable[..., Watched], filled: Filled, place: str
) -> None:
    """Its script came late: the page that was made before the push shows it all the same."""
    there = filled.owner.repository(f"acme/{unique('between')}")
    there.push_image("before")
    one = watched("owner")

    def late(route: Route) -> None:
        there.push_image("between")
        route.continue_()

    one.page.route("**/live.*.js", late)
    one.open(place.format(name=there.name))
    fresh = one.page.locator("tr.new", has_text="between")
    expect(fresh).to_have_count(1)
