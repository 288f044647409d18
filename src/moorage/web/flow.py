"""Sends an answer that has no end of its own: each part as it comes, until a side has enough."""

import asyncio
from contextlib import aclosing
from typing import Any

from aiohttp import web

from moorage.web.request import Request
from moorage.web.response import FlowBody, Response


async def send_flow(
    request: Request, response: Response, body: FlowBody, stop: asyncio.Event
) -> tuple[web.StreamResponse, int]:
    """Send the parts until there are no more, the client goes away or `stop` is set.

    A client goes away also by closing its own side: else what it held would be held for it until
    the next part can't be sent. The connection ends with it. Returns the server library's response
    and how many bytes went.

    Raises:
        ConnectionError: the client went away.
    """
    prepared = web.StreamResponse(status=response.status, headers=response.headers)
    prepared.force_close()
    sent = 0
    async with aclosing(body.parts) as parts:
        await prepared.prepare(request.raw)
        ends = (stop, request.gone)
        ended = [asyncio.ensure_future(each.wait()) for each in ends]
        coming = None
        try:
            while request.method != "HEAD" and not any(each.is_set() for each in ends):
                coming = asyncio.ensure_future(anext(parts, b""))
                either: set[asyncio.Future[Any]] = {coming, *ended}
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
                if not coming.done():
                    break
                part = coming.result()
                if not part:
                    break
                sent += len(part)
                await prepared.write(part)
        finally:
            # A generator can't be closed while it is waited for.
            waiting = [*ended, *([coming] if coming is not None else [])]
            for each in waiting:
                each.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
    await prepared.write_eof()
    return prepared, sent
