"""Pages of several principals as one: the first of all, each repository once, in order."""

from __future__ import annotations

import pytest

from moorage.db.repository_pages import Candidate, merged


def rows(*pairs: tuple[int, str]) -> list[Candidate]:
    return [Candidate(len(name), name, at, "public", "image", 0, 0) for at, name in pairs]


A, B, C, D = (4, "a"), (3, "bb"), (3, "ccc"), (1, "dddd")


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 9])
def test_the_first_of_all_are_the_page(limit: int) -> None:
    pages = [rows(A, D), rows(C, B, D), [], rows(A)]
    by_change = merged(pages, limit, by_change=True)
    assert [each.name for each in by_change] == ["a", "ccc", "bb", "dddd"][:limit]
    by_name = merged(pages, limit, by_change=False)
    assert [each.name for each in by_name] == ["a", "bb", "ccc", "dddd"][:limit]


def test_pages_that_ended_early_hide_nothing_of_the_first() -> None:
    """Each principal's page ends at the limit, and what is cut off is behind the whole page."""
    pages = [rows((9, "a"), (7, "b")), rows((8, "c"), (1, "d"))]
    assert [each.name for each in merged(pages, 2, by_change=True)] == ["a", "c"]


def test_nothing_is_nothing() -> None:
    assert merged([], 5, by_change=True) == []
    assert merged([[], []], 5, by_change=False) == []
