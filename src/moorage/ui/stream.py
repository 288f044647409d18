"""`/events`: what is pushed while a page is open, as server-sent events (HTML, 9.2)."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec

from moorage.errors import Unavailable
from moorage.model.access import Actor
from moorage.registry import feed
from moorage.registry.services import Services
from moorage.ui.caller import authenticate
from moorage.ui.home import shown
from moorage.ui.page import Page, Visit
from moorage.web.numbers import number_of
from moorage.web.response import FlowBody, Response

# Proxies close what is silent for a minute; a browser whose stream ended comes back by itself, and
# then says anew who it is.
_HEARTBEAT_SECONDS = 20.0
_LONGEST_SECONDS = 900.0
_AGAIN = b"retry: 3000\n\n"
_HEARTBEAT = b": still here\n\n"


async def follow(s: Services, visit: Visit) -> Response:
    """Answer with the pushes of what the visitor may read, as they come.

    They begin behind the last that a browser which comes back was told, else behind the place that
    the page had when it was made (`after`), else now.

    Raises:
        Invalid: `after` is no place.
        TooManyRequests: as many listen as may, or as may of the visitor or from where it is.
    """
    actor = await authenticate(s, visit)
    place = visit.number("after") if visit.parameter("after") else None
    after = number_of(visit.request.headers.get("Last-Event-ID", "")) or place
    pushes = feed.follow_pushes(s, actor, after, visit.request.client)
    parts = _parts(pushes, seconds_for(actor, s.clock.now()))
    # It has a place from here on, and gives it back when it is closed: so it must have begun.
    await anext(parts, b"")
    headers = {
        "Content-Type": "text/event-stream; charset=utf-8",
        "Cache-Control": "no-store",
        "Cross-Origin-Resource-Policy": "same-origin",
        # Proxies that collect an answer before they pass it on are told not to.
        "X-Accel-Buffering": "no",
    }
    return Response(200, headers, FlowBody(parts))


def seconds_for(actor: Actor, now: int) -> float:
    """Return how long a visitor may listen: no longer than what it is signed in with is good.

    What ends that before is looked at with each push.
    """
    if not actor.expires_at:
        return _LONGEST_SECONDS
    return min(_LONGEST_SECONDS, max(0.0, (actor.expires_at - now) / 1_000))


async def _parts(
    pushes: AsyncGenerator[feed.Push | None, None], seconds: float
) -> AsyncGenerator[bytes, None]:
    """Yield what is sent; the first part is empty, and says that all that comes will be told."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    async with aclosing(pushes):
        coming = asyncio.ensure_future(anext(pushes))
        try:
            await asyncio.wait({coming})
            coming.result()
            yield b""
            while (left := until - loop.time()) > 0:
                await asyncio.wait({coming}, timeout=min(left, _HEARTBEAT_SECONDS))
                if not coming.done():
                    yield _HEARTBEAT
                    continue
                yield _event(coming.result())
                coming = asyncio.ensure_future(anext(pushes))
        except Unavailable:
            return  # it comes back when the database does
        finally:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)


def _event(push: feed.Push | None) -> bytes:
    if push is None:
        return _AGAIN
    told = msgspec.json.encode(shown(push), enc_hook=str)
    return b"id: %d\nevent: push\ndata: %b\n\n" % (push.place, told)


PAGES = (Page(name="events", path="/events", action=None, show=follow, twin=False),)
