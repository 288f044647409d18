"""The page behind one-time links: what it is made of, and what it may do."""

import re
from pathlib import Path

import pytest

import moorage.ui
from registry import Registry

pytestmark = pytest.mark.metadata

STATIC = Path(moorage.ui.__file__).parent / "static"
PAGES = ("/setup", "/link")
FILES = tuple(f"/static/{path.name}" for path in sorted(STATIC.iterdir()))


@pytest.mark.parametrize("address", [*PAGES, *FILES])
def test_every_file_is_shown_and_confined(registry: Registry, address: str) -> None:
    answer = registry.request("GET", address)
    assert answer.status == 200
    name = "link.html" if address in PAGES else address.removeprefix("/static/")
    assert answer.body == (STATIC / name).read_bytes()
    policy = answer["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Referrer-Policy"] == "no-referrer"
    again = registry.request("GET", address, [("If-None-Match", answer["ETag"])])
    assert (again.status, again.body) == (304, b"")
    head = registry.request("HEAD", address)
    assert (head.status, head.body) == (200, b"")
    assert registry.request("POST", address).status == 405


@pytest.mark.parametrize(
    "address",
    [
        "/static/",
        "/static",
        "/static/app.py",
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static//link.js",
        "/static/link.js/",
        "/link.html",
        "/setup/",
        "/setup/link.js",
        "link.js",
    ],
)
def test_nothing_else_is(registry: Registry, address: str) -> None:
    assert registry.request("GET", address).status in (400, 404)


@pytest.mark.parametrize("name", ["link.html", "link.js", "moorage.css"])
def test_nothing_is_fetched_from_elsewhere_nor_written_as_markup(name: str) -> None:
    """What the registry or an address says is set as text, never as HTML."""
    text = (STATIC / name).read_text()
    assert not re.search(r"https?://|//\w|innerHTML|insertAdjacent|document\.write|eval\(", text)
    assert not re.search(r"<[^>]+\son\w+=|style=|<script>|<style", text)
