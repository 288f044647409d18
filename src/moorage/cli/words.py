"""What people type for places, principals, rights and times, as the API wants it."""

import re
from datetime import UTC, date, datetime
from typing import Literal, NamedTuple

from moorage.client.operations.robots import AskedScope
from moorage.errors import Refused

Role = Literal["reader", "writer", "maintainer", "owner", "auditor"]
Visibility = Literal["private", "internal", "public"]
ROLES = ("reader", "writer", "maintainer", "owner", "auditor")
ACTIONS: tuple[Literal["catalog", "delete", "pull", "push"], ...] = (
    "catalog",
    "delete",
    "pull",
    "push",
)
_PATIENCE = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)(ms|s|m|)", re.ASCII)
_SECONDS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0}
_LONGEST = 3_600.0
_UNITS = {"d": 1, "w": 7, "y": 365}
_DURATION = re.compile(r"([1-9]\d{0,3})([dwy])", re.ASCII)


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


def is_repository(place: str) -> bool:
    """Tell whether a place is a repository rather than a namespace."""
    return "/" in place


def scopes_of(texts: tuple[str, ...]) -> list[AskedScope]:
    """Return what `pull:web/**` and `push:web/shop` let a token do; who pushes also pulls.

    Raises:
        Refused: one of them is written in another way.
    """
    scopes: list[AskedScope] = []
    for text in texts:
        actions, colon, pattern = text.partition(":")
        named = [action for action in actions.split(",") if action]
        if not colon or not pattern or not named or not set(named).issubset(ACTIONS):
            raise Refused(
                f"{text!r} is not what a token may.",
                why="It is neither ACTIONS:REPOSITORY nor ACTIONS:NAMESPACE/**.",
                do="Write it as pull:web/** or push:web/shop.",
                exit_code=2,
            )
        # Clients ask for both, and look what is there already.
        allowed = {*named, "pull"} if "push" in named else {*named}
        scopes.append(
            {"pattern": pattern, "actions": [each for each in ACTIONS if each in allowed]}
        )
    return scopes


def days_of(text: str, today: date | None = None) -> int:
    """Return how many days `90d`, `12w` or a date are from now; 0 for `never`.

    Raises:
        Refused: it is none of these.
    """
    if text == "never":
        return 0
    match = _DURATION.fullmatch(text)
    if match is not None:
        return int(match[1]) * _UNITS[match[2]]
    try:
        days = (date.fromisoformat(text) - (today or datetime.now(UTC).date())).days
    except ValueError:
        days = 0
    if days < 1:
        raise Refused(
            f"{text!r} is not a time to come.",
            do="Write it as 90d, 12w, 2030-01-31 or never.",
            exit_code=2,
        )
    return days


def patience_of(text: str) -> float:
    """Return how many seconds `5`, `5s`, `2m` or `500ms` are.

    Raises:
        Refused: it is none of these.
    """
    match = _PATIENCE.fullmatch(text)
    seconds = float(match[1]) * _SECONDS[match[2]] if match is not None else 0.0
    if not 0 < seconds <= _LONGEST:
        raise Refused(
            f"--timeout can't be {text!r}.",
            do="Write it as 5s, 2m or 500ms; an hour is the most.",
            exit_code=2,
        )
    return seconds


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


def tagged_of(text: str) -> tuple[str, str]:
    """Return the repository and the tag of `web/shop:latest`.

    Raises:
        Refused: it is not written so.
    """
    repository, _, tag = text.partition(":")
    if not (repository and tag) or "@" in text or ":" in tag:
        raise Refused(
            f"{text!r} is not a tag.",
            do="Write it as REPOSITORY:TAG, as web/shop:1.4.",
            exit_code=2,
        )
    return repository, tag


def time_of(text: str) -> str:
    """Return a time as the API takes it; as `moment_of`."""
    return moment_of(text).astimezone(UTC).isoformat()


def moment_of(text: str) -> datetime:
    """Return a time with its zone; of a day that is its beginning, in UTC.

    Raises:
        Refused: it is no time.
    """
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(
            f"{text!r} is no time.",
            do="Write it as 2026-07-01 or 2026-07-01T12:00:00Z; without a zone it is UTC.",
            exit_code=2,
        ) from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def digested_of(text: str) -> tuple[str, str]:
    """Return the repository and the digest of `web/shop@sha256:…`.

    Raises:
        Refused: it is not written so.
    """
    repository, _, digest = text.partition("@")
    if not repository or ":" in repository or ":" not in digest:
        raise Refused(
            f"{text!r} is not a manifest.",
            do="Write it as REPOSITORY@DIGEST, as web/shop@sha256:9f86….",
            exit_code=2,
        )
    return repository, digest


def image_of(text: str) -> tuple[str, str]:
    """Return the repository and the reference of `web/shop:1.4`, `web/shop@sha256:…` or `web/shop`.

    Of a repository alone it is the tag `latest`; of a digest, some of its digits will do.

    Raises:
        Refused: it is not written so.
    """
    repository, at, reference = text.partition("@")
    if not at:
        repository, colon, reference = text.partition(":")
        reference = reference if colon else "latest"
    if not repository or not reference or ("/" in reference):
        raise Refused(
            f"{text!r} is not an image.",
            do="Write it as REPOSITORY:TAG or REPOSITORY@DIGEST, as web/shop:1.4.",
            exit_code=2,
        )
    return repository, reference


def other_of(text: str, repository: str) -> tuple[str, str]:
    """Return the repository and the reference of an image; `:1.4` is of the repository before.

    Raises:
        Refused: it is not written so.
    """
    return image_of(f"{repository}{text}" if text[:1] in (":", "@") else text)
