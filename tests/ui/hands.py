"""How somebody goes through pages: with a mouse, with a keyboard alone, or without scripts."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

from ui.watching import Watched

_MOST_STEPS = 250
_IS_THERE = "one => one === document.activeElement"
_IS_SEEN = """one => {
    const style = getComputedStyle(one);
    return one.matches(":focus-visible") && style.outlineStyle !== "none"
        && parseFloat(style.outlineWidth) >= 1;
}"""
# What the keyboard passes on its way: whether it is seen there, and comes behind what was before.
_PASSED = """() => {
    const one = document.activeElement, before = window.passed;
    window.passed = one;
    if (one === document.body) return "";
    const told = one.outerHTML.slice(0, 120);
    const outlined = one.matches(".panes > input") ? one.labels[0] : one;
    const style = getComputedStyle(outlined);
    if (!one.matches(":focus-visible") || style.outlineStyle === "none"
        || parseFloat(style.outlineWidth) < 1) return `nobody sees the focus on ${told}`;
    const box = outlined.getBoundingClientRect();
    if (box.bottom <= 0 || box.top >= innerHeight) return `out of the window: ${told}`;
    if (!before || before === document.body || !before.isConnected) return "";
    const isFirst = !one.ownerDocument.querySelector(".skip") || one.matches(".skip");
    const isBehind = before.compareDocumentPosition(one) & Node.DOCUMENT_POSITION_FOLLOWING;
    return isBehind || isFirst ? "" : `goes back, from ${before.outerHTML.slice(0, 80)} to ${told}`;
}"""


class Hands:
    """Uses what is on a page; the keyboard goes in the page's order, and is seen where it is."""

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
            fault = self.page.evaluate(_PASSED)
            assert not fault, fault
        raise AssertionError(f"the keyboard does not come to {what}")


class Journey:
    """Somebody on the way: a page with its hands."""

    def __init__(self, there: Watched, way: str) -> None:
        self.there = there
        self.page = there.page
        self.hands = Hands(there.page, way)
        self.has_scripts = way != "scriptless"

    def button(self, name: str) -> None:
        """Press a button of the page itself."""
        self.hands.use(self.page.get_by_role("main").get_by_role("button", name=name, exact=True))

    def said(self, text: str) -> None:
        """Check that the page says what was done."""
        expect(self.page.get_by_role("main")).to_contain_text(text)
