"""`Range` and `Content-Range`, by the tables beside."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases.load import cases, table
from moorage.web.ranges import MAX_SPANS, Span, parse_content_range, parse_range

SIZE = 1_000


@pytest.mark.parametrize(("header", "spans"), table("ranges", "satisfiable").items())
def test_satisfiable(header: str, spans: list[list[int]]) -> None:
    assert parse_range(header, SIZE) == tuple(Span(*span) for span in spans)


@pytest.mark.parametrize("header", cases("ranges", "unsatisfiable"))
def test_unsatisfiable(header: str) -> None:
    assert parse_range(header, SIZE) == ()


@pytest.mark.parametrize("header", cases("ranges", "ignored"))
def test_ignored(header: str) -> None:
    assert parse_range(header, SIZE) is None


@pytest.mark.parametrize("header", ["bytes=0-", "bytes=0-0", "bytes=-1", "bytes=-0"])
def test_nothing_of_nothing(header: str) -> None:
    assert parse_range(header, 0) == ()


def test_many_small_ranges_are_ignored() -> None:
    """Each costs the server more than it saves the client (CVE-2011-3192)."""
    few = ",".join(f"{10 * place}-{10 * place}" for place in range(MAX_SPANS))
    assert len(parse_range(f"bytes={few}", SIZE) or ()) == MAX_SPANS
    assert parse_range(f"bytes={few},990-990", SIZE) is None


@given(st.text(alphabet="0123456789-, bytes=", max_size=60), st.integers(0, 50))
def test_spans_are_within(text: str, size: int) -> None:
    spans = parse_range(f"bytes={text}", size)
    for span in spans or ():
        assert 0 <= span.start < span.end <= size
    if spans is not None and len(spans) > 1:
        assert sum(span.length for span in spans) <= size


@pytest.mark.parametrize(("header", "span"), table("ranges", "uploads").items())
def test_content_range(header: str, span: list[int]) -> None:
    found = parse_content_range(header)
    assert found == Span(*span)
    assert found.length == span[1] - span[0]


@pytest.mark.parametrize("header", cases("ranges", "bad_uploads"))
def test_bad_content_range(header: str) -> None:
    assert parse_content_range(header) is None
