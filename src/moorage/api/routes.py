"""The table of routes of the management API, and which of them an address is."""

import re
from functools import cache

import msgspec

from moorage.api import (
    about,
    access,
    accounts,
    collection,
    delete_tags,
    grants,
    groups,
    images,
    issuers,
    jobs,
    links,
    namespaces,
    providers,
    pulls,
    purge,
    pushes,
    repositories,
    robots,
    rules,
    search,
    second_factor,
    sessions,
    storage,
    tagging,
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
from moorage.web import paths
from moorage.web.paths import MAX_PATH

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
    *pushes.ROUTES,
    *search.ROUTES,
    *collection.ROUTES,
    *tags.ROUTES,
    *tagging.ROUTES,
    *delete_tags.ROUTES,
    *images.ROUTES,
    *storage.ROUTES,
    *trash.ROUTES,
    *purge.ROUTES,
    *jobs.ROUTES,
    *verification.ROUTES,
)


class Address(msgspec.Struct, frozen=True):
    """The routes of an address by their methods, and what its templates stand for."""

    routes: dict[str, Route]
    values: dict[str, str]


def find(path: str) -> Address | None:
    """Return what is at a path as it came, None if nothing is."""
    found = paths.find(_table(), path) if len(path) <= MAX_PATH else None
    return Address(*found) if found is not None else None


@cache
def _table() -> list[tuple[re.Pattern[str], dict[str, Route]]]:
    found: dict[str, dict[str, Route]] = {}
    for route in ROUTES:
        found.setdefault(PREFIX + route.path, {})[route.method] = route
    return paths.table_of(found)
