"""Takes pictures of the main pages, light and dark: `python -m ui.screenshots DIRECTORY`."""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from api import PASSWORD
from process import Server
from ui.conftest import CHROMIUM, FLAGS
from ui.filled import Filled, populate

DIALOGS = (("Control+k", "#palette", "palette"), ("?", "#sheet", "keys"))
SIZE = {"width": 1280, "height": 900}
MAIN = {
    "home": "/",
    "images": "/images",
    "repository": "/r/acme/shop",
    "delete-tags": "/r/acme/shop/-/delete-tags?tag=latest&tag=multi&tag=none",
    "history": "/r/acme/shop/-/history?tag=latest",
    "settings": "/r/acme/shop/-/settings",
    "image": "/r/acme/shop/-/d/{image}?tag=latest",
    "layers": "/r/acme/shop/-/d/{image}/layers?tag=latest",
    "compare": "/r/acme/shop/-/compare/{other}...{image}",
    "access": "/access?who=reader&action=push&where=acme/shop",
    "tokens": "/tokens",
    "storage": "/storage",
    "registry": "/admin/registry",
    "namespace-storage": "/n/acme/-/storage",
}


def take(browser: Browser, url: str, pages: dict[str, str], directory: Path) -> None:
    """Take the pictures of a registry's pages, as its administrator sees them."""
    with browser.new_context(viewport=SIZE, reduced_motion="reduce") as context:
        page = context.new_page()
        page.goto(f"{url}/sign-in")
        page.get_by_label("Name", exact=True).fill("administrator")
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("main").get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{url}/")
        for name, address in pages.items():
            page.goto(url + address)
            for theme in ("light", "dark"):
                page.emulate_media(color_scheme=theme)
                page.screenshot(path=directory / f"{name}-{theme}.png")
                if name == "repository":
                    for key, dialog, what in DIALOGS:
                        page.keyboard.press(key)
                        page.locator(dialog).wait_for()
                        page.screenshot(path=directory / f"{what}-{theme}.png")
                        page.keyboard.press("Escape")
                        page.locator(dialog).wait_for(state="hidden")


def main() -> None:
    """Take the pictures of a registry that is full, and of the first page of one that is empty."""
    directory = Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    filled = Filled()
    try:
        with Server(workers=1) as bare:
            populate(bare)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
                take(browser, bare.url, {"first": "/"}, directory)
                pages = {n: a.format(**filled.addresses) for n, a in MAIN.items()}
                take(browser, filled.server.url, pages, directory)
                browser.close()
    finally:
        filled.close()


if __name__ == "__main__":
    main()
