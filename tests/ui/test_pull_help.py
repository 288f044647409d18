"""How an image is pulled, by the client that somebody has: chosen once, in any window."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, Page, expect

from ui.filled import WAYS, Filled
from ui.hands import Hands
from ui.test_matrix import CUT, NARROW, UNSEEN, WIDER, told
from ui.watching import Watched

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def alone(browser: Browser, filled: Filled) -> Iterator[Callable[..., Watched]]:
    """Return a function that opens a page of a browser that keeps nothing of other tests."""
    made: list[Watched] = []

    def begin(**options: object) -> Watched:
        context = browser.new_context(reduced_motion="reduce", **options)
        context.set_default_timeout(10_000)
        made.append(Watched(context, filled.server.url))
        return made[-1]

    yield begin
    for each in made:
        each.page.context.close()
        each.check()


def shown(page: Page) -> str:
    """Return the commands that are in sight."""
    panes = page.get_by_role("main").locator(".panes .pane")
    return " ".join(each.inner_text() for each in panes.all() if each.is_visible())


@pytest.mark.parametrize("way", WAYS)
def test_a_client_is_chosen(alone: Callable[..., Watched], filled: Filled, way: str) -> None:
    """With scripts, it is the first to be shown on other pages from then on."""
    there = alone(java_script_enabled=way != "scriptless")
    there.open("/r/acme/shop")
    hands = Hands(there.page, way)
    hands.use(there.page.locator("main .help summary"))
    assert f"docker pull {filled.server.address}/acme/shop:latest" in shown(there.page)
    if way == "keyboard":
        hands.reach(there.page.get_by_label("Docker", exact=True))
        there.page.keyboard.press("ArrowRight")
    else:
        there.page.get_by_text("Podman", exact=True).click()
    assert "podman pull --tls-verify=false" in shown(there.page)
    assert "docker pull" not in shown(there.page)
    there.open(f"/r/acme/shop/-/d/{filled.addresses['image']}")
    first = "docker" if way == "scriptless" else "podman"
    expect(there.page.locator(f"#pull-{first}")).to_be_checked()
    assert f"{first} pull " in shown(there.page)


def test_it_has_room_and_can_be_read_everywhere(alone: Callable[..., Watched]) -> None:
    there = alone()
    for size in ({"width": 1280, "height": 900}, NARROW):
        there.page.set_viewport_size(size)
        there.open("/r/acme/shop")
        there.page.locator("main .help summary").click()
        assert not there.page.evaluate(WIDER), size
        assert there.page.evaluate(CUT) == [], size
        box = there.page.locator("main .help .menu-body").bounding_box()
        assert box is not None
        assert box["x"] >= 0, size
        for theme in ("light", "dark"):
            there.page.emulate_media(color_scheme=theme)
            there.page.evaluate(AXE_SCRIPT)
            told(there.page, f"pull help at {size}", theme)
    there.page.emulate_media(forced_colors="active")
    there.page.keyboard.press("Tab")
    assert there.page.evaluate(UNSEEN) == []
