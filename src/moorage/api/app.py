"""`/healthz`, `/readyz` and `/metrics`, and a plain word for whoever opens the address."""

from collections.abc import Awaitable, Callable

from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from moorage.api import metrics
from moorage.auth.challenge import challenge
from moorage.auth.policy import require
from moorage.errors import NotPermitted, RouteUnknown, Unauthorized, Unsupported
from moorage.model.access import Action, System
from moorage.registry import rights
from moorage.registry.services import Services
from moorage.web.request import Request
from moorage.web.response import Response, answer, json_answer

Handler = Callable[[Services, Request], Awaitable[Response]]
_TEXT = "text/plain; charset=utf-8"


async def get_health(s: Services, request: Request) -> Response:  # noqa: ARG001
    """Answer 200 as long as this process answers at all; open to everybody."""
    return answer(200, b"ok\n", _TEXT, Cache_Control="no-store")


async def get_ready(s: Services, request: Request) -> Response:  # noqa: ARG001
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


async def get_root(s: Services, request: Request) -> Response:  # noqa: ARG001
    """Tell a person what this is."""
    text = b"This is a container registry. Push to it with docker push HOST/NAME:TAG.\n"
    return answer(200, text, _TEXT, Cache_Control="no-cache")


_ROUTES: dict[str, tuple[str, Handler]] = {
    "/": ("root", get_root),
    "/healthz": ("health", get_health),
    "/readyz": ("ready", get_ready),
    "/metrics": ("metrics", get_metrics),
}


async def respond(s: Services, request: Request) -> Response:
    """Answer a request outside `/v2`.

    Raises:
        RegistryError: any refusal; the root renders it.
    """
    found = _ROUTES.get(request.path)
    if found is None:
        raise RouteUnknown
    request.action, handler = found
    if request.method not in ("GET", "HEAD"):
        raise Unsupported(headers={"Allow": "GET, HEAD"})
    try:
        return await handler(s, request)
    except (Unauthorized, NotPermitted) as refused:
        challenge(s.config, request, refused)
        raise
