"""What people type for places, principals, rights and times, as the API wants it."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from moorage.errors import Refused

ROLES = ("reader", "writer", "maintainer", "owner", "auditor")
ACTIONS = frozenset({"pull", "push", "delete", "catalog", "*"})
_UNITS = {"m": 60, "h": 3_600, "d": 86_400, "w": 7 * 86_400}
_DURATION = re.compile(r"([1-9]\d{0,5})([mhdw])", re.ASCII)


class Principal(NamedTuple):
    """Whom a right is given to."""

    kind: str
    namespace: str
    name: str


def principal_of(text: str) -> Principal:
    """Return who is meant: `alice`, the team `web/dev` or the robot `web+ci`."""
    for mark, kind in (("+", "robot"), ("/", "team")):
        namespace, found, name = text.partition(mark)
        if found:
            return Principal(kind, namespace, name)
    return Principal("account", "", text)


def robot_of(text: str) -> Principal:
    """Return the robot that is meant.

    Raises:
        Refused: it is not written as one.
    """
    found = principal_of(text)
    if found.kind != "robot":
        raise Refused(
            f"{text!r} is not a robot.", do="Write it as NAMESPACE+NAME, as web+ci.", exit_code=2
        )
    return found


def team_of(text: str) -> Principal:
    """Return the team that is meant.

    Raises:
        Refused: it is not written as one.
    """
    found = principal_of(text)
    if found.kind != "team":
        raise Refused(
            f"{text!r} is not a team.", do="Write it as NAMESPACE/NAME, as web/dev.", exit_code=2
        )
    return found


def grants_of(place: str) -> tuple[str, ...]:
    """Return where the grants on a place are: of a name with a slash, on that repository."""
    if "/" in place:
        return ("repositories", place, "-", "grants")
    return ("namespaces", place, "grants")


def scopes_of(texts: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return what `pull:web/**` and `pull,push:web/shop` let a token do.

    Raises:
        Refused: one of them is written in another way.
    """
    scopes = []
    for text in texts:
        actions, colon, pattern = text.partition(":")
        named = [action for action in actions.split(",") if action]
        if not colon or not pattern or not named or not ACTIONS.issuperset(named):
            raise Refused(
                f"{text!r} is not what a token may.",
                why="It is neither ACTIONS:REPOSITORY nor ACTIONS:NAMESPACE/**.",
                do="Write it as pull:web/** or pull,push:web/shop.",
                exit_code=2,
            )
        scopes.append({"pattern": pattern, "actions": named})
    return scopes


def expiry_of(text: str, now: datetime | None = None) -> str | None:
    """Return when `90d`, `12h` or a date ends, as the API writes times; None for `never`.

    Raises:
        Refused: it is none of these.
    """
    if text == "never":
        return None
    match = _DURATION.fullmatch(text)
    if match is not None:
        seconds = int(match[1]) * _UNITS[match[2]]
        moment = (now or datetime.now(UTC)) + timedelta(seconds=seconds)
        return moment.isoformat(timespec="seconds")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(
            f"{text!r} is not a time.", do="Write it as 90d, 12h, 2027-01-31 or never.", exit_code=2
        ) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat(timespec="seconds")


def limit_of(text: str) -> int | None:
    """Return how many items `50` or `all` are.

    Raises:
        Refused: it is neither.
    """
    if text == "all":
        return None
    if text.isascii() and text.isdigit() and 0 < int(text) < 10**9:
        return int(text)
    raise Refused(f"--limit can't be {text!r}.", do="Give a number, or all.", exit_code=2)
