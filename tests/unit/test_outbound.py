"""The one HTTP client: which requests go through a proxy of the environment."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from moorage.outbound import open_client


@asynccontextmanager
async def listening(requests: list[str]) -> AsyncIterator[int]:
    """Answer every request with 204, noting its first line; yield the port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        requests.append(head.partition(b"\r\n")[0].decode())
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize("is_own", [True, False])
def test_only_other_machines_are_asked_through_a_proxy(
    monkeypatch: pytest.MonkeyPatch, is_own: bool
) -> None:
    async def ask() -> tuple[list[str], list[str]]:
        proxied: list[str] = []
        direct: list[str] = []
        async with listening(proxied) as proxy, listening(direct) as own:
            monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy}")
            monkeypatch.setenv("no_proxy", "")
            base = f"http://127.0.0.1:{own}" if is_own else "http://registry.invalid"
            async with open_client(base) as client:
                assert (await client.request("GET", "/healthz")).status == 204
        return proxied, direct

    seen = asyncio.run(ask())
    here, there = ["GET /healthz HTTP/1.1"], ["GET http://registry.invalid/healthz HTTP/1.1"]
    assert seen == (([], here) if is_own else (there, []))
