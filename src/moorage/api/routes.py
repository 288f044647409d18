"""The table of routes of the management API, and which of them an address is."""

import re
from functools import cache
from urllib.parse import unquote_to_bytes

import msgspec

from moorage.api import (
    about,
    access,
    accounts,
    collection,
    grants,
    groups,
    issuers,
    jobs,
    links,
    namespaces,
    providers,
    pulls,
    purge,
    repositories,
    robots,
    rules,
    search,
    second_factor,
    sessions,
    tags,
    teams,
    tokens,
    trail,
    trash,
    trusts,
    verification,
    whoami,
)
from moorage.api.call import Route

PREFIX = "/api/v1"
ROUTES: tuple[Route, ...] = (
    *whoami.ROUTES,
    *links.ROUTES,
    *sessions.ROUTES,
    *accounts.ROUTES,
    *second_factor.ROUTES,
    *namespaces.ROUTES,
    *teams.ROUTES,
    *groups.ROUTES,
    *robots.ROUTES,
    *grants.ROUTES,
    *tokens.ROUTES,
    *access.ROUTES,
    *rules.ROUTES,
    *trail.ROUTES,
    *providers.ROUTES,
    *issuers.ROUTES,
    *trusts.ROUTES,
    *repositories.ROUTES,
    *about.ROUTES,
    *pulls.ROUTES,
    *search.ROUTES,
    *collection.ROUTES,
    *tags.ROUTES,
    *trash.ROUTES,
    *purge.ROUTES,
    *jobs.ROUTES,
    *verification.ROUTES,
)
# A repository's name has slashes, and none of its components can be `-`: that stands before what
# belongs to it. In a document's terms it is one parameter, so that %2F will do as well.
_COMPONENT = r"(?!-(?:/|\Z))[^/]+"
_PARTS = {
    "repository": rf"{_COMPONENT}(?:/{_COMPONENT})*",
    "principal": rf"{_COMPONENT}(?:/{_COMPONENT})?",
}
_MAX_PATH = 2_000


class Address(msgspec.Struct, frozen=True):
    """The routes of an address by their methods, and what its templates stand for."""

    routes: dict[str, Route]
    values: dict[str, str]


def find(path: str) -> Address | None:
    """Return what is at a path as it came, None if nothing is."""
    if len(path) > _MAX_PATH:
        return None
    for pattern, routes in _table():
        match = pattern.fullmatch(path)
        if match is not None:
            try:
                decoded = {name: _decode(text) for name, text in match.groupdict().items()}
            except ValueError:
                return None
            return Address(routes, decoded)
    return None


@cache
def _table() -> list[tuple[re.Pattern[str], dict[str, Route]]]:
    found: dict[str, dict[str, Route]] = {}
    for route in ROUTES:
        found.setdefault(route.path, {})[route.method] = route
    # An address without a template comes before one that it would fit into.
    return [(_pattern(path), found[path]) for path in sorted(found, key=lambda each: "{" in each)]


def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", path)
    text = "".join(
        f"(?P<{part}>{_PARTS.get(part, '[^/]+')})" if number % 2 else re.escape(part)
        for number, part in enumerate(parts)
    )
    return re.compile(PREFIX + text)


def _decode(text: str) -> str:
    """Return a part of the path with its percent-encoding undone.

    Raises:
        ValueError: what comes out is no text, or one that no name has.
    """
    decoded = unquote_to_bytes(text).decode("utf-8")
    if any(each < " " or each == "\x7f" for each in decoded):
        raise ValueError(text)
    return decoded
