"""Refusals of a server, as a person at a terminal is told them."""

from collections.abc import Mapping
from typing import Any

import msgspec

from moorage.errors import Refused

_EXIT_CODES = {
    400: 2,
    401: 4,
    403: 4,
    404: 3,
    409: 9,
    412: 9,
    413: 2,
    415: 2,
    422: 2,
    502: 8,
    503: 8,
    504: 8,
}
_BY_A_RULE = "urn:moorage:problem:tag-protected"
# How the server's sentences begin, where it is not with a name: that keeps its spelling.
_BEGINNINGS = frozenset(
    (  # noqa: SIM905 - as a list it has a line for each
        "a after an at authentication before by each either for from in it its local more no"
        " nobody none not nothing of on one only others somebody that the there these this those"
        " too two up what when where who whoever why with without you your"
    ).split()
)


class ServerRefused(Refused):
    """A refusal by the server; `code` and `request_id` are for programs and for its log."""

    def __init__(
        self, problem: "Problem", do: str, exit_code: int, headers: Mapping[str, str]
    ) -> None:
        """Take over what the server said."""
        super().__init__(
            _sentence(problem.title), why=_sentence(problem.detail), do=do, exit_code=exit_code
        )
        self.code = problem.code
        self.status = problem.status
        self.request_id = problem.request_id or headers.get("x-request-id", "")


class Problem(msgspec.Struct, frozen=True):
    """Problem details (RFC 9457) as our servers send them."""

    title: str = ""
    type: str = ""
    status: int = 0
    detail: str = ""
    code: str = ""
    do: str = ""
    request_id: str = ""


class Entry(msgspec.Struct, frozen=True):
    """An error as the distribution specification has it."""

    code: str
    message: str


def refusal_of(status: int, headers: Mapping[str, str], body: bytes, server: str) -> ServerRefused:
    """Return what a failed answer says, whoever in between it may be from."""
    problem = _problem(status, headers, body)
    do = problem.do
    if status == 401:  # the server speaks of docker
        do = f"Sign in: moorage login {server}."
    elif not do and status in (429, 503):
        do = f"Try again in {headers.get('retry-after', 'a few')} seconds."
    exit_code = 5 if problem.type == _BY_A_RULE else _EXIT_CODES.get(status, 1)
    return ServerRefused(problem, _sentence(do), exit_code, headers)


def _problem(status: int, headers: Mapping[str, str], body: bytes) -> Problem:
    if "json" in headers.get("content-type", ""):
        try:
            found: Any = msgspec.json.decode(body)
            if isinstance(found, dict) and found.get("title"):
                return msgspec.convert({**found, "status": status}, Problem)
            if isinstance(found, dict) and "errors" in found:  # as under /v2/
                first = msgspec.convert(found["errors"], list[Entry])[0]
                return Problem(title=first.message, status=status, code=first.code)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, IndexError):
            pass
    return Problem(
        title=f"the server answered with status {status}",
        status=status,
        detail="The answer is not one of Moorage's; a proxy in between may have given it",
    )


def _sentence(text: str) -> str:
    if not text:
        return ""
    is_word = text.partition(" ")[0].rstrip(",;:") in _BEGINNINGS
    return (text[0].upper() if is_word else text[0]) + text[1:] + _end(text)


def _end(text: str) -> str:
    return "" if text[-1] in ".!?:" else "."
