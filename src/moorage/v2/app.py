"""The front door: path to route, route and method to handler. No framework, no middleware."""

from collections.abc import Awaitable, Callable

from moorage import errors
from moorage.auth.challenge import challenge
from moorage.auth.policy import require
from moorage.errors import RouteUnknown, Unsupported
from moorage.model.access import Action, RepositoryTarget, System
from moorage.oci.names import RepositoryName
from moorage.registry import rights
from moorage.registry.services import Services
from moorage.v2 import blobs, manifests, uploads
from moorage.v2 import listing as pages
from moorage.v2.paths import Route, split
from moorage.web.request import Request
from moorage.web.response import Response, json_answer

Handler = Callable[[Services, Request, Route], Awaitable[Response]]


async def get_base(s: Services, request: Request, _route: Route) -> Response:
    """Answer the version check (end-1): 401 as long as nobody is signed in.

    Clients take their challenge from here; a 200 would tell them never to send credentials.
    """
    actor = await s.auth.authenticate(request)
    require(actor, Action.PING, System(), await rights.find_standing(s, actor))
    return json_answer(200, {}, {"Cache-Control": "no-store"})


async def get_discover(s: Services, request: Request, route: Route) -> Response:
    """Answer with the extensions of the registry or of a repository: this very one."""
    actor = await s.auth.authenticate(request)
    if route.name:
        name = RepositoryName.parse(route.name)
        found = await rights.find(s, actor, name)
        require(actor, Action.PULL, RepositoryTarget(name), found.facts)
        if found.repository is None:
            raise errors.NameUnknown(f"there is no repository {name}", detail={"name": name})
    else:
        require(actor, Action.PING, System(), await rights.find_standing(s, actor))
    described = {
        "name": "_oci",
        "url": "https://github.com/opencontainers/distribution-spec/tree/main/extensions",
        "description": "Discovery of extensions",
        "endpoints": ["_oci/ext/discover"],
    }
    return json_answer(200, {"extensions": [described]}, {"Cache-Control": "no-cache"})


_ROUTES: dict[str, dict[str, Handler]] = {
    "base": {"GET": get_base, "HEAD": get_base},
    "catalog": {"GET": pages.get_catalog, "HEAD": pages.get_catalog},
    "search": {"GET": pages.get_search, "HEAD": pages.get_search},
    "discover": {"GET": get_discover, "HEAD": get_discover},
    "tags": {"GET": pages.get_tags, "HEAD": pages.get_tags},
    "referrers": {"GET": pages.get_referrers, "HEAD": pages.get_referrers},
    "manifest": {
        "GET": manifests.get_manifest,
        "HEAD": manifests.get_manifest,
        "PUT": manifests.put_manifest,
        "DELETE": manifests.delete_manifest,
    },
    "blob": {
        "GET": blobs.get_blob,
        "HEAD": blobs.get_blob,
        "DELETE": blobs.delete_blob,
    },
    "uploads": {"POST": uploads.post_upload},
    "upload": {
        "GET": uploads.get_upload,
        "HEAD": uploads.get_upload,
        "PATCH": uploads.patch_upload,
        "PUT": uploads.put_upload,
        "DELETE": uploads.delete_upload,
    },
}


async def answer(s: Services, request: Request) -> Response:
    """Answer a request under `/v2` or `/v1`.

    Raises:
        RegistryError: any refusal; the root renders it.
    """
    if "Transfer-Encoding" in request.headers and not request.is_http_1_1:
        raise errors.BlobUploadInvalid("HTTP/1.0 has no Transfer-Encoding")
    route = split(request.path)
    request.action = route.kind
    request.repository = route.name
    methods = _ROUTES.get(route.kind)
    if methods is None:
        raise RouteUnknown
    handler = methods.get(request.method)
    if handler is None:
        raise Unsupported(
            f"{request.method[:20]} is not supported here", headers={"Allow": ", ".join(methods)}
        )
    try:
        return await handler(s, request, route)
    except (errors.Unauthorized, errors.NotPermitted) as refused:
        if isinstance(refused, errors.NotPermitted) and request.method == "HEAD":
            _hide(route)
        refused.scope = _scope(request, route)
        challenge(s.config, request, refused)
        raise


def _scope(request: Request, route: Route) -> str:
    """Return what the client is to ask a token for, whatever is wrong with what it sent.

    Whether a blob is there is asked before a push, and some clients keep their first token: it is
    to be good for the push as well.
    """
    if not route.name:
        return "registry:catalog:*" if route.kind in ("catalog", "search") else ""
    actions = "pull,push"
    is_push = route.kind == "upload" or (request.method == "HEAD" and route.kind == "blob")
    if request.method in ("GET", "HEAD") and not is_push:
        actions = "pull"
    elif request.method == "DELETE" and not is_push:
        actions = "delete"
    return f"repository:{route.name}:{actions}"


def _hide(route: Route) -> None:
    """Answer a pusher's first question, whether a blob is there, as if it were not.

    A HEAD has no body for the reason, and clients would stop at its status; the POST that follows
    says it. Of a manifest the challenge tells the reason: its HEAD is a pull's first request.

    Raises:
        BlobUnknown: the HEAD was for a blob, wherever it may be.
    """
    if route.kind == "blob":
        raise errors.BlobUnknown
