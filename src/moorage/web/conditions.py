"""`If-None-Match`, `If-Match` and `If-Range` (RFC 9110 section 13)."""

import re

_ETAG = re.compile(r'\s*(?:W/)?"?([^",\s]*)"?\s*', re.ASCII)


def etags(header: str) -> list[str]:
    """Return the values that a condition lists, quoted or not, weak or not; `*` stands for any.

    Clients send all of these forms. Digests have neither commas nor quotes, so nothing is lost.
    """
    found = []
    for part in header[:8_192].split(","):
        match = _ETAG.fullmatch(part)
        if match is not None and match[1]:
            found.append(match[1])
    return found


def is_unmodified(header: str | None, digest: str) -> bool:
    """Tell whether `If-None-Match` names the digest, so that 304 is the answer."""
    if header is None:
        return False
    listed = etags(header)
    return digest in listed or "*" in listed


def range_holds(header: str | None, digest: str) -> bool:
    """Tell whether `If-Range` lets the range apply: absent, or the strong tag of the content."""
    return header is None or header.strip() in (f'"{digest}"', digest)
