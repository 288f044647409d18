"""The door beside `/v2`: the management API, health, readiness, metrics, and a plain word."""

from collections.abc import Awaitable, Callable

from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from moorage.api import idempotent, metrics, openapi, routes
from moorage.api.call import Call, Route
from moorage.auth.challenge import PLAIN, challenge
from moorage.auth.policy import require
from moorage.errors import (
    Denied,
    NotFound,
    NotPermitted,
    PreconditionFailed,
    RegistryError,
    RouteUnknown,
    Unauthorized,
    Unsupported,
)
from moorage.model.access import Action, System
from moorage.registry import rights
from moorage.registry.services import Services
from moorage.web.origin import is_foreign_page
from moorage.web.request import Request
from moorage.web.response import JSON, Response, answer, json_answer

Handler = Callable[[Services, Request], Awaitable[Response]]
_TEXT = "text/plain; charset=utf-8"


async def get_health(_s: Services, _request: Request) -> Response:
    """Answer 200 as long as this process answers at all; open to everybody."""
    return answer(200, b"ok\n", _TEXT, Cache_Control="no-store")


async def get_ready(s: Services, _request: Request) -> Response:
    """Answer 200 when the database and the store answer; open, and silent about why not."""
    found = await s.readiness.look()
    told = {name: "ok" if answers else "failing" for name, answers in found.items()}
    return json_answer(200 if all(found.values()) else 503, told, {"Cache-Control": "no-store"})


async def get_metrics(s: Services, request: Request) -> Response:
    """Answer with the metrics of all workers, added up."""
    actor = await s.auth.authenticate(request)
    require(actor, Action.METRICS, System(), await rights.find_standing(s, actor))
    text = await metrics.collect(s)
    return answer(200, text, CONTENT_TYPE_PLAIN_0_0_4, Cache_Control="no-store")


async def get_root(_s: Services, _request: Request) -> Response:
    """Tell a person what this is."""
    text = b"This is a container registry. Push to it with docker push HOST/NAME:TAG.\n"
    return answer(200, text, _TEXT, Cache_Control="no-cache")


def openapi_document() -> bytes:
    """Return the OpenAPI document of the management API, encoded."""
    return openapi.document(routes.ROUTES, routes.PREFIX)


async def get_document(_s: Services, _request: Request) -> Response:
    """Answer with the OpenAPI document of the management API; open to everybody."""
    return answer(200, openapi_document(), JSON, Cache_Control="no-cache")


_ROUTES: dict[str, tuple[str, Handler]] = {
    "/": ("root", get_root),
    "/healthz": ("health", get_health),
    "/readyz": ("ready", get_ready),
    "/metrics": ("metrics", get_metrics),
    routes.PREFIX + "/openapi.json": ("openapi", get_document),
}


async def respond(s: Services, request: Request) -> Response:
    """Answer a request outside `/v2`.

    Raises:
        RegistryError: any refusal; the root renders it.
    """
    found = _ROUTES.get(request.path)
    if found is None:
        return await respond_api(s, request)
    request.action, handler = found
    if request.method not in ("GET", "HEAD"):
        raise Unsupported(headers={"Allow": "GET, HEAD"})
    try:
        return await handler(s, request)
    except (Unauthorized, NotPermitted) as refused:
        challenge(s.config, request, refused)
        raise


async def respond_api(s: Services, request: Request) -> Response:
    """Answer a request to the management API.

    Raises:
        RegistryError: any refusal; the root renders it.
    """
    address = routes.find(request.path)
    if address is None:
        raise RouteUnknown
    route = address.routes.get("GET" if request.method == "HEAD" else request.method)
    if route is None:
        raise Unsupported(headers={"Allow": _allowed(address)})
    request.action = route.name
    _check_change(s, request, route)
    request.repository = address.values.get("repository", "")
    call = Call(request, route, address.values)
    try:
        if route.method == "POST":
            return await idempotent.answer(s, call)
        return await route.handler(s, call)
    except NotPermitted as refused:
        raise _refusal(refused, route) from refused
    except Unauthorized as refused:
        refused.headers = {**refused.headers, "WWW-Authenticate": PLAIN}
        raise


def _allowed(address: routes.Address) -> str:
    methods = [*address.routes]
    return ", ".join([*methods, "HEAD"] if "GET" in methods else methods)


def _check_change(s: Services, request: Request, route: Route) -> None:
    if not route.changes:
        return
    if is_foreign_page(request, s.config.url):
        raise Denied(
            "this came from a page of another site",
            hint="Pages may change something only on their own registry",
        )
    is_conditional = "If-Match" in request.headers and not route.conditional
    if is_conditional or "If-None-Match" in request.headers:
        raise PreconditionFailed("conditions are not taken on changes; nothing was changed")


def _refusal(refused: NotPermitted, route: Route) -> RegistryError:
    """Return what a caller without the right is told: of what it may not see, nothing."""
    if refused.disclose or not route.is_of_place:
        return Denied(refused.message, hint=refused.hint)
    return NotFound()
