"""A page that shows what is pushed, when the server does not let it listen."""

from __future__ import annotations

from contextlib import ExitStack

from playwright.sync_api import Browser

from process import Server
from registry import Registry
from streaming import Stream, wait_for_a_place

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
        with page.expect_response(f"{bare.url}/events") as refused:
            page.goto(f"{bare.url}/")
        assert refused.value.status == 429
        page.wait_for_selector("#live[data-state=paused]")
        pages.close()
        wait_for_a_place(nobody)
        page.clock.fast_forward(MINUTE_MS)
        page.wait_for_selector("#live[data-state=live]", timeout=5_000)
