"""The table of pages: where each is asked for, and by whom."""

from __future__ import annotations

from browser import HTML
from cases.load import table
from cast import Cast
from registry import Answer

ROWS: dict[str, list[str]] = table("pages", "rows")


def address(cast: Cast, name: str) -> str:
    """Return where a page is asked for."""
    return ROWS[name][0].replace("{image}", cast.images["private"].digest)


def ask(cast: Cast, who: str, path: str, *more: tuple[str, str]) -> Answer:
    """Ask for a page as a browser does, with somebody's credentials."""
    return cast.asked_by[who].request("GET", path, [HTML, *more])
