"""What a browser keeps and sends, as far as the registry's own pages go."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlencode

from cast import PASSWORD, Cast
from registry import Answer, Registry

HTML = ("Accept", "text/html,application/xhtml+xml")
COOKIE = re.compile(r"(moorage(?:-form)?)=([^;]*)")
FORM = re.compile(r'name="form" value="([0-9a-f]{128})"')


class Browser:
    """What a browser keeps and sends: its cookies, and where its forms come from."""

    def __init__(self, there: Cast | Registry) -> None:
        self.registry = there if isinstance(there, Registry) else there.asked_by["anonymous"]
        self.origin = self.registry.url
        self.cookies: dict[str, str] = {}
        self.token = ""

    def get(self, path: str) -> Answer:
        """Load a page."""
        return self._kept(self.registry.request("GET", path, [HTML, *self._cookie()]))

    def post(
        self, path: str, fields: Mapping[str, str | list[str]], **changed: str | None
    ) -> Answer:
        """Send a form, as the page that was loaded last has it but for what is changed."""
        sent: dict[str, str | None] = {"Origin": self.origin, "Sec-Fetch-Site": "same-origin"}
        sent |= {key.replace("_", "-"): value for key, value in changed.items()}
        sent["Content-Type"] = sent.get("Content-Type") or "application/x-www-form-urlencoded"
        body = urlencode({"form": self.token, **fields}, doseq=True).encode()
        headers = [(key, value) for key, value in sent.items() if value is not None]
        return self._kept(
            self.registry.request("POST", path, [HTML, *headers, *self._cookie()], body)
        )

    def sign_in(self, name: str) -> Browser:
        """Sign in by the page, and load another one."""
        self.get("/sign-in")
        answer = self.post("/sign-in", {"do": "sign-in", "name": name, "password": PASSWORD})
        assert answer.status == 303, answer.body
        self.get("/account")
        return self

    def _cookie(self) -> list[tuple[str, str]]:
        kept = "; ".join(f"{key}={value}" for key, value in self.cookies.items())
        return [("Cookie", kept)] if kept else []

    def _kept(self, answer: Answer) -> Answer:
        for name, value in COOKIE.findall("\n".join(answer.all("Set-Cookie"))):
            self.cookies[name] = value
        found = FORM.search(answer.body.decode("utf-8", "replace"))
        self.token = found[1] if found else self.token
        return answer
