"""A page of the browser that forgives nothing: what goes wrong in it fails the test."""

from __future__ import annotations

from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request, Response

_STREAM = "/events"
# What the page of a link asks, of one that is no longer good as well.
_LINK = "/api/v1/links/find"


class Watched:
    """A page with all that it asked for, said and did wrong.

    `url` is the registry's; whatever goes elsewhere is a fault. An answer that is refused is one as
    well, but for documents with a status that `open` or `expected` allows, and for links.
    """

    def __init__(self, context: BrowserContext, url: str) -> None:
        """Open a page and listen to it."""
        self.url = url
        self.page: Page = context.new_page()
        self.expected: set[int] = set()
        self.faults: list[str] = []
        self.responses: list[Response] = []
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.faults.append(f"page error: {error}"))
        self.page.on("request", self._asked)
        self.page.on("response", self._answered)
        self.page.on("requestfailed", self._failed)

    def open(self, path: str, *expected: int) -> int:
        """Go to an address and return with which status its page came."""
        self.expected = set(expected)
        answer = self.page.goto(self.url + path, wait_until="load")
        assert answer is not None
        return answer.status

    def check(self) -> None:
        """Fail if anything went wrong since the last time."""
        found, self.faults = self.faults, []
        assert not found, "\n".join(found)

    def close(self) -> None:
        """Close the page."""
        self.page.close()

    def _said(self, message: ConsoleMessage) -> None:
        if message.type != "error":
            return
        # Browsers report a document's own status here, which the page is for people to read.
        is_status = message.text.startswith("Failed to load resource: the server responded with")
        if is_status and any(f"status of {status} " in message.text for status in self.expected):
            return
        if is_status and urlsplit(message.location["url"]).path == _LINK:
            return
        self.faults.append(f"console: {message.text} at {message.location}")

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((self.url + "/", "data:")):
            self.faults.append(f"asked for something elsewhere: {request.url}")

    def _answered(self, response: Response) -> None:
        self.responses.append(response)
        is_document = response.request.is_navigation_request()
        is_link = urlsplit(response.url).path == _LINK and response.status < 500
        is_expected = (is_document and response.status in self.expected) or is_link
        if response.status >= 400 and not is_expected:
            self.faults.append(f"{response.status} for {response.url}")

    def _failed(self, request: Request) -> None:
        # What was still on its way ends with the page that asked for it, and so does the stream.
        is_left = request.failure == "net::ERR_ABORTED"
        if not is_left and urlsplit(request.url).path != _STREAM:
            self.faults.append(f"failed: {request.url}: {request.failure}")
