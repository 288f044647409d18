"""Pages as plain text: whoever wants them, and that they fit a terminal and steer none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from multidict import CIMultiDict

from moorage.ui import plain
from moorage.web.request import Request

NOW = datetime(2026, 9, 14, 12, tzinfo=UTC)
DIGEST = "sha256:" + "ab" * 32
BASE = "https://registry.example"


class Asked:
    """A request with what it accepts."""

    def __init__(self, accept: str | None) -> None:
        self.headers = CIMultiDict([] if accept is None else [("Accept", accept)])


@pytest.mark.parametrize(
    ("accept", "is_wanted"),
    [
        (None, True),
        ("", True),
        ("*/*", True),
        ("text/plain", True),
        ("text/*;q=0.5", True),
        ("text/plain, */*;q=0.1", True),
        ("text/html", False),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", False),
        ("text/plain, text/html;q=0.1", False),
        ("application/json, */*;q=0.5", False),
        ("application/problem+json", False),
        ("image/avif,image/webp,*/*;q=0.8", False),
        ("image/png", False),
        ("*/*;q=0", False),
        ("*/*;q=x", False),
        ("TEXT/HTML", False),
        (",", False),
    ],
)
def test_who_wants_text(accept: str | None, is_wanted: bool) -> None:
    assert plain.is_wanted(cast("Request", Asked(accept))) is is_wanted


def row(name: str, minutes: int = 5, kind: str = "image") -> dict[str, Any]:
    at = NOW - timedelta(minutes=minutes)
    return {"name": name, "digest": DIGEST, "content_size": 12_345_678, "at": at, "kind": kind}


def facts(*tags: dict[str, Any], **changed: Any) -> dict[str, Any]:
    made = {
        "repository": "web/shop",
        "visibility": "private",
        "page": "/r/web/shop",
        "may": ["push"],
        "description": "",
        "tags": list(tags),
        "filter": "",
        "is_first": True,
        "next": "",
    }
    return {**made, **changed}


def test_a_repository_fits_a_terminal() -> None:
    long = "x" * 100
    told = facts(
        row("1.2.3"), row(long, 90), description="Sells things. " * 14, next="/web/shop?after=x"
    )
    lines = plain.repository(told, BASE, NOW).splitlines()
    assert lines[0] == "web/shop (private)"
    assert "docker pull registry.example/web/shop:1.2.3" in lines
    assert f"{'1.2.3':<36}  abababababab   12.3 MB  5 min ago" in lines
    assert long in lines
    assert "More: https://registry.example/web/shop?after=x" in lines
    assert all(len(line) <= 80 for line in lines if line != long)


@pytest.mark.parametrize(
    ("kind", "pull"),
    [
        ("index", "docker pull registry.example/web/shop:1"),
        ("chart", "helm pull oci://registry.example/web/shop --version 1"),
        ("artifact", "oras pull registry.example/web/shop:1"),
    ],
)
def test_it_is_pulled_by_what_can_pull_it(kind: str, pull: str) -> None:
    assert pull in plain.repository(facts(row("1", kind=kind)), BASE, NOW).splitlines()


def test_a_repository_without_tags_says_how_to_push() -> None:
    assert "docker push registry.example/web/shop:1.0" in plain.repository(facts(), BASE, NOW)
    assert "docker push" not in plain.repository(facts(may=[]), BASE, NOW)
    assert "No tag is like that" in plain.repository(facts(filter="v1"), BASE, NOW)


@pytest.mark.parametrize(
    "evil", ["\x1b[2J", "\x9b31m", "\r", "\x08", "\x7f", "\u202e", "\u2028", "\x00", "\x1b]0;x\x07"]
)
def test_nothing_steers_the_terminal(evil: str) -> None:
    told = facts(row("1" + evil), description=f"a{evil}b")
    text = plain.repository(told, BASE, NOW)
    assert text.replace("\n", "").isprintable()
    assert "\N{REPLACEMENT CHARACTER}" in text
