"""What it costs to know who asks: manifest requests with a bearer token and with a password."""

import base64
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from bench import bodies, uploads
from bench.bodies import MANIFEST
from bench.manifests import SMALL, wrk_get
from bench.report import Row, Target, least
from bench.rounds import REQUESTS, Bench, Pair
from bench.servers import Moorage, Server
from bench.wire import request

TARGETS: dict[str, Target] = {"rate": least(0.85)}
PATH = f"/v2/{SMALL}/manifests/v0"
_SECRET = "a password for the bench"
_BASIC = "Basic " + base64.b64encode(f"admin:{_SECRET}".encode()).decode()


def credentials(bench: Bench) -> list[Row]:
    """Manifest GETs in a public repository with credentials, beside those of nobody."""
    rows = []
    with _public_pair(bench) as pair:
        for name, word in (("bearer token", _bearer(pair.ours)), ("password", _BASIC)):
            _warm(pair.ours, word)
            lua = f'wrk.headers["Authorization"] = "{word}"\n'
            # Each side has the script of its own: only one of them sends the header.
            lua = f"if wrk.port == '{pair.ours.endpoint.port}' then\n{lua}end\n"
            result = wrk_get(bench, pair, PATH, MANIFEST, lua)
            sides = (f"with a {name}", "anonymous")
            found = result.rows(f"manifest GET by tag, {name}", REQUESTS, TARGETS)[:2]
            rows += [replace(row, sides=sides) for row in found]
    return rows


@contextmanager
def _public_pair(bench: Bench) -> Iterator[Pair]:
    """Yield two servers of one kind, with an administrator and the same public image."""
    secret = bench.scratch / "password"
    secret.touch(0o600)
    secret.write_text(_SECRET + "\n")
    public = {**os.environ, "MOORAGE_VISIBILITY": "public"}
    admin = {"MOORAGE_ADMIN_USER": "admin", "MOORAGE_ADMIN_PASSWORD_FILE": str(secret)}
    pair = Pair(bench.fresh(Moorage), bench.fresh(Moorage))
    try:
        for server in pair:
            # Pushed in local mode, which ends with the first account.
            server.environment = public
            server.start()
            connection = server.connection()
            uploads.push_image(connection, SMALL, "v0", bodies.image("small", padding=1400))
            connection.close()
            server.stop()
            server.environment = public | admin
            server.start()
        yield pair
    finally:
        for server in pair:
            server.stop()


def _bearer(server: Server) -> str:
    """Return the header of a fresh token, which is good for longer than the measurement takes."""
    path = f"/token?scope=repository:{SMALL}:pull"
    connection = server.connection()
    message = request(server.endpoint, "GET", path, {"Authorization": _BASIC})
    answer = connection.exchange(message).expect(200)
    connection.close()
    return f"Bearer {json.loads(answer.body)['token']}"


def _warm(server: Server, word: str) -> None:
    """Have each process verify the credential once; it remembers it."""
    message = request(server.endpoint, "GET", PATH, {"Authorization": word})
    for _ in range(8):
        connection = server.connection()
        connection.exchange(message).expect(200)
        connection.close()
