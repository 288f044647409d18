"""Answers as the handlers give them: a status, headers, and one kind of body."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec

from moorage.web.ranges import Span

JSON = "application/json"
IMMUTABLE = "private, max-age=31536000, immutable"


class FileBody(msgspec.Struct, frozen=True):
    """Content of a file: the whole of it, or one or several spans."""

    path: Path
    size: int
    digest: str
    spans: tuple[Span, ...]
    boundary: str = ""


class Response(msgspec.Struct):
    """An answer; `body` is bytes, or a file that `web/send.py` sends."""

    status: int
    headers: dict[str, str]
    body: bytes | FileBody = b""


def answer(status: int, body: bytes = b"", content_type: str = "", **headers: str) -> Response:
    """Return an answer with bytes; header names are given with underscores for hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if content_type:
        named["Content-Type"] = content_type
    return Response(status, named, body)


def json_answer(status: int, document: Any, headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer with a JSON document; names and digests in it are texts."""
    body = msgspec.json.encode(document, enc_hook=str)
    return Response(status, {"Content-Type": JSON, **(headers or {})}, body)


def next_link(path: str, parameters: Sequence[tuple[str, str]]) -> str:
    """Return a relative `Link` to the next page (RFC 8288, distribution-spec "Listing Tags").

    Relative, because clients refuse a link whose host is not the one that they asked.
    """
    return f'<{path}?{urlencode(parameters)}>; rel="next"'
