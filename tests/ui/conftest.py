"""Chromium, the registries that it looks at, and a visitor of every kind."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from api import PASSWORD
from clients.engines import Docker
from process import Server
from ui.filled import VISITORS, WAYS, Filled, populate
from ui.hands import Journey
from ui.watching import Watched

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PAGES: dict[str, dict[str, Any]] = tomllib.loads(
    Path(__file__).with_name("pages.toml").read_text()
)["pages"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Ask for the browser where it is needed, and for time to fill a registry before the first."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.needs_tool("chromium"))
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(180))


@pytest.fixture(scope="session")
def filled() -> Iterator[Filled]:
    """Return the registry with 10,000 tags."""
    made = Filled()
    yield made
    made.close()


@pytest.fixture(scope="session")
def bare() -> Iterator[Server]:
    """Return a registry with people and nothing else."""
    with Server(workers=1) as server:
        populate(server)
        yield server


@pytest.fixture(scope="session")
def browser(filled: Filled, bare: Server) -> Iterator[Browser]:
    """Start Chromium, behind what needs an event loop of its own."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield running
        running.close()


Visit = Callable[..., BrowserContext]


@pytest.fixture(scope="session")
def signed_in(browser: Browser) -> Callable[[str, str], Any]:
    """Return a function that gives the cookies of somebody who has signed in at a registry."""
    states: dict[tuple[str, str], Any] = {}

    def state(url: str, name: str) -> Any:
        if name == "anonymous":
            return None
        if (url, name) not in states:
            with browser.new_context() as context:
                page = context.new_page()
                page.goto(f"{url}/sign-in")
                page.get_by_label("Name", exact=True).fill(name)
                page.get_by_label("Password", exact=True).fill(PASSWORD)
                page.get_by_role("main").get_by_role("button", name="Sign in").click()
                page.wait_for_url(f"{url}/")
                states[url, name] = context.storage_state()
        return states[url, name]

    return state


@pytest.fixture(scope="session")
def contexts(
    browser: Browser, signed_in: Callable[[str, str], Any]
) -> Iterator[Callable[[str, str], BrowserContext]]:
    """Return a function that gives the one context of a visitor at a registry."""
    made: dict[tuple[str, str], BrowserContext] = {}

    def context(url: str, name: str) -> BrowserContext:
        assert name in (*VISITORS, *WAYS)
        if (url, name) not in made:
            # Colours are looked at when they have changed, not on their way.
            made[url, name] = browser.new_context(
                storage_state=signed_in(url, name), reduced_motion="reduce"
            )
        return made[url, name]

    yield context
    for each in made.values():
        each.close()


@pytest.fixture
def watched(
    filled: Filled, contexts: Callable[[str, str], BrowserContext]
) -> Iterator[Callable[..., Watched]]:
    """Return a function that opens a page for a visitor; what went wrong in it fails the test."""
    made: list[Watched] = []

    def watch(name: str, url: str = "") -> Watched:
        there = url or filled.server.url
        made.append(Watched(contexts(there, name), there))
        return made[-1]

    yield watch
    for each in made:
        each.close()
    for each in made:
        each.check()


@pytest.fixture
def journey(
    browser: Browser, filled: Filled, signed_in: Callable[[str, str], object], way: str
) -> Iterator[Callable[..., Journey]]:
    """Return a function that begins a journey; what goes wrong on it fails the test."""
    made = []

    def begin(name: str, url: str = "") -> Journey:
        there = url or filled.server.url
        state = signed_in(there, name)
        context = browser.new_context(storage_state=state, java_script_enabled=way != "scriptless")
        made.append(context)
        context.set_default_timeout(10_000)
        return Journey(Watched(context, there), way)

    journeys: list[Journey] = []

    def keep(name: str, url: str = "") -> Journey:
        journeys.append(begin(name, url))
        return journeys[-1]

    yield keep
    for each in made:
        each.close()
    for one in journeys:
        one.there.check()


@pytest.fixture(scope="session")
def docker() -> Iterator[Docker]:
    """Run a docker daemon for all tests."""
    with Docker.started() as client:
        yield client
