"""Pages of tags, referrers and repositories: end-8, end-12, and Docker's catalog and search."""

from moorage.auth.policy import require
from moorage.errors import NameUnknown, PaginationNumberInvalid
from moorage.model.access import Action, RepositoryTarget, System
from moorage.oci.digest import Digest
from moorage.oci.media_types import OCI_INDEX
from moorage.oci.names import RepositoryName
from moorage.registry import listing, rights, search
from moorage.registry.services import Services
from moorage.v2.paths import Route
from moorage.web.numbers import number_of
from moorage.web.request import Request
from moorage.web.response import Response, answer, json_answer, next_link

_MAX_SEARCH = 100


async def get_tags(s: Services, request: Request, route: Route) -> Response:
    """Answer with tags in ASCII order (end-8)."""
    name = RepositoryName.parse(route.name)
    actor = await s.auth.authenticate(request)
    found = await rights.find(s, actor, name)
    require(actor, Action.PULL, RepositoryTarget(name), found.facts)
    if found.repository is None:
        raise NameUnknown(f"there is no repository {name}", detail={"name": name})
    limit = _limit(request, listing.MAX_TAGS, listing.MAX_TAGS)
    last = request.parameter("last") or ""
    page = await listing.list_tags(s, found.repository, last, limit) if limit else _NOTHING
    headers = _next(request, page.names[-1] if page.more else None, limit)
    return json_answer(200, {"name": name, "tags": page.names}, headers)


async def get_catalog(s: Services, request: Request, _route: Route) -> Response:
    """Answer with the repositories that the caller may see, in ASCII order."""
    actor = await s.auth.authenticate(request)
    require(actor, Action.CATALOG, System(), await rights.find_standing(s, actor))
    limit = _limit(request, listing.DEFAULT_REPOSITORIES, listing.MAX_REPOSITORIES)
    last = request.parameter("last") or ""
    page = await listing.list_repositories(s, actor, last, limit) if limit else _NOTHING
    headers = _next(request, page.names[-1] if page.more else None, limit)
    return json_answer(200, {"repositories": page.names}, headers)


async def get_search(s: Services, request: Request, _route: Route) -> Response:
    """Answer `docker search` with repositories: by name, description, or a tag or label in them.

    Whoever asks without credentials finds what is public.
    """
    actor = await s.auth.authenticate(request)
    await search.require_search(s, actor)
    text = (request.parameter("q") or "")[:255]
    limit = _limit(request, 25, _MAX_SEARCH)
    found = await search.find_repositories(s, actor, text, limit)
    results = [
        {
            "name": each.repository,
            "description": each.text,
            "star_count": 0,
            "is_official": False,
            "is_automated": False,
        }
        for each in found
    ]
    return json_answer(200, {"num_results": len(results), "query": text, "results": results})


async def get_referrers(s: Services, request: Request, route: Route) -> Response:
    """Answer with what refers to a digest, newest first (end-12); never 404."""
    name, subject = RepositoryName.parse(route.name), Digest.parse(route.reference)
    actor = await s.auth.authenticate(request)
    target = await rights.find(s, actor, name)
    require(actor, Action.PULL, RepositoryTarget(name), target.facts)
    types = tuple(dict.fromkeys(filter(None, request.parameters("artifactType"))))[:16]
    limit = _limit(request, listing.MAX_REFERRERS, listing.MAX_REFERRERS)
    before = number_of(request.parameter("last") or "") or 0
    found = listing.Referrers([], 0)
    if target.repository is not None and limit:
        repository = target.repository
        found = await listing.list_referrers(s, repository, subject, types, before, limit)
    body = (
        b'{"schemaVersion":2,"mediaType":"'
        + OCI_INDEX.encode()
        + b'","manifests":['
        + b",".join(found.descriptors)
        + b"]}"
    )
    made = answer(200, body, OCI_INDEX)
    made.headers |= _next(request, str(found.before) if found.before else None, limit)
    if types:
        made.headers["OCI-Filters-Applied"] = "artifactType"
    return made


_NOTHING = listing.Names([], more=False)


def _limit(request: Request, default: int, most: int) -> int:
    """Return the page size asked for; more than the server gives is cut, and `Link` goes on."""
    text = request.parameter("n")
    if text is None:
        return default
    number = number_of(text)
    if number is None:
        raise PaginationNumberInvalid(detail={"n": text[:40]})
    return min(number, most)


def _next(request: Request, last: str | None, limit: int) -> dict[str, str]:
    headers = {"Cache-Control": "no-cache"}
    if last is not None:
        kept = [(key, value) for key, value in request.query if key not in ("n", "last")]
        parameters = [*kept, ("n", str(limit)), ("last", last)]
        headers["Link"] = next_link(request.path, parameters)
    return headers
