"""How somebody goes through pages: with a mouse, with a keyboard alone, or without scripts."""

from __future__ import annotations

from playwright.sync_api import Locator, Page

_MOST_STEPS = 250
_IS_THERE = "one => one === document.activeElement"
_IS_SEEN = """one => {
    const style = getComputedStyle(one);
    return one.matches(":focus-visible") && style.outlineStyle !== "none"
        && parseFloat(style.outlineWidth) >= 1;
}"""


class Hands:
    """Uses what is on a page; with the keyboard it is always seen where one is."""

    def __init__(self, page: Page, way: str) -> None:
        self.page = page
        self._has_mouse = way != "keyboard"

    def use(self, what: Locator) -> None:
        """Follow a link, press a button, open a menu."""
        what.wait_for()
        if self._has_mouse:
            what.click()
        else:
            self.reach(what)
            self.page.keyboard.press("Enter")

    def write(self, what: Locator, text: str) -> None:
        """Write into a field."""
        if self._has_mouse:
            what.click()
        else:
            self.reach(what)
        self.page.keyboard.press("Control+A")
        self.page.keyboard.type(text)
        assert what.input_value() == text

    def choose(self, what: Locator, text: str, shown: str = "") -> None:
        """Choose one of a list, by how it is shown if that is another text."""
        if self._has_mouse:
            what.select_option(text)
        else:
            self.reach(what)
            self.page.keyboard.type(shown or text)
        assert what.input_value() == text

    def tick(self, what: Locator) -> None:
        """Tick a box, or take its tick away."""
        if self._has_mouse:
            what.click()
        else:
            self.reach(what)
            self.page.keyboard.press("Space")

    def reach(self, what: Locator) -> None:
        """Go to something by the keyboard, step by step."""
        for _ in range(_MOST_STEPS):
            if what.evaluate(_IS_THERE):
                assert what.evaluate(_IS_SEEN), f"nobody sees that {what} has the focus"
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"the keyboard does not come to {what}")
