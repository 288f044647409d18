"""`Range` of a GET and `Content-Range` of an upload (RFC 9110 section 14; distribution-spec)."""

import re
from typing import NamedTuple

_SPEC = re.compile(r"(\d{0,19})-(\d{0,19})", re.ASCII)
_UPLOAD = re.compile(r"(?:bytes[ =])?(\d{1,19})-(\d{1,19})", re.ASCII)
# More spans than this in one request are answered with the whole content: many small overlapping
# spans cost a server more than they save a client (CVE-2011-3192, CVE-2025-62727).
MAX_SPANS = 64


class Span(NamedTuple):
    """The bytes from `start` up to but not including `end`."""

    start: int
    end: int

    @property
    def length(self) -> int:
        """How many bytes it has."""
        return self.end - self.start


def parse_range(header: str, size: int) -> tuple[Span, ...] | None:
    """Return the spans that a `Range` header asks of content of that size.

    None means that the header is to be ignored: another unit, malformed, or too many spans. No
    span at all means that none can be satisfied, which is 416.
    """
    unit, equals, specs = header.partition("=")
    if not equals or unit.strip().lower() != "bytes":
        return None
    listed = [spec.strip() for spec in specs.split(",") if spec.strip()]
    if not listed or len(listed) > MAX_SPANS:
        return None
    spans = []
    for spec in listed:
        match = _SPEC.fullmatch(spec)
        if match is None or not any(match.groups()):
            return None
        span = _span(match[1], match[2], size)
        if span is not None:
            spans.append(span)
    if sum(span.length for span in spans) > size and len(spans) > 1:
        return None
    return tuple(spans)


def _span(first: str, last: str, size: int) -> Span | None:
    if not first:
        length = min(int(last), size)
        return Span(size - length, size) if length else None
    start = int(first)
    end = int(last) + 1 if last else size
    if start >= size or end <= start:
        return None
    return Span(start, min(end, size))


def parse_content_range(header: str) -> Span | None:
    """Return the span of an upload's `Content-Range`, None if it is malformed.

    The specification writes `start-end` without a unit; Docker's older text has `bytes `.
    """
    match = _UPLOAD.fullmatch(header.strip().partition("/")[0])
    if match is None or int(match[2]) < int(match[1]):
        return None
    return Span(int(match[1]), int(match[2]) + 1)
