"""How the management API is asked: documents in, documents out.

What it can be asked for is in `operations`, which has the types of all of it.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from moorage.client.http import Answer, Connection
from moorage.client.problems import refusal_of
from moorage.errors import Refused

PREFIX = "/api/v1"
_NEXT = re.compile(r'<([^<>]+)>\s*;\s*rel="next"', re.ASCII)
Document = dict[str, Any]


class Page(msgspec.Struct, frozen=True):
    """A page of a list."""

    items: list[Document]


class Api:
    """Asks one server; every path is made of its parts, which may hold any character."""

    def __init__(self, connection: Connection) -> None:
        """Ask over this connection."""
        self._connection = connection

    @property
    def server(self) -> str:
        """The server, as people and docker write it."""
        return self._connection.place.name

    @property
    def url(self) -> str:
        """The address that its clients use."""
        return self._connection.place.url

    def get(self, *parts: str, **query: str | int) -> Document:
        """Return a document.

        Raises:
            Refused: the server refuses, or does not answer.
        """
        return self._document(self._send("GET", path_of(*parts, **query)))

    def items(self, *parts: str, **query: str | int) -> Iterator[Document]:
        """Yield all items of a list, page by page.

        Raises:
            Refused: the server refuses, or does not answer.
        """
        path: str | None = path_of(*parts, **query)
        while path is not None:
            answer = self._send("GET", path)
            yield from self._decoded(answer, Page).items
            path = _next(answer)

    def send(
        self,
        method: str,
        *parts: str,
        document: Mapping[str, object] | None = None,
        match: str = "",
    ) -> Document:
        """Change something, and return what the server says of it; empty if nothing.

        `match` is the version that it must still have.

        Raises:
            Refused: the server refuses, or does not answer.
        """
        body = None if document is None else msgspec.json.encode(document)
        more = {"If-Match": f'"{match}"'} if match else None
        return self._document(self._send(method, path_of(*parts), body, more))

    def raw(self, method: str, path: str, body: bytes | None = None) -> Answer:
        """Return what the server answers at a path, which is used as it is.

        Raises:
            Refused: the server refuses, or does not answer.
        """
        return self._send(method, path, body)

    def _send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        more: Mapping[str, str] | None = None,
    ) -> Answer:
        answer = self._connection.request(method, path, body, more)
        if not 200 <= answer.status < 300:
            raise refusal_of(answer.status, answer.headers, answer.body, self.server)
        return answer

    def _document(self, answer: Answer) -> Document:
        return self._decoded(answer, Document) if answer.body else {}

    def _decoded(self, answer: Answer, kind: Any) -> Any:
        try:
            return msgspec.json.decode(answer.body, type=kind)
        except msgspec.MsgspecError as error:
            raise Refused(
                f"{self.server} does not answer as Moorage does.",
                why=str(error),
                do="Is it the address of a Moorage server, and of this release?",
            ) from error


def path_of(*parts: str, **query: str | int) -> str:
    """Return the address of these parts.

    Raises:
        Refused: a part would lead elsewhere.
    """
    for part in parts:
        if not part or any(piece in ("", ".", "..") for piece in part.split("/")):
            raise Refused(f"{part!r} is not a name.", exit_code=2)
    # The slashes of repositories' names are those of the address; all others are escaped.
    joined = "/".join(
        quote(part, safe="/+:@,~" if before == "repositories" else "+:@,~")
        for before, part in zip(("", *parts), parts, strict=False)
    )
    asked = {name: value for name, value in query.items() if value}
    return f"{PREFIX}/{joined}" + (f"?{urlencode(asked)}" if asked else "")


def _next(answer: Answer) -> str | None:
    found = _NEXT.search(answer.headers.get("link", ""))
    if found is None:
        return None
    # Only ever the same server: whatever host the link names is not believed.
    parts = urlsplit(found[1])
    return f"{parts.path}?{parts.query}" if parts.query else parts.path
