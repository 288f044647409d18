"""What it costs to know who asks: manifest requests with credentials, and beside wrong ones."""

import base64
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from bench import bodies, load, uploads
from bench.bodies import MANIFEST
from bench.load import Work
from bench.manifests import CONNECTIONS, SMALL, wrk_get
from bench.report import Row, Target, least
from bench.rounds import REQUESTS, Bench, Pair, interleave
from bench.servers import Moorage, Server
from bench.wire import request

TARGETS: dict[str, Target] = {"rate": least(0.85)}
BESIDE_WRONG: dict[str, Target] = {"rate": least(0.8)}
CLOSED = "closed/small"
WRONG_A_SECOND = 50
# So many that no address and no name is ever refused before its password has been hashed.
UNLIMITED = {"MOORAGE_LIMITS__FAILED_SIGN_INS": "1000000"}
_SECRET = "a password for the bench"
_API = "/api/v1"


def credentials(bench: Bench) -> list[Row]:
    """Manifest GETs with credentials, in a public and a private repository, beside nobody's."""
    rows = []
    with _pair(bench) as pair:
        robot = _robot(pair.ours)
        words = {
            "bearer token": (SMALL, _bearer(pair.ours, ADMIN, SMALL)),
            "password": (SMALL, ADMIN),
            "robot token": (SMALL, robot),
            "bearer token, private": (CLOSED, _bearer(pair.ours, robot, CLOSED)),
            "password, private": (CLOSED, ADMIN),
            "robot token, private": (CLOSED, robot),
        }
        for name, (repository, word) in words.items():
            path = _path(repository)
            _warm(pair.ours, path, word)
            # Each side has the script of its own: nobody asks for what is public.
            lua = (
                f"if wrk.port == '{pair.ours.endpoint.port}' then\n"
                f'wrk.headers["Authorization"] = "{word}"\nelse\n'
                f'wrk.path = "{_path(SMALL)}"\nend\n'
            )
            result = wrk_get(bench, pair, path, MANIFEST, lua)
            found = result.rows(f"manifest GET by tag, {name}", REQUESTS, TARGETS)[:2]
            rows += [replace(row, sides=("with credentials", "anonymous")) for row in found]
    return rows


def wrong_passwords(bench: Bench) -> list[Row]:
    """Manifest GETs while somebody tries 50 passwords a second, and while nobody does."""
    rows = []
    for kind, limits in (("", {}), (", all hashed", UNLIMITED)):
        with _pair(bench, limits) as pair:
            result = interleave(pair, bench.rounds, lambda server, _: _pulls(bench, pair, server))
        name = f"manifest GET by tag, {WRONG_A_SECOND} wrong passwords/s{kind}"
        found = result.rows(name, REQUESTS, BESIDE_WRONG)[:2]
        rows += [replace(row, sides=("beside wrong passwords", "without")) for row in found]
    return rows


def basic(user: str, password: str) -> str:
    """Return the header of a user and password."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


ADMIN = basic("admin", _SECRET)


def _pulls(bench: Bench, pair: Pair, server: Server) -> Work:
    target = (server.endpoint, _path(SMALL))
    script = bench.scratch / "get.lua"
    if server is pair.peer:
        return load.wrk(target, script, bench.seconds, CONNECTIONS, accept=MANIFEST)
    messages = [
        request(server.endpoint, "GET", "/v2/", {"Authorization": basic(f"u{number}", "wrong")})
        for number in range(WRONG_A_SECOND)
    ]
    trying = bench.submit(load.try_in_vain, server.endpoint, messages, bench.seconds)
    work = load.wrk(target, script, bench.seconds, CONNECTIONS, accept=MANIFEST)
    trying.result()
    return work


@contextmanager
def _pair(bench: Bench, limits: Mapping[str, str] | None = None) -> Iterator[Pair]:
    """Yield two servers of one kind, with an administrator, a public and a private image."""
    secret = bench.scratch / "password"
    secret.touch(0o600)
    secret.write_text(_SECRET + "\n")
    admin = {"MOORAGE_ADMIN_USER": "admin", "MOORAGE_ADMIN_PASSWORD_FILE": str(secret)}
    pair = Pair(bench.fresh(Moorage), bench.fresh(Moorage))
    try:
        for server in pair:
            # Pushed in local mode, which ends with the first account.
            for repository, visibility in ((SMALL, "public"), (CLOSED, "private")):
                server.environment = {**os.environ, "MOORAGE_VISIBILITY": visibility}
                server.start()
                connection = server.connection()
                image = bodies.image("small", padding=1400)
                uploads.push_image(connection, repository, "v0", image)
                connection.close()
                server.stop()
            server.environment = {**os.environ, **admin, **(limits or {})}
            server.start()
        yield pair
    finally:
        for server in pair:
            server.stop()


def _path(repository: str) -> str:
    return f"/v2/{repository}/manifests/v0"


def _robot(server: Server) -> str:
    """Return the header of a robot's token; the robot may read all of the namespace."""
    namespace = CLOSED.partition("/")[0]
    robots = f"{_API}/namespaces/{namespace}/robots"
    _asked(server, "POST", robots, {"name": "reader"}, 201)
    grant = f"{_API}/namespaces/{namespace}/grants/robot/{namespace}+reader"
    _asked(server, "PUT", grant, {"role": "reader"}, 200, 201)
    made = _asked(server, "POST", f"{robots}/reader/tokens", {"name": "bench"}, 201)
    return basic(f"{namespace}+reader", made["secret"])


def _asked(
    server: Server, method: str, path: str, body: dict[str, str], *statuses: int
) -> dict[str, str]:
    headers = {"Authorization": ADMIN, "Content-Type": "application/json"}
    connection = server.connection()
    message = request(server.endpoint, method, path, headers, json.dumps(body).encode())
    answer = connection.exchange(message).expect(*statuses)
    connection.close()
    found: dict[str, str] = json.loads(answer.body)
    return found


def _bearer(server: Server, word: str, repository: str) -> str:
    """Return the header of a fresh token, which is good for longer than the measurement takes."""
    path = f"/token?scope=repository:{repository}:pull"
    connection = server.connection()
    answer = connection.exchange(
        request(server.endpoint, "GET", path, {"Authorization": word})
    ).expect(200)
    connection.close()
    return f"Bearer {json.loads(answer.body)['token']}"


def _warm(server: Server, path: str, word: str) -> None:
    """Have each process verify the credential once; it remembers it."""
    message = request(server.endpoint, "GET", path, {"Authorization": word})
    for _ in range(8):
        connection = server.connection()
        connection.exchange(message).expect(200)
        connection.close()
