"""No request is missing from the access log because of what it has in its headers."""

import asyncio
import json
import os

import pytest

from moorage.telemetry import LogSink, Telemetry

# A header that is not UTF-8, as the server library hands it on.
BROKEN = b"agent \xff".decode("utf-8", "surrogateescape")
LINE = {"time": 1.0, "method": "GET", "path": "/v2/", "status": 200, "bytes": 2, "seconds": 0.001}


@pytest.mark.parametrize("style", ["json", "text"])
@pytest.mark.parametrize("key", ["agent", "path"])
def test_bytes_that_are_no_text(style: str, key: str) -> None:
    read, write = os.pipe()
    telemetry = Telemetry("0", style, access=True)  # type: ignore[arg-type]
    telemetry.sink = LogSink(write)

    async def log() -> None:
        telemetry.access({**LINE, key: BROKEN})
        telemetry.access({**LINE, key: "plain"})
        telemetry.flush()

    asyncio.run(log())
    telemetry.sink.close()
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        lines = pipe.read().splitlines()
    assert len(lines) == 2
    if style == "json":
        assert json.loads(lines[0])[key].startswith("agent")
