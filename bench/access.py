"""What it costs to know who asks: manifest requests with credentials, and beside wrong ones."""

import base64
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from bench import bodies, load, uploads
from bench.bodies import MANIFEST
from bench.load import Work
from bench.manifests import CONNECTIONS, SMALL
from bench.report import Row, Target, least
from bench.rounds import REQUESTS, Bench, Comparison, Sample, shuffle
from bench.servers import Moorage, Server
from bench.wire import request

TARGETS: dict[str, Target] = {"rate": least(0.85)}
BESIDE_WRONG: dict[str, Target] = {"rate": least(0.8)}
CLOSED = "closed/small"
WRONG_A_SECOND = 50
# So many that no address and no name is ever refused before its password has been hashed.
UNLIMITED = {"MOORAGE_LIMITS__FAILED_SIGN_INS": "1000000"}
# A turn takes about 20 ms.
_TURNS, _REQUESTS = 400, 160
_NOBODY = "anonymous"
_SECRET = "a password for the bench"
_API = "/api/v1"


def credentials(bench: Bench) -> list[Row]:
    """Manifest GETs with credentials, in a public and a private repository, beside nobody's."""
    with _server(bench, _Alone) as server:
        robot = _robot(server)
        words = {
            "bearer token": (SMALL, _bearer(server, ADMIN, SMALL)),
            "password": (SMALL, ADMIN),
            "robot token": (SMALL, robot),
            "bearer token, private": (CLOSED, _bearer(server, robot, CLOSED)),
            "password, private": (CLOSED, ADMIN),
            "robot token, private": (CLOSED, robot),
        }
        messages = {_NOBODY: _message(server, SMALL)}
        for name, (repository, word) in words.items():
            messages[name] = _message(server, repository, word)
        turns = bench.size(_TURNS, 50)
        found = load.in_turns(server.endpoint, messages, turns, CONNECTIONS, _REQUESTS)
    rows = []
    for name in words:
        pairs = Comparison(_samples(found[name]), _samples(found[_NOBODY]))
        rate = pairs.rows(f"manifest GET by tag, {name}", REQUESTS, TARGETS)[0]
        rows.append(replace(rate, sides=("with credentials", "anonymous"), paired=True))
    return rows


def _message(server: Server, repository: str, word: str = "") -> bytes:
    headers = {"Accept": MANIFEST, **({"Authorization": word} if word else {})}
    return request(server.endpoint, "GET", _path(repository), headers)


def _samples(works: Sequence[Work]) -> list[Sample]:
    """Return turns that were too short to tell what each cost the server."""
    return [Sample(work, 0.0, 0) for work in works]


def wrong_passwords(bench: Bench) -> list[Row]:
    """Manifest GETs while somebody tries 50 passwords a second, and while nobody does."""
    rows = []
    # Hashing what is tried in three seconds takes half a minute.
    for kind, limits, rounds in (
        ("", {}, bench.size(15, 2)),
        (", all hashed", UNLIMITED, bench.rounds),
    ):
        with _server(bench, Moorage, limits) as server:
            # The same connections all the time: how the kernel deals them out to two workers
            # makes a greater difference from round to round than what is measured.
            pulls = load.Repeated(server.endpoint, _message(server, SMALL), CONNECTIONS)
            runs = {
                "beside": partial(_pulls_beside, bench, server, pulls),
                "without": partial(pulls.repeat_for, bench.seconds),
            }
            for run in runs.values():
                run()
            found = shuffle(server, rounds, runs)
            pulls.close()
        name = f"manifest GET by tag, {WRONG_A_SECOND} wrong passwords/s{kind}"
        pairs = Comparison(found["beside"], found["without"])
        rows += _paired(pairs, name, BESIDE_WRONG, ("beside wrong passwords", "without"))
    return rows


def basic(user: str, password: str) -> str:
    """Return the header of a user and password."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


ADMIN = basic("admin", _SECRET)


class _Alone(Moorage):
    """With one worker: two get unequal shares of the 16 connections, other ones in each round."""

    workers = 1


def _paired(
    pairs: Comparison, name: str, targets: Mapping[str, Target], sides: tuple[str, str]
) -> list[Row]:
    rate, cost, _ = pairs.rows(name, REQUESTS, targets)
    return [replace(row, sides=sides, paired=True) for row in (rate, cost)]


def _pulls_beside(bench: Bench, server: Server, pulls: load.Repeated) -> Work:
    messages = [
        request(server.endpoint, "GET", "/v2/", {"Authorization": basic(f"u{number}", "wrong")})
        for number in range(WRONG_A_SECOND)
    ]
    trying = bench.submit(load.try_in_vain, server.endpoint, messages, bench.seconds)
    work = pulls.repeat_for(bench.seconds)
    trying.result()
    return work


@contextmanager
def _server(
    bench: Bench, kind: type[Server], limits: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Yield a server with an administrator, a public and a private image."""
    secret = bench.scratch / "password"
    secret.touch(0o600)
    secret.write_text(_SECRET + "\n")
    admin = {"MOORAGE_ADMIN_USER": "admin", "MOORAGE_ADMIN_PASSWORD_FILE": str(secret)}
    server = bench.fresh(kind)
    try:
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
        yield server
    finally:
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
