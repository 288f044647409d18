"""Log lines keep their structure whatever a user sends; request ids are harmless."""

import json
import logging
import os

import pytest

from moorage.telemetry import LogSink, Telemetry, request_id

HOSTILE = 'x\r\n{"event":"forged"}\x1b[2J\u2028'


@pytest.mark.parametrize("style", ["json", "text"])
def test_a_users_text_ends_no_line(style: str) -> None:
    """Line ends and escape sequences in a path or an agent come out escaped, on one line."""
    read, write = os.pipe()
    telemetry = Telemetry("0", style, access=True)  # type: ignore[arg-type]
    telemetry.sink = LogSink(write)
    line = {"method": "GET", "path": HOSTILE, "status": 200, "bytes": 1, "seconds": 0.1}
    telemetry._pending = [b""]
    telemetry.access(line)
    telemetry.flush()
    telemetry.sink.close()
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        written = pipe.read().strip(b"\n").split(b"\n")
    assert len(written) == 1
    assert not {b"\r", b"\x1b"} & {bytes([byte]) for byte in written[0]}
    if style == "json":
        assert json.loads(written[0])["path"] == HOSTILE


def test_lines_that_nobody_reads_are_counted() -> None:
    """A reader that went away costs lines, not the server."""
    read, write = os.pipe()
    os.close(read)
    sink = LogSink(write)
    sink.write(b"line\n")
    sink.close()
    assert sink.dropped == 1
    os.close(write)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("abc-123", True),
        ("a" * 64, True),
        ("a" * 65, False),
        ("a b", False),
        ("", False),
        (None, False),
        ("a\nb", False),
        ('"', False),
        ("é", False),
    ],
)
def test_request_ids(given: str | None, kept: bool) -> None:
    """A caller's own id is kept if it is short and plain; else there is a new one."""
    made = request_id(given)
    assert (made == given) is kept
    assert made.isascii()
    assert made


def test_lines_of_libraries_are_lines_of_ours() -> None:
    """What the connection pool or the event loop logs is JSON as all else, from warnings on."""
    read, write = os.pipe()
    telemetry = Telemetry("0", "json", access=False)
    telemetry.sink._descriptor = write
    root = logging.getLogger()
    kept = root.handlers[:], root.level
    for handler in kept[0]:
        root.removeHandler(handler)  # else they would be closed
    try:
        telemetry.adopt_libraries()
        logging.getLogger("psycopg.pool").warning("error connecting in %r: %s", "pool-1", "x\ny")
        logging.getLogger("psycopg.pool").info("no line")
    finally:
        root.handlers[:], root.level = kept
    telemetry.sink.close()
    os.close(write)
    with os.fdopen(read) as pipe:
        (line,) = map(json.loads, pipe.read().splitlines())
    assert line["event"] == "library"
    assert line["library"] == "psycopg.pool"
    assert line["message"] == "error connecting in 'pool-1': x\ny"
    assert (line["level"], line["worker"]) == ("warning", "0")
