"""Log lines keep their structure whatever a user sends; request ids are harmless."""

import json
import logging
import os
import re
from datetime import UTC, datetime

import pytest

from moorage.telemetry import LogSink, Telemetry, request_id, unbuffered_log

HOSTILE = 'x\r\n{"event":"forged"}\x1b[2J\u2028'


@pytest.mark.parametrize("style", ["json", "text"])
def test_a_users_text_ends_no_line(style: str) -> None:
    """Line ends and escape sequences in a path or an agent come out escaped, on one line."""
    read, write = os.pipe()
    telemetry = Telemetry("0", style, access=True)  # type: ignore[arg-type]
    telemetry.sink = LogSink(write)
    line = {"time": 1.5, "method": "GET", "path": HOSTILE, "status": 200, "bytes": 1}
    line["seconds"] = 0.1
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


TIMED = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z (.+)")


def test_each_line_of_text_begins_with_its_time() -> None:
    """Those of requests and those of events alike; what is routine is left to programs."""
    read, write = os.pipe()
    telemetry = Telemetry("0", "text", access=True)
    telemetry.sink._descriptor = write
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp()
    telemetry._pending = [b""]
    telemetry.access(
        {"time": now, "method": "GET", "path": "/", "status": 200, "bytes": 1, "seconds": 0.1}
    )
    telemetry.flush()
    telemetry.log.debug("routine", place=1)
    telemetry.log.info("told", place=2)
    telemetry.sink.close()
    os.close(write)
    with os.fdopen(read) as pipe:
        lines = pipe.read().splitlines()
    assert lines[0] == "2026-01-02T03:04:05.000000Z GET '/' 200 1 B 100.0 ms"
    told = TIMED.fullmatch(lines[1])
    assert told is not None
    assert told[1] == "info told worker='0' place=2"
    assert len(lines) == 2


def test_json_has_every_level() -> None:
    """The heads of the trail are among them, which prove later that nothing was cut off."""
    read, write = os.pipe()
    telemetry = Telemetry("0", "json", access=False)
    telemetry.sink._descriptor = write
    telemetry.log.debug("routine", place=1)
    telemetry.sink.close()
    os.close(write)
    with os.fdopen(read) as pipe:
        (line,) = map(json.loads, pipe.read().splitlines())
    assert (line["event"], line["level"], line["place"]) == ("routine", "debug", 1)


@pytest.mark.parametrize("style", ["json", "text"])
def test_lines_without_a_thread(style: str, capfd: pytest.CaptureFixture[str]) -> None:
    """The supervisor's are as all others, and there when the call returns."""
    unbuffered_log("supervisor", style).warning("process 0 ended")  # type: ignore[arg-type]
    told = capfd.readouterr().err
    if style == "json":
        assert json.loads(told)["worker"] == "supervisor"
    else:
        assert TIMED.fullmatch(told.rstrip("\n")), told


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
