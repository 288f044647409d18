"""The management API as tests use it: JSON in, JSON out, refusals as problem details."""

from __future__ import annotations

import json
from typing import Any

from registry import Answer, Registry, basic, unique

PREFIX = "/api/v1"
JSON = {"Content-Type": "application/json"}
PASSWORD = "a password of good length"


def problem(answer: Answer, status: int, code: str) -> dict[str, Any]:
    """Check that an answer is problem details, and return them."""
    assert answer.status == status, (answer.status, answer.body)
    assert answer["Content-Type"] == "application/problem+json"
    assert answer["Cache-Control"] == "no-store"
    found: dict[str, Any] = answer.json()
    assert found["code"] == code, found
    assert found["status"] == status
    assert found["title"]
    assert found["request_id"] == answer["X-Request-Id"]
    return found


class Api:
    """The API, asked with one credential: a user and password, a token, or none."""

    def __init__(self, url: str, credentials: tuple[str, str] | str | None = None) -> None:
        self.registry = Registry(url)
        self.url = url
        self.headers: dict[str, str] = {}
        if isinstance(credentials, str):
            self.headers["Authorization"] = f"Bearer {credentials}"
        elif credentials is not None:
            self.headers["Authorization"] = basic(*credentials)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Send one request; a body is JSON unless it is bytes."""
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        kind = JSON if raw is not None else {}
        return self.registry.request(method, PREFIX + path, {**kind, **self.headers, **more}, raw)

    def get(self, path: str, **headers: str) -> Answer:
        """GET."""
        return self.ask("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        """POST."""
        return self.ask("POST", path, body, **headers)

    def put(self, path: str, body: Any = None, **headers: str) -> Answer:
        """PUT."""
        return self.ask("PUT", path, body, **headers)

    def patch(self, path: str, body: Any = None, **headers: str) -> Answer:
        """PATCH."""
        return self.ask("PATCH", path, body, **headers)

    def delete(self, path: str, **headers: str) -> Answer:
        """DELETE."""
        return self.ask("DELETE", path, **headers)

    def items(self, path: str) -> list[dict[str, Any]]:
        """Return all items of a list, page by page."""
        found: list[dict[str, Any]] = []
        target: str | None = path
        while target:
            answer = self.get(target).expect(200)
            found += answer.json()["items"]
            link = answer.get("Link")
            target = link[1 : link.index(">")].removeprefix(PREFIX) if link else None
        return found

    def account(self, name: str | None = None) -> tuple[str, Api]:
        """Invite somebody, and return its name and the API as it is asked by it."""
        name = name or unique("u")
        made = self.post("/links", {"kind": "invitation", "name": name}).expect(201).json()
        asked = {"secret": made["secret"], "name": name, "password": PASSWORD}
        Api(self.url).post("/links/redeem", asked).expect(201)
        return name, Api(self.url, (name, PASSWORD))

    def organisation(self, **members: str) -> str:
        """Make an organisation in which accounts have roles, and return its name."""
        name = unique("o")
        self.post("/namespaces", {"name": name}).expect(201)
        for who, role in members.items():
            self.put(f"/namespaces/{name}/grants/account/{who}", {"role": role}).expect(200)
        return name
